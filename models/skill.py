"""How good probabilities and directions are, each figure with a 95 % interval by block bootstrap. Pure numpy.

- log loss: mean of -log of the probability given to what came, in nats; the gain over a base rate in millinats.
- Brier score: mean squared distance of the probability from what came, 0 or 1 (G. W. Brier, 1950).
- AUC: the chance that a forecast before a rise is above one before a fall, ties counting half (Mann and Whitney, 1947).
- MCC: correlation of the direction said and the direction that came (B. W. Matthews, 1975); 0 where one of the two
  never changes.
- direction accuracy: share of forecasts with the sign of the move from the last close.
- calibration slope, intercept and error: ``models.calibration_skill``.
- Theil's U and R² of expected returns: ``models.return_skill``.

Moves of exactly zero are left out of all but those of expected returns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_totals, block_weights, bounds
from models.calibration_skill import calibration_error, calibration_line
from models.figures import Figure, mean_figure
from models.log_loss import log_loss
from models.return_skill import ReturnSkill, return_skill

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

AUC_DRAWS = 500
MILLI = 1000.0


@dataclass(frozen=True, slots=True)
class Skill:
    """The figures of one forecaster; None where a figure does not apply to it.

    Attributes:
        log_loss: Nats.
        gain: Over the base rate, millinats.
        auc: 0.5 knows nothing.
        mcc: -1 to 1.
        accuracy: Share, of forecasts that have a direction.
        slope: Of calibration, 1 is right.
        intercept: Of the same line, logits; 0 is right.
        brier: 0 to 1, less is better; a quarter says one half always.
        calibration_error: 0 to 1, less is better.
        theil_u: 1 is persistence of the price, less is better.
        return_r2: Of returns, never of prices; 0 knows nothing.
        directions: How many forecasts had a direction.
    """

    log_loss: Figure | None
    gain: Figure | None
    auc: Figure | None
    mcc: Figure | None
    accuracy: Figure | None
    slope: Figure | None
    intercept: Figure | None
    brier: Figure | None
    calibration_error: Figure | None
    theil_u: Figure | None
    return_r2: Figure | None
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
    expected: Floats | None = None,
) -> Skill:
    """Every figure of one forecaster.

    Args:
        ts: int64 [n], minutes, ms; several symbols repeat a minute.
        realized: float64 [n], the returns that came.
        direction: float64 [n]; the sign is the direction said, 0 or NaN is none.
        probability: float64 [n], P(up), or None for a forecaster of directions only: its AUC is that of the signs.
        base_rate: float64 [n], P(up) that the gain is measured against.
        block: Mean length of a bootstrap block, minutes.
        expected: float64 [n], the returns expected, NaN for none; None for a forecaster of directions only.
    """
    returns = ReturnSkill(None, None) if expected is None else return_skill(ts, realized, expected, block)
    moved = realized != 0.0
    ts, realized, direction = ts[moved], realized[moved], direction[moved]
    rose = realized > 0.0
    said = np.isfinite(direction) & (direction != 0.0)
    right = np.where(said, (direction > 0.0) == rose, np.nan)
    loss = gain = brier = error = line = None
    ranking = np.sign(np.nan_to_num(direction))
    if probability is not None:
        ranking = probability[moved]
        losses = log_loss(ranking, realized)
        loss = mean_figure(ts, losses, block)
        gain = mean_figure(ts, (log_loss(base_rate[moved], realized) - losses) * MILLI, block)
        brier = mean_figure(ts, (ranking - rose) ** 2, block)
        error = calibration_error(ts, ranking, rose, block)
        line = calibration_line(ts, ranking, rose, block)
    return Skill(
        log_loss=loss,
        gain=gain,
        auc=auc(ts, ranking, rose, block),
        mcc=mcc(ts[said], direction[said] > 0.0, rose[said], block),
        accuracy=mean_figure(ts, right, block),
        slope=None if line is None else line.slope,
        intercept=None if line is None else line.intercept,
        brier=brier,
        calibration_error=error,
        theil_u=returns.theil_u,
        return_r2=returns.return_r2,
        directions=int(said.sum()),
    )


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
