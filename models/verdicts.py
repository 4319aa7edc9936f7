"""What the gate said of a model: ``ROOT/verdicts/<model_id>.json``, each written in one step.

A model is **proven** when its verdict promotes it. Whoever has no verdict was never judged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bot.errors import ModelError
from models.durable import disk, replace_file
from models.registry import NO_TRADE, recipe_of

FOLDER = "verdicts"
KINDS = ("recipe", "refit")


class UnprovenError(ModelError):
    """A model is whole, and the gate has not promoted it."""


@dataclass(frozen=True, slots=True)
class VerdictReason:
    """One test of the gate.

    Attributes:
        name: Of the rule.
        passed: Whether it holds.
        sentence: In plain words, with the figure and the limit.
    """

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A verdict as it was written down.

    Attributes:
        model_id: Whom it is about.
        at_ms: When, ms UTC.
        kind: ``recipe`` (a new recipe that had to win) or ``refit`` (a new version of one that has).
        promote: Whether it may follow the champion.
        reasons: Every test, passed or not.
        evidence: The figures that were judged.
        proven: Whether the recipe counts as proven by it.
        champion_then: Who was champion when it was judged; None where nobody was.
    """

    model_id: str
    at_ms: int
    kind: str
    promote: bool
    reasons: tuple[VerdictReason, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    proven: bool = False
    champion_then: str | None = None

    @property
    def objections(self) -> tuple[str, ...]:
        """The sentences of what did not pass."""
        return tuple(reason.sentence for reason in self.reasons if not reason.passed)


def verdict_path(root: Path, model_id: str) -> Path:
    """Where the verdict about a model lies."""
    return root / FOLDER / f"{model_id}.json"


def write_verdict(root: Path, verdict: StoredVerdict) -> Path:
    """Write a verdict in one step, and wait until the disk has it; one that was there is replaced.

    Raises:
        ModelError: It is about something that is no model id.
        StorageError: The disk refused; what was there is as it was.
    """
    recipe_of(verdict.model_id)
    target = verdict_path(root, verdict.model_id)
    content = json.dumps(_plain(asdict(verdict)), indent=1, allow_nan=False).encode() + b"\n"
    with disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, content)
    return target


def read_verdict(root: Path, model_id: str) -> StoredVerdict | None:
    """What the gate said of a model, or None where it was never judged.

    Raises:
        ModelError: The file is damaged, or about another model.
    """
    path = verdict_path(root, model_id)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}") from fault
    try:
        row = json.loads(content)
        reasons = tuple(VerdictReason(**reason) for reason in row.pop("reasons"))
        verdict = StoredVerdict(reasons=reasons, **row)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise ModelError(f"{path} is no verdict: {fault}") from fault
    if verdict.model_id != model_id:
        raise ModelError(f"{path} is about {verdict.model_id}: verdicts are named by model")
    if not _is_sound(verdict):
        raise ModelError(f"{path} is no verdict: a field has a value of another kind")
    return verdict


def is_proven(root: Path, model_id: str) -> bool:
    """Whether the gate has promoted a model.

    Raises:
        ModelError: Its verdict is damaged.
    """
    verdict = read_verdict(root, model_id)
    return verdict is not None and verdict.promote


def standing(root: Path, model_id: str) -> str:
    """In a few words what the gate said of a model, for a sentence about it.

    Raises:
        ModelError: Its verdict is damaged.
    """
    verdict = read_verdict(root, model_id)
    if verdict is None:
        return "the gate has never judged it"
    if verdict.promote:
        return f"the gate has promoted it as a {'new recipe' if verdict.kind == 'recipe' else 'refit'}"
    return f"the gate refused it ({'; '.join(verdict.objections) or 'without a reason'})"


def require_proven(root: Path, model_id: str) -> None:
    """Refuse a model that the gate has not promoted.

    Raises:
        UnprovenError: It is not proven; says what the gate said and how to trade it all the same.
        ModelError: Its verdict is damaged.
    """
    if model_id != NO_TRADE and not is_proven(root, model_id):
        raise UnprovenError(
            f"model {model_id} is not proven: {standing(root, model_id)}; --unproven trades it on paper knowingly"
        )


def _is_sound(verdict: StoredVerdict) -> bool:
    """Whether every field is of its kind; a verdict that promotes has no test that failed."""
    kinds = (
        isinstance(verdict.at_ms, int)
        and verdict.kind in KINDS
        and isinstance(verdict.promote, bool)
        and isinstance(verdict.proven, bool)
        and isinstance(verdict.evidence, dict)
        and (verdict.champion_then is None or isinstance(verdict.champion_then, str))
        and all(isinstance(one.passed, bool) and isinstance(one.sentence, str) for one in verdict.reasons)
    )
    return kinds and not (verdict.promote and verdict.objections)


def _plain(value: Any) -> Any:
    """JSON values only; a figure that is not finite is unknown."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
