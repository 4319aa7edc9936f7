"""``bot train --tensorboard`` and ``--mlflow`` as a person types them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import models.training
from bot.cli import main
from models.candle_arrays import CandleArrays
from models.fit_progress import TrainingProgress
from models.training import TrainedModel
from tests.planted import planted_candles
from tests.tiny_model import write_tiny_model

needs_mlflow = pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="needs the mlflow extra")


def store(path: Path, arrays: CandleArrays) -> Path:
    """Candles as a Parquet file."""
    names = ("ts", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table({name: getattr(arrays, name) for name in names}), path)
    return path


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A command that trains a small model."""
    path = store(tmp_path / "c.parquet", planted_candles(4000, seed=1))
    fixed = ["train", "--candles", f"A/X={path}", "--out", str(tmp_path / "models"), "--epochs", "2"]
    return [*fixed, "--set", "architecture.units=[4]", "--seed", "3"]


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A training that was not asked to happen, and how often it was."""
    found: list[Any] = []

    def train(*given: Any, **options: Any) -> TrainedModel:
        found.append(given)
        options["on_progress"](TrainingProgress("features"))
        raise KeyboardInterrupt

    monkeypatch.setattr(models.training, "train", train)
    return found


def test_a_missing_mlflow_is_said_before_the_training(
    words: list[str],
    trainings: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 4, one sentence that says what to install, and nothing is trained or written."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else found(name))
    assert main([*words, "--mlflow", "sqlite:///x.db"]) == 4
    assert "pip install lstm-scalping-bot[mlflow]" in capsys.readouterr().err
    assert trainings == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--mlflow-experiment", "x"], "--mlflow-experiment goes with --mlflow"),
        (["--mlflow", " "], "--mlflow is empty"),
        (["--mlflow", "sqlite:///x.db", "--mlflow-experiment", ""], "--mlflow-experiment is empty"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    words: list[str],
    trainings: list[Any],
    more: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, before the training."""
    assert main([*words, *more]) == 2
    assert sentence in capsys.readouterr().err
    assert trainings == []


@needs_mlflow
def test_a_damaged_store_is_refused_before_the_training(
    words: list[str], trainings: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4; TensorBoard's folder, made before, says that the run failed."""
    (tmp_path / "m.db").write_text("no database" * 100)
    more = ["--tensorboard", str(tmp_path / "board"), "--mlflow", f"sqlite:///{tmp_path}/m.db"]
    assert main([*words, *more]) == 4
    assert "is not an SQLite database" in capsys.readouterr().err
    assert trainings == []
    (path,) = (tmp_path / "board").rglob("*tfevents*")
    assert b"**failed**" in path.read_bytes()


def test_an_interrupted_run_is_told(words: list[str], trainings: list[Any], tmp_path: Path) -> None:
    """Ctrl-C where there is nothing to keep ends with 130, and the run's files say so."""
    assert main([*words, "--tensorboard", str(tmp_path / "board")]) == 130
    assert len(trainings) == 1
    (path,) = (tmp_path / "board").rglob("*tfevents*")
    assert b"**interrupted**" in path.read_bytes()


def test_a_model_outlives_its_tracker(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where TensorBoard's disk fails in between, the command succeeds with a warning that says where the model is."""
    folder = write_tiny_model(tmp_path / "models", recipe="scalping")

    def train(*given: Any, **options: Any) -> TrainedModel:
        (run,) = (tmp_path / "board").iterdir()
        (run / "train").write_text("in the way")
        options["on_progress"](TrainingProgress("epoch_ended", 1, 1, metrics={"loss": 0.5}))
        return TrainedModel(folder.name, folder, {}, {})

    monkeypatch.setattr(models.training, "train", train)
    assert main([*words, "--tensorboard", str(tmp_path / "board"), "--json"]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result["model_id"] == folder.name
    assert result["tracking"] == {}
    (warning,) = result["warnings"]
    assert "cannot be written" in warning
    assert str(folder) in warning
    assert f"warning: {warning}" in said.err


@needs_mlflow
@pytest.mark.training
def test_a_real_training_is_tracked(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Epochs, figures and model of a real run are in a real store; the environment's URI is not touched."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    more = ["--tensorboard", str(tmp_path / "board"), "--mlflow", uri, "--mlflow-experiment", "mine"]
    assert main([*words, *more, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["warnings"] == []
    from models.mlflow_store import open_client

    client = open_client(uri)
    run = client.get_run(result["tracking"]["MLflow"]["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["model_id"] == result["model_id"]
    assert run.data.tags["stopped_because"] == result["training"]["stopped_because"]
    assert run.data.params["training.max_epochs"] == "2"
    assert run.data.params["training.seed"] == "3"
    for name, values in result["training"]["epochs"].items():
        points = client.get_metric_history(run.info.run_id, name)
        assert [(point.step, point.value) for point in points] == list(enumerate(values, start=1))
    model = result["report"]["forecasts"]["model"]
    assert run.data.metrics["test.model.log_loss"] == model["log_loss"]
    passport = json.loads((Path(result["folder"]) / "passport.json").read_text())
    for tag, digest in (("data_sha256", "data"), ("code_sha256", "code"), ("config_sha256", "config")):
        assert run.data.tags[tag] == passport["hashes"][digest], digest
    stored = {entry.path for entry in client.list_artifacts(run.info.run_id, "artifact")}
    assert stored == {f"artifact/{name}" for name in [*passport["files"], "passport.json"]}
    assert len(client.search_model_versions("name='lstm-scalping-bot.scalping'")) == 1
    folder = Path(result["tracking"]["TensorBoard"]["folder"])
    assert {path.parent.name for path in folder.glob("*/*tfevents*")} == {"train", "validation"}
    assert not (tmp_path / "elsewhere.db").exists()
