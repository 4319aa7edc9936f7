"""How much the log takes: a flood of the same is counted instead of written, and no line is longer than a bound.

Pure: times come in as arguments. ``bot.logs`` asks; who taps the log (``bot.log_taps``) hears every line all the same.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

ALWAYS_WRITTEN: Final = (
    "order.",
    "decision.",
    "risk.",
    "trade.",
    "position.",
    "target.",
    "account.",
    "reconciliation.",
    "service.",
    "control.commanded",
)
"""What happens to orders, money and state is never left out, whatever the settings say."""

MOST_KINDS: Final = 512
"""Kinds of lines that are counted at a time; beyond it the oldest is told and forgotten."""

MOST_LINE: Final = 32_768
"""Bytes of a line; systemd's journal would cut one of more than 48 KiB into several."""

_MOST_FIELDS: Final = 60
_MOST_NAME: Final = 60
_SHARES: Final = (2_000, 400, 50)
"""Characters that are left of a value, the first of these with which the line is short enough."""
_KEPT: Final = ("ts", "level", "event", "run_id", "mode", "module", "simulated", "unproven")
_LETTER_BYTES: Final = 12
"""At most so long is one character of a text in JSON: two escapes."""


class RepeatRule(NamedTuple):
    """When the same is too much.

    Attributes:
        most: Lines of the same event, symbol and level that are written in a stretch of time; 0 writes all.
        seconds: How long that is.
        exempt: Events, or beginnings of them, that are always written, beside ``ALWAYS_WRITTEN``.
    """

    most: int
    seconds: float
    exempt: tuple[str, ...] = ()


class Untold(NamedTuple):
    """Lines that were left out.

    Attributes:
        fields: Of the last of them.
        left_out: How many.
        since: When their stretch of time began, s since 1970.
    """

    fields: Mapping[str, Any]
    left_out: int
    since: float


@dataclass(slots=True)
class _Stretch:
    since: float
    seen: int = 0
    left_out: int = 0
    last: Mapping[str, Any] = field(default_factory=dict)


class Repeats:
    """Counts lines by event, symbol and level; safe to be asked from several threads.

    Args:
        rule: When the same is too much.
    """

    def __init__(self, rule: RepeatRule) -> None:
        self._rule = rule
        self._never = (*ALWAYS_WRITTEN, *rule.exempt)
        self._exempt: dict[str, bool] = {}
        self._stretches: dict[tuple[str, str, str], _Stretch] = {}
        self._due = math.inf
        self._lock = threading.Lock()

    def takes(self, fields: Mapping[str, Any], at: float) -> bool:
        """Whether a line is written; one that is not is counted.

        Args:
            fields: Of the line, with event and level.
            at: s since 1970.
        """
        event = str(fields["event"])
        exempt = self._exempt.get(event)
        if exempt is None:
            if len(self._exempt) > MOST_KINDS:
                self._exempt.clear()
            exempt = self._exempt[event] = self._rule.most == 0 or event.startswith(self._never)
        if exempt:
            return True
        key = (event, str(fields.get("symbol", "")), str(fields["level"]))
        with self._lock:
            return self._counted(key, fields, at)

    def _counted(self, key: tuple[str, str, str], fields: Mapping[str, Any], at: float) -> bool:
        stretch = self._stretches.get(key)
        if stretch is None:
            if len(self._stretches) >= MOST_KINDS:
                # The oldest is over at once, so that its count is told next.
                next(iter(self._stretches.values())).since = -math.inf
                self._due = -math.inf
            stretch = self._stretches[key] = _Stretch(at)
            self._due = min(self._due, at + self._rule.seconds)
        stretch.seen += 1
        if stretch.seen <= self._rule.most:
            return True
        stretch.left_out += 1
        stretch.last = fields
        return False

    def over(self, at: float) -> list[Untold]:
        """What was left out in stretches of time that are over by now; asked before each line, it is quick."""
        if at < self._due and not self._turned_back(at):
            return []
        with self._lock:
            ended = {key: one for key, one in self._stretches.items() if not self._lasts(one, at)}
            for key in ended:
                del self._stretches[key]
            self._due = (
                min((one.since for one in self._stretches.values()), default=math.inf) + self._rule.seconds
            )
        return [Untold(one.last, one.left_out, one.since) for one in ended.values() if one.left_out]

    def _lasts(self, stretch: _Stretch, at: float) -> bool:
        """A clock that was set back ends every stretch: it would last for hours."""
        return stretch.since <= at < stretch.since + self._rule.seconds

    def _turned_back(self, at: float) -> bool:
        return self._due < math.inf and at < self._due - 2 * self._rule.seconds

    def all(self) -> list[Untold]:
        """What was left out and not told yet; the counts begin anew."""
        return self.over(math.inf)


def told(untold: Untold, at: float) -> dict[str, Any]:
    """The one line that stands for those that were left out: the last of them, and how many in how long."""
    since = untold.since if math.isfinite(untold.since) else at
    return {
        **untold.fields,
        "ts": at,
        "repeated_count": untold.left_out,
        "repeated_seconds": round(max(0.0, at - since), 1),
    }


def shortened(fields: Mapping[str, Any], hide: Callable[[str], str]) -> dict[str, Any]:
    """The fields of a line that is too long, cut so that it is not: each cut value says how much is gone.

    A traceback keeps its end, where the error stands. A line of too many fields keeps the first.

    Args:
        fields: Of the line.
        hide: Takes secrets out of a text, before a cut could leave half of one.
    """
    kept = dict(list(fields.items())[:_MOST_FIELDS])
    gone = {"fields_left_out": len(fields) - len(kept)} if len(fields) > len(kept) else {}
    for share in _SHARES:
        found = {
            _cut(str(name), _MOST_NAME): _shorter(str(name), value, share, hide)
            for name, value in kept.items()
        }
        if _most_bytes(found) <= MOST_LINE:
            return {**found, **gone}
    short = {name: _shorter(name, fields[name], _SHARES[-1], hide) for name in _KEPT if name in fields}
    return {**short, "fields_left_out": len(fields) - len(short)}


def _shorter(name: str, value: Any, share: int, hide: Callable[[str], str]) -> Any:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    if isinstance(value, str):
        text = hide(value)
        return _tail(text, 4 * share) if name == "exception" else _cut(text, share)
    text = hide(json.dumps(value, default=str) if isinstance(value, (dict, list, tuple)) else str(value))
    return _cut(text, share)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"


def _tail(text: str, most: int) -> str:
    return text if len(text) <= most else f"({len(text) - most} more characters) …{text[-most:]}"


def _most_bytes(fields: Mapping[str, Any]) -> int:
    """As long as the line can be at most."""
    letters = sum(
        len(name) + (len(value) if isinstance(value, str) else 24) + 8 for name, value in fields.items()
    )
    if letters * _LETTER_BYTES <= MOST_LINE:
        return letters * _LETTER_BYTES
    return sum(
        _text_bytes(name) + (_text_bytes(value) if isinstance(value, str) else 24) + 4
        for name, value in fields.items()
    )


def _text_bytes(text: str) -> int:
    """In JSON at most; a DEL is escaped too, which JSON itself does not ask for."""
    return len(json.dumps(text)) + 5 * text.count("\x7f")
