"""Whether one forecaster's losses are lower than another's by more than chance: the test of Diebold and Mariano."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bot.errors import DataError

Floats = npt.NDArray[np.float64]


class DieboldMariano(NamedTuple):
    """The outcome of a test.

    Attributes:
        mean: Of the first's loss less the second's, in units of the losses; above 0 the second is better.
        statistic: The mean in units of its standard error; normal where neither is better.
        p_value: Two-sided.
    """

    mean: float
    statistic: float
    p_value: float


def diebold_mariano(loss_a: Floats, loss_b: Floats, *, lags: int) -> DieboldMariano:
    """Compare two forecasters by their losses on the same outcomes.

    F. X. Diebold and R. S. Mariano, Comparing predictive accuracy (1995), with the variance of W. K. Newey and
    K. D. West, A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent covariance matrix
    (1987). Differences that are all the same have no error: 0 of them gives statistic 0 and p 1, another number an
    infinite statistic and p 0.

    Args:
        loss_a: float64 [n], in order of time, finite; at least two.
        loss_b: float64 [n], of the same moments.
        lags: How many autocovariances count, 0 or more; labels that look h steps ahead need at least h - 1.

    Raises:
        DataError: The losses differ in number, are fewer than two or not finite, or ``lags`` is negative.
    """
    if loss_a.ndim != 1 or loss_a.shape != loss_b.shape or len(loss_a) < 2 or lags < 0:
        raise DataError(
            f"losses of shapes {loss_a.shape} and {loss_b.shape} cannot be compared with {lags} lags: "
            "two series of one length, of at least two, and no negative lags"
        )
    difference = loss_a - loss_b
    if not np.isfinite(difference).all():
        raise DataError("losses to compare must be finite")
    mean = float(difference.mean())
    if difference.min() == difference.max():
        return DieboldMariano(mean, 0.0, 1.0) if mean == 0.0 else DieboldMariano(mean, mean * math.inf, 0.0)
    # The statistic has no unit: a largest difference of 1 keeps squares of tiny ones from becoming 0.
    unit = difference / np.abs(difference).max()
    centre = float(unit.mean())
    statistic = centre / math.sqrt(_long_run_variance(unit - centre, lags) / len(unit))
    return DieboldMariano(mean, statistic, math.erfc(abs(statistic) / math.sqrt(2.0)))


def _long_run_variance(centred: Floats, lags: int) -> float:
    """Autocovariances summed with Bartlett's weights; above 0 for anything that varies."""
    size = len(centred)
    total = float(centred @ centred)
    for lag in range(1, min(lags, size - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centred[lag:] @ centred[:-lag])
    return total / size
