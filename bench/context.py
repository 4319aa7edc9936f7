"""What a bench is given: a folder on the disk that the bot would use, how long it may take, a model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
"""The repository: children are started here."""

T = TypeVar("T")


class Scale(str, Enum):
    """How much is measured: for a report, for a look, for a test of the bench itself."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"


@dataclass(frozen=True, slots=True)
class Context:
    """One run of the benches.

    Attributes:
        folder: Scratch space, on a real disk; the caller removes it.
        scale: How much is measured.
    """

    folder: Path
    scale: Scale = Scale.FULL

    def pick(self, full: T, quick: T, tiny: T) -> T:
        """The value for this run's scale."""
        return {Scale.FULL: full, Scale.QUICK: quick, Scale.TINY: tiny}[self.scale]

    @property
    def models_dir(self) -> Path:
        """Where the model of all benches is."""
        return self.folder / "models"

    def room(self, name: str) -> Path:
        """A folder of its own for a part of a bench."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
