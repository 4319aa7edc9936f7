"""When a model is trained anew: a crontab line in a time zone, what was missed caught up, what failed tried again.

``RetrainCalendar`` is pure over the time it is told, so it serves a market that runs at any speed. ``Alarm`` is
APScheduler's part: it wakes the daemon on the machine's own clock, candles or none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from bot.core.market import MINUTE_MS
from bot.errors import ConfigError

FIRST_WAIT_MS = 10 * MINUTE_MS
"""After a failed run the next one is tried so much later; each further failure doubles it."""

LONGEST_WAIT_MS = 6 * 60 * MINUTE_MS
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def cron_trigger(schedule: str, zone: tzinfo) -> CronTrigger:
    """The trigger of a crontab line; days of the week count as cron counts them, 0 and 7 being Sunday.

    Raises:
        ConfigError: It is no crontab line.
    """
    fields = schedule.split()
    try:
        if len(fields) == 5:
            # APScheduler 3 counts from Monday: its names mean the same to both.
            fields[4] = ",".join(_named_days(part) for part in fields[4].split(","))
        return CronTrigger.from_crontab(" ".join(fields), timezone=zone)
    except ValueError as error:
        raise ConfigError(
            f"retrain.schedule: {schedule!r} is no crontab line ({error}); write minute, hour, day, month "
            "and day of the week, such as 0 3 * * sun"
        ) from error


def _named_days(part: str) -> str:
    """A day or a range of days of the week, its numbers as names; ranges over the week's end are written out."""
    days, slash, step = part.partition("/")
    days = "0-6" if slash and days == "*" else days
    first, dash, last = days.partition("-")
    if not all(end.isdigit() for end in (first, *([last] if dash else []))):
        return part
    low, high = int(first), int(last) if dash else int(first)
    if not (0 <= low <= high <= 7) or (slash and not step.isdigit()):
        raise ValueError(f"{part} is no day of the week")
    high = max(high, 6) if slash and not dash else high
    return ",".join(_WEEKDAYS[day] for day in range(low, high + 1, int(step or 1)))


class RetrainCalendar:
    """Which run is due.

    Args:
        trigger: Gives fire times.
        covered_ms: Fire times up to this one are done with: when the last successful run began.
        failures: Runs that failed since.
    """

    def __init__(self, trigger: CronTrigger, covered_ms: int, failures: int = 0) -> None:
        self._trigger = trigger
        self._fire_ms = self._after(covered_ms)
        self.failures = failures
        self.retry_ms: int | None = None

    @property
    def next_ms(self) -> int | None:
        """When the next run begins; in the past where one is due. None where the line names no day that comes."""
        if self._fire_ms is None or self.retry_ms is None:
            return self._fire_ms
        return max(self._fire_ms, self.retry_ms)

    def due_ms(self, now_ms: int) -> int | None:
        """The fire time that a run would serve now; None when none is due. Those missed in a row are one."""
        if self.next_ms is None or now_ms < self.next_ms:
            return None
        return self._fire_ms

    def overlapped_ms(self, began_ms: int, now_ms: int) -> int | None:
        """The first fire time that came while a run was at work; None when none did."""
        fire_ms = self._after(began_ms)
        return fire_ms if fire_ms is not None and fire_ms <= now_ms else None

    def succeeded(self, began_ms: int) -> None:
        """A run that began then serves every fire time up to it."""
        self._fire_ms = self._after(began_ms)
        self.failures = 0
        self.retry_ms = None

    def failed(self, now_ms: int) -> int:
        """A run failed; returns when it is tried again."""
        wait_ms = min(FIRST_WAIT_MS * 2 ** min(self.failures, 16), LONGEST_WAIT_MS)
        self.failures += 1
        self.retry_ms = now_ms + wait_ms
        return self.retry_ms

    def _after(self, at_ms: int) -> int | None:
        """The first fire time after this one."""
        moment = datetime.fromtimestamp((at_ms + 1) / 1000, UTC)
        found = self._trigger.get_next_fire_time(None, moment)
        return None if found is None else int(found.timestamp() * 1000)


class Alarm:
    """Rings by the machine's clock at each fire time, and once more where it is told to.

    Args:
        trigger: Gives fire times.
        ring: What is done; while one is at it, no second one begins.
        overlapped: Told when a fire time came meanwhile.
    """

    def __init__(
        self, trigger: CronTrigger, ring: Callable[[], Awaitable[None]], overlapped: Callable[[], None]
    ) -> None:
        self._ring = ring
        self._scheduler = AsyncIOScheduler(
            timezone=trigger.timezone,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_job(ring, trigger, id="retrain")
        self._scheduler.add_listener(lambda _event: overlapped(), EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.start()

    def ring_at(self, at_ms: int) -> None:
        """Ring once more then; at once where that is past."""
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        job: dict[str, Any] = {"id": "again", "replace_existing": True}
        self._scheduler.add_job(self._ring, DateTrigger(moment), **job)

    def stop(self) -> None:
        """End; a ring that is at work is cancelled."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
