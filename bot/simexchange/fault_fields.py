"""Reading and writing the values of a fault plan: each field knows what it takes, each error names its place. Pure.

A field's reader is given a plain value (of YAML or JSON) and its place in the plan, ``faults[2] (late): match.after``.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

from bot.errors import ConfigError
from bot.simexchange.bars import MINUTE_MS

Reader: TypeAlias = Callable[[Any, str], Any]
Record = TypeVar("Record")

_SPAN = re.compile(r"\+(?P<number>\d+)(?P<unit>ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": 1_440 * MINUTE_MS}
_LATEST_MS = 253_402_300_799_000
"""The end of the year 9999, the last that ISO times name."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A market time: milliseconds UTC, or milliseconds after the market's start."""

    ms: int
    relative: bool = False

    def at(self, start_ms: int) -> int:
        """Milliseconds UTC, in a market that starts at ``start_ms``."""
        return start_ms + self.ms if self.relative else self.ms

    def written(self) -> int | str:
        """As a plan has it: ``+90s`` or milliseconds."""
        if not self.relative:
            return self.ms
        unit = next(unit for unit in ("m", "s", "ms") if self.ms % _UNIT_MS[unit] == 0)
        return f"+{self.ms // _UNIT_MS[unit]}{unit}"


def entry(read: Reader, default: Any = MISSING, write: Callable[[Any], Any] | None = None) -> Any:
    """A dataclass field that a plan names: how it is read, and how it is written where not as it is."""
    return field(default=default, metadata={"read": read, "write": write or (lambda value: value)})


def read_record(kind: type[Record], given: Any, place: str) -> Record:
    """Make a dataclass of ``entry`` fields from a mapping; raises ConfigError that names the field."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: wants a mapping of fields, not {given!r}")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise ConfigError(f"{place}.{name}: no such field; there are {', '.join(known) or 'none'}")
    values = {}
    for name, one in known.items():
        if name in given:
            values[name] = one.metadata["read"](given[name], f"{place}.{name}")
        elif one.default is MISSING:
            raise ConfigError(f"{place}.{name}: is missing")
    return kind(**values)


def write_record(record: Any) -> dict[str, Any]:
    """The mapping that ``read_record`` makes the same record of; what is as by default is left out."""
    return {
        one.name: one.metadata["write"](value)
        for one in fields(record)
        if (value := getattr(record, one.name)) != one.default
    }


def whole(low: int, high: int) -> Reader:
    """A whole number in [low, high]."""

    def read(value: Any, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{place}: wants a whole number, not {value!r}")
        if not low <= value <= high:
            raise ConfigError(f"{place}: {value} is not in {low} to {high}")
        return value

    return read


def real(low: float, high: float) -> Reader:
    """A number in [low, high]."""

    def read(value: Any, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ConfigError(f"{place}: wants a number, not {value!r}")
        if not low <= value <= high:
            raise ConfigError(f"{place}: {value} is not in {low:g} to {high:g}")
        return float(value)

    return read


def optional(read: Reader) -> Reader:
    """What another reader takes, or null."""
    return lambda value, place: None if value is None else read(value, place)


def word(*allowed: str) -> Reader:
    """One of a few words."""

    def read(value: Any, place: str) -> str:
        if value not in allowed or not isinstance(value, str):
            raise ConfigError(f"{place}: {value!r} is not one of {', '.join(allowed)}")
        return value

    return read


def any_text(value: Any, place: str) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ConfigError(f"{place}: wants text, not {value!r}")
    return value


def flag(value: Any, place: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{place}: wants true or false, not {value!r}")
    return value


def pattern(value: Any, place: str) -> str:
    """A regular expression, which has to fit a whole text."""
    expression = any_text(value, place)
    try:
        re.compile(expression)
    except re.error as error:
        raise ConfigError(f"{place}: {expression!r} is no regular expression: {error}") from error
    return expression


def patterns(value: Any, place: str) -> tuple[tuple[str, str], ...]:
    """A mapping of field names to regular expressions; numbers and booleans are taken as their JSON text."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: wants a mapping of fields to expressions, not {value!r}")
    return tuple(
        (any_text(name, place), pattern(plain(expected), f"{place}.{name}"))
        for name, expected in value.items()
    )


def share_list(value: Any, place: str) -> tuple[float, ...]:
    """A list of positive shares that sum up to at most 1."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(f"{place}: wants a list of shares, such as [0.5, 0.25]")
    read = tuple(real(1e-9, 1.0)(share, f"{place}[{number}]") for number, share in enumerate(value))
    if sum(read) > 1 + 1e-9:
        raise ConfigError(f"{place}: the shares sum up to {sum(read):g}, more than 1")
    return read


def text_list(value: Any, place: str) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{place}: wants a list of names, not {value!r}")
    return tuple(any_text(one, f"{place}[{number}]") for number, one in enumerate(value))


def scalars(value: Any, place: str) -> tuple[tuple[str, str | float | bool | None], ...]:
    """A mapping of field names to the JSON values that they shall have."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: wants a mapping of fields to values, not {value!r}")
    for name, given in value.items():
        if given is not None and not isinstance(given, (str, int, float, bool)):
            raise ConfigError(f"{place}.{name}: wants one value, not {given!r}")
    return tuple((any_text(name, place), given) for name, given in value.items())


def seconds_of_minute(value: Any, place: str) -> tuple[float, float]:
    """A stretch of every minute, ``[from, to)`` in seconds."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ConfigError(f"{place}: wants two seconds of a minute, such as [20, 40]")
    low, high = (real(0, 60)(one, f"{place}[{number}]") for number, one in enumerate(value))
    if low >= high:
        raise ConfigError(f"{place}: {low:g} is not before {high:g}")
    return low, high


def moment(value: Any, place: str) -> Moment:
    """A market time: ``+10m`` after the start, an ISO time, or milliseconds UTC."""
    if isinstance(value, str) and (span := _SPAN.fullmatch(value)):
        return Moment(int(span["number"]) * _UNIT_MS[span["unit"]], relative=True)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LATEST_MS:
        return Moment(value)
    try:
        at = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        at = None
    if not isinstance(at, dt.datetime):
        raise ConfigError(f"{place}: {value!r} is neither +10m, nor an ISO time, nor milliseconds")
    aware = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return Moment(int(aware.timestamp() * 1000))


def window(value: Any, place: str) -> tuple[Moment | None, Moment | None]:
    """A stretch of market time, ``[from, until)``; one moment alone is the minute that begins then."""
    if not isinstance(value, (list, tuple)):
        first = moment(value, place)
        return first, Moment(first.ms + MINUTE_MS, first.relative)
    if len(value) != 2:
        raise ConfigError(f"{place}: wants one moment, or two (null for no bound)")
    low, high = (
        None if one is None else moment(one, f"{place}[{number}]") for number, one in enumerate(value)
    )
    if low and high and low.relative == high.relative and low.ms >= high.ms:
        raise ConfigError(f"{place}: {low.written()} is not before {high.written()}")
    return low, high


def plain(value: Any) -> str:
    """A value as the text that expressions are held against: booleans and null as in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
