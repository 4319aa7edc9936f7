"""Confidence intervals for means over overlapping, dependent samples: the stationary block bootstrap.

After D. N. Politis and J. P. Romano, The Stationary Bootstrap (1994): a resample is made of runs of consecutive
minutes, each beginning anywhere, of geometric length, and going around the end; so it is as stationary as the series,
and has no seams at fixed distances. Whole minutes are drawn, with every symbol in them, since symbols move together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

DRAWS = 2000
LEVEL = 0.95
SEED = 20_210_519
_MOST_RUNS = 4_000_000
"""Runs held at one time, whatever the length of the series: 64 MB."""


class Interval(NamedTuple):
    """A mean with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


class Runs(NamedTuple):
    """Some resamples of a series of minutes, each as the runs of consecutive minutes that it is made of.

    Attributes:
        starts: int64 [resamples, runs], where each run begins, 0 to length - 1.
        lengths: int64 [resamples, runs], how many minutes it takes, going around the end; 0 for a run that a full
            resample has no need of. Each row adds up to the length of the series.
    """

    starts: Indices
    lengths: Indices


def block_minutes(horizon: int) -> int:
    """How long a block must be for labels that look ``horizon`` minutes ahead: max(240, 5 · horizon)."""
    return max(240, 5 * horizon)


def block_interval(
    ts: Indices, values: Floats, *, block: int, draws: int = DRAWS, seed: int = SEED
) -> Interval | None:
    """The mean of some values and its 95 % interval.

    Args:
        ts: int64 [n], the minute of each value, ms, in any order and with repeats.
        values: float64 [n]; NaN are left out.
        block: Mean length of a block, in minutes that have values.
        draws: How many resamples.
        seed: Same seed, same interval.

    Returns:
        None when the values span fewer than two blocks.
    """
    means = _resampled_means(ts, values, block, draws, seed)
    if means is None:
        return None
    kept = values[np.isfinite(values)]
    return Interval(float(kept.sum() / len(kept)), *bounds(means))


def lower_bound(
    ts: Indices,
    values: Floats,
    *,
    block: int,
    confidence: float = 0.99,
    draws: int = DRAWS,
    seed: int = SEED,
) -> float | None:
    """What the mean of some values surely exceeds: the one-sided percentile bound.

    Args:
        ts: int64 [n], the minute of each value, ms, in any order and with repeats.
        values: float64 [n]; NaN are left out.
        block: Mean length of a block, in minutes that have values.
        confidence: Share of samples in which the true mean lies above such a bound, between 0 and 1.
        draws: How many resamples.
        seed: Same seed, same bound.

    Returns:
        None when the values span fewer than two blocks.
    """
    means = _resampled_means(ts, values, block, draws, seed)
    return None if means is None else float(np.quantile(means, 1.0 - confidence))


def block_totals(
    ts: Indices,
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
        block: Mean length of a block, in minutes that have values.
        draws: How many resamples.
        seed: Same seed, same resamples.

    Returns:
        float64 [draws, k]; None when the minutes span fewer than two blocks.
    """
    minutes, place = np.unique(ts, return_inverse=True)
    length = len(minutes)
    if length < 2 * block:
        return None
    totals = np.empty((draws, len(columns)))
    first = 0
    for runs in draw_runs(length, block=block, draws=draws, seed=seed):
        last = first + len(runs.starts)
        for number, column in enumerate(columns):
            sums = np.bincount(place, weights=column, minlength=length)
            totals[first:last, number] = run_totals(sums, runs)
        first = last
    return totals


def block_weights(ts: Indices, *, block: int, draws: int, seed: int = SEED) -> Iterator[Floats] | None:
    """How often each value is drawn, one resample after the other: for what cannot be made of sums, such as ranks.

    Only one resample's weights exist at a time. The first ``draws`` resamples are those of ``block_totals`` with as
    many, or with more.

    Args:
        ts: int64 [n], the minute of each value, ms, in any order and with repeats.
        block: Mean length of a block, in minutes that have values.
        draws: How many resamples.
        seed: Same seed, same resamples.

    Returns:
        float64 [n] each time, whole numbers; None when the minutes span fewer than two blocks.
    """
    minutes, place = np.unique(ts, return_inverse=True)
    length = len(minutes)
    if length < 2 * block:
        return None
    return (
        _times_drawn(starts, lengths, length)[place]
        for runs in draw_runs(length, block=block, draws=draws, seed=seed)
        for starts, lengths in zip(*runs, strict=True)
    )


def draw_runs(length: int, *, block: int, draws: int, seed: int = SEED) -> Iterator[Runs]:
    """Resamples of a series of ``length`` minutes, as runs, some resamples at a time.

    Run lengths are geometric with mean ``block``; the last run of a resample is cut where the resample is full. With
    the same length, block and seed the first resamples are the same however many are drawn.
    """
    expected = length / block
    # More runs than this are needed in less than one of 10^12 resamples; there the last run takes what is left.
    most = min(length, math.ceil(expected + 8.0 * math.sqrt(expected) + 20.0))
    rows = max(1, _MOST_RUNS // most)
    # Two streams, so that neither depends on how many resamples are drawn at a time.
    of_lengths, of_starts = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    for first in range(0, draws, rows):
        size = (min(rows, draws - first), most)
        covered = np.minimum(np.cumsum(of_lengths.geometric(1.0 / block, size=size), axis=1), length)
        covered[:, -1] = length
        yield Runs(of_starts.integers(0, length, size=size), np.diff(covered, axis=1, prepend=0))


def run_totals(sums: Floats | Indices, runs: Runs) -> Floats:
    """The sum over each resample of a value per minute.

    Args:
        sums: [length], one value per minute.
        runs: Resamples of as many minutes.

    Returns:
        float64 [resamples].
    """
    # Twice around, so that a run may go over the end; a run's total is a difference of two prefixes.
    prefix = np.concatenate([[0.0], np.cumsum(np.concatenate([sums, sums]))])
    totals: Floats = (prefix[runs.starts + runs.lengths] - prefix[runs.starts]).sum(axis=1)
    return totals


def bounds(values: Floats) -> tuple[float, float]:
    """The 95 % interval that resampled values span."""
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def _resampled_means(ts: Indices, values: Floats, block: int, draws: int, seed: int) -> Floats | None:
    """The mean of each resample, float64 [draws], NaN left out; None below two blocks."""
    present = np.isfinite(values)
    kept = values[present]
    totals = block_totals(ts[present], [kept, np.ones(len(kept))], block=block, draws=draws, seed=seed)
    return None if totals is None else totals[:, 0] / totals[:, 1]


def _times_drawn(starts: Indices, lengths: Indices, length: int) -> Floats:
    """How often each of ``length`` minutes lies in one of a resample's runs."""
    around = 2 * length + 1
    steps = np.bincount(starts, minlength=around) - np.bincount(starts + lengths, minlength=around)
    covered = np.cumsum(steps)
    return (covered[:length] + covered[length:-1]).astype(np.float64)
