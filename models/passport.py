"""The passport: what a model is made of, and the seal that makes a changed byte show.

The passport holds the SHA-256 of every other file of the artifact, and a seal over itself. It guards against
damage and mix-ups, not against someone who can rewrite the whole folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.errors import ModelError
from models.features import FeatureSet, feature_set
from models.hashing import canonical_json, sha256

FORMAT = 1
FILE_NAME = "passport.json"


@dataclass(frozen=True, slots=True)
class ModelPassport:
    """What a model is made of.

    Attributes:
        model_id: ``<recipe>-<yyyymmddThhmmss>-<6 hex of content>``.
        recipe: Name of the recipe.
        created_at_ms: When it was trained, ms UTC.
        features: Tag of the feature set, such as ``scalping-v1``.
        columns: Names of the feature columns, in order.
        window: Rows a window has.
        horizon_minutes: Distance predicted.
        target: Kind of the target; ``target_options`` are its numbers beside the horizon.
        outputs: Names of the graph's output columns.
        symbols: Symbols it was trained on.
        ranges: Slice name -> [from, until) of window end times, ms.
        seed: Seed of the training.
        hashes: SHA-256 of ``data``, ``code``, ``config`` and ``scaler``.
        versions: Library -> version at training time.
        files: Every other file of the artifact -> SHA-256.
        format: Version of this document.
    """

    model_id: str
    recipe: str
    created_at_ms: int
    features: str
    columns: tuple[str, ...]
    window: int
    horizon_minutes: int
    target: str
    symbols: tuple[str, ...]
    ranges: dict[str, list[int]]
    seed: int
    hashes: dict[str, str]
    versions: dict[str, str]
    target_options: dict[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("forecast",)
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> bytes:
        """Canonical JSON with the seal."""
        document = asdict(self)
        return canonical_json(document | {"seal": sha256(canonical_json(document))})

    def feature_set(self) -> FeatureSet:
        """The feature set of this program that the model was trained with.

        Raises:
            ModelError: This program has another version of it, or other columns.
        """
        found = feature_set(self.features)
        if found.columns != self.columns:
            raise ModelError(
                f"model {self.model_id}: its columns of {self.features} are not those that this program computes"
            )
        return found


def read_passport(content: bytes, where: str) -> ModelPassport:
    """Read a passport, refusing one whose seal does not fit.

    Args:
        content: The bytes of the file.
        where: Its path, for the error's sentence.

    Raises:
        ModelError: The document is damaged, altered, or of another format.
    """
    try:
        document: dict[str, Any] = json.loads(content)
        seal = document.pop("seal")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as fault:
        raise ModelError(f"{where} is not a passport: {fault}") from fault
    if seal != sha256(canonical_json(document)) or content != canonical_json(document | {"seal": seal}):
        raise ModelError(f"{where} was altered: its seal does not fit its content")
    if document.get("format") != FORMAT:
        raise ModelError(f"{where} has format {document.get('format')!r}; this program reads {FORMAT}")
    try:
        document["columns"] = tuple(document["columns"])
        document["symbols"] = tuple(document["symbols"])
        document["outputs"] = tuple(document["outputs"])
        return ModelPassport(**document)
    except (KeyError, TypeError) as fault:
        raise ModelError(f"{where} lacks a field or has one too many: {fault}") from fault
