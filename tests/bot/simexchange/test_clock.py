"""Market time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.clock import MarketClock, Pace


def test_time_runs_at_its_speed_up_to_the_next_event() -> None:
    """At speed 60 half a second is half a market minute, and time never passes an event that is still to be sent."""
    clock = MarketClock(1_000, 60)
    clock.limit(61_000)
    clock.start(10.0)
    assert clock.now_ms(10.5) == 31_000
    assert clock.now_ms(99.0) == 61_000
    assert clock.seconds_until(61_000, 10.5) == pytest.approx(0.5)


def test_time_stands_while_stopped_and_goes_on_from_there() -> None:
    """What passes while the clock is stopped is not market time."""
    clock = MarketClock(0, 1)
    clock.limit(10**9)
    assert clock.now_ms(5.0) == 0
    clock.start(5.0)
    clock.stop(6.0)
    assert clock.standing
    assert clock.now_ms(100.0) == 1_000
    clock.start(100.0)
    clock.start(150.0)
    assert clock.now_ms(101.0) == 2_000


def test_a_market_that_fell_far_behind_goes_on_from_where_it_is() -> None:
    """After a long suspension events are not sent in one burst."""
    clock = MarketClock(0, 1)
    clock.limit(5_000)
    clock.start(0.0)
    clock.reach(5_000, 3_600.0)
    clock.limit(20_000)
    assert clock.now_ms(3_600.0) == 5_000
    assert clock.seconds_until(20_000, 3_600.0) == pytest.approx(15.0)


def test_paced_time_moves_by_events_only() -> None:
    """At speed 0 seconds mean nothing, and every event is due at once."""
    clock = MarketClock(0, 0)
    clock.start(0.0)
    assert clock.now_ms(1e6) == 0
    assert clock.seconds_until(60_000, 0.0) == 0
    clock.reach(60_000, 1.0)
    assert clock.now_ms(2.0) == 60_000


@given(st.lists(st.tuples(st.sampled_from(["start", "stop", "pass"]), st.floats(0, 100)), max_size=30))
def test_time_never_goes_back(steps: list[tuple[str, float]]) -> None:
    """Whatever is started and stopped, market time is monotone."""
    clock, at, seen = MarketClock(0, 7), 0.0, 0
    clock.limit(10**9)
    for action, seconds in steps:
        at += seconds
        if action == "start":
            clock.start(at)
        elif action == "stop":
            clock.stop(at)
        assert clock.now_ms(at) >= seen
        seen = clock.now_ms(at)


def test_pace_lets_one_event_pass_a_close() -> None:
    """After a close only the first event of the next minute goes out until the close is acknowledged."""
    pace = Pace(5_000, 0, 0)
    assert not pace.awaits(60_000)
    pace.close(60_000)
    assert not pace.awaits(65_000)
    assert pace.awaits(80_000)
    pace.acknowledge(59_999)
    assert pace.awaits(80_000)
    pace.acknowledge(60_000)
    assert not pace.awaits(120_000)
