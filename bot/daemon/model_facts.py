"""What a model's watch must know of how it was made: read with the model, for the loop must not wait for a disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from bot.daemon.performance import EVEN, base_rate_of
from bot.errors import ModelError
from models.drift import FILE_NAME, FeatureBins, feature_bins_from_json
from models.verdicts import read_verdict

DRAWDOWN_PATH = "drawdown_path"
"""Where a verdict's evidence has the limits of the drawdown by day."""


class ModelFacts(NamedTuple):
    """What is known of a model from its making.

    Attributes:
        base_rate: P(up) of its training data.
        bins: Where its features lay in training; None where it was stored without.
        drawdown_path: Limits of its drawdown by day; None where it was never judged on them.
    """

    base_rate: float = EVEN
    bins: FeatureBins | None = None
    drawdown_path: tuple[float, ...] | None = None


def read_facts(root: Path, folder: Path, model_id: str, columns: tuple[str, ...]) -> ModelFacts:
    """Read what a verified model and its verdict hold; ModelError when either is damaged."""
    try:
        content = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        bins = None
    except OSError as fault:
        raise ModelError(f"{folder / FILE_NAME} cannot be read: {fault.strerror}") from fault
    else:
        bins = feature_bins_from_json(content, columns)
    return ModelFacts(base_rate_of(folder), bins, _drawdown_path(root, model_id))


def _drawdown_path(root: Path, model_id: str) -> tuple[float, ...] | None:
    """The limits that the verdict holds, if it holds some."""
    verdict = read_verdict(root, model_id)
    limits = None if verdict is None else verdict.evidence.get(DRAWDOWN_PATH)
    if not isinstance(limits, list) or not limits:
        return None
    if not all(isinstance(one, (int, float)) and math.isfinite(one) for one in limits):
        raise ModelError(
            f"the verdict about {model_id} holds no limits of its drawdown; let the gate judge it again: bot retrain"
        )
    return tuple(float(one) for one in limits)
