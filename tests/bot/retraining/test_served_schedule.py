"""When a daemon would have trained: every fire time is served, one run at a time, and none before its time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import DAY_MS, MINUTE_MS
from bot.errors import ConfigError
from bot.retraining.served_schedule import retrainings

HOUR_MS = 60 * MINUTE_MS


def every(step_ms: int, offset_ms: int = 0):
    """A schedule that fires each so often."""
    return lambda at_ms: ((at_ms - offset_ms) // step_ms + 1) * step_ms + offset_ms


def test_the_run_before_the_period_serves_its_first_minute():
    """The last fire time up to the start is the first run, and each later one within the period follows."""
    since = 100 * DAY_MS + 5 * HOUR_MS
    runs = retrainings(every(7 * DAY_MS), since_ms=since, until_ms=since + 15 * DAY_MS, fit_ms=HOUR_MS)
    assert [run.fire_ms // DAY_MS for run in runs] == [98, 105, 112]
    assert all(run.began_ms == run.fire_ms and run.ready_ms == run.began_ms + HOUR_MS for run in runs)


def test_a_fire_time_at_the_start_itself_is_the_first_run():
    """Nothing earlier is needed where the period begins with a retraining."""
    runs = retrainings(every(DAY_MS), since_ms=50 * DAY_MS, until_ms=51 * DAY_MS + 1, fit_ms=HOUR_MS)
    assert [run.began_ms // DAY_MS for run in runs] == [50, 51]


def test_what_comes_while_a_run_is_at_work_is_made_up_for_once():
    """Fire times each hour and runs of 150 minutes: the next run begins when the last one ends, and serves them all."""
    fit = 150 * MINUTE_MS
    runs = retrainings(every(HOUR_MS), since_ms=10 * DAY_MS, until_ms=10 * DAY_MS + 8 * HOUR_MS, fit_ms=fit)
    inside = [run for run in runs if run.began_ms > 10 * DAY_MS]
    assert all(later.began_ms == earlier.ready_ms for earlier, later in zip(runs, inside, strict=False))
    assert all(
        later.fire_ms == earlier.began_ms // HOUR_MS * HOUR_MS + HOUR_MS
        for earlier, later in zip(runs, inside, strict=False)
    )


def test_a_schedule_that_never_fires_is_one_sentence():
    """A crontab line that names no day gives no run."""
    with pytest.raises(ConfigError, match="crontab"):
        retrainings(lambda _: None, since_ms=DAY_MS, until_ms=2 * DAY_MS, fit_ms=0)


def test_a_first_fire_time_within_the_period_is_waited_for():
    """Where the schedule begins late, the first run is its first fire time."""
    first = 10 * DAY_MS
    runs = retrainings(
        lambda at: first if at < first else None, since_ms=9 * DAY_MS, until_ms=20 * DAY_MS, fit_ms=0
    )
    assert [run.began_ms for run in runs] == [first]


@given(
    step=st.integers(1, 10 * 24),
    offset=st.integers(0, 240),
    fit=st.integers(0, 5 * 24 * 60),
    since=st.integers(40 * 24, 60 * 24),
    hours=st.integers(1, 30 * 24),
)
def test_no_run_is_early_and_none_overlaps(step, offset, fit, since, hours):
    """No run begins before its fire time or before the last one ended; every fire time of the period is served."""
    fires = every(step * HOUR_MS, offset * HOUR_MS)
    since_ms, until_ms, fit_ms = since * HOUR_MS, (since + hours) * HOUR_MS, fit * MINUTE_MS
    try:
        runs = retrainings(fires, since_ms=since_ms, until_ms=until_ms, fit_ms=fit_ms)
    except ConfigError:
        assert fires(0) >= until_ms
        return
    for run in runs:
        assert run.fire_ms <= run.began_ms < until_ms
    for earlier, later in itertools.pairwise(runs):
        assert later.began_ms >= earlier.ready_ms
        assert fires(earlier.began_ms) == later.fire_ms
    assert fires(runs[-1].began_ms) >= until_ms or runs[-1].ready_ms >= until_ms
