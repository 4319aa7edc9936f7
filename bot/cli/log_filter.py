"""Which lines of a log are wanted: by event, symbol, decision, level and time; and how one is printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

from bot.errors import UsageError
from bot.log_lines import visible
from bot.log_taps import LEVELS

_PATTERN: Final = re.compile(r"[*?\[]")
_AGO: Final = re.compile(r"(\d{1,9})\s*(s|m|h|d)")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_ALWAYS_SHOWN: Final = frozenset({"ts", "level", "event", "run_id"})


@dataclass(slots=True)
class LineFilter:
    """What a line must be to be shown; it is asked line by line, in the order in which they were written.

    Attributes:
        events: Patterns of names (``order.*``), or beginnings of them; none takes every event.
        symbol: Only of this one.
        decision: Only lines of this decision, and of the orders that it made.
        level: Of this level and above.
        since_ms: From here on, UTC.
        until_ms: Before this.
    """

    events: tuple[str, ...] = ()
    symbol: str | None = None
    decision: str | None = None
    level: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    _orders: list[str] = field(default_factory=list)
    _last_ms: int | None = None

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a line is wanted."""
        return (
            self._in_time(row)
            and (self.decision is None or self._of_decision(row))
            and (not self.events or any(is_event(str(row.get("event", "")), one) for one in self.events))
            and (self.symbol is None or row.get("symbol") == self.symbol)
            and (self.level is None or LEVELS.get(str(row.get("level")), 0) >= LEVELS[self.level])
        )

    def _in_time(self, row: Mapping[str, Any]) -> bool:
        """A line without a time is of that of the line before it."""
        if self.since_ms is None and self.until_ms is None:
            return True
        self._last_ms = at_ms = line_ms(row.get("ts"), self._last_ms)
        if at_ms is None:
            return False
        return (self.since_ms is None or at_ms >= self.since_ms) and (
            self.until_ms is None or at_ms < self.until_ms
        )

    def _of_decision(self, row: Mapping[str, Any]) -> bool:
        """Lines that name the decision, and those of its orders: their ids, and of stop and target, begin alike."""
        if row.get("decision_id") == self.decision:
            orders = row.get("orders")
            if isinstance(orders, list):
                self._orders += [str(one)[:-1] for one in orders if len(str(one)) > 1]
            return True
        return bool(self._orders) and str(row.get("client_order_id", "")).startswith(tuple(self._orders))


def is_event(name: str, pattern: str) -> bool:
    """Whether an event is meant: by a pattern with ``*``, ``?`` or ``[…]``, else by the beginning of its name."""
    return fnmatchcase(name, pattern) if _PATTERN.search(pattern) else name.startswith(pattern)


def line_ms(ts: Any, otherwise: int | None = None) -> int | None:
    """The time of a line in ms UTC, or what is to be taken where it has none."""
    try:
        moment = datetime.fromisoformat(str(ts))
    except ValueError:
        return otherwise
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def chosen_level(text: str | None) -> str | None:
    """A level by name; UsageError for one that there is not."""
    if text is None or text in LEVELS:
        return text
    raise UsageError(f"--level {text}: there are {', '.join(LEVELS)}")


def moment_of(option: str, text: str | None, now_ms: int) -> int | None:
    """A time as ms UTC: ``10m`` (ago; s, m, h, d), a day, or a time as ISO 8601 writes it, UTC unless it says otherwise.

    Raises:
        UsageError: It can't be read.
    """
    if text is None:
        return None
    if (ago := _AGO.fullmatch(text.strip())) is not None:
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{option} {text}: write 10m, 2h or 1d for so long ago, 2024-01-31, or 2024-01-31T12:30"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def shown_line(row: Mapping[str, Any]) -> str:
    """A line for a terminal: what does not print is written as an escape, so that it can move no cursor and start no line."""
    rest = "  ".join(f"{key}={value}" for key, value in row.items() if key not in _ALWAYS_SHOWN)
    text = f"{row.get('ts', '')!s}  {row.get('level', '')!s:7}  {row.get('event', '')!s:20}  {rest}"
    return visible(text).rstrip()
