"""States of fits on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from bot.errors import StorageError
from models.fit_state import FOLDER_NAME, MOST_FILES, FitState, StateFile, UnfinishedFits


def state(*, epochs: int = 3, ended: str = "") -> FitState:
    """A state with arrays of several kinds."""
    rng = np.random.default_rng(epochs)
    history = {"loss": [0.1] * epochs, "val_loss": [1 / 3] * epochs}
    weights = [rng.normal(size=(4, 3)).astype(np.float32), np.array([7, 8], np.uint32)]
    return FitState(history, ended, weights, [np.array(5, np.int64), *weights], weights[:1])


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every array has its bytes and type again, and every metric its exact value."""
    file = StateFile(tmp_path / "deep" / "one.npz")
    assert file.read() is None
    written = state(ended="early_stopping")
    file.write(written)
    found = file.read()
    assert found is not None
    assert (found.history, found.ended, found.epoch) == (written.history, "early_stopping", 3)
    for group in ("variables", "optimizer", "best"):
        for one, other in zip(getattr(found, group), getattr(written, group), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_the_last_state_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """One file holds the newest state, and nothing else is left beside it."""
    file = StateFile(tmp_path / "one.npz")
    file.write(state(epochs=1))
    file.write(state(epochs=2))
    found = file.read()
    assert found is not None
    assert found.epoch == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.npz"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_state_is_none(tmp_path: Path, damage: str) -> None:
    """A file that was cut, altered or replaced is not gone on from."""
    file = StateFile(tmp_path / "one.npz")
    file.write(state())
    content = bytearray(file.path.read_bytes())
    place = content.index(b"about.npy") + 80
    content[place] ^= 0xFF
    file.path.write_bytes(
        {"cut": bytes(content[:200]), "flipped": bytes(content), "empty": b"", "text": b"no state"}[damage]
    )
    assert file.read() is None


def test_a_full_disk_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is told with the file's name, and the state before stays readable."""
    file = StateFile(tmp_path / "one.npz")
    file.write(state(epochs=1))

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"one\.npz could not be written: No space"):
        file.write(state(epochs=2))
    found = file.read()
    assert found is not None
    assert found.epoch == 1


def test_what_a_fit_depends_on_is_in_its_file_name(tmp_path: Path) -> None:
    """Another recipe, other candles or other code have another file; the same have the same."""
    one = UnfinishedFits(tmp_path, ["candles", "code"])
    paths = {
        one.file("recipe").path,
        one.file("other").path,
        UnfinishedFits(tmp_path, ["candles", "new code"]).file("recipe").path,
    }
    assert len(paths) == 3
    assert UnfinishedFits(tmp_path, ["candles", "code"]).file("recipe").path in paths


def test_a_finished_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its own states go, those of others stay, and the folder goes with the last."""
    mine, other = UnfinishedFits(tmp_path, ["a"]), UnfinishedFits(tmp_path, ["b"])
    mine.file("x").write(state())
    other.file("x").write(state())
    mine.forget()
    assert mine.file("x").read() is None
    assert other.file("x").read() is not None
    other.forget()
    assert not (tmp_path / FOLDER_NAME).exists()
    other.forget()


def test_states_that_nobody_goes_on_with_do_not_pile_up(tmp_path: Path) -> None:
    """Only the newest are kept when a run is finished."""
    for number in range(MOST_FILES + 5):
        file = UnfinishedFits(tmp_path, [str(number)]).file("x")
        file.write(state())
        os.utime(file.path, ns=(number, number))
    UnfinishedFits(tmp_path, ["mine"]).forget()
    left = {path.stat().st_mtime_ns for path in (tmp_path / FOLDER_NAME).iterdir()}
    assert left == set(range(5, MOST_FILES + 5))


def test_a_run_that_begins_anew_forgets_its_states(tmp_path: Path) -> None:
    """What an earlier run left for the same fit is removed before it is read."""
    UnfinishedFits(tmp_path, ["a"]).file("x").write(state())
    assert UnfinishedFits(tmp_path, ["a"], anew=True).file("x").read() is None
