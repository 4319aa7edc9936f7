"""Patience of a gateway."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.brokers.gateway_timing import GatewayTiming


def test_a_dead_line_is_noticed_within_twenty_seconds() -> None:
    """A line is given up by ccxt at the latest four pings after its last pong."""
    assert 4 * GatewayTiming().keep_alive_ms <= 20_000
    assert GatewayTiming().steady_clock
    assert not GatewayTiming.at_speed(60).steady_clock


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.sampled_from([0.0, 1.0, 60.0, 3600.0]))
def test_waits_grow_and_stay_bounded(attempt: int, luck: float, speed: float) -> None:
    """A wait is never longer than the longest, never nothing, and doubles until there."""
    timing = GatewayTiming.at_speed(speed)
    wait = timing.wait_seconds(attempt, lambda: luck)
    assert 0 < wait <= timing.pace_most_seconds
    assert timing.wait_seconds(attempt + 1, lambda: luck) >= wait
