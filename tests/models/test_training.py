"""One small training run, from candles to a stored artifact, with TensorFlow."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bot.errors import ConfigError, DataError, ModelError
from bot.inference import predict_series
from models.assessment import evaluate_artifact
from models.drift import feature_bins_from_json
from models.fit_progress import TrainingProgress
from models.forecaster import load_forecaster
from models.recipe import load_recipe
from models.registry import read_verified
from models.training import TrainedModel, train
from tests.planted import planted_candles
from tests.random_candles import random_candles

pytestmark = pytest.mark.training
SMALL = [
    "architecture.units=[8]",
    "training.batch_size=256",
    "training.learning_rate=0.01",
    "training.stride=1",
]


def counter():
    """A clock that moves a second each time it is read."""
    ticks = itertools.count()
    return lambda: next(ticks) * 1_000_000_000


@pytest.fixture(scope="module")
def events() -> list[TrainingProgress]:
    """What the run of ``trained`` told."""
    return []


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, events: list[TrainingProgress]) -> TrainedModel:
    """A small model of a market with a planted edge."""
    return train(
        load_recipe("scalping", SMALL),
        {"X/Y": planted_candles(9000, seed=1), "A/Y": planted_candles(9000, seed=2)},
        tmp_path_factory.mktemp("models"),
        created_at_ms=1_700_000_000_000,
        monotonic_ns=counter(),
        max_epochs=3,
        max_seconds=1e6,
        on_progress=events.append,
    )


def test_a_planted_edge_is_found(trained: TrainedModel) -> None:
    """A market that returns to its mean is forecast better than the base rate, and an edge is said to be shown."""
    model = trained.report["forecasts"]["model"]
    assert model["direction_accuracy"] > 0.55
    assert model["log_loss_gain_interval"][0] > 0
    assert model["return_r2"] > 0.03
    assert trained.history["train_windows"] > 10_000


def test_the_artifact_is_whole_and_tells_what_it_is_made_of(trained: TrainedModel) -> None:
    """Every promised file is there, no pickle among them, and the passport names data, code, config and ranges."""
    passport, contents = read_verified(trained.folder)
    assert set(contents) == {
        "model.onnx", "model.keras", "scaler.json", "calibration.json", "baselines.json", "recipe.json",
        "metrics.json", "boosting.json", "feature_bins.json", "model_card.md", "predictions.parquet",
        "training_history.json", "training_history.png", "volatility.json", "conformal.json",
    }  # fmt: skip
    assert set(passport.hashes) == {"data", "code", "config", "scaler"}
    assert passport.symbols == ("A/Y", "X/Y")
    assert passport.versions["keras"]
    assert passport.model_id.startswith("scalping-20231114T221320-")
    assert json.loads(contents["metrics.json"]) == trained.report
    assert feature_bins_from_json(contents["feature_bins.json"], passport.columns).columns == passport.columns
    assert contents["training_history.png"].startswith(b"\x89PNG")
    assert trained.history["onnx_largest_difference"] <= 1e-5


def test_progress_is_told_in_order(trained: TrainedModel, events: list[TrainingProgress]) -> None:
    """Phases come in order, every batch is told, and an epoch's end has both losses and a speed."""
    phases = [phase for phase, _ in itertools.groupby(event.phase for event in events)]
    epoch = ["epoch_started", "batch", "epoch_ended"]
    assert phases == ["features", *epoch * len(trained.history["epochs"]["loss"]), "export", "evaluation"]
    ended = [event for event in events if event.phase == "epoch_ended"]
    assert all(event.loss and event.validation_loss and event.windows_per_second for event in ended)
    batches = [event for event in events if event.phase == "batch" and event.epoch == 1]
    assert [event.batch for event in batches] == list(range(1, batches[0].batches + 1))


def test_keras_and_onnx_say_the_same(trained: TrainedModel) -> None:
    """The stored Keras model and the stored graph agree within 1e-5 on windows that were not compared at export."""
    import keras

    model = keras.models.load_model(trained.folder / "model.keras")
    windows = np.random.default_rng(5).normal(size=(300, 60, 20)).astype(np.float32)
    expected = model.predict(windows, verbose=0)
    np.testing.assert_allclose(load_forecaster(trained.folder).infer(windows), expected, atol=1e-5)


def test_the_time_of_training_is_left_out_of_an_evaluation(trained: TrainedModel) -> None:
    """Evaluating on the training candles keeps the test slice alone and repeats its report."""
    series = {"X/Y": planted_candles(9000, seed=1), "A/Y": planted_candles(9000, seed=2)}
    report = evaluate_artifact(trained.folder, series)
    assert report["left_out"] > 10_000
    for key in ("samples", "forecasts", "verdict"):
        assert report[key] == trained.report[key]
    assert evaluate_artifact(trained.folder, series, in_sample=True)["samples"] > report["samples"]
    early = {name: arrays.rows(0, 5000) for name, arrays in series.items()}
    with pytest.raises(DataError, match="made from"):
        evaluate_artifact(trained.folder, early)


def test_predictions_follow_the_forecast(trained: TrainedModel) -> None:
    """P(up) is above one half exactly where the expected return is above zero."""
    found = predict_series(trained.folder, "X/Y", planted_candles(2000, seed=9))
    clear = np.abs(found.expected_return) > 1e-4
    assert clear.sum() > 500
    np.testing.assert_array_equal(found.expected_return[clear] > 0, found.probability_up[clear] > 0.5)


def fit_small(folder: Path, **options) -> TrainedModel:
    """A very small run on noise."""
    settings = {
        "created_at_ms": 1_700_000_000_000,
        "monotonic_ns": counter(),
        "max_epochs": 2,
        "max_seconds": 1e6,
    }
    series = {"X/Y": random_candles(5000, seed=1)}
    recipe = load_recipe("scalping", ["architecture.units=[2]", "training.stride=1"])
    return train(recipe, series, folder, **(settings | options))


def graph(trained: TrainedModel) -> bytes:
    """The bytes that trade."""
    return (trained.folder / "model.onnx").read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two runs with one seed have the same losses and graphs to the byte; another seed has others."""
    first, again, other = (
        fit_small(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.history["epochs"] == again.history["epochs"]
    assert first.model_id == again.model_id
    assert graph(first) == graph(again)
    assert graph(first) != graph(other)


def test_the_predictions_of_the_test_slice_are_part_of_the_artifact(trained: TrainedModel) -> None:
    """They are those that the model makes on the same candles, and as many as were evaluated."""
    table = pq.read_table(trained.folder / "predictions.parquet")
    assert table.num_rows == trained.report["samples"]
    assert table.schema.metadata[b"model_id"].decode() == trained.model_id
    frame = table.to_pandas()
    for seed, symbol in ((1, "X/Y"), (2, "A/Y")):
        found = predict_series(trained.folder, symbol, planted_candles(9000, seed=seed))
        own = frame[frame["symbol"] == symbol].set_index("ts")["expected_return"]
        live = dict(zip(found.ts.tolist(), found.expected_return.tolist(), strict=True))
        both = own.index.intersection(list(live))
        assert len(both) > 1000
        assert own[both].to_dict() == {ts: live[ts] for ts in both}


class Killed(BaseException):
    """What ends a process without asking it."""


def stopper(epoch: int, how: type[BaseException]):
    """Ends a run at the first batch of an epoch."""

    def hook(event: TrainingProgress) -> None:
        if event.phase == "batch" and event.epoch == epoch:
            raise how

    return hook


@pytest.mark.parametrize("how", [KeyboardInterrupt, Killed])
def test_the_same_command_goes_on_where_a_run_was_stopped(tmp_path: Path, how: type[BaseException]) -> None:
    """After Ctrl-C or a kill in the fourth epoch a second start begins with it, and ends with the bytes of one run."""
    whole = fit_small(tmp_path / "whole", max_epochs=5)
    with contextlib.suppress(Killed):
        first = fit_small(tmp_path / "parts", max_epochs=5, on_progress=stopper(4, how), created_at_ms=1)
        assert first.history["stopped_because"] == "interrupted"
    assert len(list((tmp_path / "parts" / ".unfinished").glob("*.npz"))) == 1
    told: list[TrainingProgress] = []
    second = fit_small(tmp_path / "parts", max_epochs=5, on_progress=told.append)
    assert [(event.phase, event.epoch) for event in told if event.phase in {"resumed", "epoch_started"}] == [
        ("resumed", 3),
        ("epoch_started", 4),
        ("epoch_started", 5),
    ]
    assert second.history["epochs"] == whole.history["epochs"]
    assert graph(second) == graph(whole)
    assert not (tmp_path / "parts" / ".unfinished").exists()


def test_a_run_that_shall_not_go_on_begins_anew(tmp_path: Path) -> None:
    """Without resuming, the state of an interrupted run is forgotten."""
    fit_small(tmp_path, max_epochs=5, on_progress=stopper(2, KeyboardInterrupt), created_at_ms=1)
    told: list[TrainingProgress] = []
    anew = fit_small(tmp_path, max_epochs=5, on_progress=told.append, resume=False)
    assert "resumed" not in {event.phase for event in told}
    assert anew.history["resumed_epochs"] == 0


def test_several_seeds_are_averaged_and_their_spread_reported(tmp_path: Path) -> None:
    """The graph gives the mean of the seeds' own graphs, and the report what each of them was worth."""
    several = fit_small(tmp_path / "all", seed=5, seeds=2)
    singles = [fit_small(tmp_path / str(seed), seed=seed) for seed in (5, 6)]
    assert sorted(several.report["seeds"]["each"]) == ["5", "6"]
    for one, seed in zip(singles, ("5", "6"), strict=True):
        figures = one.report["forecasts"]["model"]
        assert several.report["seeds"]["each"][seed]["direction_accuracy"] == figures["direction_accuracy"]
    spread = several.report["seeds"]["spread"]["direction_accuracy"]
    assert spread["lowest"] <= spread["mean"] <= spread["highest"]
    windows = np.random.default_rng(5).normal(size=(50, 60, 20)).astype(np.float32)
    own = [load_forecaster(one.folder).infer(windows) for one in singles]
    np.testing.assert_allclose(load_forecaster(several.folder).infer(windows), sum(own) / 2, atol=1e-6)
    assert {"model.keras", "model-seed6.keras"} <= {entry.name for entry in several.folder.iterdir()}


def test_the_time_limit_keeps_what_was_learnt(tmp_path: Path) -> None:
    """A limit within the first epoch ends it early, and a whole artifact is stored."""
    trained = fit_small(tmp_path, max_epochs=50, max_seconds=5.0)
    assert trained.history["stopped_because"] == "time"
    assert len(trained.history["epochs"]["loss"]) == 1
    read_verified(trained.folder)


def test_an_interrupt_keeps_the_best_epoch(tmp_path: Path) -> None:
    """Ctrl-C in the third epoch stores the best of the first two; in the first there is nothing to keep."""
    trained = fit_small(tmp_path / "third", max_epochs=9, on_progress=stopper(3, KeyboardInterrupt))
    assert trained.history["stopped_because"] == "interrupted"
    assert len(trained.history["epochs"]["val_loss"]) == 2
    read_verified(trained.folder)
    with pytest.raises(ModelError, match="interrupted before the first epoch"):
        fit_small(tmp_path / "first", on_progress=stopper(1, KeyboardInterrupt))
    assert not (tmp_path / "first").exists()


def test_missing_libraries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the daemon's libraries are installed, training says at once what it needs."""
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow" else found(name)
    )
    with pytest.raises(ConfigError, match=r"needs tensorflow, .*\[train\]"):
        fit_small(tmp_path)
