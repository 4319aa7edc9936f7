"""Two hundred symbols that close in the same second: is every candle there, once, and how long does it take."""

from __future__ import annotations

from bench.context import Context
from bench.decision_latency import ARRIVED_FIRST, ARRIVED_LAST, spans, watch
from bench.figures import Figure, spread
from bot.core.market import MINUTE_MS

SPEED = 60.0
"""One close of all symbols a second."""


def measure(context: Context) -> list[Figure]:
    """Count what was delivered against what closed, and time each minute from first message to commit."""
    count = context.pick(200, 200, 4)
    seen = watch(context, count, context.pick(40, 10, 6), speed=context.pick(SPEED, SPEED, 600.0))
    minutes = sorted({minute for _, minute, _ in seen["candles"]})
    expected = count * ((minutes[-1] - minutes[0]) // MINUTE_MS + 1)
    delivered = sum(times for _, _, times in seen["candles"])
    unique = len(seen["candles"])
    stream = seen["sources"].get("stream", 0)
    said = ", ".join(f"{number} by {source}" for source, number in sorted(seen["sources"].items()))
    figures = [
        Figure("candles_expected", expected, "count", note=f"{count} symbols"),
        Figure("candles_delivered", delivered, "count", f"= {expected}", said),
        Figure("candles_lost", expected - unique, "count", "= 0"),
        Figure("candles_doubled", delivered - unique, "count", "= 0"),
        Figure("candles_not_by_stream", delivered - stream, "count"),
    ]
    rows = [row for row in seen["batches"] if row[1] == count][context.pick(2, 2, 1) :]
    figures += spread("first_message_to_commit", spans(rows, ARRIVED_FIRST), "ms", note=seen["note"])
    figures += spread("last_message_to_commit", spans(rows, ARRIVED_LAST), "ms")
    return figures
