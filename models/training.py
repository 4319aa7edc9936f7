"""One training run, from candles to a stored artifact.

Features and scaler are fitted on the train slice only; probabilities on the calibrate slice; every figure of
the report comes from the test slice, through the exported graph that will trade.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from bot.errors import ConfigError
from models.assessment import assess, forecasts_at
from models.baselines import FILE_NAME as BASELINES_FILE
from models.baselines import Baselines, fit_baselines
from models.calibration import Calibration, fit_calibration, fit_return_scale
from models.candle_arrays import CandleArrays
from models.combination import FILE_NAME as COMBINATION_FILE
from models.combination import Combination
from models.dataset import Dataset, prepare
from models.fit_progress import OnProgress, TrainingProgress
from models.fit_state import UnfinishedFits
from models.forecaster import Forecaster, check_graph, open_session
from models.hashing import canonical_json, code_digest, data_digest, sha256
from models.history_plot import history_png
from models.learners import Learned, Lesson, learn
from models.model_card import FILE_NAME as CARD_FILE
from models.model_card import model_card
from models.passport import ModelPassport
from models.predictions_table import FILE_NAME as PREDICTIONS_FILE
from models.predictions_table import about_model, parquet_bytes, predictions_table
from models.recipe import Recipe
from models.registry import make_model_id, write_artifact
from models.seed_spread import seed_spread
from models.targets import make_target

_NEEDED = ("keras", "matplotlib", "sklearn", "tensorflow", "tf2onnx")
_LIBRARIES = (
    "keras",
    "numpy",
    "onnxruntime",
    "scikit-learn",
    "ta-lib",
    "tensorflow",
    "tensorflow-cpu",
    "tf2onnx",
)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A stored artifact and what is known of it.

    Attributes:
        model_id: Its id.
        folder: Where it is.
        report: The evaluation on the test slice.
        history: How the fit went: metrics of each epoch, why it stopped, its speed.
    """

    model_id: str
    folder: Path
    report: dict[str, Any]
    history: dict[str, Any]


def train(
    recipe: Recipe,
    series: Mapping[str, CandleArrays],
    out_root: Path,
    *,
    created_at_ms: int,
    monotonic_ns: Callable[[], int],
    model_id: str | None = None,
    max_epochs: int | None = None,
    max_seconds: float | None = None,
    seed: int | None = None,
    seeds: int | None = None,
    resume: bool = True,
    on_progress: OnProgress | None = None,
) -> TrainedModel:
    """Train a model and store it under ``out_root``.

    Args:
        recipe: What to train.
        series: Candles of each symbol.
        out_root: The folder of all models.
        created_at_ms: The time to write into id and passport, ms UTC.
        monotonic_ns: A local clock, for speeds and the time limit.
        model_id: None makes one out of recipe, time and content.
        max_epochs: In place of the recipe's.
        max_seconds: In place of the recipe's ``max_minutes``; counted from the call to the last epoch's end.
        seed: In place of the recipe's.
        seeds: In place of the recipe's.
        resume: Go on where the same run was interrupted; else such a run is forgotten.
        on_progress: Told of every phase, epoch and batch.

    Raises:
        ConfigError: A library that only training needs is not installed.
        DataError: The candles are malformed or too few.
        ModelError: Training diverged, or the export does not say what the model says.
        StorageError: The disk refused.
    """
    _require_libraries()
    seconds = _seconds(monotonic_ns)
    began = seconds()
    recipe = with_training(recipe, max_epochs=max_epochs, max_seconds=max_seconds, seed=seed, seeds=seeds)
    tell: OnProgress = on_progress or (lambda _: None)
    tell(TrainingProgress("features"))
    data = prepare(recipe, series)
    baselines = fit_baselines(data)
    hashes = {"data": data_digest(series), "code": code_digest()}
    unfinished = UnfinishedFits(out_root, [*hashes.values(), str(_versions())], anew=not resume)
    deadline = began + recipe.training.max_minutes * 60.0
    learned = learn(recipe, Lesson(data, baselines, seconds, deadline, tell, unfinished))
    tell(TrainingProgress("evaluation", 0, recipe.training.max_epochs))
    graph = learned.graph
    name = model_id or make_model_id(recipe.name, created_at_ms, sha256(graph + recipe.digest().encode()))
    passport = _passport(name, recipe, learned, data, hashes, created_at_ms)
    forecaster = _calibrated(passport, graph, data, learned.combination)
    said, report = _tested(forecaster, baselines, data)
    if learned.combination is None:
        fitted = forecaster.calibration
        report["calibration"] = {
            "slope": fitted.slope,
            "return_scale": fitted.return_scale,
            "samples": fitted.samples,
        }
    if learned.by_seed:
        singles = {
            seed: _tested(_calibrated(passport, one, data, learned.combination), baselines, data)[1]
            for seed, one in learned.by_seed.items()
        }
        report["seeds"] = seed_spread(singles)
    history = learned.history | {
        "seconds": round(seconds() - began, 1),
        "onnx_largest_difference": learned.difference,
    }
    files = _files(recipe, learned, forecaster, baselines, report, history) | {PREDICTIONS_FILE: said}
    folder = write_artifact(out_root, passport, files)
    if not learned.interrupted:
        unfinished.forget()
    return TrainedModel(name, folder, report, history)


def _tested(forecaster: Forecaster, baselines: Baselines, data: Dataset) -> tuple[bytes, dict[str, Any]]:
    """What the model says on the test slice, as Parquet, and how good that is."""
    rows = data.rows
    ends = rows.ends_within(data.slices.test)
    said = forecasts_at(forecaster, rows, ends)
    counts = np.bincount(rows.symbol[ends], minlength=len(rows.symbols)).tolist()
    table = predictions_table(
        rows.ts[ends],
        said.expected_return,
        said.probability_up,
        dict(zip(rows.symbols, counts, strict=True)),
        about_model(forecaster.passport.model_id, forecaster.passport.horizon_minutes),
    )
    return parquet_bytes(table), assess(forecaster, baselines, rows, ends, said)


def _files(
    recipe: Recipe,
    learned: Learned,
    forecaster: Forecaster,
    baselines: Baselines,
    report: dict[str, Any],
    history: dict[str, Any],
) -> dict[str, bytes]:
    """Every file of the artifact by name, but for passport and predictions."""
    card = model_card(forecaster.passport, recipe.model_dump(mode="json"), report, history)
    files = {
        "model.onnx": learned.graph,
        "scaler.json": forecaster.scaler.to_json(),
        "calibration.json": forecaster.calibration.to_json(),
        BASELINES_FILE: baselines.to_json(),
        "recipe.json": recipe.to_json(),
        "metrics.json": canonical_json(report),
        "training_history.json": canonical_json(history),
        CARD_FILE: card.encode(),
        **learned.keras_files,
    }
    if "epochs" in history:
        files["training_history.png"] = history_png(history["epochs"], history["best_epoch"])
    if learned.combination is not None:
        files[COMBINATION_FILE] = learned.combination.to_json()
    return files


def with_training(
    recipe: Recipe,
    *,
    max_epochs: int | None = None,
    max_seconds: float | None = None,
    seed: int | None = None,
    seeds: int | None = None,
) -> Recipe:
    """The recipe with other limits or other seeds."""
    changes: dict[str, Any] = {"max_epochs": max_epochs, "seed": seed, "seeds": seeds}
    if max_seconds is not None:
        changes["max_minutes"] = max_seconds / 60.0
    chosen = {key: value for key, value in changes.items() if value is not None}
    training = type(recipe.training).model_validate(recipe.training.model_dump() | chosen)
    return recipe.model_copy(update={"training": training})


def _require_libraries() -> None:
    """Say how to get what is missing before any work is done."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"training needs {', '.join(missing)}, which the bot runs without: install lstm-scalping-bot[train]"
        )


def _seconds(monotonic_ns: Callable[[], int]) -> Callable[[], float]:
    """The clock in seconds."""
    return lambda: monotonic_ns() / 1e9


def _calibrated(
    passport: ModelPassport, graph: bytes, data: Dataset, combination: Combination | None
) -> Forecaster:
    """A graph ready to forecast, calibrated on the calibrate slice.

    An ensemble's members have their own curves; what is stored for the whole changes nothing.
    """
    session = open_session(graph, threads=2, name="the exported graph")
    check_graph(
        session, (passport.window, len(passport.columns)), len(passport.outputs), "the exported graph"
    )
    blank = Forecaster(passport, data.scaler, Calibration(0.0, 0), session, combination)
    if combination is not None:
        return blank
    return Forecaster(passport, data.scaler, _calibrate(blank, data), session)


def _calibrate(forecaster: Forecaster, data: Dataset) -> Calibration:
    """The curve from the forecast's evidence to probability, and what its returns are worth."""
    rows = data.rows
    ends = rows.ends_within(data.slices.calibrate)
    ends = ends[rows.future_return[ends] != 0.0]
    raw = forecaster.infer_series(rows.scaled, ends)
    decoded = forecaster.target.decode(raw, rows.close[ends], rows.volatility[ends], forecaster.scaler)
    horizon = forecaster.target.horizon
    unit = rows.volatility[ends] * math.sqrt(horizon)
    followed = rows.future_return[ends]
    curve = fit_calibration(decoded.score, followed > 0.0, horizon=horizon)
    scale = fit_return_scale(decoded.expected_return / unit, followed / unit, horizon=horizon)
    return replace(curve, return_scale=scale)


def _passport(
    model_id: str,
    recipe: Recipe,
    learned: Learned,
    data: Dataset,
    hashes: Mapping[str, str],
    created_at_ms: int,
) -> ModelPassport:
    """What this run's model is made of."""
    target = make_target(recipe.target.kind, recipe.target.horizon, recipe.target.options)
    return ModelPassport(
        model_id=model_id,
        recipe=recipe.name,
        created_at_ms=created_at_ms,
        features=recipe.features,
        columns=data.scaler.columns,
        window=recipe.window,
        horizon_minutes=recipe.target.horizon,
        target=recipe.target.kind,
        target_options=recipe.target.options,
        outputs=learned.outputs or target.outputs,
        symbols=data.rows.symbols,
        ranges=data.slices.as_dict(),
        seed=recipe.training.seed,
        hashes={**hashes, "config": recipe.digest(), "scaler": data.scaler.digest()},
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    """Versions of the installed libraries that a model depends on, and Keras' backend where it is chosen."""
    installed = {}
    if backend := os.environ.get("KERAS_BACKEND"):
        installed["keras-backend"] = backend
    for library in _LIBRARIES:
        try:
            installed[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return installed
