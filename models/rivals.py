"""The fitted baselines that stand beside a model in every report, and are stored with it: what it must beat.

A logistic regression and LightGBM, both on the newest row of features, fitted on the model's own train slice. Whoever
evaluates the model later, on whatever candles, has them again. LightGBM is of the ``train`` extra: where it is not
installed, or the slices gave it nothing to learn from, the report goes without it and says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.errors import ConfigError, ModelError
from models.baselines import FILE_NAME as BASELINES_FILE
from models.baselines import Baselines, baselines_from_json
from models.boosting import FILE_NAME as BOOSTING_FILE
from models.boosting import Boosting, boosting_from_json, calibrated, fit_boosting
from models.dataset import Dataset, RowTable
from models.forecast_sample import Forecast

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rivals:
    """The fitted baselines of one train slice.

    Attributes:
        baselines: Base rate and logistic regression.
        boosting: LightGBM; None where there is none.
        horizon: Minutes ahead.
        missing: Name of a baseline that there is none of -> why.
    """

    baselines: Baselines
    boosting: Boosting | None
    horizon: int
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def base_rate(self) -> float:
        """Share of rises in the train slice."""
        return self.baselines.base_rate

    def forecasts(self, rows: RowTable, ends: Indices) -> list[Forecast]:
        """What they say at some rows."""
        volatility = rows.volatility[ends]
        unit = volatility * math.sqrt(self.horizon)
        newest = rows.scaled[ends]
        score = self.baselines.score(newest)
        probability = self.baselines.logistic(rows.scaled, ends)
        trust = self.baselines.calibration
        found = [
            Forecast(
                "logistic_regression",
                probability - 0.5,
                expected=self.baselines.expected_return(score, volatility, self.horizon),
                probability=probability,
                uncertainty=None if trust is None else trust.doubt(score * unit),
            )
        ]
        if self.boosting is not None:
            score = self.boosting.score(newest)
            found.append(
                Forecast(
                    "lightgbm",
                    score,
                    expected=self.boosting.expected_return(score, volatility),
                    probability=self.boosting.probability(score),
                    uncertainty=self.boosting.calibration.doubt(score * unit),
                )
            )
        return found

    def files(self) -> dict[str, bytes]:
        """What is stored of them, by file name."""
        found = {BASELINES_FILE: self.baselines.to_json()}
        return found if self.boosting is None else found | {BOOSTING_FILE: self.boosting.to_json()}


def fit_rivals(data: Dataset, baselines: Baselines, horizon: int) -> Rivals:
    """Fit LightGBM beside baselines that are fitted, and calibrate both on the calibrate slice.

    Args:
        data: Rows and slices of the model; LightGBM learns from train and is stopped on early stop.
        baselines: Fitted on the train slice.
        horizon: Minutes ahead that ``data.rows.future_return`` looks.

    Raises:
        ModelError: The calibrate slice is too small.
    """
    baselines = replace(baselines, calibration=calibrated(data.rows, data.slices, baselines.score, horizon))
    try:
        boosting = fit_boosting(data.rows, data.slices, horizon=horizon)
    except (ConfigError, ModelError) as fault:
        return Rivals(baselines, None, horizon, {"lightgbm": str(fault)})
    return Rivals(baselines, boosting, horizon)


def read_rivals(folder: Path, features: int, horizon: int) -> Rivals:
    """The baselines that are stored with a model.

    Args:
        folder: The artifact.
        features: Numbers in a row.
        horizon: Minutes ahead of the model.

    Raises:
        ModelError: They are missing or damaged; LightGBM alone may be missing, as it is from older artifacts.
    """
    content = _read(folder / BASELINES_FILE)
    if content is None:
        raise ModelError(f"{folder / BASELINES_FILE} cannot be read: there is no such file")
    baselines = baselines_from_json(content, features)
    content = _read(folder / BOOSTING_FILE)
    if content is None:
        return Rivals(baselines, None, horizon, {"lightgbm": "none is stored with this model"})
    try:
        return Rivals(baselines, boosting_from_json(content, features), horizon)
    except ConfigError as fault:
        return Rivals(baselines, None, horizon, {"lightgbm": str(fault)})


def _read(path: Path) -> bytes | None:
    """A file's bytes; None where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}") from fault
