"""A daemon that decides no minute, and is ended and started again, is still blind: its journal says since when.

Without this a service manager that restarts it every ten minutes would keep ``watchdog.minutes`` from ever being reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from bot.journal.reader import JournalReader

STALLED: Final = "service.stalled"
GOING_AGAIN: Final = "service.going_again"
STOPPED: Final = "service.stopped"
"""Who stops it in order has looked at it."""

Note = Callable[[str, int, Mapping[str, Any]], None]
"""Keeps an event in the journal: its kind, this machine's time in ms, its fields."""


def blind_before_seconds(past: JournalReader, now_ms: int) -> float:
    """How long earlier lives have been blind without a break, seconds; 0 where the last one saw, or was stopped in order.

    Args:
        past: The journal, before this life writes into it.
        now_ms: This machine's time.
    """
    last = past.newest_note((STALLED, GOING_AGAIN, STOPPED))
    if last is None or last["kind"] != STALLED:
        return 0.0
    return float(max(now_ms - int(last["since_ms"]), 0)) / 1000


class BlindnessNotes:
    """Keeps in the journal since when no minute was decided.

    Args:
        note: Writes into the journal.
        wall_ms: This machine's time.
        before_seconds: How long earlier lives have been blind, without a break.
    """

    def __init__(self, note: Note, wall_ms: Callable[[], int], before_seconds: float) -> None:
        self._note = note
        self._wall_ms = wall_ms
        self._noted = before_seconds > 0

    def standing(self, seconds: float) -> None:
        """No minute was decided for so long; where an earlier life has noted that already, its word stays."""
        if not self._noted:
            now_ms = self._wall_ms()
            self._noted = True
            self._note(STALLED, now_ms, {"seconds": round(seconds), "since_ms": now_ms - int(seconds * 1000)})

    def decided(self) -> None:
        """A minute was decided."""
        if self._noted:
            self._noted = False
            self._note(GOING_AGAIN, self._wall_ms(), {})
