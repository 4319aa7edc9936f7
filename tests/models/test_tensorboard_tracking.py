"""Runs as TensorBoard reads them: curves, parts and texts, read back with TensorFlow's own reader."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bot.errors import StorageError
from models.fit_progress import TrainingProgress
from models.recipe import load_recipe
from models.run_tracking import RunFacts, run_facts
from models.tensorboard_tracking import TensorBoardTracker
from models.training import TrainedModel
from tests.random_candles import random_candles

NOW_MS = 1_700_000_000_500
RUN = "scalping-20231114T221320"
TRAINED = TrainedModel("tiny-1", Path("models/tiny-1"), {"verdict": {"sentence": "No edge shown."}}, {})


def facts() -> RunFacts:
    """Of a run on a few candles."""
    return run_facts(load_recipe("scalping"), {"A/X": random_candles(300, seed=1)}, NOW_MS)


def epoch(number: int, part: str = "", **metrics: float) -> TrainingProgress:
    """An epoch's end."""
    return TrainingProgress("epoch_ended", number, 3, metrics=metrics, part=part)


def tracker(root: Path) -> TensorBoardTracker:
    """One whose clock stands still."""
    return TensorBoardTracker(root, wall_ms=lambda: NOW_MS)


def read(folder: Path) -> list[Any]:
    """The values of a folder's one event file, as TensorFlow reads them: it refuses a wrong checksum."""
    import tensorflow as tf

    (path,) = folder.glob("*tfevents*")
    events = list(tf.compat.v1.train.summary_iterator(str(path)))
    assert events[0].file_version == "brain.Event:2"
    assert all(event.wall_time == NOW_MS / 1000 for event in events)
    return [(value, event.step) for event in events for value in event.summary.value]


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value) of a folder."""
    found: dict[str, list[tuple[int, float]]] = {}
    for value, step in read(folder):
        found.setdefault(value.tag, []).append((step, value.simple_value))
    return found


@pytest.mark.training
def test_curves_lie_where_keras_puts_them(tmp_path: Path) -> None:
    """Training and validation have one name in two folders; the step is the epoch, and no NaN is drawn."""
    board = tracker(tmp_path)
    board.begin(facts())
    board.told(TrainingProgress("batch", 1, 3, 1, 4, 0.7))
    board.told(epoch(1, loss=0.5, val_loss=0.75, learning_rate=0.25))
    board.told(epoch(2, loss=0.25, val_loss=float("nan"), learning_rate=0.125))
    assert board.finished(TRAINED) == {"folder": str(tmp_path / RUN)}
    assert curves(tmp_path / RUN / "train") == {
        "epoch_loss": [(1, 0.5), (2, 0.25)],
        "epoch_learning_rate": [(1, 0.25), (2, 0.125)],
    }
    assert curves(tmp_path / RUN / "validation") == {"epoch_loss": [(1, 0.75)]}


@pytest.mark.training
def test_the_recipe_and_the_outcome_are_texts(tmp_path: Path) -> None:
    """They are string tensors of the text plugin, as tf.summary writes them."""
    board = tracker(tmp_path)
    board.begin(facts())
    board.finished(TRAINED)
    texts = {value.tag: value for value, _ in read(tmp_path / RUN)}
    assert set(texts) == {"recipe", "outcome"}
    for value in texts.values():
        assert value.metadata.plugin_data.plugin_name == "text"
        assert value.tensor.dtype == 7
    assert b'"horizon": 15' in texts["recipe"].tensor.string_val[0]
    assert texts["outcome"].tensor.string_val[0] == b"**tiny-1**\n\nNo edge shown."


def test_tensorboard_itself_reads_the_curves(tmp_path: Path) -> None:
    """Its accumulator, which feeds its pages, finds the curves and the text."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = tracker(tmp_path)
    board.begin(facts())
    board.told(epoch(1, loss=0.5, val_loss=0.75))
    board.finished(TRAINED)
    train = accumulator.EventAccumulator(str(tmp_path / RUN / "train")).Reload()
    (point,) = train.Tensors("epoch_loss") if train.Tags()["tensors"] else train.Scalars("epoch_loss")
    assert point.step == 1
    texts = accumulator.EventAccumulator(str(tmp_path / RUN)).Reload()
    assert "recipe" in texts.Tags()["tensors"]


def test_each_part_has_folders_of_its_own(tmp_path: Path) -> None:
    """Members and seeds do not draw over each other."""
    board = tracker(tmp_path)
    board.begin(facts())
    board.told(epoch(1, "seed 42 lstm", loss=0.5, val_loss=0.5))
    board.told(epoch(1, "seed 43 lstm", loss=0.5, val_loss=0.5))
    board.finished(TRAINED)
    folders = sorted(str(path.parent.relative_to(tmp_path / RUN)) for path in tmp_path.rglob("*tfevents*"))
    parts = [f"seed-{seed}-lstm/{side}" for seed in (42, 43) for side in ("train", "validation")]
    assert folders == [".", *parts]


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    """The second is numbered; neither writes into the other."""
    for _ in range(2):
        board = tracker(tmp_path)
        board.begin(facts())
        board.finished(TRAINED)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RUN, f"{RUN}-2"]


def test_an_epoch_can_be_seen_at_once(tmp_path: Path) -> None:
    """What was told is on the disk before the run has ended: people look while it trains."""
    board = tracker(tmp_path)
    board.begin(facts())
    board.told(epoch(1, loss=0.5))
    (path,) = (tmp_path / RUN / "train").glob("*tfevents*")
    assert b"epoch_loss" in path.read_bytes()
    board.failed("diverged", interrupted=False)
    (path,) = (tmp_path / RUN).glob("*tfevents*")
    assert b"**failed**\n\ndiverged" in path.read_bytes()


def test_a_place_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path) -> None:
    """A file in the way of the folder is one clear sentence."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="board cannot be written: Not a directory"):
        tracker(tmp_path / "file" / "board").begin(facts())


def test_a_disk_that_fails_in_between_is_told_at_the_end(tmp_path: Path) -> None:
    """Progress raises nothing, however often it comes; the end says what was not written."""
    board = tracker(tmp_path)
    board.begin(facts())
    shutil.rmtree(tmp_path / RUN)
    (tmp_path / RUN).write_text("in the way")
    board.told(epoch(1, loss=0.5))
    board.told(epoch(2, loss=0.5))
    with pytest.raises(StorageError, match="cannot be written"):
        board.finished(TRAINED)
