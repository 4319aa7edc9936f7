"""How much two markets move together: Pearson's correlation of their one-minute log returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from bot.core.market import MINUTE_MS, Candle

MIN_RETURNS: Final = 20
"""Minutes that both must have traded in: fewer say nothing."""


def correlation(first: Sequence[Candle], second: Sequence[Candle]) -> float | None:
    """Correlation of the log returns of two markets over the minutes that both have, -1 to 1.

    Args:
        first: Closed candles of one market, in order of time.
        second: Those of the other.

    Returns:
        None where it is not known: fewer than ``MIN_RETURNS`` minutes in common, or a price that did not move.
    """
    ours, theirs = log_returns(first), log_returns(second)
    pairs = [(value, theirs[at_ms]) for at_ms, value in ours.items() if at_ms in theirs]
    if len(pairs) < MIN_RETURNS:
        return None
    left, right = _deviations([pair[0] for pair in pairs]), _deviations([pair[1] for pair in pairs])
    scale = math.sqrt(math.fsum(x * x for x in left)) * math.sqrt(math.fsum(y * y for y in right))
    if not scale > 0.0:
        return None
    product = math.fsum(x * y for x, y in zip(left, right, strict=True))
    return max(-1.0, min(1.0, product / scale))


def log_returns(candles: Sequence[Candle]) -> dict[int, float]:
    """Log return of each close over the close of the minute before, by open time; a gap has none."""
    returns: dict[int, float] = {}
    for before, candle in pairwise(candles):
        if candle.opened_at_ms - before.opened_at_ms == MINUTE_MS:
            returns[candle.opened_at_ms] = math.log(candle.close / before.close)
    return returns


def _deviations(values: Sequence[float]) -> list[float]:
    """Distances from the mean; all zero where only rounding would tell the values apart."""
    mean = math.fsum(values) / len(values)
    distances = [value - mean for value in values]
    largest = max(map(abs, values))
    return distances if max(map(abs, distances)) > 1e-12 * largest else [0.0] * len(values)
