"""Which model predicts, and which is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.daemon.serving import ModelShelf
from bot.errors import ModelError
from models import champions, registry
from models.verdicts import StoredVerdict, VerdictReason, write_verdict
from tests.tiny_model import write_tiny_model


def judge(root: Path, model_id: str, *, promote: bool) -> None:
    """Write a verdict."""
    reasons = (VerdictReason("gain", promote, "0.05 millinats gained"),)
    evidence = {"drawdown_path": [0.01, 0.02]}
    write_verdict(root, StoredVerdict(model_id, 0, "recipe", promote, reasons, evidence, promote))


def test_only_a_proven_model_trades_unless_it_is_allowed(tmp_path: Path) -> None:
    """Never judged and refused are told apart; knowingly both may trade, and count as unproven."""
    model = write_tiny_model(tmp_path).name
    strict, knowing = ModelShelf(tmp_path, unproven=False), ModelShelf(tmp_path, unproven=True)
    with pytest.raises(ModelError, match=f"{model} is not proven: the gate has never judged it; --unproven"):
        strict.load(model)
    judge(tmp_path, model, promote=False)
    with pytest.raises(ModelError, match=r"the gate refused it \(0\.05 millinats gained\)"):
        strict.load("latest")
    assert knowing.load(None).proven is False
    judge(tmp_path, model, promote=True)
    for shelf in (strict, knowing):
        assert shelf.load(model).proven is True
    assert strict.load(None).facts.drawdown_path == (0.01, 0.02)


def test_nobody_is_loaded_by_name_and_as_champion(tmp_path: Path) -> None:
    """``no-trade`` needs no model, no proof and no folder."""
    shelf = ModelShelf(tmp_path / "none", unproven=False)
    assert shelf.load("no-trade").model_id == "no-trade"
    champions.promote(tmp_path, registry.NO_TRADE, at_ms=0)
    serving = ModelShelf(tmp_path, unproven=False).load(None)
    assert (serving.model_id, serving.proven) == ("no-trade", None)
    assert serving.predictor.history_minutes == 780


def test_a_fallback_is_for_damage_only(tmp_path: Path) -> None:
    """It predicts where the model is damaged, if it is proven itself; a model that has won nothing has none."""
    model = write_tiny_model(tmp_path).name
    other = write_tiny_model(tmp_path, seed=8, recipe="forest").name
    shelf = ModelShelf(tmp_path, unproven=False)
    with pytest.raises(ModelError, match=f"{model} is not proven"):
        shelf.load_first(model, other)
    (tmp_path / model / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=f"{other} is not proven"):
        shelf.load_first(model, other)
    judge(tmp_path, other, promote=True)
    serving = shelf.load_first(model, other)
    assert serving.model_id == other
    assert "model.onnx was altered" in str(serving.refused)


def test_a_damaged_verdict_is_no_proof(tmp_path: Path) -> None:
    """It is refused with the file's name, knowingly or not."""
    model = write_tiny_model(tmp_path).name
    judge(tmp_path, model, promote=True)
    (tmp_path / "verdicts" / f"{model}.json").write_text("{")
    for unproven in (False, True):
        with pytest.raises(ModelError, match="is no verdict"):
            ModelShelf(tmp_path, unproven=unproven).load(model)
