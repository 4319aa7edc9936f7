"""Network architectures by the name that recipes give them; Keras is imported only when one is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.architectures.stacked_lstm import build_stacked_lstm
from models.recipe import ArchitectureSection

BUILDERS: dict[str, Callable[[ArchitectureSection, int, int], Any]] = {"stacked_lstm": build_stacked_lstm}


def build(section: ArchitectureSection, window: int, features: int) -> Any:
    """An untrained, uncompiled ``keras.Model`` from windows [n, window, features] to one number each [n, 1]."""
    return BUILDERS[section.kind](section, window, features)
