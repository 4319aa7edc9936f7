"""Curves out of a training history."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import ModelError
from models.hashing import canonical_json
from models.training_curves import curves_of, read_curves
from tests.inspected_model import HISTORY


def test_one_network_has_one_set_of_curves(tmp_path: Path) -> None:
    """Metrics and the kept epoch are read; loss is drawn first, the learning rate not at all."""
    (tmp_path / "training_history.json").write_bytes(canonical_json(HISTORY))
    (curves,) = read_curves(tmp_path)
    assert curves.metrics["val_loss"] == [0.8, 0.75, 0.77]
    assert curves.best_epoch == 2
    assert curves.panels() == ["loss", "mae"]


def test_members_and_seeds_have_their_own() -> None:
    """An ensemble's networks and other seeds are named; members that were not fitted by epochs have no curves."""
    found = list(
        curves_of({"members": {"forest": {"train_windows": 3}, "lstm": HISTORY | {"seeds": {"43": HISTORY}}}})
    )
    assert [one.name for one in found] == ["lstm", "lstm seed 43"]


def test_no_history_no_curves(tmp_path: Path) -> None:
    """An artifact without a history has none; one that cannot be read is refused."""
    assert read_curves(tmp_path) == ()
    (tmp_path / "training_history.json").write_text("{")
    with pytest.raises(ModelError, match="not a training history"):
        read_curves(tmp_path)
    (tmp_path / "training_history.json").write_text('{"epochs": {"loss": ["low"]}}')
    with pytest.raises(ModelError, match="not a list of numbers"):
        read_curves(tmp_path)
