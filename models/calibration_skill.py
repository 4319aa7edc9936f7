"""Whether what was said to be so likely came so often: line and error of calibration, with 95 % intervals. Pure numpy.

- intercept and slope: a and b of the logistic regression P(rise) = logistic(a + b · logit(P said)) (D. R. Cox, 1958);
  0 and 1 are right.
- expected calibration error: mean distance between what was said and what came, over ten parts of equal size
  (M. P. Naeini, G. F. Cooper and M. Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, 2015).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_totals, bounds
from models.figures import Figure
from models.log_loss import LEAST_PROBABILITY

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

PARTS = 10
_LEAST_SPREAD = 1e-9


class CalibrationLine(NamedTuple):
    """A logistic regression of what came on the logit of what was said.

    Attributes:
        intercept: In logits, of a forecast of one half; 0 is right, above 0 rises were said too seldom.
        slope: 1 is right, below 1 too bold, 0 knows nothing.
    """

    intercept: Figure
    slope: Figure


def calibration_line(ts: Indices, probability: Floats, rose: Flags, block: int) -> CalibrationLine | None:
    """Logistic line of what came on the logit of what was said; None where either never changes.

    The intervals take one Newton step from the whole sample's fit to each resample's, which is as good as the whole
    way to the first order (D. W. K. Andrews, Higher-order improvements of a computationally attractive k-step
    bootstrap for extremum estimators, 2002).

    Args:
        ts: int64 [n], minutes, ms; several symbols repeat a minute.
        probability: float64 [n], P(up).
        rose: bool [n], what came; no ties.
        block: Mean length of a bootstrap block, minutes.
    """
    bounded = np.clip(probability, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    logit = np.log(bounded / (1.0 - bounded))
    if not len(logit) or logit.std() < _LEAST_SPREAD or rose.all() or not rose.any():
        return None
    # Centred and in units of its own spread, so that Newton's steps are of one size whatever was said.
    centre, spread = float(logit.mean()), float(logit.std())
    x = (logit - centre) / spread
    theta = _logistic_fit(x, rose)
    totals = block_totals(ts, _score_columns(theta, x, rose), block=block)
    resampled = None if totals is None else theta + _newton_step(totals)
    found = []
    for weights in (np.array([1.0, -centre / spread]), np.array([0.0, 1.0 / spread])):
        low, high = (None, None) if resampled is None else bounds(resampled @ weights)
        found.append(Figure(float(theta @ weights), low, high))
    return CalibrationLine(*found)


def calibration_slope(ts: Indices, probability: Floats, rose: Flags, block: int) -> Figure | None:
    """The slope of ``calibration_line`` alone."""
    line = calibration_line(ts, probability, rose, block)
    return None if line is None else line.slope


def equal_parts(said: Floats) -> Indices:
    """Number of the part that each forecast falls into: ten of equal size, from the least likely to the most.

    Equal forecasts fall into one part: there are fewer parts where they repeat.
    """
    edges = np.unique(np.quantile(said, np.linspace(0.0, 1.0, PARTS + 1)))
    return np.searchsorted(edges[1:-1], said, side="right").astype(np.int64)


def calibration_error(ts: Indices, probability: Floats, rose: Flags, block: int) -> Figure | None:
    """Mean distance between what was said and what came, over ten parts of equal size; None of nothing.

    It is above 0 even of an honest forecast, since distances are counted whichever way they go, and resamples add the
    same again. So the bounds are not the resamples' quantiles. Below: no truth lies further from the value than the
    parts together lie from theirs, and resamples tell how far that is; an honest forecast's bound is 0. Above: the
    basic bound, 2 · value less the resamples' lower quantile, which takes the excess off (A. C. Davison and D. V.
    Hinkley, Bootstrap Methods and their Application, 1997, section 5.2), but at least the value.

    Args:
        ts: int64 [n], minutes, ms; several symbols repeat a minute.
        probability: float64 [n], P(up).
        rose: bool [n], what came; no ties.
        block: Mean length of a bootstrap block, minutes.
    """
    if not len(probability):
        return None
    part = equal_parts(probability)
    excess = rose - probability
    columns = [np.where(part == number, excess, 0.0) for number in np.unique(part)]
    distances = np.array([column.sum() for column in columns]) / len(probability)
    value = float(np.abs(distances).sum())
    totals = block_totals(ts, [*columns, np.ones(len(probability))], block=block)
    if totals is None:
        return Figure(value, None, None)
    resampled = totals[:, :-1] / totals[:, -1:]
    _, furthest = bounds(np.abs(resampled - distances).sum(axis=1))
    least, _ = bounds(np.abs(resampled).sum(axis=1))
    return Figure(value, max(0.0, value - furthest), max(2.0 * value - least, value))


def _logistic_fit(x: Floats, rose: Flags) -> Floats:
    """Intercept and slope of a logistic regression by Newton's method."""
    theta = np.zeros(2)
    for _ in range(50):
        step = _newton_step(np.array([[column.sum() for column in _score_columns(theta, x, rose)]]))[0]
        theta = theta + step
        if float(np.abs(step).max()) < 1e-10:
            break
    return theta


def _score_columns(theta: Floats, x: Floats, rose: Flags) -> list[Floats]:
    """Whose sums are the gradient (2) and the curvature (3) of the log likelihood."""
    fitted = 1.0 / (1.0 + np.exp(-(theta[0] + theta[1] * x)))
    error, width = rose - fitted, fitted * (1.0 - fitted)
    return [error, error * x, width, width * x, width * x * x]


def _newton_step(totals: Floats) -> Floats:
    """Curvature inverse times gradient for each row of sums, float64 [k, 2]; no step where it is flat."""
    g0, g1, h00, h01, h11 = totals.T
    determinant = h00 * h11 - h01 * h01
    safe = np.where(determinant > 0.0, determinant, np.inf)
    return np.stack([(h11 * g0 - h01 * g1) / safe, (h00 * g1 - h01 * g0) / safe], axis=1)
