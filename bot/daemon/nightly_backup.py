"""A backup each night beside trading: a process of its own makes it, low in priority; trading never waits.

What was made is in the journal (``backup.finished``), so that a restart makes no second one of the day, and a night that was
missed is made up for at the next start. Days are those of this machine's clock, UTC.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.core.market import DAY_MS, MINUTE_MS
from bot.daemon.child import Ending, run_lowly
from bot.daemon.telling import Teller
from bot.journal.reader import JournalReader

COMMAND: Final = (sys.executable, "-P", "-m", "bot", "backup")
HOUR_MS: Final = 60 * MINUTE_MS
FIRST_WAIT_MS: Final = 10 * MINUTE_MS
"""After a failure the next try is so much later; each further failure doubles it."""

LONGEST_WAIT_MS: Final = 4 * HOUR_MS
LOOK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """How a backup is made.

    Attributes:
        program: Absolute path and words.
        hour_utc: From which hour on the day's backup is due.
        timeout_seconds: One that takes longer is ended.
        look_seconds: How often it is looked whether one is due.
    """

    program: tuple[str, ...]
    hour_utc: int
    timeout_seconds: float
    look_seconds: float = LOOK_SECONDS


class BackupCalendar:
    """Whether a backup is due; pure over the time that it is told.

    Args:
        hour_utc: From which hour on the day's backup is due.
        made_ms: When the last one was begun; None before the first.
    """

    def __init__(self, hour_utc: int, made_ms: int | None) -> None:
        self._offset_ms = hour_utc * HOUR_MS
        self._made_day = -1 if made_ms is None else self._day(made_ms)
        self._failures = 0
        self._retry_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether one is to be made now."""
        return self._day(now_ms) > self._made_day and now_ms >= self._retry_ms

    def succeeded(self, began_ms: int) -> None:
        """The day that it was begun on is done with."""
        self._made_day = max(self._made_day, self._day(began_ms))
        self._failures, self._retry_ms = 0, 0

    def failed(self, now_ms: int) -> int:
        """It came to nothing; returns when it is tried again."""
        self._retry_ms = now_ms + min(FIRST_WAIT_MS * 2 ** min(self._failures, 16), LONGEST_WAIT_MS)
        self._failures += 1
        return self._retry_ms

    def _day(self, at_ms: int) -> int:
        """Before the hour of today it is still the day before."""
        return (at_ms - self._offset_ms) // DAY_MS


class NightlyBackup:
    """Makes a backup of each day, and tells what came of it.

    Args:
        plan: How.
        journal_path: Where it is kept when the last one was made.
        teller: Log and journal.
        now_ms: This machine's time.
    """

    def __init__(
        self, plan: BackupPlan, journal_path: Path, teller: Teller, now_ms: Callable[[], int]
    ) -> None:
        self._plan = plan
        self._teller = teller
        self._now_ms = now_ms
        past = JournalReader(journal_path)
        try:
            last = past.newest_note(("backup.finished",))
        finally:
            past.close()
        self.calendar = BackupCalendar(plan.hour_utc, None if last is None else int(last["began_ms"]))

    async def serve(self) -> None:
        """Make what is due, until cancelled; a backup that is being made is then given up, and leaves nothing behind."""
        while True:
            if self.calendar.is_due(self._now_ms()):
                await self.make()
            else:
                await asyncio.sleep(self._plan.look_seconds)

    async def make(self) -> None:
        """Make one now."""
        began_ms = self._now_ms()
        try:
            ending = await run_lowly(
                self._plan.program,
                timeout_seconds=self._plan.timeout_seconds,
                complain=lambda line: self._teller.debug("backup.said", line=line),
            )
        except OSError as error:
            self._failed(f"it could not be started: {error.strerror or error}")
            return
        row = _result(ending)
        if row is None:
            self._failed(ending.fault or "it ended without saying what it made")
            return
        self.calendar.succeeded(began_ms)
        self._teller.tell(
            "backup.finished",
            began_ms=began_ms,
            path=row["path"],
            bytes=row["bytes"],
            files=row["files"],
            seconds=row["seconds"],
        )

    def _failed(self, reason: str) -> None:
        self._teller.warn("backup.failed", reason=reason, retry_ms=self.calendar.failed(self._now_ms()))


def _result(ending: Ending) -> dict[str, Any] | None:
    """What the command has said; None where it failed."""
    if ending.timed_out or ending.code != 0:
        return None
    try:
        found = json.loads(ending.said)
    except ValueError:
        return None
    wanted = {"path", "bytes", "files", "seconds"}
    return found if isinstance(found, dict) and wanted <= found.keys() else None
