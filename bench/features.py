"""Feature rows: candle by candle as live, and a year at once as in training and backtests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bench.context import Context
from bench.figures import Figure, spread
from bench.market import DAY_MINUTES, synthetic_candles
from bench.sampling import durations_ns, seconds_of
from models.feature_stream import FeatureStream
from models.features import FEATURE_SETS
from models.scaling import fit_scaler

WINDOW = 60
YEAR_MINUTES = 365 * DAY_MINUTES


def measure(context: Context) -> list[Figure]:
    """Every feature set that there is."""
    minutes = context.pick(YEAR_MINUTES, 60 * DAY_MINUTES, 1200)
    candles = synthetic_candles(minutes)
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    count = context.pick(6000, 3000, 300)
    warm_up = min(800, minutes - count)
    figures = []
    for tag, features in FEATURE_SETS.items():
        rows = features.compute(candles.rows(0, 1000)).matrix[-400:]
        stream = FeatureStream(features, WINDOW, fit_scaler("standard", features.columns, rows))
        fed = zip(
            candles.ts[: warm_up + count].tolist(),
            *(column[: warm_up + count].tolist() for column in columns),
            strict=True,
        )
        samples = durations_ns(appending(stream, fed), count, warm_up=warm_up)
        figures += spread(f"{tag}_one_candle", samples, "us")
        seconds = seconds_of(partial(features.compute, candles))
        note = "" if minutes == YEAR_MINUTES else f"from {minutes:,} candles"
        figures.append(Figure(f"{tag}_year", seconds * YEAR_MINUTES / minutes, "s", note=note))
    return figures


def appending(
    stream: FeatureStream, rows: Iterator[tuple[int, float, float, float, float, float]]
) -> Callable[[], bool]:
    """A call that shows the stream its next candle."""
    return lambda: stream.append(*next(rows))
