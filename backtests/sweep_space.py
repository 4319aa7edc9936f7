"""What a sweep varies: lists, ranges and spans, as people write them, and the points of a grid.

::

    threshold=0.0003,0.0005,0.001        these values
    stop_loss=0.002:0.01:0.002           from 0.002 to 0.01 in steps of 0.002, both ends included
    threshold=0.0002..0.002              anything between, for Optuna
    threshold=0.0002..0.002:log          likewise, evenly on a logarithmic scale
    max_holding_minutes=30..240          whole numbers, since both ends are written as such
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from bot.errors import UsageError

MOST_VALUES = 1_000
MOST_POINTS = 100_000
"""A grid beyond it is a mistake more often than a wish."""

Point: TypeAlias = Mapping[str, str]
"""One point: name -> value, as ``--set`` would take it."""

_EXAMPLE = "such as threshold=0.0003,0.0005 or stop_loss=0.002:0.01:0.002 or threshold=0.0002..0.002"


@dataclass(frozen=True, slots=True)
class Listed:
    """A parameter that takes some values.

    Attributes:
        name: As ``--set`` takes it.
        values: In the order given.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spanned:
    """A parameter that takes any value of a span.

    Attributes:
        name: As ``--set`` takes it.
        low: Least value.
        high: Greatest value, above ``low``.
        log: Whether it is searched on a logarithmic scale.
        whole: Whether it takes whole numbers only.
    """

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False


Dimension: TypeAlias = Listed | Spanned


def parse_space(texts: Sequence[str]) -> tuple[Dimension, ...]:
    """What ``--vary`` was given, in that order.

    Raises:
        UsageError: Nothing is varied, a text cannot be read, or a parameter comes twice.
    """
    if not texts:
        raise UsageError(f"say what to vary: --vary KEY=VALUES, {_EXAMPLE}")
    found = tuple(_dimension(text) for text in texts)
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--vary {name} is given twice")
    return found


def is_continuous(space: Sequence[Dimension]) -> bool:
    """Whether any parameter takes any value of a span: there is no grid of it."""
    return any(isinstance(one, Spanned) for one in space)


def grid(space: Sequence[Dimension]) -> Iterator[dict[str, str]]:
    """Every combination, the last parameter changing first.

    Raises:
        UsageError: A parameter is a span, or there are more than ``MOST_POINTS`` combinations.
    """
    columns: list[tuple[str, ...]] = []
    for one in space:
        if isinstance(one, Spanned):
            raise UsageError(
                f"--vary {one.name}: a span has no grid; give a list or low:high:step, or use --search optuna"
            )
        columns.append(one.values)
    count = math.prod(len(column) for column in columns)
    if count > MOST_POINTS:
        raise UsageError(
            f"the grid has {count:,} points, more than {MOST_POINTS:,}: vary less, or use --search optuna"
        )
    names = [one.name for one in space]
    return (dict(zip(names, values, strict=True)) for values in itertools.product(*columns))


def number_of(text: str) -> float | None:
    """A value as a number, None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _dimension(text: str) -> Dimension:
    name, equals, values = (part.strip() for part in text.partition("="))
    name = name.removeprefix("strategy.")
    if not equals or not name or not values:
        raise UsageError(f"--vary {text}: write KEY=VALUES, {_EXAMPLE}")
    if ".." in values:
        return _spanned(name, values, text)
    listed = _stepped(values, text) if ":" in values else [value.strip() for value in values.split(",")]
    if not all(listed):
        raise UsageError(f"--vary {text}: a value is empty")
    if len(set(listed)) < len(listed):
        raise UsageError(f"--vary {text}: a value is given twice")
    return Listed(name, tuple(listed))


def _spanned(name: str, values: str, text: str) -> Spanned:
    bounds, _, scale = values.partition(":")
    first, _, last = (part.strip() for part in bounds.partition(".."))
    low, high = number_of(first), number_of(last)
    if low is None or high is None or scale.strip() not in {"", "log"}:
        raise UsageError(f"--vary {text}: a span is LOW..HIGH or LOW..HIGH:log, such as 0.0002..0.002:log")
    if not low < high:
        raise UsageError(f"--vary {text}: {last} is not above {first}")
    if scale and low <= 0:
        raise UsageError(f"--vary {text}: a logarithmic span begins above 0")
    whole = all(part.lstrip("+-").isdigit() for part in (first, last))
    return Spanned(name, low, high, log=bool(scale), whole=whole)


def _stepped(values: str, text: str) -> list[str]:
    """``low:high:step`` in decimal arithmetic: 0.002 + 0.002 + 0.002 is 0.006 there."""
    try:
        low, high, step = (Decimal(part.strip()) for part in values.split(":"))
    except (InvalidOperation, ValueError):
        raise UsageError(f"--vary {text}: a range is LOW:HIGH:STEP, such as 0.002:0.01:0.002") from None
    if not (low.is_finite() and high.is_finite() and step.is_finite() and step > 0 and low <= high):
        raise UsageError(f"--vary {text}: a range goes up from LOW to HIGH in steps above 0")
    count = int((high - low) / step) + 1
    if count > MOST_VALUES:
        raise UsageError(f"--vary {text}: {count:,} values, more than {MOST_VALUES:,}")
    return [f"{low + step * place:f}" for place in range(count)]
