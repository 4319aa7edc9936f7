"""Runs in a real MLflow store, read back through MLflow's own client."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.errors import ConfigError, TransientError
from models.fit_progress import TrainingProgress
from models.forecaster import open_session
from models.mlflow_store import open_client
from models.mlflow_tracking import DEFAULT_EXPERIMENT, MlflowTracker
from models.recipe import load_recipe
from models.run_figures import recipe_parameters
from models.run_tracking import RunFacts, run_facts
from models.training import TrainedModel
from tests.random_candles import random_candles
from tests.tiny_model import WINDOW, write_tiny_model

pytest.importorskip("mlflow", reason="needs the mlflow extra")

BEGAN_MS = 1_700_000_000_000
REPORT = {
    "samples": 1000,
    "forecasts": {
        "model": {"log_loss": 0.69, "log_loss_gain_interval": [-1.0, 2.0], "mae_bps": None},
        "base_rate": {"log_loss": 0.6931},
    },
    "verdict": {"edge": "not_shown", "sentence": "No edge shown."},
}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A new SQLite store, in a folder that is not there yet."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/new/mlflow.db"


@pytest.fixture(scope="module")
def client(uri: str) -> Any:
    """MLflow's client of the store."""
    return open_client(uri)


@pytest.fixture
def trained(tmp_path: Path) -> TrainedModel:
    """An artifact, and a history of three epochs."""
    folder = write_tiny_model(tmp_path / "models", recipe="scalping")
    epochs = {"loss": [0.5, 0.25, 0.125], "val_loss": [1.0, 0.5, 0.25]}
    history = {"epochs": epochs, "best_epoch": 3, "stopped_because": "interrupted", "seconds": 4.5}
    return TrainedModel(folder.name, folder, dict(REPORT), history)


def facts(recipe: str = "scalping", *changes: str) -> RunFacts:
    """Of a run on a few candles."""
    return run_facts(load_recipe(recipe, changes), {"A/X": random_candles(300, seed=1)}, BEGAN_MS)


def epoch(number: int, part: str = "", **metrics: float) -> TrainingProgress:
    """An epoch's end."""
    return TrainingProgress("epoch_ended", number, 3, metrics=metrics, part=part)


def tracker(uri: str, experiment: str = DEFAULT_EXPERIMENT) -> MlflowTracker:
    """One whose clock ticks."""
    ticks = iter(range(BEGAN_MS, BEGAN_MS + 10_000))
    return MlflowTracker(uri, experiment, wall_ms=lambda: next(ticks))


def history(client: Any, run_id: str, name: str) -> list[tuple[int, float]]:
    """(epoch, value) of a metric."""
    return [(point.step, point.value) for point in client.get_metric_history(run_id, name)]


def newest(client: Any, experiment: str) -> Any:
    """The newest run of an experiment."""
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"])[0]


def paths(client: Any, run_id: str, folder: str) -> set[str]:
    """Names of the artifacts of a folder."""
    return {entry.path.removeprefix(f"{folder}/") for entry in client.list_artifacts(run_id, folder)}


def test_a_whole_run_is_in_the_store(uri: str, client: Any, trained: TrainedModel) -> None:
    """Parameters, every epoch's metrics, final figures, tags and the whole artifact can be read back."""
    one, told = tracker(uri), facts()
    one.begin(told)
    one.told(TrainingProgress("batch", 1, 3, 1, 4, 0.7))
    one.told(epoch(1, loss=0.5, val_loss=1.0, learning_rate=0.01))
    one.told(epoch(2, loss=0.25, val_loss=float("nan"), learning_rate=0.005))
    one.told(epoch(3, loss=0.125, val_loss=0.25, learning_rate=0.005))
    place = one.finished(trained)
    assert place["experiment"] == DEFAULT_EXPERIMENT
    run = client.get_run(place["run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "scalping-20231114T221320"
    assert run.info.start_time == BEGAN_MS
    assert run.data.params == recipe_parameters(told.recipe)
    assert history(client, run.info.run_id, "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert history(client, run.info.run_id, "val_loss") == [(1, 1.0), (3, 0.25)]
    assert history(client, run.info.run_id, "learning_rate") == [(1, 0.01), (2, 0.005), (3, 0.005)]
    figures = {name: value for name, value in run.data.metrics.items() if "." in name}
    assert figures == {
        "test.samples": 1000.0,
        "test.model.log_loss": 0.69,
        "test.model.log_loss_gain_interval.low": -1.0,
        "test.model.log_loss_gain_interval.high": 2.0,
        "test.base_rate.log_loss": 0.6931,
        "training.best_epoch": 3.0,
        "training.seconds": 4.5,
    }
    assert paths(client, run.info.run_id, "artifact") == {path.name for path in trained.folder.iterdir()}
    local = client.download_artifacts(run.info.run_id, "artifact/model.onnx")
    assert Path(local).read_bytes() == (trained.folder / "model.onnx").read_bytes()


def test_tags_say_what_the_run_is_made_of_and_nothing_of_the_machine(
    uri: str, client: Any, trained: TrainedModel
) -> None:
    """Recipe, digests, seed, horizon, features, model and why it stopped; no user, host or path of this machine."""
    one, told = tracker(uri), facts()
    one.begin(told)
    tags = client.get_run(one.finished(trained)["run_id"]).data.tags
    assert {name: tags[name] for name in ("recipe", "features", "horizon_minutes", "seed", "symbols")} == {
        "recipe": "scalping",
        "features": told.recipe.features,
        "horizon_minutes": "15",
        "seed": str(told.recipe.training.seed),
        "symbols": "A/X",
    }
    assert tags["data_sha256"] == told.data_digest
    assert tags["code_sha256"] == told.code_digest
    assert tags["model_id"] == trained.model_id
    assert tags["stopped_because"] == "interrupted"
    assert tags["mlflow.user"] == "lstm-scalping-bot"
    assert tags["mlflow.source.name"] == "bot train"
    assert not [name for name in tags if "git" in name]
    assert not [value for value in tags.values() if str(trained.folder.parent) in value]


def test_the_registered_model_says_what_the_artifact_says(
    uri: str, client: Any, trained: TrainedModel
) -> None:
    """Each run adds a version under the recipe's name, ready to load; its outputs are the artifact's to the bit."""
    import mlflow

    versions = []
    for _ in range(2):
        one = tracker(uri)
        one.begin(facts())
        place = one.finished(trained)
        assert place["model"] == "lstm-scalping-bot.scalping"
        versions.append(int(place["version"]))
    assert versions[1] == versions[0] + 1
    version = client.get_model_version("lstm-scalping-bot.scalping", str(versions[1]))
    assert version.status == "READY"
    assert version.tags["model_id"] == trained.model_id
    assert version.run_id == place["run_id"]
    assert version.description == f"{trained.model_id}: No edge shown."
    loaded = mlflow.pyfunc.load_model(version.source)
    windows = np.random.default_rng(3).normal(size=(7, WINDOW, 20)).astype(np.float32)
    session = open_session((trained.folder / "model.onnx").read_bytes(), threads=1, name="artifact")
    expected: Any = session.run(None, {"window": windows})[0]
    np.testing.assert_array_equal(loaded.predict({"window": windows})["forecast"], expected)
    assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, WINDOW, 20)


def test_parts_of_a_run_have_metrics_of_their_own(uri: str, client: Any, trained: TrainedModel) -> None:
    """Members and seeds do not overwrite each other's epochs."""
    one = tracker(uri)
    one.begin(facts("ensemble"))
    one.told(epoch(1, "seed 42 lstm", loss=0.5))
    one.told(epoch(1, "seed 43 lstm", loss=0.25))
    run_id = one.finished(trained)["run_id"]
    assert history(client, run_id, "seed-42-lstm.loss") == [(1, 0.5)]
    assert history(client, run_id, "seed-43-lstm.loss") == [(1, 0.25)]


def test_epochs_before_an_interruption_are_made_up_for(uri: str, client: Any, trained: TrainedModel) -> None:
    """A run that went on with an earlier one's state was told of the last epoch only; the store has all."""
    one = tracker(uri)
    one.begin(facts())
    one.told(TrainingProgress("resumed", 2, 3))
    one.told(epoch(3, loss=0.125, val_loss=0.25))
    run_id = one.finished(trained)["run_id"]
    assert sorted(history(client, run_id, "loss")) == [(1, 0.5), (2, 0.25), (3, 0.125)]


@pytest.mark.parametrize(("interrupted", "status"), [(False, "FAILED"), (True, "KILLED")])
def test_a_run_without_a_model_says_why(uri: str, client: Any, interrupted: bool, status: str) -> None:
    """Its status tells a failure from an interrupt, the reason is a tag, and the epochs that were are there."""
    one = tracker(uri, "without a model")
    one.begin(facts())
    one.told(epoch(1, loss=0.5))
    one.failed("training diverged", interrupted=interrupted)
    run = newest(client, "without a model")
    assert run.info.status == status
    assert run.data.tags["reason"] == "training diverged"
    assert history(client, run.info.run_id, "loss") == [(1, 0.5)]
    client.delete_run(run.info.run_id)


def test_a_store_that_comes_back_misses_nothing(uri: str, client: Any, trained: TrainedModel) -> None:
    """What could not be passed on in between is passed on at the end; progress itself never raises."""
    one = tracker(uri, "out and back")
    one.begin(facts())
    run_id = newest(client, "out and back").info.run_id
    client.delete_run(run_id)  # the store refuses metrics of a deleted run
    one.told(epoch(1, loss=0.5, val_loss=1.0))
    one.told(epoch(2, loss=0.25, val_loss=0.5))
    client.restore_run(run_id)
    assert history(client, run_id, "loss") == []
    assert one.finished(trained)["run_id"] == run_id
    assert sorted(history(client, run_id, "loss")) == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_store_that_stays_away_is_told_at_the_end(uri: str, client: Any, trained: TrainedModel) -> None:
    """One sentence says what failed and that the run there could not be ended."""
    one = tracker(uri, "out for good")
    one.begin(facts())
    client.delete_run(newest(client, "out for good").info.run_id)
    one.told(epoch(1, loss=0.5))
    with pytest.raises(TransientError, match=r"failed while taking metrics: .*deleted.*could not be ended"):
        one.finished(trained)


def test_artifacts_that_cannot_be_taken_fail_the_run(uri: str, client: Any, trained: TrainedModel) -> None:
    """The store still works, so the run there is marked as failed, with the reason and the model's id."""
    one = tracker(uri, "no artifacts")
    one.begin(facts())
    run = newest(client, "no artifacts")
    root = Path(run.info.artifact_uri.removeprefix("file://"))
    shutil.rmtree(root)
    root.write_text("in the way")
    with pytest.raises(TransientError, match="failed while taking the artifacts"):
        one.finished(trained)
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FAILED"
    assert "taking the artifacts" in run.data.tags["reason"]
    assert run.data.tags["model_id"] == trained.model_id


def test_a_deleted_experiment_is_refused(uri: str, client: Any) -> None:
    """Before the training, in one sentence that says what to do."""
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(ConfigError, match=r"experiment 'gone' was deleted in MLflow .*--mlflow-experiment"):
        tracker(uri, "gone").begin(facts())


def test_values_beyond_mlflows_limits_are_cut(
    uri: str, client: Any, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long text and more parameters than one request takes are written all the same."""
    import models.mlflow_tracking

    many = {f"key{number:03d}": "v" * (9000 if number == 0 else 1) for number in range(250)}
    given: Callable[[object], dict[str, str]] = lambda _: many  # noqa: E731
    monkeypatch.setattr(models.mlflow_tracking, "recipe_parameters", given)
    one = tracker(uri)
    one.begin(facts())
    found = client.get_run(one.finished(trained)["run_id"]).data.params
    assert len(found) == 250
    assert found["key000"] == "v" * 6000


def test_artifacts_lie_beside_the_store(uri: str, client: Any, trained: TrainedModel) -> None:
    """Not in whatever folder the command ran in, which is what MLflow would do with a store without a server."""
    one = tracker(uri)
    one.begin(facts())
    run = client.get_run(one.finished(trained)["run_id"])
    folder = Path(uri.removeprefix("sqlite:///")).parent
    assert run.info.artifact_uri.startswith((folder / "mlartifacts").as_uri())
    assert not Path("mlruns").exists()
