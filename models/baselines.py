"""What a forecast must beat: the base rate, the last return's sign, and a logistic regression.

They are fitted on the train slice and stored with the model, so that any later evaluation has them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.calibration import Calibration, calibration_from_json
from models.dataset import Dataset
from models.hashing import canonical_json
from models.score_slope import SCORE_SLOPE

Floats = npt.NDArray[np.float64]

FILE_NAME = "baselines.json"
_MOST_ROWS = 200_000
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """Forecasts that need no network.

    Attributes:
        base_rate: Share of rises among the moves of the train slice.
        weights: float64 [f], logistic regression on the window's last scaled row.
        intercept: Of the same.
        calibration: How much of the regression's expected return to believe; None where nobody measured it, as in
            artifacts of older versions: it is then not traded.
    """

    base_rate: float
    weights: Floats
    intercept: float
    calibration: Calibration | None = None

    def logistic(self, scaled: npt.NDArray[np.float32], ends: npt.NDArray[np.int64]) -> Floats:
        """P(up) by logistic regression at the given rows of a scaled row table."""
        probability = np.empty(len(ends))
        for start in range(0, len(ends), _CHUNK):
            rows = scaled[ends[start : start + _CHUNK]].astype(np.float64)
            probability[start : start + _CHUNK] = 1.0 / (
                1.0 + np.exp(-(rows @ self.weights + self.intercept))
            )
        return probability

    def score(self, rows: npt.NDArray[np.float32]) -> Floats:
        """The regression's log odds for scaled rows [k, f], in units of a standardized return, float64 [k]."""
        odds = rows.astype(np.float64) @ self.weights + self.intercept
        standardized: Floats = odds / SCORE_SLOPE
        return standardized

    def expected_return(self, score: Floats, volatility: Floats, horizon: int) -> Floats | None:
        """Expected log return over the horizon of scores, given the causal volatility of a minute."""
        if self.calibration is None:
            return None
        return score * volatility * (math.sqrt(horizon) * self.calibration.return_scale)

    def to_json(self) -> bytes:
        """Canonical JSON."""
        document = {
            "base_rate": self.base_rate,
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
        }
        if self.calibration is not None:
            document["calibration"] = json.loads(self.calibration.to_json())
        return canonical_json(document)


def fit_baselines(data: Dataset) -> Baselines:
    """Fit on the train slice, ties left out; at most 200,000 rows, evenly spaced.

    Raises:
        ModelError: The train slice knows only rises or only falls.
    """
    from sklearn.linear_model import LogisticRegression

    ends = data.rows.ends_within(data.slices.train)
    moves = data.rows.future_return[ends]
    ends, moves = ends[moves != 0.0], moves[moves != 0.0]
    up = moves > 0.0
    if not len(up) or up.all() or not up.any():
        raise ModelError("the train slice knows only rises or only falls: nothing can be learnt from it")
    step = -(-len(ends) // _MOST_ROWS)
    regression = LogisticRegression(C=0.1, max_iter=500)
    regression.fit(data.rows.scaled[ends[::step]].astype(np.float64), up[::step])
    return Baselines(
        float(up.mean()), regression.coef_[0].astype(np.float64), float(regression.intercept_[0])
    )


def baselines_from_json(content: bytes, features: int) -> Baselines:
    """Read what ``Baselines.to_json`` wrote; ModelError when it is not that, or for other features."""
    try:
        document = json.loads(content)
        kept = document.get("calibration")
        found = Baselines(
            float(document["base_rate"]),
            np.array(document["weights"], np.float64),
            float(document["intercept"]),
            None if kept is None else calibration_from_json(canonical_json(kept)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ModelError(f"{FILE_NAME} does not hold baselines: {fault}") from fault
    if found.weights.shape != (features,) or not 0.0 < found.base_rate < 1.0:
        raise ModelError(f"{FILE_NAME} does not hold baselines of this model")
    return found
