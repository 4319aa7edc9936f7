"""When a model is trained anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import wall_ms
from bot.core.market import MINUTE_MS
from bot.daemon.schedule import FIRST_WAIT_MS, LONGEST_WAIT_MS, Alarm, RetrainCalendar, cron_trigger
from bot.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_MS = 60 * MINUTE_MS


def ms(text: str) -> int:
    """A time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 3 * * sun", "2024-01-07T02:00"),
        ("0 3 * * 0", "2024-01-07T02:00"),
        ("0 3 * * 7", "2024-01-07T02:00"),
        ("0 3 * * 1", "2024-01-08T02:00"),
        ("0 3 * * 5-7", "2024-01-05T02:00"),
        ("0 3 * * */3", "2024-01-03T02:00"),
        ("*/30 * * * *", "2024-01-02T12:30"),
    ],
)
def test_a_crontab_line_means_what_cron_means(schedule: str, expected: str) -> None:
    """Days of the week count from Sunday, 0 or 7, in the zone that was given."""
    calendar = RetrainCalendar(cron_trigger(schedule, BERLIN), ms("2024-01-02T12:00"))
    assert calendar.next_ms == ms(expected)


@pytest.mark.parametrize("schedule", ["weekly", "0 3 * *", "0 25 * * *", "0 3 * * 8", "0 3 * * 1/x"])
def test_another_line_is_refused(schedule: str) -> None:
    """The sentence names the setting and shows how to write it."""
    with pytest.raises(ConfigError, match=r"retrain\.schedule: .*0 3 \* \* sun"):
        cron_trigger(schedule, UTC)


def test_what_was_missed_is_one_run() -> None:
    """After five weeks one run is due, for the first of them, and a success covers them all."""
    calendar = RetrainCalendar(cron_trigger("0 3 * * sun", UTC), ms("2024-01-01T00:00"))
    assert calendar.due_ms(ms("2024-01-07T02:59")) is None
    now_ms = ms("2024-02-08T12:00")
    assert calendar.due_ms(now_ms) == ms("2024-01-07T03:00")
    calendar.succeeded(now_ms)
    assert calendar.due_ms(now_ms) is None
    assert calendar.next_ms == ms("2024-02-11T03:00")


def test_a_fire_time_in_a_run_is_found() -> None:
    """Only one after the run's begin and not after now overlaps it, and it is due once the run has succeeded."""
    calendar = RetrainCalendar(cron_trigger("0 * * * *", UTC), 0)
    assert calendar.overlapped_ms(HOUR_MS, 2 * HOUR_MS - 1) is None
    assert calendar.overlapped_ms(HOUR_MS, 2 * HOUR_MS) == 2 * HOUR_MS
    calendar.succeeded(HOUR_MS)
    assert calendar.due_ms(2 * HOUR_MS) == 2 * HOUR_MS


@given(failures=st.integers(0, 40))
def test_failures_are_tried_again_ever_later(failures: int) -> None:
    """The wait doubles from ten minutes up to six hours, and nothing is due before its end."""
    calendar = RetrainCalendar(cron_trigger("0 * * * *", UTC), 0, failures)
    now_ms = 5 * HOUR_MS
    retry_ms = calendar.failed(now_ms)
    assert retry_ms - now_ms == min(FIRST_WAIT_MS * 2**failures, LONGEST_WAIT_MS)
    assert calendar.due_ms(retry_ms - 1) is None
    assert calendar.due_ms(retry_ms) == HOUR_MS
    assert calendar.next_ms == retry_ms


def test_a_line_that_never_comes_is_never_due() -> None:
    """The thirtieth of February is no error, and no run."""
    calendar = RetrainCalendar(cron_trigger("0 3 30 2 *", UTC), 0)
    assert calendar.next_ms is None
    assert calendar.due_ms(wall_ms()) is None


async def test_the_alarm_rings_when_told_and_is_silent_after_its_stop() -> None:
    """A time in the past rings at once; what was set when it stopped never rings."""
    rung = asyncio.Event()

    async def ring() -> None:
        rung.set()

    alarm = Alarm(cron_trigger("0 3 * * sun", UTC), ring, lambda: None)
    alarm.start()
    alarm.ring_at(wall_ms() - 1000)
    await asyncio.wait_for(rung.wait(), 20)
    rung.clear()
    alarm.ring_at(wall_ms() + 200)
    alarm.stop()
    await asyncio.sleep(0.4)
    assert not rung.is_set()
