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

from bot.errors import ConfigError
from models.assessment import Terms, finished_trial
from models.baselines import fit_baselines
from models.calibration import Calibration, fit_calibration, fit_return_scale, return_scale_error
from models.candle_arrays import CandleArrays
from models.combination import FILE_NAME as COMBINATION_FILE
from models.combination import Combination
from models.dataset import Dataset, prepare
from models.drift import FILE_NAME as BINS_FILE
from models.drift import bins_of
from models.fit_progress import OnProgress, TrainingProgress
from models.fit_state import UnfinishedFits
from models.forecast_trades import TradingCosts
from models.forecaster import Forecaster, check_graph, open_session
from models.hashing import canonical_json, code_digest, data_digest, sha256
from models.history_plot import history_png
from models.learners import Learned, Lesson, SeedLearner, learn
from models.model_card import FILE_NAME as CARD_FILE
from models.model_card import model_card
from models.passport import ModelPassport
from models.predictions_table import FILE_NAME as PREDICTIONS_FILE
from models.range_report import fit_ranges, range_files
from models.recipe import Recipe
from models.registry import make_model_id, write_artifact
from models.rivals import Rivals, fit_rivals
from models.targets import make_target
from models.training_report import tested
from models.trials import Subject, read_trials, record_trial

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
    costs: TradingCosts | None = None,
    on_progress: OnProgress | None = None,
    elsewhere: SeedLearner | None = None,
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
        costs: Of a round trip, for the report; None counts none.
        on_progress: Told of every phase, epoch and batch.
        elsewhere: Learns the seeds, where there are several, in other processes.

    Raises:
        ConfigError: A library that only training needs is not installed.
        DataError: The candles are malformed or too few.
        ModelError: Training diverged, the export does not say what the model says, or the trial ledger is damaged.
        StorageError: The disk refused.
    """
    _require_libraries()
    seconds = _seconds(monotonic_ns)
    began = seconds()
    recipe = with_training(recipe, max_epochs=max_epochs, max_seconds=max_seconds, seed=seed, seeds=seeds)
    read_trials(out_root)  # a damaged ledger is found before the hours of learning, not after
    tell: OnProgress = on_progress or (lambda _: None)
    tell(TrainingProgress("features"))
    data = prepare(recipe, series)
    baselines = fit_baselines(data)
    hashes = {"data": data_digest(series), "code": code_digest()}
    unfinished = UnfinishedFits(out_root, [*hashes.values(), str(library_versions())], anew=not resume)
    deadline = began + recipe.training.max_minutes * 60.0
    learned = learn(recipe, Lesson(data, baselines, seconds, deadline, tell, unfinished, elsewhere))
    tell(TrainingProgress("evaluation", 0, recipe.training.max_epochs))
    graph = learned.graph
    name = model_id or make_model_id(recipe.name, created_at_ms, sha256(graph + recipe.digest().encode()))
    passport = _passport(name, recipe, learned, data, hashes, created_at_ms)
    forecaster = _calibrated(passport, graph, data, learned.combination)
    fit_ranges(forecaster, data)
    rivals = fit_rivals(data, baselines, recipe.target.horizon)
    subject = Subject("training", created_at_ms, recipe.name, recipe.digest(), hashes["data"], name)
    singles = {
        seed: _calibrated(passport, one, data, learned.combination) for seed, one in learned.by_seed.items()
    }
    said, report = tested(forecaster, singles, rivals, data, Terms(costs, subject, read_trials(out_root)))
    history = learned.history | {
        "seconds": round(seconds() - began, 1),
        "onnx_largest_difference": learned.difference,
    }
    files = _files(recipe, learned, forecaster, rivals, report, history) | {PREDICTIONS_FILE: said}
    files[BINS_FILE] = bins_of(data).to_json()
    record_trial(out_root, finished_trial(subject, report))  # before the figures can be seen anywhere
    folder = write_artifact(out_root, passport, files)
    if not learned.interrupted:
        unfinished.forget()
    return TrainedModel(name, folder, report, history)


def _files(
    recipe: Recipe,
    learned: Learned,
    forecaster: Forecaster,
    rivals: Rivals,
    report: dict[str, Any],
    history: dict[str, Any],
) -> dict[str, bytes]:
    """Every file of the artifact by name, but for passport and predictions."""
    card = model_card(forecaster.passport, recipe.model_dump(mode="json"), report, history)
    files = {
        "model.onnx": learned.graph,
        "scaler.json": forecaster.scaler.to_json(),
        "calibration.json": forecaster.calibration.to_json(),
        **rivals.files(),
        **range_files(forecaster),
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
    said, came = decoded.expected_return / unit, followed / unit
    return replace(
        curve,
        return_scale=fit_return_scale(said, came, horizon=horizon),
        return_scale_error=return_scale_error(said, came, rows.ts[ends], horizon=horizon),
    )


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
        versions=library_versions(),
    )


def library_versions() -> dict[str, str]:
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
