"""Confidence intervals for means over overlapping, dependent samples: the circular block bootstrap.

After Politis and Romano, A circular block-resampling procedure for stationary data (1992). Whole minutes are
drawn, with every symbol in them, since symbols move together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    kept = values[present]
    totals = block_totals(ts[present], [kept, np.ones(len(kept))], block=block, draws=draws, seed=seed)
    if totals is None:
        return None
    return Interval(float(kept.sum() / len(kept)), *bounds(totals[:, 0] / totals[:, 1]))


def block_totals(
    ts: npt.NDArray[np.int64],
    columns: Sequence[Floats],
    *,
    block: int,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Floats | None:
    """Sums of some columns over each resample, for whatever can be made of sums: means, slopes, correlations.

    The same minutes, block and seed give the same resamples, whatever the columns: what is made of two calls is
    paired.

    Args:
        ts: int64 [n], the minute of each value, ms, in any order and with repeats.
        columns: k times float64 [n], finite.
        block: Length of a block, in minutes that have values.
        draws: How many resamples.
        seed: Same seed, same resamples.

    Returns:
        float64 [draws, k]; None when the minutes span fewer than two blocks.
    """
    minutes, place = np.unique(ts, return_inverse=True)
    length = len(minutes)
    if length < 2 * block:
        return None
    starts = _starts(length, block, draws, seed)
    totals = np.empty((draws, len(columns)))
    for number, column in enumerate(columns):
        sums = np.bincount(place, weights=column, minlength=length)
        # Twice around, so that a block may run over the end; a block's total is a difference of two prefixes.
        prefix = np.concatenate([[0.0], np.cumsum(np.concatenate([sums, sums[:block]]))])
        totals[:, number] = (prefix[starts + block] - prefix[starts]).sum(axis=1)
    return totals


def block_weights(
    ts: npt.NDArray[np.int64], *, block: int, draws: int, seed: int = SEED
) -> Iterator[Floats] | None:
    """How often each value is drawn, one resample after the other: for what cannot be made of sums, such as ranks.

    Only one resample exists at a time. The first ``draws`` resamples are those of ``block_totals`` with as many.

    Args:
        ts: int64 [n], the minute of each value, ms, in any order and with repeats.
        block: Length of a block, in minutes that have values.
        draws: How many resamples.
        seed: Same seed, same resamples.

    Returns:
        float64 [n] each time, whole numbers; None when the minutes span fewer than two blocks.
    """
    minutes, place = np.unique(ts, return_inverse=True)
    length = len(minutes)
    if length < 2 * block:
        return None
    starts = _starts(length, block, draws, seed)
    return (_times_drawn(row, length, block)[place] for row in starts)


def bounds(values: Floats) -> tuple[float, float]:
    """The 95 % interval that resampled values span."""
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def _starts(length: int, block: int, draws: int, seed: int) -> npt.NDArray[np.int64]:
    """Where the blocks of each resample begin, int64 [draws, blocks]."""
    return np.random.default_rng(seed).integers(0, length, size=(draws, -(-length // block)))


def _times_drawn(starts: npt.NDArray[np.int64], length: int, block: int) -> Floats:
    """How often each of ``length`` minutes lies in one of the blocks."""
    steps = np.bincount(starts, minlength=length + block).astype(np.float64)
    steps[block:] -= np.bincount(starts, minlength=length)
    covered = np.cumsum(steps)
    covered[:block] += covered[length:]
    drawn: Floats = covered[:length]
    return drawn
