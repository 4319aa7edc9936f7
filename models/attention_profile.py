"""Where in its window a model with attention looks: the weight of each step, over many windows and at one moment.

Attention is not attribution: a step with a great weight need not have moved the forecast, and in a recurrent network
each step already holds what its neighbours said (S. Jain and B. Wallace, Attention is not Explanation, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError, ModelError
from models.dataset import RowTable
from models.forecaster import Forecaster
from models.windows import batches, gather

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_BATCH = 256
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class AttentionProfile:
    """Attention weights by step; arrays are float64 [window], the newest step last, in shares of 1.

    Attributes:
        mean: Over windows; adds up to 1.
        low_quartile: A quarter of the windows gives the step less.
        median: Half of them do.
        high_quartile: A quarter gives it more.
        effective_steps: Over how many steps a window's weight is spread on average: exp(entropy), 1 to the window.
        windows: How many were looked at.
        moment: Weights at one moment.
        moment_ms: Open time of that window's last candle.
    """

    mean: Floats
    low_quartile: Floats
    median: Floats
    high_quartile: Floats
    effective_steps: float
    windows: int
    moment: Floats
    moment_ms: int

    @property
    def minutes(self) -> Indices:
        """Minutes from the newest candle to each step: 1 - window to 0."""
        return np.arange(1 - len(self.mean), 1, dtype=np.int64)

    def top(self, count: int) -> list[int]:
        """Places of the steps with the greatest mean weight, greatest first."""
        places: list[int] = np.argsort(-self.mean, kind="stable")[:count].tolist()
        return places

    def as_json(self) -> dict[str, Any]:
        """JSON values, one entry a step, oldest first."""
        columns = (self.mean, self.low_quartile, self.median, self.high_quartile, self.moment)
        names = ("mean", "low_quartile", "median", "high_quartile", "moment")
        return {
            "label": "attention, not attribution",
            "heads": "averaged by the model's graph",
            "windows": self.windows,
            "effective_steps": self.effective_steps,
            "moment_ms": self.moment_ms,
            "steps": [
                {"minutes": minutes, **dict(zip(names, values, strict=True))}
                for minutes, *values in zip(
                    self.minutes.tolist(), *(column.tolist() for column in columns), strict=True
                )
            ],
        }


def profile_attention(forecaster: Forecaster, rows: RowTable, ends: Indices, moment: int) -> AttentionProfile:
    """Average a model's attention over windows.

    Args:
        forecaster: A model with attention.
        rows: Its scaled row table.
        ends: Window ends to look at.
        moment: The window end to show by itself.

    Raises:
        ModelError: The model has no attention, or its weights do not add up to 1.
        DataError: There are no windows.
    """
    if not len(ends):
        raise DataError("there is no window to look at")
    window = forecaster.passport.window
    pieces = [forecaster.attend(gather(rows.scaled, piece, window)) for piece in batches(ends, _BATCH)]
    weights = np.concatenate(pieces)
    if weights.shape[1:] != (window,) or not np.allclose(weights.sum(axis=1), 1.0, atol=_SUM_TOLERANCE):
        raise ModelError(
            f"model {forecaster.passport.model_id} gives attention weights that do not add up to 1 over its "
            f"{window} steps"
        )
    low, median, high = np.quantile(weights, [0.25, 0.5, 0.75], axis=0)
    alone = forecaster.attend(gather(rows.scaled, np.array([moment], np.int64), window))[0]
    return AttentionProfile(
        mean=weights.mean(axis=0),
        low_quartile=low,
        median=median,
        high_quartile=high,
        effective_steps=float(np.exp(_entropy(weights)).mean()),
        windows=len(ends),
        moment=alone,
        moment_ms=int(rows.ts[moment]),
    )


def _entropy(weights: Floats) -> Floats:
    """Of each row, nats."""
    positive = np.maximum(weights, np.finfo(np.float64).tiny)
    total: Floats = -np.sum(weights * np.log(positive), axis=1)
    return total
