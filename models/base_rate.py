"""The base rate that a stored model was measured against, read without what fits it."""

from __future__ import annotations

import json
from pathlib import Path

from bot.errors import ModelError

FILE_NAME = "baselines.json"


def stored_base_rate(folder: Path) -> float | None:
    """The share of rises in a stored model's train slice; None where the model was stored without baselines.

    Raises:
        ModelError: What is stored is no base rate, or cannot be read.
    """
    try:
        rate = float(json.loads((folder / FILE_NAME).read_bytes())["base_rate"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"{folder / FILE_NAME} does not hold baselines: {fault}") from fault
    if not 0.0 < rate < 1.0:
        raise ModelError(f"{folder / FILE_NAME} does not hold baselines of a model")
    return rate
