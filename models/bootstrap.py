"""Confidence intervals for means over overlapping, dependent samples: the circular block bootstrap.

After Politis and Romano, A circular block-resampling procedure for stationary data (1992). Whole minutes are
drawn, with every symbol in them, since symbols move together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 2000
LEVEL = 0.95
SEED = 20_210_519


class Interval(NamedTuple):
    """A mean with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def block_minutes(horizon: int) -> int:
    """How long a block must be for labels that look ``horizon`` minutes ahead: max(240, 5 · horizon)."""
    return max(240, 5 * horizon)


def block_interval(
    ts: npt.NDArray[np.int64], values: Floats, *, block: int, draws: int = DRAWS, seed: int = SEED
) -> Interval | None:
    """The mean of some values and its 95 % interval.

    Args:
        ts: int64 [n], the minute of each value, ms, in any order and with repeats.
        values: float64 [n]; NaN are left out.
        block: Length of a block, in minutes that have values.
        draws: How many resamples.
        seed: Same seed, same interval.

    Returns:
        None when the values span fewer than two blocks.
    """
    present = np.isfinite(values)
    minutes, place = np.unique(ts[present], return_inverse=True)
    length = len(minutes)
    if length < 2 * block:
        return None
    sums = np.bincount(place, weights=values[present], minlength=length)
    counts = np.bincount(place, minlength=length).astype(np.float64)
    # Twice around, so that a block may run over the end; a block's total is a difference of two prefixes.
    sum_prefix = np.concatenate([[0.0], np.cumsum(np.concatenate([sums, sums[:block]]))])
    count_prefix = np.concatenate([[0.0], np.cumsum(np.concatenate([counts, counts[:block]]))])
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, length, size=(draws, -(-length // block)))
    totals = (sum_prefix[starts + block] - sum_prefix[starts]).sum(axis=1)
    sizes = (count_prefix[starts + block] - count_prefix[starts]).sum(axis=1)
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(totals / sizes, [tail, 1.0 - tail])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))
