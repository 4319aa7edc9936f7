"""The ledger of all looks at test minutes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ModelError, StorageError
from models.trials import (
    LEDGER_FILE,
    Record,
    Subject,
    Trial,
    count_distinct,
    deflated_bounds,
    deflated_confidence,
    read_trials,
    record_of,
    record_trial,
    record_trials,
    trials_overlapping,
    two_sided_quantile,
)

TRIAL = Trial("training", 1_700_000_000_000, "scalping", "ab", "cd", 1000, 2000, 0.5, None, "first")


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    """Lines come back as they were written, oldest first; the folder is made; no ledger is an empty one."""
    root = tmp_path / "new" / "models"
    assert read_trials(root) == []
    others = [TRIAL, replace(TRIAL, kind="sweep", sharpe=-0.1, gain_millinats=None, note='a "note"\n')]
    for one in others:
        record_trial(root, one)
    assert read_trials(root) == others


def test_an_unfinished_line_is_none_and_is_replaced(tmp_path: Path) -> None:
    """A crash in the middle of a line costs that line alone: it is not read, and the next one takes its place."""
    record_trial(tmp_path, TRIAL)
    with (tmp_path / LEDGER_FILE).open("ab") as handle:
        handle.write(b'{"kind": "train')
    assert read_trials(tmp_path) == [TRIAL]
    record_trial(tmp_path, replace(TRIAL, note="second"))
    assert [one.note for one in read_trials(tmp_path)] == ["first", "second"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no json",
        "[1]",
        "{}",
        json.dumps({"kind": "training"}),
        json.dumps({**dict.fromkeys(("at_ms", "test_from_ms", "test_until_ms"), 1), "kind": "look"}),
        '{"kind": "look", "at_ms": 1, "recipe": "r", "digest": "d", "data": "d", "test_from_ms": 1, "test_until_ms": 2}',
        '{"kind": "sweep", "at_ms": 1, "recipe": "r", "digest": "d", "data": "d", "test_from_ms": 2, "test_until_ms": 2}',
        '{"kind": "sweep", "at_ms": "1", "recipe": "r", "digest": "d", "data": "d", "test_from_ms": 1, "test_until_ms": 2}',
        '{"kind": "sweep", "at_ms": 1, "recipe": "r", "digest": "d", "data": "d", "test_from_ms": 1, "test_until_ms": 2, "sharpe": NaN}',
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """A line that is no trial is refused with its file and number: a ledger that forgets is worse than none."""
    record_trial(tmp_path, TRIAL)
    with (tmp_path / LEDGER_FILE).open("a") as handle:
        handle.write(line + "\n")
    with pytest.raises(ModelError, match=rf"{LEDGER_FILE} line 2 is no trial"):
        read_trials(tmp_path)


def test_what_cannot_be_is_not_recorded(tmp_path: Path) -> None:
    """A trial without minutes or with a figure that is no number is refused, and nothing is written."""
    for wrong in (replace(TRIAL, test_until_ms=1000), replace(TRIAL, gain_millinats=float("nan"))):
        with pytest.raises(ModelError, match="is no trial"):
            record_trial(tmp_path, wrong)
    assert not (tmp_path / LEDGER_FILE).exists()


def test_a_refusing_disk_is_said(tmp_path: Path) -> None:
    """Where the ledger cannot be written, the look is not passed over in silence."""
    (tmp_path / LEDGER_FILE).mkdir()
    with pytest.raises(StorageError, match=LEDGER_FILE):
        record_trial(tmp_path, TRIAL)
    with pytest.raises(ModelError, match="cannot be read"):
        read_trials(tmp_path)


def test_looking_again_is_no_new_trial() -> None:
    """The same recipe on the same candles and minutes counts once, whoever looks; anything else is another trial."""
    again = replace(TRIAL, kind="evaluation", at_ms=TRIAL.at_ms + 1, gain_millinats=0.6, note="again")
    assert count_distinct([TRIAL, again, TRIAL]) == 1
    changed = [replace(TRIAL, digest="x"), replace(TRIAL, data="x"), replace(TRIAL, test_until_ms=2001)]
    assert count_distinct([TRIAL, again, *changed]) == 4
    assert record_of(again, [TRIAL, TRIAL]) == Record(1, 2)
    assert record_of(replace(TRIAL, digest="y"), [TRIAL, again, *changed]) == Record(5, 5)


def test_only_overlapping_minutes_count() -> None:
    """Trials that end where the minutes begin, or begin where they end, have not looked at them."""
    assert trials_overlapping([TRIAL], 2000, 3000) == []
    assert trials_overlapping([TRIAL], 0, 1000) == []
    assert trials_overlapping([TRIAL], 1999, 3000) == [TRIAL]
    assert record_of(replace(TRIAL, digest="y", test_from_ms=2000, test_until_ms=2500), [TRIAL]) == Record(
        1, 0
    )


def test_a_subject_becomes_a_trial_once_its_minutes_are_known() -> None:
    """What is about to be looked at names everything but the minutes and the outcome."""
    subject = Subject("evaluation", 5, "forest", "ab", "cd", "note")
    assert subject.trial(10, 20) == Trial("evaluation", 5, "forest", "ab", "cd", 10, 20, None, None, "note")


def test_one_trial_keeps_its_interval() -> None:
    """One trial asks for 95 %, and its interval is as it was."""
    assert deflated_confidence(1) == 0.95
    assert list(deflated_bounds(1.0, 0.2, 2.5, 1)) == pytest.approx([0.2, 2.5])
    assert two_sided_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)


@given(trials=st.integers(1, 5000), low=st.floats(-5, 1), high=st.floats(1, 5))
def test_more_trials_widen_the_interval(trials: int, low: float, high: float) -> None:
    """Each further trial asks for more confidence and stretches both sides alike."""
    assert deflated_confidence(trials) < deflated_confidence(trials + 1) < 1.0
    found = deflated_bounds(1.0, low, high, trials)
    assert found[0] <= low + 1e-12
    assert found[1] >= high - 1e-12
    wider = deflated_bounds(1.0, low, high, trials + 1)
    assert wider[0] <= found[0]
    assert wider[1] >= found[1]


def test_the_best_of_many_coins_keeps_its_promise() -> None:
    """The best of twenty forecasters that know nothing seems to know something in about 2.5 % of the worlds."""
    best = np.random.default_rng(3).normal(size=(40_000, 20)).max(axis=1)
    low, _ = deflated_bounds(0.0, -two_sided_quantile(0.95), two_sided_quantile(0.95), 20)
    assert np.mean(best + low > 0.0) == pytest.approx(0.025, abs=0.003)
    assert np.mean(best - two_sided_quantile(0.95) > 0.0) > 0.35


def test_many_looks_are_one_write(tmp_path: Path) -> None:
    """All of them are in the ledger in order, or none where one is no trial; no look writes nothing."""
    looks = [replace(TRIAL, digest=str(number)) for number in range(5)]
    record_trials(tmp_path / "models", looks[:2])
    record_trials(tmp_path / "models", looks[2:])
    assert read_trials(tmp_path / "models") == looks
    with pytest.raises(ModelError, match="is no trial"):
        record_trials(tmp_path / "models", [looks[0], replace(looks[1], test_until_ms=0)])
    record_trials(tmp_path / "models", [])
    assert read_trials(tmp_path / "models") == looks
    record_trials(tmp_path / "none", [])
    assert not (tmp_path / "none").exists()
