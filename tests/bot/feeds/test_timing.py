"""Tests of a feed's waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.feeds.timing import FeedTiming


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_the_longest_and_are_spread(attempt: int, spread: float) -> None:
    """Every wait lies in the upper half of what doubling gives, and never over the longest."""
    timing = FeedTiming()
    wait = timing.wait_seconds(attempt, lambda: spread)
    longest = min(0.5 * 2.0 ** min(attempt - 1, 20), 30.0)
    assert longest / 2 <= wait <= longest


@given(st.floats(0.01, 100_000))
def test_a_faster_market_has_shorter_waits(speed: float) -> None:
    """The faster the market, the shorter every wait, and none is zero."""
    timing, faster = FeedTiming.at_speed(speed), FeedTiming.at_speed(speed * 2)
    assert 0 < faster.stall_seconds <= timing.stall_seconds or speed in {0.5, 1}
    assert 0 < faster.pace_seconds <= timing.pace_seconds or speed in {0.5, 1}
    assert timing.market_speed == speed
