"""Clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import FixedClock, MarketClock, SystemClock, monotonic_ns, utc_now, wall_ms
from bot.errors import EngineProtocolError
from bot.ports import Clock

HOUR_MS = 3_600_000


@pytest.mark.parametrize("clock", [SystemClock(), MarketClock(5), FixedClock(5)])
def test_every_clock_keeps_the_contract(clock: Clock):
    """now_ms and monotonic_ns are whole numbers, and the counter never goes back."""
    assert isinstance(clock.now_ms(), int)
    first, second = clock.monotonic_ns(), clock.monotonic_ns()
    assert isinstance(first, int)
    assert second >= first


def test_the_system_clock_is_utc_and_takes_an_offset():
    """The time lies between two readings of the system, moved by the offset."""
    before = wall_ms()
    seen = SystemClock(offset_ms=HOUR_MS).now_ms()
    after = wall_ms()
    assert before + HOUR_MS <= seen <= after + HOUR_MS
    assert abs(datetime.now(UTC).timestamp() * 1000 - wall_ms()) < HOUR_MS
    assert utc_now().tzinfo is UTC


def test_synchronizing_takes_half_the_round_trip_off():
    """A reply two seconds after its question is one second old; the clock then shows the exchange's time."""
    clock = SystemClock()
    before = wall_ms()
    offset = clock.synchronize(before + HOUR_MS, asked_at_ns=0, answered_at_ns=2_000_000_000)
    after = wall_ms()
    assert HOUR_MS + 1000 - (after - before) <= offset <= HOUR_MS + 1000
    assert offset == clock.offset_ms
    assert clock.now_ms() >= before + HOUR_MS + 1000


def test_a_reply_cannot_come_before_its_question():
    """Swapped counters are a bug of ours, and the offset stays."""
    clock = SystemClock(7)
    with pytest.raises(EngineProtocolError, match="before it was asked"):
        clock.synchronize(0, asked_at_ns=2, answered_at_ns=1)
    assert clock.offset_ms == 7


@given(st.integers(0, 2**50), st.lists(st.integers(0, 2**50)))
def test_the_market_clock_never_goes_back(start: int, times: list[int]):
    """After any messages it shows the latest time of all, and at no point less than before."""
    clock = MarketClock(start)
    for at_ms in times:
        before = clock.now_ms()
        clock.advance_to(at_ms)
        assert clock.now_ms() == max(before, at_ms)
    assert clock.now_ms() == max([start, *times])


def test_the_market_clocks_counter_is_real():
    """Durations are measured in real time, however fast the market runs."""
    clock = MarketClock()
    before = monotonic_ns()
    clock.advance_to(10**15)
    assert before <= clock.monotonic_ns() <= monotonic_ns()


def test_a_fixed_clock_moves_only_when_told():
    """It stands still; advance moves time and counter, set moves the time alone."""
    clock = FixedClock(1000, 5)
    assert (clock.now_ms(), clock.monotonic_ns()) == (1000, 5)
    clock.advance(2)
    assert (clock.now_ms(), clock.monotonic_ns()) == (1002, 2_000_005)
    clock.set(10)
    assert (clock.now_ms(), clock.monotonic_ns()) == (10, 2_000_005)
    with pytest.raises(EngineProtocolError, match="backwards"):
        clock.advance(-1)
    assert clock.now_ms() == 10
