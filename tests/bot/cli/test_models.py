"""``bot models list|show|verify|promote|rollback|export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from models.registry import champion, list_models, set_champion
from models.verdicts import StoredVerdict, VerdictReason, write_verdict
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


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What a command of ``bot models`` prints with --json."""
    assert main(["models", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_promotion_can_be_taken_back(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Promote says who it was before and that a daemon follows; rollback brings that one back; twice is once."""
    old, new = list_models(models)
    root = ["--models", str(models)]
    assert main(["models", "promote", "latest", *root]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{new} is champion now (before: {old}).")
    assert "within a minute" in said
    assert "UNPROVEN: the gate has never judged it" in said
    assert told(capsys, "promote", new, *root) == {
        "model_id": new,
        "as": "champion",
        "previous": new,
        "changed": False,
        "proven": False,
        "why": None,
    }
    assert main(["models", "promote", new, *root]) == 0
    assert "already" in capsys.readouterr().out
    assert champion(models) == new
    change = told(capsys, "rollback", *root)
    assert (change["model_id"], change["previous"], change["reason"]) == (old, new, "rolled back")
    assert change["at_ms"] > 1_700_000_000_000
    assert champion(models) == old
    assert main(["models", "rollback", *root]) == 6
    assert f"no champion before {old}" in capsys.readouterr().err


def test_a_challenger_is_named_and_listed(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--as challenger`` leaves the champion, and show, verify and list know the name."""
    old, new = list_models(models)
    root = ["--models", str(models)]
    named = told(capsys, "promote", "latest", "--as", "challenger", *root)
    assert named == {
        "model_id": new,
        "as": "challenger",
        "previous": None,
        "changed": True,
        "proven": False,
        "why": None,
    }
    assert told(capsys, "promote", new, "--as", "challenger", *root)["changed"] is False
    assert told(capsys, "verify", "challenger", *root)["model_id"] == new
    assert champion(models) == old
    assert main(["models", "list", *root]) == 0
    text = capsys.readouterr().out
    assert f"{new} +" in text
    assert "+ challenger" in text
    assert main(["models", "promote", new, "--as", "king", *root]) == 2


@pytest.mark.parametrize("place", ["champion", "challenger"])
def test_a_refused_model_gets_no_place(
    models: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged model, one that says no numbers, and one of another folder end with exit code 6; nothing changes."""
    new = list_models(models)[1]
    before = sorted((path.name, path.read_bytes()) for path in models.iterdir() if path.is_file())
    root = ["--models", str(models), "--as", place]
    elsewhere = write_tiny_model(tmp_path / "other", seed=9)
    assert main(["models", "promote", str(elsewhere), *root]) == 6
    assert "copy the model's folder there" in capsys.readouterr().err
    write_tiny_model(models, seed=10, output_scale=float("nan"), recipe="wild")
    wild = next(name for name in list_models(models) if name.startswith("wild"))
    assert main(["models", "promote", wild, *root]) == 6
    (models / new / "model.onnx").write_bytes(b"")
    capsys.readouterr()
    assert main(["models", "promote", new, *root, "--json"]) == 6
    assert "model.onnx was altered" in json.loads(capsys.readouterr().out)["error"]
    assert sorted((path.name, path.read_bytes()) for path in models.iterdir() if path.is_file()) == before


def test_an_export_is_a_model_of_its_own(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The copy verifies by its path; a second export to the same place is refused as wrong words, a bad model as 6."""
    out, archive = tmp_path / "copy", tmp_path / "copy.zip"
    root = ["--models", str(models)]
    assert told(capsys, "export", "champion", "--out", str(out), *root)["model_id"] == list_models(models)[0]
    assert told(capsys, "verify", str(out), *root)["whole"] is True
    assert main(["models", "export", "champion", "--out", str(archive), *root]) == 0
    assert "copy.zip holds tiny-" in capsys.readouterr().out
    for taken in (out, archive):
        assert main(["models", "export", "champion", "--out", str(taken), *root]) == 2
    (models / list_models(models)[1] / "recipe.json").write_bytes(b"")
    assert main(["models", "export", "latest", "--out", str(tmp_path / "bad"), *root]) == 6
    assert not (tmp_path / "bad").exists()


def judge(root: Path, model_id: str, *, promote: bool) -> None:
    """The gate says something of a model."""
    reasons = (
        VerdictReason("gain", True, "0.4 millinats gained"),
        VerdictReason("weeks", promote, "9 weeks out of sample"),
    )
    write_verdict(root, StoredVerdict(model_id, 0, "recipe", promote, reasons, {"weeks": 9}, promote))


def test_the_verdict_and_the_history_are_shown(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """List says proven, refused or not judged; show has every reason, and each change with what was said about it."""
    old, new = list_models(models)
    root = ["--models", str(models)]
    judge(models, new, promote=True)
    assert main(["models", "promote", new, "--reason", "eight good weeks", *root]) == 0
    assert "UNPROVEN" not in capsys.readouterr().out
    assert main(["models", "list", *root, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["gate"], row["proven"], row["why"]) for row in rows] == [
        ("not judged", False, None),
        ("proven", True, "eight good weeks"),
    ]
    shown = told(capsys, "show", new, *root)
    assert [reason["sentence"] for reason in shown["verdict"]["reasons"]] == [
        "0.4 millinats gained",
        "9 weeks out of sample",
    ]
    assert [change["why"] for change in shown["history"]] == ["eight good weeks"]
    judge(models, new, promote=False)
    assert main(["models", "show", new, *root]) == 0
    text = capsys.readouterr().out
    assert "UNPROVEN: judged as a new recipe" in text
    assert "FAILS" in text
    assert "eight good weeks" in text
    assert main(["models", "rollback", "--reason", "it trades too often", *root]) == 0
    assert "UNPROVEN: the gate has never judged it" in capsys.readouterr().out
    assert told(capsys, "show", old, *root)["history"][-1]["why"] == "it trades too often"


def test_nobody_can_be_named_champion(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The word no-trade is champion, never challenger; what needs a graph refuses it with exit code 6."""
    root = ["--models", str(models)]
    assert main(["models", "promote", "no-trade", "--reason", "quiet weeks", *root]) == 0
    assert champion(models) == "no-trade"
    assert main(["models", "list", *root]) == 0
    assert "The champion is no-trade: quiet weeks." in capsys.readouterr().out
    for words in (["show"], ["verify", "champion"], ["promote", "no-trade", "--as", "challenger"]):
        assert main(["models", *words, *root]) == 6
        assert "which is no model" in capsys.readouterr().err
    assert told(capsys, "rollback", *root)["model_id"] == list_models(models)[0]
