"""How often the choice of the best of many trials is worth nothing: the probability of backtest overfitting.

D. H. Bailey, J. M. Borwein, M. López de Prado and Q. J. Zhu, The Probability of Backtest Overfitting (2015), by
combinatorially symmetric cross-validation: time is cut into parts, every half of them serves once to choose the best
trial, and the other half tells where that trial ranks.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bot.errors import DataError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

PARTS = 16
_LEAST_ROWS = 4
_LEAST_COLUMNS = 2
_MOST_CELLS = 1_000_000
"""Combinations times columns that are worked on at a time: 8 MB an array."""


class _Parts(NamedTuple):
    """What each part of time adds to the means: sums float64 [parts, k], rows float64 [parts]."""

    sums: Floats
    rows: Floats


def probability_of_overfitting(performance: Floats, *, parts: int = PARTS) -> float | None:
    """The share of halves of time whose best trial ranks at or below the median in the other half.

    A trial's worth is its mean. Ranks of equals are their average rank; where several are best, the share of them
    that falls so low counts.

    Args:
        performance: float64 [T, k], rows in order of time (days), a column for each trial, finite.
        parts: Stretches of contiguous rows, even; fewer where T is smaller. Sixteen give 12,870 combinations.

    Returns:
        0 to 1; None below two columns or four rows.

    Raises:
        DataError: A value is not finite, the shape is another one, or there are fewer than two parts.
    """
    if performance.ndim != 2 or parts < 2:
        raise DataError(
            f"a table of shape {performance.shape} cannot be cut into {parts} parts: [T, k] and 2 or more"
        )
    if not np.isfinite(performance).all():
        raise DataError("the performance of trials must be finite")
    length, columns = performance.shape
    if columns < _LEAST_COLUMNS or length < _LEAST_ROWS:
        return None
    cut = _cut(performance, min(parts, length) // 2 * 2)
    chosen = _halves(len(cut.rows))
    step = max(1, _MOST_CELLS // columns)
    shares = [_misses(cut, chosen[first : first + step]) for first in range(0, len(chosen), step)]
    return float(np.concatenate(shares).mean())


def _cut(performance: Floats, parts: int) -> _Parts:
    """Sums and sizes of contiguous parts that differ by one row at most."""
    pieces = np.array_split(performance, parts)
    return _Parts(
        np.stack([piece.sum(axis=0) for piece in pieces]), np.array([float(len(one)) for one in pieces])
    )


def _halves(parts: int) -> Flags:
    """Every way to choose half of the parts, bool [combinations, parts]."""
    places = np.array(list(itertools.combinations(range(parts), parts // 2)))
    chosen = np.zeros((len(places), parts), dtype=np.bool_)
    np.put_along_axis(chosen, places, values=True, axis=1)
    return chosen


def _misses(cut: _Parts, chosen: Flags) -> Floats:
    """For each combination the share of its best columns that rank at or below the median elsewhere."""
    inside, outside = _means(cut, chosen), _means(cut, ~chosen)
    best = inside == inside.max(axis=1, keepdims=True)
    columns = inside.shape[1]
    # An average rank is at most (k + 1) / 2 where no more columns lie below than above: so do all below the lower
    # median, and the lower median itself unless its equals reach too far up.
    median = np.partition(outside, (columns - 1) // 2, axis=1)[:, (columns - 1) // 2, None]
    below, above = outside < median, outside > median
    level = below.sum(axis=1, keepdims=True) <= above.sum(axis=1, keepdims=True)
    low = below | ((outside == median) & level)
    found: Floats = (best & low).sum(axis=1) / best.sum(axis=1)
    return found


def _means(cut: _Parts, chosen: Flags) -> Floats:
    """Means of the columns over the chosen parts, float64 [combinations, k].

    Part after part and not as one product of matrices, whose rounding may differ from column to column: equal columns
    must stay equal.
    """
    totals = np.zeros((len(chosen), cut.sums.shape[1]))
    for number, sums in enumerate(cut.sums):
        totals += chosen[:, number, None] * sums
    means: Floats = totals / (chosen @ cut.rows)[:, None]
    return means
