"""Gradient-boosted trees on the newest row of features: the baseline that a network has to beat to earn its keep.

LightGBM (G. Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree, 2017) learns the direction on the
train slice, is stopped early on the early-stop slice and calibrated on the calibrate slice: it is given what the
models are given, and no more. The same rows and seed give the same trees.
"""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import ConfigError, ModelError
from models.calibration import (
    Calibration,
    calibration_from_json,
    fit_calibration,
    fit_return_scale,
    return_scale_error,
)
from models.dataset import RowTable
from models.hashing import canonical_json
from models.score_slope import SCORE_SLOPE
from models.windows import TimeSlices

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FILE_NAME = "boosting.json"
MOST_ROWS = 200_000
"""At most so many rows of a slice are learnt from, evenly spaced: labels of neighbouring minutes overlap."""
MOST_ROUNDS = 1000
PATIENCE = 50

_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 255,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True, eq=False)
class Boosting:
    """Fitted trees and what their word is worth.

    Attributes:
        booster: The ``lightgbm.Booster``, cut at its best round.
        calibration: From the standardized score to P(up), with the return scale.
        rounds: How many trees.
        horizon: Minutes ahead.
        threads: Of one prediction.
    """

    booster: Any
    calibration: Calibration
    rounds: int
    horizon: int
    threads: int

    def score(self, rows: npt.NDArray[np.float32]) -> Floats:
        """The log odds of a rise for scaled rows [k, f], in units of a standardized return, float64 [k]."""
        raw = self.booster.predict(rows, raw_score=True, num_iteration=self.rounds, num_threads=self.threads)
        standardized: Floats = np.asarray(raw, np.float64) / SCORE_SLOPE
        return standardized

    def probability(self, score: Floats) -> Floats:
        """P(up) of scores."""
        return self.calibration.probability(score)

    def expected_return(self, score: Floats, volatility: Floats) -> Floats:
        """Expected log return over the horizon, given the causal volatility of a minute."""
        return score * volatility * (math.sqrt(self.horizon) * self.calibration.return_scale)

    def to_json(self) -> bytes:
        """Canonical JSON; the trees in LightGBM's own text."""
        return canonical_json(
            {
                "trees": self.booster.model_to_string(num_iteration=self.rounds),
                "calibration": json.loads(self.calibration.to_json()),
                "rounds": self.rounds,
                "horizon": self.horizon,
            }
        )


def fit_boosting(
    rows: RowTable, slices: TimeSlices, *, horizon: int, seed: int = 42, threads: int = 1, stride: int = 1
) -> Boosting:
    """Fit on the last scaled row of each window; ties are left out.

    Args:
        rows: The row table.
        slices: The purged slices of the models that it is compared with.
        horizon: Minutes ahead that ``rows.future_return`` looks.
        seed: Of the rows and columns that each tree sees.
        threads: How many. One: the threads of LightGBM wait for each other by spinning, and where another program has
            a core a fit on two took sixty times as long (27 s for 0.5 s).
        stride: Every n-th row of a slice; more where it would hold more than ``MOST_ROWS``.

    Raises:
        ConfigError: LightGBM is not installed.
        ModelError: A slice knows only rises or only falls, or is too small to calibrate on.
    """
    _require_lightgbm()
    import lightgbm

    train = _moves(rows, slices.train, stride)
    stop = _moves(rows, slices.early_stop, stride)
    _require_both(rows, train, "train")
    _require_both(rows, stop, "early-stop")
    learn = lightgbm.Dataset(rows.scaled[train], _rose(rows, train).astype(np.float32), free_raw_data=True)
    watch = lightgbm.Dataset(rows.scaled[stop], _rose(rows, stop).astype(np.float32), reference=learn)
    parameters = _PARAMETERS | {"seed": seed, "num_threads": threads}
    # A small slice keeps at least twenty leaves' worth of rows to choose from.
    parameters["min_data_in_leaf"] = max(5, min(_PARAMETERS["min_data_in_leaf"], len(train) // 20))
    booster = lightgbm.train(
        parameters,
        learn,
        num_boost_round=MOST_ROUNDS,
        valid_sets=[watch],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    blank = Boosting(booster, Calibration(0.0, 0), booster.best_iteration, horizon, threads)
    calibration = calibrated(rows, slices, blank.score, horizon)
    return Boosting(booster, calibration, booster.best_iteration, horizon, threads)


def boosting_from_json(content: bytes, features: int, *, threads: int = 1) -> Boosting:
    """Read what ``Boosting.to_json`` wrote.

    Args:
        content: The bytes of the file.
        features: Numbers in a row of the model that it stands beside.
        threads: Of one prediction.

    Raises:
        ConfigError: LightGBM is not installed.
        ModelError: It is not that, or for other features.
    """
    _require_lightgbm()
    import lightgbm

    try:
        document = json.loads(content)
        # LightGBM reads on behind the end of a text that is cut off: what it must end with is looked for first.
        if "end of trees" not in document["trees"]:
            raise ValueError("the trees are cut off")
        booster = lightgbm.Booster(model_str=document["trees"])
        calibration = calibration_from_json(canonical_json(document["calibration"]))
        found = Boosting(booster, calibration, int(document["rounds"]), int(document["horizon"]), threads)
    except (ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as fault:
        raise ModelError(f"{FILE_NAME} does not hold boosted trees: {fault}") from fault
    if booster.num_feature() != features or not 0 <= found.rounds <= booster.num_trees():
        raise ModelError(f"{FILE_NAME} does not hold boosted trees of this model")
    return found


def _require_lightgbm() -> None:
    """Say how to get what is missing."""
    if importlib.util.find_spec("lightgbm") is None:
        raise ConfigError(
            "the comparison needs lightgbm, which the bot runs without: install lstm-scalping-bot[train]"
        )


def calibrated(rows: RowTable, slices: TimeSlices, score: Any, horizon: int) -> Calibration:
    """The curve from a standardized score to P(up), and its return scale, fitted on the calibrate slice.

    Args:
        rows: The row table.
        slices: The purged slices.
        score: Takes scaled rows float32 [k, f] and gives float64 [k].
        horizon: Minutes ahead.

    Raises:
        ModelError: The slice holds fewer than 50 moves.
    """
    ends = _moves(rows, slices.calibrate, 1)
    z = score(rows.scaled[ends])
    followed = rows.future_return[ends] / (rows.volatility[ends] * math.sqrt(horizon))
    curve = fit_calibration(z, followed > 0.0, horizon=horizon)
    return Calibration(
        curve.slope,
        curve.samples,
        fit_return_scale(z, followed, horizon=horizon),
        return_scale_error(z, followed, rows.ts[ends], horizon=horizon),
    )


def _moves(rows: RowTable, bounds: tuple[int, int], stride: int) -> Indices:
    """Window ends of a slice whose future is known and no tie, thinned out."""
    ends = rows.ends_within(bounds)
    moved: Indices = ends[rows.future_return[ends] != 0.0]
    return moved[:: max(stride, -(-len(moved) // MOST_ROWS))]


def _rose(rows: RowTable, ends: Indices) -> npt.NDArray[np.bool_]:
    """Whether the price rose over the horizon."""
    rose: npt.NDArray[np.bool_] = rows.future_return[ends] > 0.0
    return rose


def _require_both(rows: RowTable, ends: Indices, name: str) -> None:
    """Refuse a slice without rises or without falls."""
    rose = _rose(rows, ends)
    if not len(ends) or rose.all() or not rose.any():
        raise ModelError(f"the {name} slice knows only rises or only falls: nothing can be learnt from it")
