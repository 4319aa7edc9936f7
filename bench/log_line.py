"""What one line of the log costs: JSON to a stream, and to a file as well."""

from __future__ import annotations

from pathlib import Path

from bench.context import Context
from bench.figures import Figure, spread
from bench.sampling import durations_ns
from bot import logs
from bot.settings.model import LogSettings

FIELDS = {
    "symbol": "BTC/USDT:USDT",
    "candle_at_ms": 1_704_067_200_000,
    "decision_id": "BTC/USDT:USDT@2024-01-01T00:01Z",
    "model_id": "scalping-20240101T000000-abcdef",
    "direction": "flat",
    "reason": "below_threshold",
    "orders": [],
    "equity": 10_000.0,
    "latency_us": 812,
}
"""Of a ``decision.made`` line."""


def measure(context: Context) -> list[Figure]:
    """The line that every decision writes."""
    count = context.pick(20_000, 5_000, 200)
    stored = context.room("log_line") / "bot.jsonl"
    figures = []
    for name, file in (("stream_only", None), ("stream_and_file", stored)):
        figures += spread(name, line_durations(count, file), "us")
    return figures


def line_durations(count: int, file: Path | None) -> list[int]:
    """How long each of ``count`` lines takes, ns; the stream is the null device."""
    with Path("/dev/null").open("wb") as null:
        logs.configure(
            LogSettings(format="json", file=file), stream=null, run_id="bench", mode="paper", simulated=True
        )
        try:
            log = logs.get_logger("bot.daemon")
            return durations_ns(lambda: log.info("decision.made", **FIELDS), count, warm_up=100)
        finally:
            logs.close()
