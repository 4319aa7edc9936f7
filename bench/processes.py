"""Programs that are measured run as processes of their own: started here, bounded in time, ended by their id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.context import ROOT

STOP_SECONDS = 10.0


class BenchError(RuntimeError):
    """What was to be measured failed; the text says why."""


def environment() -> dict[str, str]:
    """This process's, without settings of the bot: a bench measures the defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BOT_")}


def run_python(words: Sequence[str], *, seconds: float) -> str:
    """Run ``python WORDS`` to its end and give what it printed; BenchError if it fails or takes too long."""
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as fault:
        raise BenchError(f"{' '.join(words)} was not done within {seconds:.0f} s") from fault
    finally:
        end(process)
    if process.returncode != 0:
        raise BenchError(f"{' '.join(words)} ended with {process.returncode}: {err.strip()[-2000:]}")
    return out


def end(process: subprocess.Popen[Any]) -> None:
    """Make a process stop, in order if it can."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@contextmanager
def started(words: Sequence[str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``python WORDS`` for the time of the block; what it says goes to the file ``said``."""
    with said.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=environment(), stdout=sink, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            end(process)


def wait_until(
    done: Callable[[], bool],
    process: subprocess.Popen[bytes],
    said: Path,
    *,
    seconds: float,
    every: float = 0.01,
) -> None:
    """Wait until ``done()``, asked ``every`` so many seconds.

    Raises:
        BenchError: The program ended first, or time is up; with its last words.
    """
    deadline = time.monotonic() + seconds
    while not done():
        if process.poll() is not None and not done():
            raise BenchError(f"ended with {process.returncode}: {last_words(said)}")
        if time.monotonic() > deadline:
            raise BenchError(f"not done within {seconds:.0f} s: {last_words(said)}")
        time.sleep(every)


def last_words(said: Path) -> str:
    """The end of what a program said."""
    return said.read_text(errors="replace")[-1500:] if said.exists() else ""


@contextmanager
def exchange(folder: Path, tapes: Sequence[str], *, speed: float) -> Iterator[dict[str, Any]]:
    """A simulated exchange that plays tapes from their second day on; gives where it listens.

    Its time stands until all symbols are subscribed, so that nothing is missed before a daemon is there.
    """
    words = ["-m", "bot.simexchange", "--state-dir", str(folder), "--speed", str(speed), "--start-at", "+1d"]
    words += ["--parent-pid", str(os.getpid())]
    for tape in tapes:
        words += ["--tape", tape]
    endpoint, said = folder / "sim" / "endpoint.json", folder / "exchange.txt"
    with started(words, said) as process:
        wait_until(endpoint.exists, process, said, seconds=60.0)
        yield json.loads(endpoint.read_text())


def daemon_words(endpoint: dict[str, Any], folder: Path, models_dir: Path) -> list[str]:
    """The words of ``bot run`` against a simulated exchange."""
    words = ["run", "--exchange", endpoint["exchange_id"], "--state-dir", str(folder), "--json"]
    words += ["--strategy", "lstm_scalping:aggressive"]
    for symbol in endpoint["symbols"]:
        words += ["--symbol", symbol]
    for name, value in {
        "exchange.connect_to": f"{endpoint['host']}:{endpoint['port']}",
        "exchange.ca_file": endpoint["ca_file"],
        "exchange.simulated": "true",
        "exchange.clock": "market",
        "model.root": str(models_dir),
        "model.unproven": "true",  # a model of the bench has won nothing
        # Nor does the watch end it: one that knows nothing of a random walk loses its place after hours of the market.
        "watch.enabled": "false",
        # A market at hundreds of times real speed makes a busy moment look like minutes, and then nothing is traded.
        "risk.max_prediction_age_seconds": "3600",
    }.items():
        words += ["--set", f"{name}={value}"]
    return words
