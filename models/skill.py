"""How good probabilities and directions are, each figure with a 95 % interval by block bootstrap. Pure numpy.

- log loss: mean of -log of the probability given to what came, in nats; the gain over a base rate in millinats.
- AUC: the chance that a forecast before a rise is above one before a fall, ties counting half (Mann and Whitney, 1947).
- MCC: correlation of the direction said and the direction that came (B. W. Matthews, 1975); 0 where one of the two
  never changes.
- direction accuracy: share of forecasts with the sign of the move from the last close.
- calibration slope: b of the logistic regression P(rise) = logistic(a + b · logit(P said)) (D. R. Cox, 1958); 1 is
  right, below 1 too bold, 0 knows nothing.

Moves of exactly zero are left out of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_interval, block_totals, block_weights, bounds
from models.evaluation import log_loss

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

AUC_DRAWS = 500
MILLI = 1000.0
_LEAST_SPREAD = 1e-9
_LEAST_PROBABILITY = 1e-6


class Figure(NamedTuple):
    """A figure with the bounds of its 95 % interval; None where the sample is too short for one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Skill:
    """The figures of one forecaster; None where a figure does not apply to it.

    Attributes:
        log_loss: Nats.
        gain: Over the base rate, millinats.
        auc: 0.5 knows nothing.
        mcc: -1 to 1.
        accuracy: Share, of forecasts that have a direction.
        slope: Of calibration.
        directions: How many forecasts had a direction.
    """

    log_loss: Figure | None
    gain: Figure | None
    auc: Figure | None
    mcc: Figure | None
    accuracy: Figure | None
    slope: Figure | None
    directions: int

    def as_json(self) -> dict[str, object]:
        """Name -> {value, low, high} or None, and ``directions``."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        return {
            name: value._asdict() if isinstance(value, Figure) else value for name, value in values.items()
        }


def skill(
    ts: Indices,
    realized: Floats,
    direction: Floats,
    probability: Floats | None,
    base_rate: Floats,
    *,
    block: int,
) -> Skill:
    """Every figure of one forecaster.

    Args:
        ts: int64 [n], minutes, ms; several symbols repeat a minute.
        realized: float64 [n], the returns that came.
        direction: float64 [n]; the sign is the direction said, 0 or NaN is none.
        probability: float64 [n], P(up), or None for a forecaster of directions only: its AUC is that of the signs.
        base_rate: float64 [n], P(up) that the gain is measured against.
        block: Length of a bootstrap block, minutes.
    """
    moved = realized != 0.0
    ts, realized, direction = ts[moved], realized[moved], direction[moved]
    rose = realized > 0.0
    said = np.isfinite(direction) & (direction != 0.0)
    right = np.where(said, (direction > 0.0) == rose, np.nan)
    loss = gain = slope = None
    ranking = np.sign(np.nan_to_num(direction))
    if probability is not None:
        ranking = probability[moved]
        losses = log_loss(ranking, realized)
        loss = mean_figure(ts, losses, block)
        gain = mean_figure(ts, (log_loss(base_rate[moved], realized) - losses) * MILLI, block)
        slope = calibration_slope(ts, ranking, rose, block)
    return Skill(
        log_loss=loss,
        gain=gain,
        auc=auc(ts, ranking, rose, block),
        mcc=mcc(ts[said], direction[said] > 0.0, rose[said], block),
        accuracy=mean_figure(ts, right, block),
        slope=slope,
        directions=int(said.sum()),
    )


def mean_figure(ts: Indices, values: Floats, block: int) -> Figure | None:
    """The mean of what is not NaN; None when nothing is."""
    present = values[np.isfinite(values)]
    if not len(present):
        return None
    interval = block_interval(ts, values, block=block)
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return Figure(float(present.mean()), low, high)


def auc(ts: Indices, score: Floats, rose: Flags, block: int, *, draws: int = AUC_DRAWS) -> Figure | None:
    """Area under the ROC curve of scores; None unless there are rises and falls.

    One sort; each resample costs two sums over it.
    """
    up, down = np.flatnonzero(rose), np.flatnonzero(~rose)
    if not len(up) or not len(down):
        return None
    if score.min() == score.max():
        return Figure(0.5, 0.5, 0.5)
    up = up[np.argsort(score[up], kind="stable")]
    down = down[np.argsort(score[down], kind="stable")]
    # For each rise: how many falls lie below it, and how many at or below; half of both counts ties half.
    below = np.searchsorted(score[down], score[up], "left")
    at_most = np.searchsorted(score[down], score[up], "right")

    def area(weights: Floats) -> float:
        falls = np.concatenate([[0.0], np.cumsum(weights[down])])
        rises = weights[up]
        total = float(rises.sum() * falls[-1])
        return float(rises @ (falls[below] + falls[at_most])) / (2.0 * total) if total > 0.0 else 0.5

    value = area(np.ones(len(ts)))
    resamples = block_weights(ts, block=block, draws=draws)
    if resamples is None:
        return Figure(value, None, None)
    return Figure(value, *bounds(np.array([area(weights) for weights in resamples])))


def mcc(ts: Indices, said_up: Flags, rose: Flags, block: int) -> Figure | None:
    """Matthews' correlation of two directions; None when there is none said."""
    if not len(ts):
        return None
    cells = [said_up & rose, said_up & ~rose, ~said_up & rose, ~said_up & ~rose]
    columns = [cell.astype(np.float64) for cell in cells]
    value = float(_matthews(np.array([[column.sum() for column in columns]]))[0])
    totals = block_totals(ts, columns, block=block)
    return Figure(value, None, None) if totals is None else Figure(value, *bounds(_matthews(totals)))


def _matthews(counts: Floats) -> Floats:
    """MCC of rows of true rises, false rises, false falls, true falls; 0 where a margin is empty."""
    true_up, false_up, false_down, true_down = counts.T
    product = true_up * true_down - false_up * false_down
    margins = (
        (true_up + false_up) * (true_up + false_down) * (true_down + false_up) * (true_down + false_down)
    )
    found: Floats = np.where(margins > 0.0, product / np.sqrt(np.where(margins > 0.0, margins, 1.0)), 0.0)
    return found


def calibration_slope(ts: Indices, probability: Floats, rose: Flags, block: int) -> Figure | None:
    """Logistic slope of what came on the logit of what was said; None where that never changes.

    The interval takes one Newton step from the whole sample's fit to each resample's, which is as good as the whole
    way to the first order (D. W. K. Andrews, Higher-order improvements of a computationally attractive k-step
    bootstrap for extremum estimators, 2002).
    """
    bounded = np.clip(probability, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    logit = np.log(bounded / (1.0 - bounded))
    if not len(logit) or logit.std() < _LEAST_SPREAD or rose.all() or not rose.any():
        return None
    # Centred and in units of its own spread, so that Newton's steps are of one size whatever was said.
    spread = float(logit.std())
    x = (logit - logit.mean()) / spread
    theta = _logistic_fit(x, rose)
    value = float(theta[1]) / spread
    totals = block_totals(ts, _score_columns(theta, x, rose), block=block)
    if totals is None:
        return Figure(value, None, None)
    moved = theta[1] + _newton_step(totals)[:, 1]
    return Figure(value, *bounds(moved / spread))


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
