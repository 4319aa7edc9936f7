"""Artifacts on disk: written in one step, refused when a byte differs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import ModelError, StorageError
from models import registry
from models.durable import folder_lock
from models.passport import FILE_NAME, read_passport
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that no test changes."""
    return write_tiny_model(tmp_path_factory.mktemp("models"))


def test_what_was_written_is_read(pristine: Path) -> None:
    """A fresh artifact verifies and gives back the passport and every file."""
    passport, contents = registry.read_verified(pristine)
    assert passport.model_id == pristine.name
    assert set(contents) == set(passport.files) >= set(registry.REQUIRED_FILES)
    assert not list(pristine.parent.glob(".*"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_refused(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Flipping any bit of any file, the passport's too, makes loading fail in one sentence that names the file."""
    names = sorted(entry.name for entry in pristine.iterdir())
    name = data.draw(st.sampled_from(names))
    content = bytearray((pristine / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    copy = tmp_path / pristine.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(pristine, copy)
    (copy / name).write_bytes(content)
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        registry.read_verified(copy)


def test_a_missing_or_added_file_is_refused(pristine: Path, tmp_path: Path) -> None:
    """Every file that is gone, and any that does not belong, is named."""
    for name in sorted(entry.name for entry in pristine.iterdir()):
        copy = shutil.copytree(pristine, tmp_path / f"without-{name}")
        (copy / name).unlink()
        with pytest.raises(ModelError, match=name.replace(".", r"\.")):
            registry.read_verified(copy)
    copy = shutil.copytree(pristine, tmp_path / "more")
    (copy / "extra.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"extra\.bin is not part"):
        registry.read_verified(copy)
    (copy / "extra.bin").unlink()
    (copy / "folder").mkdir()
    with pytest.raises(ModelError, match="folder is not part"):
        registry.read_verified(copy)
    with pytest.raises(ModelError, match="there is no model in"):
        registry.read_verified(tmp_path / "nowhere")


def test_another_feature_set_is_refused(pristine: Path, tmp_path: Path) -> None:
    """A model of a version, or of columns, that this program does not compute is refused, seal or not."""
    passport = read_passport((pristine / FILE_NAME).read_bytes(), "here")
    for field, value, sentence in (
        ("features", "scalping-v2", "scalping-v2.* not known here"),
        ("columns", list(reversed(passport.columns)), "not those that this program computes"),
    ):
        copy = shutil.copytree(pristine, tmp_path / field)
        changed = type(passport)(**{**passport_fields(passport), field: value})
        (copy / FILE_NAME).write_bytes(changed.to_json())
        with pytest.raises(ModelError, match=sentence):
            registry.read_verified(copy)


def passport_fields(passport: object) -> dict[str, Any]:
    """Its fields as keyword arguments."""
    return {name: getattr(passport, name) for name in passport.__dataclass_fields__}  # type: ignore[attr-defined]


def test_a_passport_of_another_format_is_refused(pristine: Path) -> None:
    """A newer format and a document that is no passport are refused by name."""
    passport = read_passport((pristine / FILE_NAME).read_bytes(), "here")
    newer = type(passport)(**{**passport_fields(passport), "format": 2})
    with pytest.raises(ModelError, match="format 2"):
        read_passport(newer.to_json(), "here")
    for content in (b"", b"[]", b'{"seal": 1}', json.dumps({"model_id": "x"}).encode()):
        with pytest.raises(ModelError, match="here"):
            read_passport(content, "here")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses, there is no artifact, no half of one, and a StorageError names the place."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"tiny-.*No space left"):
        write_tiny_model(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_abandoned_workshops_are_removed(tmp_path: Path) -> None:
    """A write removes what a killed writer left behind, and nothing that another one is at work in."""
    busy, left = tmp_path / f"{registry.WORKSHOP}busy", tmp_path / f"{registry.WORKSHOP}left"
    for workshop in (busy, left):
        workshop.mkdir()
        (workshop / "model.onnx").write_bytes(b"half")
    with folder_lock(busy):
        old = write_tiny_model(tmp_path, created_at_ms=1_600_000_000_000)
        assert {entry.name for entry in tmp_path.iterdir()} == {old.name, busy.name}
    new = write_tiny_model(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {old.name, new.name}


def test_an_artifact_is_never_overwritten(tmp_path: Path) -> None:
    """A second model of the same id is refused, and the first stays whole."""
    folder = write_tiny_model(tmp_path)
    with pytest.raises(ModelError, match="already"):
        write_tiny_model(tmp_path)
    registry.read_verified(folder)
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]


def test_models_are_found_by_every_name(tmp_path: Path) -> None:
    """Id, path, latest, champion and nothing at all resolve as the command line promises."""
    with pytest.raises(ModelError, match="bot train"):
        registry.resolve(tmp_path)
    old = write_tiny_model(tmp_path, created_at_ms=1_600_000_000_000, recipe="zebra")
    new = write_tiny_model(tmp_path, created_at_ms=1_700_000_000_000, recipe="ant")
    assert registry.list_models(tmp_path) == [old.name, new.name]
    assert registry.latest(tmp_path) == new.name
    assert registry.latest(tmp_path, "zebra") == old.name
    assert registry.resolve(tmp_path) == new
    assert registry.resolve(tmp_path, "latest") == new
    assert registry.resolve(tmp_path, old.name) == old
    assert registry.resolve(Path("elsewhere"), str(old)) == old
    (old / FILE_NAME).rename(tmp_path / "passport")
    assert registry.resolve(tmp_path, old.name) == old  # for whoever loads it to say what is missing
    (tmp_path / "passport").rename(old / FILE_NAME)
    with pytest.raises(ModelError, match="no model was named champion"):
        registry.resolve(tmp_path, "champion")
    registry.set_champion(tmp_path, old.name)
    assert registry.resolve(tmp_path) == registry.resolve(tmp_path, "champion") == old
    with pytest.raises(ModelError, match="'nothing'"):
        registry.resolve(tmp_path, "nothing")


def test_only_a_whole_model_becomes_champion(tmp_path: Path) -> None:
    """A damaged model is refused as champion, and who was champion stays it."""
    good = write_tiny_model(tmp_path)
    bad = write_tiny_model(tmp_path, seed=8)
    registry.set_champion(tmp_path, good.name)
    (bad / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.onnx was altered"):
        registry.set_champion(tmp_path, bad.name)
    assert registry.champion(tmp_path) == good.name
    (tmp_path / "champion").write_text("../../etc/passwd\n")
    with pytest.raises(ModelError, match="does not hold a model id"):
        registry.resolve(tmp_path)


def test_ids_tell_recipe_time_and_content() -> None:
    """An id is the recipe, the UTC time of training and six hex digits."""
    model_id = registry.make_model_id("minmax-close", 1_700_000_000_000, "abcdef0123")
    assert model_id == "minmax-close-20231114T221320-abcdef"
    assert registry.recipe_of(model_id) == "minmax-close"


def test_the_challenger_has_a_place_of_its_own(tmp_path: Path) -> None:
    """``challenger`` resolves to the model that was named so, and the champion is another matter."""
    first, second = write_tiny_model(tmp_path), write_tiny_model(tmp_path, seed=8)
    with pytest.raises(ModelError, match="no model was named challenger"):
        registry.resolve(tmp_path, "challenger")
    registry.set_champion(tmp_path, first.name)
    registry.set_challenger(tmp_path, second.name)
    assert registry.resolve(tmp_path, "challenger") == second
    assert registry.resolve(tmp_path, "champion") == first
    (second / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.onnx was altered"):
        registry.set_challenger(tmp_path, second.name)
    assert registry.challenger(tmp_path) == second.name


def test_a_model_under_another_name_is_refused(tmp_path: Path) -> None:
    """A folder that was renamed, a path and a model elsewhere cannot be named champion."""
    root = tmp_path / "models"
    folder = write_tiny_model(root)
    shutil.copytree(folder, root / "tiny-20250101T000000-abcdef")
    with pytest.raises(ModelError, match=f"holds the model {folder.name}"):
        registry.set_champion(root, "tiny-20250101T000000-abcdef")
    with pytest.raises(ModelError, match="is not a model id"):
        registry.set_champion(root, f"../models/{folder.name}")
    elsewhere = write_tiny_model(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="copy the model's folder there"):
        registry.member_id(root, elsewhere)
    assert registry.member_id(root, folder) == folder.name
    assert registry.champion(root) is None
