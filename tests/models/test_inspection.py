"""A whole inspection, and the files that it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.errors import DataError, StorageError
from models import inspection_figures
from models.inspection import FILES, Inspection, InspectionProgress, InspectionWishes, write_inspection
from models.inspection import inspect_artifact as look
from tests.inspected_model import READ, attentive_model, one_column_model, path_model
from tests.random_candles import random_candles

CANDLES = {"BTC/USDT": random_candles(700, seed=1)}
FEW = InspectionWishes(windows=60, repeats=2)


def test_everything_is_found(tmp_path: Path) -> None:
    """Importance, forecasts and curves of a model; what was looked at is told; no attention where there is none."""
    told: list[InspectionProgress] = []
    found = look(one_column_model(tmp_path), CANDLES, FEW, told.append)
    assert found.importance.columns[READ].moved is not None
    assert found.attention is None
    assert len(found.stretch.made_ts) == 300
    assert found.path.minutes.tolist() == [0, 15]
    assert len(found.curves) == 1
    assert [state.phase for state in told if not state.total] == [
        "features",
        "importance",
        "attention",
        "forecasts",
    ]
    assert (found.training_known, found.in_sample, found.withheld) == (False, False, 0)
    assert (found.from_ms, found.until_ms) == tuple(CANDLES["BTC/USDT"].ts[[299, 699]].tolist())


def test_the_same_wishes_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two inspections of one model leave the same JSON, byte for byte."""
    monkeypatch.setattr(inspection_figures, "can_draw", lambda: False)
    folder = attentive_model(tmp_path / "models")
    for name in ("a", "b"):
        write_inspection(tmp_path / name, look(folder, CANDLES, FEW))
    for name in ("importance.json", "attention.json", "prediction.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_files_of_an_earlier_inspection_go(tmp_path: Path) -> None:
    """What does not belong to the newest inspection is removed, a stranger's file is not, and nothing half-written stays."""
    out = tmp_path / "out"
    write_inspection(out, look(attentive_model(tmp_path / "a"), CANDLES, FEW))
    assert "attention.json" in {entry.name for entry in out.iterdir()}
    (out / "notes.txt").write_text("mine")
    written, _ = write_inspection(out, look(path_model(tmp_path / "b"), CANDLES, FEW))
    left = {entry.name for entry in out.iterdir()}
    assert left == {path.name for path in written} | {"notes.txt"}
    assert "attention.json" not in left
    assert json.loads((out / "importance.json").read_bytes())["model_id"].startswith("tiny-")


def test_without_matplotlib_there_is_still_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where matplotlib is missing, the page and the JSON files are written, and it is told."""
    monkeypatch.setattr(inspection_figures, "can_draw", lambda: False)
    written, drawn = write_inspection(tmp_path / "out", look(one_column_model(tmp_path), CANDLES, FEW))
    assert not drawn
    assert [path.name for path in written] == ["importance.json", "prediction.json", "inspection.html"]


def test_every_file_can_be_left(tmp_path: Path) -> None:
    """A model with attention leaves every file but the curves that it has not."""
    written, drawn = write_inspection(tmp_path / "out", look(attentive_model(tmp_path), CANDLES, FEW))
    assert drawn
    assert {path.name for path in written} == set(FILES) - {"training_curves.png"}


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    """Candles without a known future, and a file in the folder's place, are each one sentence."""
    folder = one_column_model(tmp_path)
    with pytest.raises(DataError, match="known future"):
        look(folder, {"BTC/USDT": CANDLES["BTC/USDT"].rows(0, 305)}, FEW)
    found: Inspection = look(folder, CANDLES, FEW)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="not a folder"):
        write_inspection(tmp_path / "file", found)
