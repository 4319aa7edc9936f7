"""A bot on a tape and a dashboard beside it, both as processes of their own, for as long as a block lasts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.tiny_model import write_tiny_model

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")
FIRST_MS: Final = 1_678_406_400_000
PATIENCE_SECONDS: Final = 90.0
END_SECONDS: Final = 20.0


class TapedRun(NamedTuple):
    """What runs.

    Attributes:
        enter: The address with its token, for a first visit.
        home: The address without.
        bot: The process that trades.
    """

    enter: str
    home: str
    bot: subprocess.Popen[bytes]

    def stop_bot(self) -> None:
        """End the bot in order; the dashboard stays."""
        _end(self.bot)


def write_tape(folder: Path, minutes: int) -> list[str]:
    """The words of `bot run` for a random market of two perpetuals."""
    generator = np.random.default_rng(11)
    words = []
    for number, symbol in enumerate(SYMBOLS):
        close = np.round(100.0 * (number + 1) * np.exp(np.cumsum(generator.normal(0, 0.001, minutes))), 2)
        open_ = np.concatenate([close[:1], close[:-1]])
        columns = {
            "ts": FIRST_MS + np.arange(minutes, dtype=np.int64) * 60_000,
            "open": open_,
            "high": np.maximum(open_, close) + 0.03,
            "low": np.minimum(open_, close) - 0.03,
            "close": close,
            "volume": generator.uniform(1, 9, minutes),
        }
        keep = np.ones(minutes, bool)
        keep[minutes // 2 : minutes // 2 + 3] = number == 0
        path = folder / f"binanceusdm-{symbol}-1m-random.parquet"
        pq.write_table(pa.table({name: column[keep] for name, column in columns.items()}), path)
        words += ["--tape", str(path)]
    return words


@contextmanager
def taped_run(
    folder: Path, *, minutes: int = 4_000, start_at: str = "+600m", speed: int = 600
) -> Iterator[TapedRun]:
    """Start both, wait until the bot has decided some minutes, and end both.

    Args:
        folder: For tape, model and state.
        minutes: Length of the tape.
        start_at: Where it starts; what is before is history.
        speed: Market seconds a second.
    """
    state = folder / "state"
    state.mkdir()
    model = write_tiny_model(state / "models", output_scale=4.0).name
    words = [*write_tape(folder, minutes), "--start-at", start_at, "--speed", str(speed)]
    words += ["--unproven", "--model", model, "--strategy", "lstm_scalping:aggressive"]
    words += ["--set", "strategy.parameters.threshold=0.0001", "--set", "costs.taker_fee_bps=0"]
    bot = _start(["run", *words, "--state-dir", str(state)], state / "bot.txt")
    board = _start(["dashboard", "--state-dir", str(state), "--json"], state / "dashboard.txt", piped=True)
    try:
        assert board.stdout is not None
        # The same output carries the log.
        lines: Iterator[dict[str, Any]] = map(json.loads, board.stdout)
        told = next(line for line in lines if "address" in line)
        _wait_for_minutes(state, bot)
        yield TapedRun(told["address"], f"http://{told['host']}:{told['port']}", bot)
    finally:
        _end(board)
        _end(bot)


def _start(words: list[str], output: Path, *, piped: bool = False) -> subprocess.Popen[bytes]:
    with output.open("wb") as kept:
        return subprocess.Popen(
            [sys.executable, "-m", "bot", *words], stdout=subprocess.PIPE if piped else kept, stderr=kept
        )


def _wait_for_minutes(state: Path, bot: subprocess.Popen[bytes], count: int = 40) -> None:
    from bot.errors import BotError
    from bot.journal.reader import JournalReader

    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and bot.poll() is None:
        with suppress(BotError):  # not there yet
            reader = JournalReader(state / "journal.sqlite")
            try:
                if reader.counts()["batches"] >= count:
                    return
            finally:
                reader.close()
        time.sleep(0.1)
    raise AssertionError(f"the bot decided nothing:\n{(state / 'bot.txt').read_text()[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
