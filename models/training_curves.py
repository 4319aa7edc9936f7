"""The curves of a fit out of an artifact's training history: one set a network, so several for an ensemble."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import ModelError

FILE_NAME = "training_history.json"
_GROUPS = {"members": "", "seeds": "seed "}
_FIRST = ("loss", "mae")
_MOST_PANELS = 2


@dataclass(frozen=True, slots=True)
class TrainingCurves:
    """How one network's fit went.

    Attributes:
        name: Of the member, or which seed; empty for the only network, and for the first seed.
        metrics: Metric -> value of each epoch; ``val_`` stands before those on the early-stop slice.
        best_epoch: The one that was kept, counted from 1; None where that is not told.
    """

    name: str
    metrics: dict[str, list[float]]
    best_epoch: int | None

    def panels(self) -> list[str]:
        """The metrics to draw, the loss first; each is there on the early-stop slice too, if any is."""
        names = [name for name in self.metrics if f"val_{name}" in self.metrics]
        found = names or [name for name in self.metrics if not name.startswith("val_")]
        return sorted(found, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))[
            :_MOST_PANELS
        ]


def read_curves(folder: Path) -> tuple[TrainingCurves, ...]:
    """The curves of an artifact that was verified before; none of a forest, or where no history was stored.

    Raises:
        ModelError: There is a history that cannot be read.
    """
    path = folder / FILE_NAME
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise ModelError(f"{path} is not a training history: {fault}") from fault
    return tuple(curves_of(document))


def curves_of(history: Any, name: str = "") -> Iterator[TrainingCurves]:
    """The curves in a history, and in those of its members or seeds."""
    if not isinstance(history, Mapping):
        return
    epochs = history.get("epochs")
    if isinstance(epochs, Mapping) and epochs:
        best = history.get("best_epoch")
        metrics = {str(metric): _numbers(values) for metric, values in epochs.items()}
        yield TrainingCurves(name, metrics, best if isinstance(best, int) else None)
    for group, word in _GROUPS.items():
        below = history.get(group)
        if isinstance(below, Mapping):
            for key, one in below.items():
                yield from curves_of(one, f"{name} {word}{key}".strip())


def _numbers(values: Any) -> list[float]:
    """One metric's values.

    Raises:
        ModelError: They are not a list of numbers.
    """
    if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
        raise ModelError(f"{FILE_NAME} holds a metric that is not a list of numbers")
    return [float(value) for value in values]
