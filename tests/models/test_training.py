"""One small training run, from candles to a stored artifact, with TensorFlow."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from bot.errors import ConfigError, DataError, ModelError
from bot.inference import predict_series
from models.assessment import evaluate_artifact
from models.fitting import TrainingProgress
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
        "metrics.json",
        "model_card.md", "training_history.json", "training_history.png",
    }  # fmt: skip
    assert set(passport.hashes) == {"data", "code", "config", "scaler"}
    assert passport.symbols == ("A/Y", "X/Y")
    assert passport.versions["keras"]
    assert passport.model_id.startswith("scalping-20231114T221320-")
    assert json.loads(contents["metrics.json"]) == trained.report
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


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    """Two runs with one seed have the same losses and weights; another seed has others."""
    import keras

    def weights(trained: TrainedModel) -> np.ndarray:
        model = keras.models.load_model(trained.folder / "model.keras")
        return np.concatenate([weight.ravel() for weight in model.get_weights()])

    first, again, other = (
        fit_small(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.history["epochs"] == again.history["epochs"]
    np.testing.assert_array_equal(weights(first), weights(again))
    assert not np.array_equal(weights(first), weights(other))


def test_the_time_limit_keeps_what_was_learnt(tmp_path: Path) -> None:
    """A limit within the first epoch ends it early, and a whole artifact is stored."""
    trained = fit_small(tmp_path, max_epochs=50, max_seconds=5.0)
    assert trained.history["stopped_because"] == "time"
    assert len(trained.history["epochs"]["loss"]) == 1
    read_verified(trained.folder)


def test_an_interrupt_keeps_the_best_epoch(tmp_path: Path) -> None:
    """Ctrl-C in the third epoch stores the best of the first two; in the first there is nothing to keep."""

    def interrupt(epoch: int):
        def hook(event: TrainingProgress) -> None:
            if event.phase == "batch" and event.epoch == epoch:
                raise KeyboardInterrupt

        return hook

    trained = fit_small(tmp_path / "third", max_epochs=9, on_progress=interrupt(3))
    assert trained.history["stopped_because"] == "interrupted"
    assert len(trained.history["epochs"]["val_loss"]) == 2
    read_verified(trained.folder)
    with pytest.raises(ModelError, match="interrupted before the first epoch"):
        fit_small(tmp_path / "first", on_progress=interrupt(1))
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
