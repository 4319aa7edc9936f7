"""Files of older versions beside the journal: a model and a line of the trial ledger, as they were written first."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import ModelError
from models.forecaster import load_forecaster
from models.passport import FILE_NAME, FORMAT
from models.registry import champion, list_models, read_verified, resolve, set_champion
from models.trials import read_trials
from models.verdicts import is_proven, read_verdict

OLDEST = Path(__file__).parent / "older" / "tiny-20231114T221320-000007"
"""Written by the first version of the registry; never made anew."""

FIRST_TRIAL = {
    "kind": "walk_forward",
    "at_ms": 1_795_316_159_326,
    "recipe": "forest",
    "digest": "0a" * 32,
    "data": "5b" * 32,
    "test_from_ms": 1_702_851_240_000,
    "test_until_ms": 1_703_456_040_000,
    "gain_millinats": None,
    "sharpe": None,
    "note": "",
}
"""A line as the first version of the ledger wrote it."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of models that holds the oldest one."""
    shutil.copytree(OLDEST, tmp_path / OLDEST.name)
    return tmp_path


def test_the_oldest_model_is_verified_loaded_and_can_be_champion(root: Path) -> None:
    """Every byte is still what its passport says; it was never judged, and so is not proven."""
    passport, contents = read_verified(root / OLDEST.name)
    assert (passport.format, passport.model_id) == (FORMAT, OLDEST.name)
    assert "model.onnx" in contents
    assert list_models(root) == [OLDEST.name]
    assert resolve(root).name == OLDEST.name
    assert load_forecaster(root / OLDEST.name, threads=1).history_minutes > 60
    assert read_verdict(root, OLDEST.name) is None
    assert not is_proven(root, OLDEST.name)
    set_champion(root, OLDEST.name)
    assert champion(root) == OLDEST.name


def test_a_model_of_another_format_is_refused_by_name(root: Path) -> None:
    """The sentence says which format it has and which is read."""
    path = root / OLDEST.name / FILE_NAME
    passport, _ = read_verified(root / OLDEST.name)
    path.write_bytes(replace(passport, format=FORMAT + 1).to_json())
    with pytest.raises(ModelError, match=f"has format {FORMAT + 1}; this program reads {FORMAT}"):
        read_verified(root / OLDEST.name)


def test_the_first_lines_of_a_trial_ledger_count(tmp_path: Path) -> None:
    """What was tried by an older version is not forgotten."""
    (tmp_path / "trials.jsonl").write_text(json.dumps(FIRST_TRIAL) + "\n")
    (trial,) = read_trials(tmp_path)
    assert (trial.recipe, trial.test_from_ms) == ("forest", FIRST_TRIAL["test_from_ms"])
