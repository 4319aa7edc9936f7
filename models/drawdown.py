"""The drawdown that a model's own daily returns make likely, day by day, by the stationary bootstrap.

Days are drawn in blocks of random length, so that losing streaks stay together (D. N. Politis and J. P. Romano, The
stationary bootstrap, 1994). A path of limits holds on all days at once: the pointwise quantiles of the greatest drawdown
so far are raised by one factor until the wanted share of the drawn paths never leaves them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bot.errors import DataError

Floats = npt.NDArray[np.float64]

LEAST_DAYS = 20
DAYS = 90
DRAWS = 2000
CONFIDENCE = 0.95
MEAN_BLOCK_DAYS = 5.0
_CHUNK = 200


def drawdown_path(
    daily_returns: Floats,
    rng: np.random.Generator,
    *,
    days: int = DAYS,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    mean_block: float = MEAN_BLOCK_DAYS,
) -> list[float]:
    """The limits of the drawdown by day 1, 2, ... ``days``, as fractions of the highest equity; never falling.

    Args:
        daily_returns: float64 [n], net returns of whole days out of sample, days without a trade included, as fractions.
        rng: Draws the days.
        days: How long the path is.
        confidence: Share of the drawn paths that stay within it on every day.
        draws: How many paths are drawn.
        mean_block: Mean length of a block, days.

    Raises:
        DataError: Fewer than 20 days, or a return that is not finite or loses everything.
    """
    if len(daily_returns) < LEAST_DAYS:
        raise DataError(f"a drawdown path needs {LEAST_DAYS} days of returns, there are {len(daily_returns)}")
    if not np.isfinite(daily_returns).all() or (daily_returns <= -1.0).any():
        raise DataError("a drawdown path needs finite daily returns above -1")
    steps = np.log1p(daily_returns)
    deepest = np.empty((draws, days))
    for start in range(0, draws, _CHUNK):
        count = min(_CHUNK, draws - start)
        drawn = steps[stationary_indices(len(steps), days, count, mean_block, rng)]
        deepest[start : start + count] = greatest_drawdowns(drawn)
    pointwise: Floats = np.quantile(deepest, confidence, axis=0)
    # Where nothing was lost on most paths any loss is beyond the path: the first limit above 0 holds there too.
    positive = pointwise[pointwise > 0.0]
    if not len(positive):
        return [0.0] * days
    floor = np.maximum(pointwise, positive[0])
    factor = float(np.quantile((deepest / floor).max(axis=1), confidence))
    limits: Floats = np.minimum(floor * max(factor, 1.0), 1.0)
    return [float(limit) for limit in limits]


def greatest_drawdowns(log_returns: Floats) -> Floats:
    """The greatest fall from a peak so far, start included, of paths of log returns [k, d]; fractions [k, d]."""
    levels = np.cumsum(log_returns, axis=1)
    peaks = np.maximum(np.maximum.accumulate(levels, axis=1), 0.0)
    deepest: Floats = np.maximum.accumulate(-np.expm1(levels - peaks), axis=1)
    return deepest


def stationary_indices(
    length: int, days: int, draws: int, mean_block: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Which days are drawn, int64 [draws, days]: each follows the one before, or with 1 / ``mean_block`` is any."""
    fresh = rng.random((draws, days)) < 1.0 / mean_block
    fresh[:, 0] = True
    anywhere = rng.integers(0, length, (draws, days))
    place = np.arange(days)
    begun = np.maximum.accumulate(np.where(fresh, place, 0), axis=1)
    indices: npt.NDArray[np.int64] = (np.take_along_axis(anywhere, begun, axis=1) + place - begun) % length
    return indices
