"""When the exchange sends something: pure functions from market time to the next event.

For a minute that opens at m and in which any symbol has a bar: an unfinished bar at m + each offset, the final
one at m + 60 s. Minutes without a bar send nothing, but for one beat after the last bar before a hole: its final
bar is sent once more with a later event time, at the first offset, so that a client whose deadlines run on
market time gets past the close.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from bot.simexchange.bars import MINUTE_MS
from bot.simexchange.source import BarSource


class EventKind(Enum):
    """What is sent."""

    PARTIAL = "partial"
    FINAL = "final"
    BEAT = "beat"


class Event(NamedTuple):
    """Something to send at a market time, about the bars that opened at ``minute_ms``."""

    at_ms: int
    minute_ms: int
    kind: EventKind


def next_event(source: BarSource, after_ms: int, offsets_ms: tuple[int, ...]) -> Event | None:
    """The first event later than ``after_ms``; None when the source has no more."""
    minute = after_ms - after_ms % MINUTE_MS
    if source.next_minute(minute) != minute:
        beat = minute + offsets_ms[0]
        if source.next_minute(minute - MINUTE_MS) == minute - MINUTE_MS and beat > after_ms:
            return Event(beat, minute - MINUTE_MS, EventKind.BEAT)
        following = source.next_minute(minute)
        if following is None:
            return None
        minute = following
    for offset in offsets_ms:
        if minute + offset > after_ms:
            return Event(minute + offset, minute, EventKind.PARTIAL)
    return Event(minute + MINUTE_MS, minute, EventKind.FINAL)
