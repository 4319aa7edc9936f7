"""When a daemon would have trained: fire times of its schedule, one run at a time, each taking its time.

Pure: the fire times come in as a function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.core.market import DAY_MS
from bot.errors import ConfigError

NextFire = Callable[[int], int | None]
"""The first fire time after a moment, ms UTC; None where there is none any more."""

_LOOKED_BACK_DAYS = (8, 32, 367, 1466)


@dataclass(frozen=True, slots=True)
class Retraining:
    """One run of ``bot retrain`` by the schedule.

    Attributes:
        fire_ms: The fire time that it serves, ms UTC.
        began_ms: When it begins: nothing at or after it is looked at.
        ready_ms: When its model is there, and its verdict.
    """

    fire_ms: int
    began_ms: int
    ready_ms: int


def retrainings(next_fire: NextFire, *, since_ms: int, until_ms: int, fit_ms: int) -> tuple[Retraining, ...]:
    """The runs that decide who serves in a period, oldest first: from the last one that begins by its start on.

    A fire time that comes while a run is at work is made up for when that one ends, and several such are one run, as
    the daemon has it.

    Args:
        next_fire: Of the schedule.
        since_ms: Start of the period.
        until_ms: End of it, not included.
        fit_ms: How long a run takes.

    Raises:
        ConfigError: The schedule names no time before the end.
    """
    found: list[Retraining] = []
    fire_ms = _last_fire(next_fire, since_ms)
    began_ms = fire_ms
    while fire_ms is not None and began_ms is not None and began_ms < until_ms:
        run = Retraining(fire_ms, began_ms, began_ms + fit_ms)
        found.append(run)
        fire_ms = next_fire(began_ms)
        began_ms = None if fire_ms is None else max(fire_ms, run.ready_ms)
    if not found:
        raise ConfigError(
            "the schedule names no time before the end of the candles: write a crontab line that "
            "comes within the period, such as --schedule '0 3 * * sun'"
        )
    # Runs that follow each other without a pause may leave several before the start: the newest one counts.
    early = [place for place, run in enumerate(found) if run.began_ms <= since_ms]
    return tuple(found[early[-1] :] if early else found)


def _last_fire(next_fire: NextFire, at_ms: int) -> int | None:
    """The last fire time up to a moment; where there is none, the first one after it."""
    for days in _LOOKED_BACK_DAYS:
        last, found = None, next_fire(at_ms - days * DAY_MS)
        while found is not None and found <= at_ms:
            last, found = found, next_fire(found)
        if last is not None:
            return last
    return next_fire(at_ms)
