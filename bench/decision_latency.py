"""From the exchange's closing message to the decision committed in the journal, in a real daemon over TLS."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from bench.context import Context
from bench.figures import Figure, spread
from bench.market import DAY_MINUTES, random_tapes, symbols
from bench.model import ensure_model
from bench.processes import BenchError, daemon_words, exchange, started, wait_until
from bot.core.market import MINUTE_MS

SPEED = 600.0
"""Ten minutes of the market a second: the daemon is idle most of the time, as it is when it trades."""

WARM_UP_BATCHES = 10

ENOUGH_CANDLES = 500
"""In so many the bench's model does trade; when it has not, the figures are of a daemon that only looks on."""

FILLED = "order.filled"

AFTER_THE_HOUR = 15
"""Minutes from each full hour on that are told apart. In the minute that opens on the hour the daemon asks the
exchange for the funding rate of what it holds, and at this speed the next minutes queue up behind the answer."""

ARRIVED_FIRST, ARRIVED_LAST, BEGAN, COMMITTED = 2, 3, 4, 5
"""Columns of the probe's batches."""


def measure(context: Context) -> list[Figure]:
    """One symbol, then twenty that close together."""
    figures = []
    cases = (("one_symbol", 1, ("< 2", "< 10")), ("twenty_symbols", 20, ("", "")))
    for name, count, goals in cases[: context.pick(2, 2, 1)]:
        seen = watch(context, count, context.pick(600, 130, 24))
        warm = seen["batches"][context.pick(WARM_UP_BATCHES, WARM_UP_BATCHES, 1) :]
        whole = [row for row in warm if row[1] == seen["symbols"]]
        usual = [row for row in whole if minute_of_hour(row) >= AFTER_THE_HOUR]
        figures += spread(name, spans(usual, ARRIVED_LAST), "ms", goals=goals, note=seen["note"])
        figures += spread(f"{name}_from_loop", spans(usual, BEGAN), "ms")
        if count > 1:
            figures += spread(f"{name}_from_first_message", spans(usual, ARRIVED_FIRST), "ms")
        if on_the_hour := [row for row in whole if minute_of_hour(row) == 0]:
            worst = max(spans(on_the_hour, ARRIVED_LAST)) / 1e6
            figures.append(
                Figure(f"{name}_on_the_hour_worst", worst, "ms", note="funding rates are asked for")
            )
    return figures


def minute_of_hour(row: list[int]) -> int:
    """The minute in which a batch's candles opened."""
    return row[0] // MINUTE_MS % 60


def spans(rows: list[list[int]], since: int) -> list[int]:
    """From a column to the commit, ns."""
    return [row[COMMITTED] - row[since] for row in rows]


def watch(
    context: Context, symbol_count: int, batch_count: int, speed: float = SPEED, *, label: str = "watch"
) -> dict[str, Any]:
    """Run a daemon under the probe for so many minutes of the market; gives what the probe noted."""
    folder = context.room(f"{label}-{symbol_count}-{batch_count}")
    ensure_model(context.models_dir)
    tapes = random_tapes(folder / "tapes", symbols(symbol_count), DAY_MINUTES + batch_count + 20)
    out, said = folder / "probe.json", folder / "daemon.txt"
    with exchange(folder, tapes, speed=speed) as endpoint:
        words = ["-m", "bench.probe", str(out), str(batch_count)]
        words += daemon_words(endpoint, folder, context.models_dir)
        patience = 60.0 + symbol_count + 4 * batch_count * 60.0 / speed
        with started(words, said) as process:
            wait_until(lambda: process.poll() is not None, process, said, seconds=patience, every=0.1)
    if process.returncode != 0 or not out.exists():
        raise BenchError(f"the daemon ended with {process.returncode}: {said.read_text()[-1500:]}")
    seen: dict[str, Any] = json.loads(out.read_text())
    if not seen["batches"]:
        raise BenchError("the daemon decided no minute on the stream's candles alone")
    seen["symbols"] = symbol_count
    orders, reasons = activity(said)
    if not orders and symbol_count * batch_count >= ENOUGH_CANDLES:
        raise BenchError(
            f"the daemon sent no order in {batch_count} minutes, so trading was not measured: {reasons}"
        )
    seen["note"] = f"{orders} orders, speed {speed:g}"
    return seen


def activity(said: Path) -> tuple[int, dict[str, int]]:
    """Orders that were filled, and the commonest reasons why none was sent, by the daemon's log."""
    events = Counter[str]()
    for line in said.read_text(errors="replace").splitlines():
        if '"event":"order.filled"' in line:
            events[FILLED] += 1
        elif '"event":"decision.made"' in line:
            events[str(json.loads(line)["reason"])] += 1
    orders = events.pop(FILLED, 0)
    return orders, dict(events.most_common(3))
