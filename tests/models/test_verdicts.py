"""What the gate said of a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.core import promotion
from bot.errors import ModelError
from models import registry
from models.verdicts import (
    StoredVerdict,
    UnprovenError,
    VerdictReason,
    is_proven,
    read_verdict,
    require_proven,
    standing,
    verdict_path,
    write_verdict,
)

MODEL = "tiny-20231114T221320-000007"
PASSED = VerdictReason("gain", True, "0.4 millinats gained")
FAILED = VerdictReason("weeks", False, "3 weeks out of sample, 8 are needed")


def verdict(*reasons: VerdictReason, **changed: object) -> StoredVerdict:
    """A verdict that promotes where nothing failed."""
    promote = all(reason.passed for reason in reasons)
    made = StoredVerdict(MODEL, 1, "recipe", promote, reasons, {"weeks": 9}, promote, None)
    for name, value in changed.items():
        object.__setattr__(made, name, value)
    return made


def test_the_word_for_nobody_is_the_same_everywhere() -> None:
    """The word for nobody is the same where models are kept and where they are judged."""
    assert registry.NO_TRADE == promotion.NO_TRADE


def test_a_verdict_comes_back_whole(tmp_path: Path) -> None:
    """Every field survives; a figure that is not finite is unknown afterwards."""
    made = verdict(PASSED, evidence={"gain": 0.4, "spa": float("nan"), "weeks": [1.0, float("inf")]})
    path = write_verdict(tmp_path, made)
    assert path == verdict_path(tmp_path, MODEL)
    found = read_verdict(tmp_path, MODEL)
    assert found is not None
    assert found.evidence == {"gain": 0.4, "spa": None, "weeks": [1.0, None]}
    assert (found.reasons, found.promote, found.champion_then) == ((PASSED,), True, None)
    assert is_proven(tmp_path, MODEL)


def test_a_refused_model_says_why(tmp_path: Path) -> None:
    """Not proven are a model without a verdict and one that failed; the sentence has what the gate said."""
    with pytest.raises(UnprovenError, match="never judged it; --unproven"):
        require_proven(tmp_path, MODEL)
    write_verdict(tmp_path, verdict(PASSED, FAILED))
    assert not is_proven(tmp_path, MODEL)
    assert standing(tmp_path, MODEL) == f"the gate refused it ({FAILED.sentence})"
    with pytest.raises(UnprovenError, match="8 are needed"):
        require_proven(tmp_path, MODEL)
    write_verdict(tmp_path, verdict(PASSED))
    require_proven(tmp_path, MODEL)
    require_proven(tmp_path, registry.NO_TRADE)


@pytest.mark.parametrize(
    "change",
    [
        {"promote": "yes"},
        {"kind": "guess"},
        {"model_id": "tiny-20231114T221320-000008"},
        {"reasons": [{"name": "x"}]},
        {"reasons": [{"name": "weeks", "passed": False, "sentence": "too few"}]},
        {"evidence": []},
        {"at_ms": None},
        {"unknown": 1},
    ],
)
def test_a_damaged_verdict_proves_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    """A wrong field, another model's verdict, and one that promotes against its own reasons are refused."""
    path = write_verdict(tmp_path, verdict(PASSED))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"verdicts.*\.json"):
        is_proven(tmp_path, MODEL)
    path.write_text("{half")
    with pytest.raises(ModelError, match="is no verdict"):
        read_verdict(tmp_path, MODEL)


def test_only_models_are_judged(tmp_path: Path) -> None:
    """A name that is no model id gets no file."""
    with pytest.raises(ModelError, match="is not a model id"):
        write_verdict(tmp_path, verdict(PASSED, model_id="../champion"))
    assert list(tmp_path.iterdir()) == []
