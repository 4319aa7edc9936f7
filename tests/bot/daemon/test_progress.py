"""Health is progress."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.clock import FixedClock
from bot.daemon.progress import Health, Progress


@given(st.floats(0, 1e6), st.floats(61, 86_400), st.booleans())
def test_healthy_is_ready_and_not_stalled(since: float, expected: float, ready: bool) -> None:
    """Nothing else decides it, and the JSON says the same."""
    health = Health(ready, "halted", since, expected)
    assert health.stalled == (since >= expected)
    assert health.healthy == (ready and not health.stalled)
    assert health.as_json()["healthy"] == health.healthy


def test_a_daemon_that_decides_is_healthy_and_one_that_does_not_is_not() -> None:
    """Time is counted from the start, from being ready, and from each minute; the market's own time plays no part."""
    clock = FixedClock()
    progress = Progress(clock.monotonic_ns, 180.0)
    assert progress.health("trading").state == "starting"
    assert not progress.health("trading").healthy
    clock.advance(100_000)
    progress.begin()
    assert progress.health("warming_up") == Health(True, "warming_up", 0.0, 180.0)
    clock.advance(179_000)
    assert progress.health("halted").healthy
    clock.set(10**15)
    assert progress.health("halted").healthy
    clock.advance(1_000)
    assert progress.health("halted").stalled
    progress.decided()
    assert progress.health("halted").healthy
