"""A measured figure: its name, number, unit, and the goal that it is held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

NANOSECONDS = {"s": 1e9, "ms": 1e6, "us": 1e3}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Attributes:
        name: Unique within its bench.
        value: Finite, in ``unit``.
        unit: ``us``, ``ms``, ``s``, ``MB`` (1e6 bytes), ``bytes``, ``loss``, ``1/s``, ``ratio``, ``share``,
            ``count``.
        goal: What it should be, such as ``< 2``; empty where there is none.
        note: What a reader has to know about it.
    """

    name: str
    value: float
    unit: str
    goal: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a number that is none: a bench that went wrong must not look like one that ran."""
        if not math.isfinite(self.value):
            raise ValueError(f"{self.name} is {self.value}")
        _ = self.met  # a goal that cannot be read is found here

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if not self.goal:
            return None
        sign, _, bound = self.goal.partition(" ")
        limit = float(bound)
        return {
            "<": self.value < limit,
            ">=": self.value >= limit,
            "=": self.value == limit,
        }[sign]

    def row(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "met": self.met}


def spread(
    name: str, samples_ns: Sequence[int], unit: str, *, goals: tuple[str, str] = ("", ""), note: str = ""
) -> list[Figure]:
    """The median and the 99th percentile of durations in nanoseconds, as two figures; goals in the same order."""
    values = np.asarray(samples_ns, dtype=np.float64) / NANOSECONDS[unit]
    middle, high = np.percentile(values, [50, 99])
    said = f"{len(values):,} samples, worst {values.max():.3g}{f'; {note}' if note else ''}"
    return [
        Figure(f"{name}_p50", float(middle), unit, goals[0], said),
        Figure(f"{name}_p99", float(high), unit, goals[1]),
    ]
