"""Exports: the very bytes, all of them or none."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from bot.errors import ModelError, StorageError, UsageError
from models.artifact_copy import export_artifact
from models.registry import read_verified
from tests.tiny_model import write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model."""
    return write_tiny_model(tmp_path / "models")


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_gets_the_very_files(folder: Path, tmp_path: Path, *, there: bool) -> None:
    """An empty or new folder holds a copy that verifies, and nothing lies beside it."""
    out = tmp_path / "deep" / "copy"
    if there:
        out.mkdir(parents=True)
    export_artifact(folder, out)
    assert read_verified(out) == read_verified(folder)
    assert list(out.parent.iterdir()) == [out]


def test_an_archive_unpacks_to_a_model(folder: Path, tmp_path: Path) -> None:
    """A .zip holds the folder by the model's id, and the same model makes the same bytes."""
    out, second = tmp_path / "a.zip", tmp_path / "b.zip"
    export_artifact(folder, out)
    export_artifact(folder, second)
    assert out.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert read_verified(tmp_path / "unpacked" / folder.name) == read_verified(folder)


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    """A folder with something in it, a file, a link and a .zip that is there are refused and stay as they are."""
    full, file, archive, link = (tmp_path / name for name in ("full", "file", "taken.zip", "link"))
    full.mkdir()
    for path in (full / "letter", file, archive):
        path.write_text("keep")
    link.symlink_to(tmp_path / "nowhere")
    for out, said in (
        (full, "not empty"),
        (file, "not a folder"),
        (archive, "there already"),
        (link, "not a folder"),
    ):
        with pytest.raises(UsageError, match=said):
            export_artifact(folder, out)
    assert [path.read_text() for path in (full / "letter", file, archive)] == ["keep"] * 3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_a_refusal_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A damaged model and a full disk leave no copy and no half of one."""
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    (damaged / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model\.onnx was altered"):
        export_artifact(damaged, tmp_path / "out" / name)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=rf"{name} could not be written: No space left"):
        export_artifact(folder, tmp_path / "out" / name)
    assert not list((tmp_path / "out").iterdir())
