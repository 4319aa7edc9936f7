"""Who listens to the log: each line of level info and above is handed over, whether it is written or not.

What counts events (metrics) and what tells people (notifications) taps the log, since every event passes through it.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Protocol

import structlog

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""Levels of the log by name, as numbers that can be compared."""


class Tap(Protocol):
    """Takes lines of the log, in whatever thread writes them; must be quick, and keep a copy of what it keeps."""

    def __call__(self, event: str, level: str, fields: Mapping[str, Any]) -> None:
        """A line: the event's name, its level and all of its fields, secrets hidden."""


_taps: list[Tap] = []


def add(tap: Tap) -> None:
    """Hand over lines from the next one on; ``bot.logs.listen`` calls it."""
    _taps.append(tap)


def remove(tap: Tap) -> None:
    """Hand over no more; nothing happens where it was not there."""
    if tap in _taps:
        _taps.remove(tap)


def least_level(level: str) -> str:
    """The level from which lines must be made, where those from ``level`` on are written."""
    return "info" if _taps and LEVELS[level] > LEVELS["info"] else level


def processors(level: str) -> list[Any]:
    """What comes right before the renderer: hand over, then drop what is not to be written."""
    if not _taps:
        return []
    return [_hand_over] if least_level(level) == level else [_hand_over, _dropping_below(level)]


def _hand_over(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Call every tap; one that raises is taken off, and the log says so: a listener must not end who is listened to."""
    level = fields["level"]
    if level == "debug":
        return fields
    for tap in tuple(_taps):
        try:
            tap(fields["event"], level, fields)
        except Exception:
            remove(tap)
            logger: Any = structlog.get_logger(module=__name__)
            logger.exception("log.tap_failed", listener=getattr(tap, "__qualname__", type(tap).__qualname__))
    return fields


def _dropping_below(level: str) -> Any:
    least = LEVELS[level]

    def drop(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if LEVELS[fields["level"]] < least:
            raise structlog.DropEvent
        return fields

    return drop
