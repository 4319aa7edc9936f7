"""``bot models list|show|verify``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from models.registry import set_champion
from tests.tiny_model import write_tiny_model


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two models, the older one champion."""
    root = tmp_path / "models"
    old = write_tiny_model(root, created_at_ms=1_600_000_000_000)
    write_tiny_model(root)
    set_champion(root, old.name)
    return root


def test_list_names_every_model(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models are listed oldest first with the champion marked, and a damaged one says what is wrong with it."""
    ids = sorted(entry.name for entry in models.iterdir() if entry.is_dir())
    (models / ids[1] / "scaler.json").write_text("{}")
    assert main(["models", "list", "--models", str(models), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["model_id"], row["champion"], row["state"]) for row in rows] == [
        (ids[0], True, "whole"),
        (ids[1], False, "refused"),
    ]
    assert "scaler.json was altered" in rows[1]["reason"]
    assert main(["models", "list", "--models", str(models)]) == 0
    text = capsys.readouterr().out
    assert f"{ids[0]} *" in text
    assert "refused: " in text


def test_an_empty_folder_lists_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there yet holds no models: that is no error."""
    assert main(["models", "list", "--models", str(tmp_path / "none"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_show_tells_what_a_model_is_made_of(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The passport and the report come as a table or as JSON; the default is the champion."""
    assert main(["models", "show", "--models", str(models), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["passport"]["created_at_ms"] == 1_600_000_000_000
    assert shown["passport"]["features"] == "scalping-v1"
    assert main(["models", "show", "latest", "--models", str(models)]) == 0
    assert "scaled_return, 15 minutes ahead" in capsys.readouterr().out


def test_verify_refuses_a_damaged_model(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole model verifies with exit code 0; one changed byte ends with code 6 and names the file."""
    assert main(["models", "verify", "latest", "--models", str(models)]) == 0
    assert "is whole" in capsys.readouterr().out
    folder = max(entry for entry in models.iterdir() if entry.is_dir())
    content = bytearray((folder / "model.onnx").read_bytes())
    content[100] ^= 1
    (folder / "model.onnx").write_bytes(content)
    assert main(["models", "verify", "latest", "--models", str(models)]) == 6
    assert "model.onnx was altered" in capsys.readouterr().err
