"""The nightly replay beside trading: a process of its own decides the day before once more; trading never waits.

The process writes ``STATE_DIR/replays/DATE.json``; a day that has its file is done with. So a night that was missed is made up
for by the next start, and a day is never replayed twice.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bot.core.market import DAY_MS, MINUTE_MS
from bot.daemon.child import Ending, run_lowly
from bot.daemon.telling import Teller
from bot.journal.reader import JournalReader

COMMAND: Final = (sys.executable, "-P", "-m", "bot", "shadow-replay")
FOLDER: Final = "replays"
RULES_NOTE: Final = "service.rules"
DIFFERENCE_CODE: Final = 8
"""Exit code of a replay that found what nothing explains."""

MOST_DAYS: Final = 7
"""Days that are made up for at most."""

TRIES: Final = 4
"""How often a day is tried in one life of the daemon."""

FIRST_WAIT_MS: Final = 10 * MINUTE_MS
"""After a failure the next try is so much later; each further failure doubles it."""

HOUR_MS: Final = 60 * MINUTE_MS
LOOK_SECONDS: Final = 30.0
"""How often it is looked whether a day is due."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """How a day is replayed.

    Attributes:
        program: Absolute path and words; ``--date`` and ``--json`` are added.
        hour_utc: From which hour on the day before is due.
        timeout_seconds: A replay that takes longer is ended.
        folder: Where results lie.
        journal_path: Whose days.
        look_seconds: How often it is looked whether one is due.
    """

    program: tuple[str, ...]
    hour_utc: int
    timeout_seconds: float
    folder: Path
    journal_path: Path
    look_seconds: float = LOOK_SECONDS


class ReplayCalendar:
    """Which day is due; pure over what it is told.

    Args:
        hour_utc: From which hour on the day before is due.
        is_recorded: Whether something was decided on a day that can be replayed.
        is_done: Whether a day has its result.
    """

    def __init__(
        self, hour_utc: int, is_recorded: Callable[[int], bool], is_done: Callable[[int], bool]
    ) -> None:
        self._offset_ms = hour_utc * HOUR_MS
        self._is_recorded = is_recorded
        self._is_done = is_done
        self._failures: dict[int, int] = {}
        self._retry_ms: dict[int, int] = {}
        self._settled: set[int] = set()

    def due(self, now_ms: int) -> int | None:
        """The oldest day, counted from 1970, that is to be replayed now; None where none is."""
        # Before the hour of today it is the day before yesterday.
        last = (now_ms - self._offset_ms) // DAY_MS - 1
        for day in range(max(last - MOST_DAYS + 1, 0), last + 1):
            if day in self._settled or now_ms < self._retry_ms.get(day, 0):
                continue
            if self._is_done(day) or not self._is_recorded(day):
                self._settled.add(day)
                continue
            return day
        return None

    def succeeded(self, day: int) -> None:
        """It is done with."""
        self._settled.add(day)

    def failed(self, day: int, now_ms: int) -> int | None:
        """It was tried in vain; returns when it is tried again, None where it is not in this life of the daemon."""
        failures = self._failures[day] = self._failures.get(day, 0) + 1
        if failures >= TRIES:
            self._settled.add(day)
            return None
        self._retry_ms[day] = now_ms + FIRST_WAIT_MS * 2 ** (failures - 1)
        return self._retry_ms[day]


class ShadowReplayer:
    """Replays each day once it is over, and tells what came of it.

    Args:
        plan: How.
        teller: Log and journal.
        now_ms: The time that days are counted in.
    """

    def __init__(self, plan: ReplayPlan, teller: Teller, now_ms: Callable[[], int]) -> None:
        self._plan = plan
        self._teller = teller
        self._now_ms = now_ms
        self._first_ms = self._replayable_from()
        self.calendar = ReplayCalendar(plan.hour_utc, self._is_recorded, self._is_done)

    async def serve(self) -> None:
        """Replay what is due, until cancelled; a replay that is at work is then ended."""
        while True:
            # In a thread: a journal may be large, and its disk slow.
            day = await asyncio.to_thread(self.calendar.due, self._now_ms())
            if day is None:
                await asyncio.sleep(self._plan.look_seconds)
            else:
                await self.replay(day)

    async def replay(self, day: int) -> None:
        """Replay one day, counted from 1970."""
        date = date_of(day)
        began_ms = self._now_ms()
        program = (*self._plan.program, "--date", date, "--json")
        try:
            ending = await run_lowly(
                program,
                timeout_seconds=self._plan.timeout_seconds,
                complain=lambda line: self._teller.debug("replay.said", line=line),
            )
        except OSError as error:
            self._failed(day, f"it could not be started: {error.strerror or error}")
            return
        row = _result(ending)
        if row is None:
            self._failed(day, ending.fault or "it ended without saying what it found")
            return
        self.calendar.succeeded(day)
        told = _told(row, began_ms)
        if row["unexplained"]:
            self._teller.warn(
                "replay.diverged", **told, unexplained=row["unexplained"], first=row["first_unexplained"]
            )
        else:
            self._teller.tell("replay.finished", **told)

    def _failed(self, day: int, reason: str) -> None:
        retry_ms = self.calendar.failed(day, self._now_ms())
        self._teller.warn("replay.failed", date=date_of(day), reason=reason, retry_ms=retry_ms)

    def _is_done(self, day: int) -> bool:
        return (self._plan.folder / f"{date_of(day)}.json").exists()

    def _is_recorded(self, day: int) -> bool:
        """Whether the journal holds minutes of the day, and the rules by which all before them were decided."""
        if self._first_ms is None or day * DAY_MS < self._first_ms // DAY_MS * DAY_MS:
            return False
        reader = JournalReader(self._plan.journal_path)
        try:
            return next(reader.batches(day * DAY_MS + 1, (day + 1) * DAY_MS), None) is not None
        finally:
            reader.close()

    def _replayable_from(self) -> int | None:
        """From when on days can be replayed: rules are journaled since then, and a snapshot of each day."""
        reader = JournalReader(self._plan.journal_path)
        try:
            kept = reader.notes_in_order([RULES_NOTE])
            times = reader.batch_times()
        finally:
            reader.close()
        if not kept:
            return None
        decided_ms = int(kept[0]["batch_ms"]) + MINUTE_MS
        if times is None or times[0] >= decided_ms:
            return max(decided_ms, 0)
        # An older journal went on under these rules: its first whole day is the next one.
        return (decided_ms // DAY_MS + 1) * DAY_MS


def date_of(day: int) -> str:
    """A day counted from 1970 as it is written."""
    return f"{datetime.fromtimestamp(day * DAY_MS / 1000, UTC):%Y-%m-%d}"


def _result(ending: Ending) -> dict[str, Any] | None:
    """What a replay has said; None where it failed."""
    if ending.timed_out or ending.code not in {0, DIFFERENCE_CODE}:
        return None
    try:
        found = json.loads(ending.said)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "unexplained" in found else None


def _told(row: Mapping[str, Any], began_ms: int) -> dict[str, Any]:
    """Of a result what the log tells."""
    compared = row["compared"]
    return {
        "date": row["date"],
        "began_ms": began_ms,
        "minutes": row["minutes"],
        "decisions": compared.get("decision", 0),
        "orders": compared.get("fill", 0),
        "forecasts": row["forecasts_checked"],
        "explained": row["differences"] - row["unexplained"],
        "seconds": row["seconds"],
    }
