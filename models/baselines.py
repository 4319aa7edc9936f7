"""What a forecast must beat: the base rate, the last return's sign, and a logistic regression.

They are fitted on the train slice and stored with the model, so that any later evaluation has them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.dataset import Dataset
from models.hashing import canonical_json

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
    """

    base_rate: float
    weights: Floats
    intercept: float

    def logistic(self, scaled: npt.NDArray[np.float32], ends: npt.NDArray[np.int64]) -> Floats:
        """P(up) by logistic regression at the given rows of a scaled row table."""
        probability = np.empty(len(ends))
        for start in range(0, len(ends), _CHUNK):
            rows = scaled[ends[start : start + _CHUNK]].astype(np.float64)
            probability[start : start + _CHUNK] = 1.0 / (
                1.0 + np.exp(-(rows @ self.weights + self.intercept))
            )
        return probability

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {"base_rate": self.base_rate, "weights": self.weights.tolist(), "intercept": self.intercept}
        )


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
        found = Baselines(
            float(document["base_rate"]),
            np.array(document["weights"], np.float64),
            float(document["intercept"]),
        )
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"{FILE_NAME} does not hold baselines: {fault}") from fault
    if found.weights.shape != (features,) or not 0.0 < found.base_rate < 1.0:
        raise ModelError(f"{FILE_NAME} does not hold baselines of this model")
    return found
