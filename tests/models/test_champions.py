"""Promotion and rollback: the history tells who was champion, whatever a crash left undone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ModelError, StorageError
from models import champions, registry
from models.champions import PROMOTED, ROLLED_BACK, ChampionChange
from tests.tiny_model import write_tiny_model


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three models, none champion."""
    for seed in (1, 2, 3):
        write_tiny_model(tmp_path, seed=seed)
    return tmp_path


def ids(root: Path) -> list[str]:
    """The models by seed."""
    return registry.list_models(root)


def crash(*_: object) -> Any:
    """A machine that stops here."""
    raise KeyboardInterrupt


def test_a_rollback_goes_back_one_champion_at_a_time(root: Path) -> None:
    """After three promotions two rollbacks lead to the first, and a third one has nowhere to go."""
    a, b, c = ids(root)
    for at_ms, model_id in enumerate((a, b, c)):
        champions.promote(root, model_id, at_ms=at_ms)
    assert champions.promote(root, c, at_ms=9) is None
    assert champions.rollback(root, at_ms=10) == ChampionChange(b, 10, ROLLED_BACK, c)
    assert champions.rollback(root, at_ms=11).model_id == a == registry.champion(root)
    with pytest.raises(ModelError, match=f"no champion before {a}"):
        champions.rollback(root, at_ms=12)
    lines = [json.loads(line) for line in (root / "champions.jsonl").read_text().splitlines()]
    assert [(line["model_id"], line["previous"], line["reason"]) for line in lines] == [
        (a, None, PROMOTED),
        (b, a, PROMOTED),
        (c, b, PROMOTED),
        (b, c, ROLLED_BACK),
        (a, b, ROLLED_BACK),
    ]
    assert [line["at_ms"] for line in lines] == [0, 1, 2, 10, 11]


@pytest.mark.parametrize("again", [False, True])
def test_a_crash_between_history_and_champion_changes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    """The line that did not come true is passed over by the next rollback, and the change can be made again."""
    a, b, c = ids(root)
    champions.promote(root, a, at_ms=0)
    champions.promote(root, b, at_ms=1)
    with monkeypatch.context() as stopped:
        stopped.setattr(champions, "set_champion", crash)
        for step in (lambda: champions.promote(root, c, at_ms=2), lambda: champions.rollback(root, at_ms=3)):
            with pytest.raises(KeyboardInterrupt):
                step()
    assert registry.champion(root) == b
    assert len(champions.read_history(root)) == 4
    if again:
        champions.promote(root, c, at_ms=4)
        assert champions.rollback(root, at_ms=5).model_id == b
    assert champions.rollback(root, at_ms=6).model_id == a


def test_a_half_written_line_is_no_change(root: Path) -> None:
    """A history that ends in the middle of a line is read without it, and the next change takes its place."""
    a, b, _ = ids(root)
    champions.promote(root, a, at_ms=0)
    history = root / "champions.jsonl"
    whole = history.read_bytes()
    history.write_bytes(whole + b'{"model_id": "ti')
    assert [change.model_id for change in champions.read_history(root)] == [a]
    champions.promote(root, b, at_ms=1)
    assert history.read_bytes().startswith(whole)
    assert [change.model_id for change in champions.read_history(root)] == [a, b]
    history.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(ModelError, match=r"champions\.jsonl line 1"):
        champions.rollback(root, at_ms=2)
    assert registry.champion(root) == b


def test_a_full_disk_leaves_champion_and_history(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the history cannot be written, the champion is who it was and no line is added."""
    a, b, _ = ids(root)
    champions.promote(root, a, at_ms=0)
    before = sorted((path, path.read_bytes()) for path in root.iterdir() if path.is_file())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        champions.promote(root, b, at_ms=1)
    assert sorted((path, path.read_bytes()) for path in root.iterdir() if path.is_file()) == before


def test_a_damaged_model_is_neither_promoted_nor_brought_back(root: Path) -> None:
    """A refused model writes no history; a rollback to one is refused and today's champion stays."""
    a, b, c = ids(root)
    champions.promote(root, a, at_ms=0)
    champions.promote(root, b, at_ms=1)
    (root / c / "model.onnx").write_bytes(b"")
    (root / a / "scaler.json").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.onnx was altered"):
        champions.promote(root, c, at_ms=2)
    with pytest.raises(ModelError, match=r"scaler\.json was altered.*bot models promote"):
        champions.rollback(root, at_ms=3)
    assert registry.champion(root) == b
    assert len(champions.read_history(root)) == 2


def test_a_further_check_can_refuse(root: Path) -> None:
    """What the caller's check refuses is not promoted."""

    def refuse(folder: Path) -> None:
        raise ModelError(f"{folder.name} does not run")

    with pytest.raises(ModelError, match="does not run"):
        champions.promote(root, ids(root)[0], at_ms=0, verify=refuse)
    assert registry.champion(root) is None
    assert champions.read_history(root) == []


def test_nothing_to_take_back_is_said(tmp_path: Path) -> None:
    """Without models, and without a champion, a rollback is refused."""
    with pytest.raises(ModelError, match="there are no models"):
        champions.rollback(tmp_path / "none", at_ms=0)
    with pytest.raises(ModelError, match="no model was named champion"):
        champions.rollback(tmp_path, at_ms=0)


def test_a_champion_named_by_hand_counts(root: Path) -> None:
    """A champion of before the history, or one set beside it, is who a rollback returns to."""
    a, b, c = ids(root)
    registry.set_champion(root, a)
    champions.promote(root, b, at_ms=0)
    registry.set_champion(root, c)
    assert champions.rollback(root, at_ms=1).model_id == b
    assert champions.rollback(root, at_ms=2).model_id == a


@given(steps=st.lists(st.tuples(st.sampled_from("ABCD-"), st.booleans()), max_size=25))
def test_the_lineage_is_that_of_a_stack(steps: list[tuple[str, bool]]) -> None:
    """Whatever is promoted and rolled back, and whichever changes a crash stops, the lineage is a plain stack's."""
    stack: list[str] = []
    changes: list[ChampionChange] = []
    for name, crashed in steps:
        current = stack[-1] if stack else None
        if name == "-" and len(stack) > 1:
            changes.append(ChampionChange(stack[-2], 0, ROLLED_BACK, current))
            if not crashed:
                stack.pop()
        elif name not in {"-", current}:
            changes.append(ChampionChange(name, 0, PROMOTED, current))
            if not crashed:
                stack.append(name)
    assert champions.lineage(changes, stack[-1] if stack else None) == stack


def test_nobody_can_be_champion_and_be_taken_back(root: Path) -> None:
    """``no-trade`` is promoted and rolled back to like a model, but no command takes it for one."""
    a, b, _ = ids(root)
    champions.promote(root, a, at_ms=0)
    champions.promote(root, registry.NO_TRADE, at_ms=1, why="nothing has beaten the baselines")
    assert registry.champion(root) == registry.NO_TRADE
    for name in (None, "champion", registry.NO_TRADE):
        with pytest.raises(ModelError, match="which is no model"):
            registry.resolve(root, name)
    champions.promote(root, b, at_ms=2)
    assert champions.rollback(root, at_ms=3).model_id == registry.NO_TRADE
    assert champions.rollback(root, at_ms=4).model_id == a
    with pytest.raises(ModelError, match="is not a model id"):
        registry.set_challenger(root, registry.NO_TRADE)


def test_nobody_is_champion_of_a_folder_without_models(tmp_path: Path) -> None:
    """The folder is made for the word."""
    champions.promote(tmp_path / "new", registry.NO_TRADE, at_ms=0)
    assert registry.champion(tmp_path / "new") == registry.NO_TRADE


def test_the_reason_is_kept(root: Path) -> None:
    """What was said about a change comes back; lines of before have none, and one that is no text is damage."""
    a, b, _ = ids(root)
    champions.promote(root, a, at_ms=0)
    champions.promote(root, b, at_ms=1, why="eight good weeks")
    champions.rollback(root, at_ms=2, why="it trades too often")
    assert [change.why for change in champions.read_history(root)] == [
        None,
        "eight good weeks",
        "it trades too often",
    ]
    history = root / "champions.jsonl"
    lines = history.read_text().splitlines()
    old = {key: value for key, value in json.loads(lines[0]).items() if key != "why"}
    history.write_text("\n".join([json.dumps(old), *lines[1:]]) + "\n")
    assert champions.read_history(root)[0].why is None
    history.write_text(json.dumps(old | {"why": 3}) + "\n")
    with pytest.raises(ModelError, match="line 1 is no change"):
        champions.read_history(root)


def test_a_challenger_is_let_go_only_by_its_own_name(root: Path) -> None:
    """Whoever was named meanwhile stays."""
    a, b, _ = ids(root)
    registry.clear_challenger(root, a)
    registry.set_challenger(root, b)
    registry.clear_challenger(root, a)
    assert registry.challenger(root) == b
    registry.clear_challenger(root, b)
    assert registry.challenger(root) is None
