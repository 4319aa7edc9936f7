"""How good expected returns are, in return space, with 95 % intervals by block bootstrap. Pure numpy.

- Theil's U: root mean squared error over that of expecting no change (H. Theil, Applied Economic Forecasting, 1966);
  1 is persistence of the price, below 1 is better.
- R²: 1 less the squared errors over those of the sample's mean return; 0 knows nothing, and a poor forecast is below.

Moves of exactly zero count: no change is a return like any other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_totals, bounds
from models.figures import Figure

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class ReturnSkill(NamedTuple):
    """The figures of expected returns; None where a figure does not apply."""

    theil_u: Figure | None
    return_r2: Figure | None


def return_skill(ts: Indices, realized: Floats, expected: Floats, block: int) -> ReturnSkill:
    """Both figures, over the moments with an expected return.

    Args:
        ts: int64 [n], minutes, ms; several symbols repeat a minute.
        realized: float64 [n], the log returns that came.
        expected: float64 [n], the log returns that were expected; NaN are left out.
        block: Mean length of a bootstrap block, minutes.

    Returns:
        None for a figure where no price moved, or where every return is the same.
    """
    given = np.isfinite(expected)
    ts, came = ts[given], realized[given]
    error = came - expected[given]
    if not came.any():
        return ReturnSkill(None, None)
    # Returns about their mean, so that the variance of a resample does not vanish in the rounding of a square.
    centred = came - came.mean()
    columns = [error * error, came * came, centred * centred, centred, np.ones(len(came))]
    whole = np.array([[column.sum() for column in columns]])
    totals = block_totals(ts, columns, block=block)
    theil = _figure(_theil_u(whole), None if totals is None else _theil_u(totals))
    if came.min() == came.max():
        return ReturnSkill(theil, None)
    return ReturnSkill(theil, _figure(_r2(whole), None if totals is None else _r2(totals)))


def _figure(value: Floats, resampled: Floats | None) -> Figure:
    """A figure, with the interval of its resamples; those that hold no move at all tell nothing."""
    if resampled is None:
        return Figure(float(value[0]), None, None)
    return Figure(float(value[0]), *bounds(resampled[np.isfinite(resampled)]))


def _theil_u(totals: Floats) -> Floats:
    """Root of errors over root of returns; NaN where nothing moved."""
    found: Floats = np.sqrt(totals[:, 0] / _or_nan(totals[:, 1]))
    return found


def _r2(totals: Floats) -> Floats:
    """1 less errors over spread; NaN where there is none."""
    found: Floats = 1.0 - totals[:, 0] / _or_nan(totals[:, 2] - totals[:, 3] ** 2 / totals[:, 4])
    return found


def _or_nan(values: Floats) -> Floats:
    """A divisor: NaN where it is not above 0."""
    return np.where(values > 0.0, values, np.nan)
