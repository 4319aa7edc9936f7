"""The daemon's side of a retrainer in a process of its own: takes over what that one wrote down, and knows what is due.

With ``retrain.by: service`` the daemon trains nothing. It reads the diary (``bot.daemon.retrain_diary``) and tells each event
once: in the log, so that people are notified and figures count, and in the journal. A challenger it finds by its file, as
ever. A retrainer that never comes is seen by what stays due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bot.daemon.retrain_diary import KINDS, RetrainDiary, identity
from bot.daemon.retrainer import PastEvents, RetrainPlan
from bot.daemon.schedule import RetrainCalendar, cron_trigger
from bot.daemon.telling import Teller

LOOK_SECONDS: Final = 10.0
HISTORY_NOTES: Final = 1_000

Mark = tuple[int, int] | None


class RetrainFollower:
    """Tells what another process's retrainings came to.

    Args:
        plan: When they are due.
        state_dir: Whose diary is read.
        past: What the journal says was told in earlier lives.
        teller: Log and journal.
        now_ms: The machine's time.
        look_seconds: How often the diary is looked at.

    Attributes:
        calendar: When the next one is due; in the past where one is.
        running: Whether one is at work, as far as the diary tells.
        by_alarm: True: nobody need poke it each minute.
    """

    by_alarm: Final = True

    def __init__(
        self,
        plan: RetrainPlan,
        state_dir: Path,
        past: PastEvents,
        teller: Teller,
        now_ms: Callable[[], int],
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._trigger = cron_trigger(plan.schedule, plan.zone)
        self._diary = RetrainDiary(state_dir)
        self._teller = teller
        self._look_seconds = look_seconds
        self._told = {
            identity({"kind": kind, **row}) for kind in KINDS for row in past.notes(kind, HISTORY_NOTES)
        }
        self._mark: Mark = None
        planned = next(iter(past.notes("retrain.planned", 1)), None)
        self._since_ms = now_ms() if planned is None else int(planned["since_ms"])
        if planned is None:
            teller.note("retrain.planned", since_ms=self._since_ms)
        self.running = False
        self.calendar = RetrainCalendar(self._trigger, self._since_ms)

    async def serve(self) -> None:
        """Look at the diary until cancelled.

        Raises:
            StorageError: The diary can't be read, or the journal can't be written.
        """
        while True:
            mark = _mark(self._diary.path)
            if mark != self._mark:
                self._mark = mark
                self.take_over(await asyncio.to_thread(self._diary.rows))
            await asyncio.sleep(self._look_seconds)

    def poke(self) -> None:
        """Nothing: the diary is looked at by itself."""

    def take_over(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell what was not told yet, and work out what is due.

        Args:
            rows: The whole diary, oldest first.
        """
        for row in rows:
            if row["kind"] in KINDS and identity(row) not in self._told:
                self._told.add(identity(row))
                self._tell(row)
        self.running = _is_running(rows)
        self.calendar = self._due(rows)

    def _tell(self, row: Mapping[str, Any]) -> None:
        kind = row["kind"]
        fields = {name: value for name, value in row.items() if name not in {"kind", "at_ms"}}
        if kind in {"retrain.failed", "retrain.missed"}:
            self._teller.warn(kind, **fields)
        else:
            self._teller.tell(kind, **fields)

    def _due(self, rows: Sequence[Mapping[str, Any]]) -> RetrainCalendar:
        """The calendar after the last success, and not before a retry that was announced."""
        planned = [int(row["since_ms"]) for row in rows if row["kind"] == "retrain.planned"]
        since_ms = planned[0] if planned else self._since_ms  # from when on the retrainer itself counts
        successes = [int(row["began_ms"]) for row in rows if row["kind"] == "retrain.finished"]
        calendar = RetrainCalendar(self._trigger, successes[-1] if successes else since_ms)
        ended = [row for row in rows if row["kind"] in {"retrain.finished", "retrain.failed"}]
        if ended and ended[-1]["kind"] == "retrain.failed":
            retry_ms = ended[-1].get("retry_ms")
            calendar.retry_ms = retry_ms if isinstance(retry_ms, int) else None
        return calendar


def _is_running(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last one that was started has not ended."""
    turns = [row["kind"] for row in rows if row["kind"] in KINDS and row["kind"] != "retrain.missed"]
    return bool(turns) and turns[-1] == "retrain.started"


def _mark(path: Path) -> Mark:
    """What changes with a file that grows; None where there is none."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_size, seen.st_ino
