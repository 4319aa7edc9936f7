"""From the exchange's closing message to the decision committed in the journal, in a real daemon over TLS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.context import Context
from bench.figures import Figure, spread
from bench.market import DAY_MINUTES, random_tapes, symbols
from bench.model import ensure_model
from bench.processes import BenchError, daemon_words, exchange, started, wait_until

SPEED = 600.0
"""Ten minutes of the market a second: the daemon is idle most of the time, as it is when it trades."""

WARM_UP_BATCHES = 10


def measure(context: Context) -> list[Figure]:
    """One symbol, then twenty that close together."""
    figures = []
    for name, count, goals in (("one_symbol", 1, ("< 2", "< 10")), ("twenty_symbols", 20, ("", ""))):
        seen = watch(context, context.pick(count, count, min(count, 3)), context.pick(600, 100, 12))
        batches = seen["batches"][context.pick(WARM_UP_BATCHES, WARM_UP_BATCHES, 2) :]
        whole = [row for row in batches if row[1] == batches[0][1]]
        figures += spread(name, [row[4] - row[3] for row in whole], "ms", goals=goals, note=seen["note"])
        if count > 1:
            figures += spread(f"{name}_from_first_message", [row[4] - row[2] for row in whole], "ms")
    return figures


def watch(context: Context, symbol_count: int, batch_count: int, speed: float = SPEED) -> dict[str, Any]:
    """Run a daemon under the probe for so many minutes of the market; gives what the probe noted."""
    folder = context.room(f"watch-{symbol_count}-{batch_count}")
    ensure_model(context.models_dir)
    tapes = random_tapes(folder / "tapes", symbols(symbol_count), DAY_MINUTES + batch_count + 20)
    out, said = folder / "probe.json", folder / "daemon.txt"
    with exchange(folder, tapes, speed=speed) as endpoint:
        words = ["-m", "bench.probe", str(out), str(batch_count)]
        words += daemon_words(endpoint, folder, context.models_dir)
        patience = 60.0 + symbol_count + 4 * batch_count * 60.0 / speed
        with started(words, said) as process:
            wait_until(lambda: process.poll() is not None, process, said, seconds=patience)
    if process.returncode != 0 or not out.exists():
        raise BenchError(f"the daemon ended with {process.returncode}: {said.read_text()[-1500:]}")
    seen: dict[str, Any] = json.loads(out.read_text())
    if not seen["batches"]:
        raise BenchError("the daemon decided no minute on the stream's candles alone")
    seen["note"] = f"{order_count(said)} orders, speed {speed:g}"
    return seen


def order_count(said: Path) -> int:
    """Orders that were filled, by the daemon's log."""
    return said.read_text(errors="replace").count('"event":"order.filled"')
