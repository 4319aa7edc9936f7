"""Is it flat? A slope by least squares over block means, with an interval, and what it makes of a month.

Samples that follow each other are alike, so that each says little new; the means of long blocks are nearly independent, and
their scatter is what an interval is made of (batch means; A. M. Law, Simulation Modeling and Analysis, ch. 9). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

WARM_UP: Final = 0.25
"""Share of a run that is not judged: pools, caches and windows are filled in it."""

BLOCKS: Final = 16
MONTH_DAYS: Final = 30.0
CONFIDENCE: Final = 0.95

TOLERANCES: Final[Mapping[str, float]] = {
    "rss_mb": 15.0,
    "descriptors": 3.0,
    "tasks": 3.0,
    "threads": 2.0,
    "wal_mb": 8.0,
}
"""What each may grow by in thirty days of the market and still counts as flat; of other figures only the slope is told."""


class Slope(NamedTuple):
    """How a figure moved.

    Attributes:
        first: Mean of the first block that is judged.
        last: Mean of the last one.
        per_day: Slope, per day of the market.
        low: Lower end of its 95 % interval.
        high: Upper end.
        verdict: ``flat``: even the upper end stays within the tolerance; ``growing``: even the lower end does not;
            ``unclear``: the run was too short to tell; empty where there is no tolerance.
    """

    first: float
    last: float
    per_day: float
    low: float
    high: float
    verdict: str


def slope_of(days: ArrayLike, values: ArrayLike, tolerance: float | None = None) -> Slope:
    """The slope of a figure.

    Args:
        days: When each sample was taken, days of the market, ascending.
        values: The samples.
        tolerance: What it may grow by in thirty days.

    Returns:
        The slope of what came after the warm-up; an interval without end where there are fewer than three blocks.
    """
    at, figure = np.asarray(days, np.float64), np.asarray(values, np.float64)
    judged = at >= at[0] + WARM_UP * (at[-1] - at[0])
    at, figure = at[judged], figure[judged]
    blocks = [part for part in np.array_split(np.arange(len(at)), min(BLOCKS, len(at))) if len(part)]
    x = np.array([at[part].mean() for part in blocks])
    y = np.array([figure[part].mean() for part in blocks])
    if len(x) < 3 or float(np.ptp(x)) == 0.0:
        return Slope(
            float(y[0]),
            float(y[-1]),
            math.nan,
            -math.inf,
            math.inf,
            "unclear" if tolerance is not None else "",
        )
    if float(np.ptp(y)) == 0.0:
        return Slope(float(y[0]), float(y[0]), 0.0, 0.0, 0.0, _verdict(0.0, 0.0, tolerance))
    fit = stats.linregress(x, y)
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 2)) * float(fit.stderr)
    per_day = float(fit.slope)
    low, high = per_day - reach, per_day + reach
    return Slope(float(y[0]), float(y[-1]), per_day, low, high, _verdict(low, high, tolerance))


def _verdict(low: float, high: float, tolerance: float | None) -> str:
    if tolerance is None:
        return ""
    if high * MONTH_DAYS <= tolerance:
        return "flat"
    return "growing" if low * MONTH_DAYS > tolerance else "unclear"


def slopes(days: Sequence[float], columns: Mapping[str, Sequence[float]]) -> dict[str, Slope]:
    """The slope of every figure of a run, by name."""
    return {name: slope_of(days, values, TOLERANCES.get(name)) for name, values in columns.items()}
