"""The beat beside the loop."""

from __future__ import annotations

import asyncio
import time

from bot.clock import FixedClock, monotonic_ns
from bot.daemon.progress import Progress
from bot.daemon.pulse import Pulse
from tests.daemon_harness import Silent


def test_a_stall_is_told_once_and_so_is_its_end() -> None:
    """However long it lasts; the end says how long it was."""
    clock, log = FixedClock(), Silent()
    progress = Progress(clock.monotonic_ns, 180.0)
    pulse = Pulse(progress, log, clock.monotonic_ns, every_seconds=1, stalled_seconds=300, on_lag=None)
    for _ in range(10):
        clock.advance(60_000)
        pulse.look()
    assert log.lines == [("service.stalled", {"seconds": 300})]
    progress.decided()
    pulse.look()
    pulse.look()
    assert log.lines[1:] == [("service.going_again", {"stalled_seconds": 600})]


def test_the_watchdog_hears_once_of_each_time_that_the_bot_is_blind() -> None:
    """However long it lasts; a minute that comes ends it, and the next time is another one. Without a limit it never hears."""
    for limit, heard in ((600.0, [600.0, 600.0]), (None, [])):
        clock, blind = FixedClock(), list[float]()
        progress = Progress(clock.monotonic_ns, 180.0)
        pulse = Pulse(
            progress,
            Silent(),
            clock.monotonic_ns,
            every_seconds=1,
            stalled_seconds=300,
            on_lag=None,
            blind_seconds=limit,
            on_blind=blind.append,
        )
        for _ in range(2):
            for _ in range(20):
                clock.advance(60_000)
                pulse.look()
            progress.decided()
            pulse.look()
        assert blind == heard


async def test_a_loop_that_is_held_up_is_seen() -> None:
    """Whoever blocks the event loop shows in the lag of the beat that it delays."""
    lags: list[float] = []
    pulse = Pulse(
        Progress(monotonic_ns, 180.0),
        Silent(),
        monotonic_ns,
        every_seconds=0.01,
        stalled_seconds=300,
        on_lag=lags.append,
    )
    beating = asyncio.create_task(pulse.beat())
    while len(lags) < 2:
        await asyncio.sleep(0.01)
    time.sleep(0.2)  # noqa: ASYNC251 - that is the point
    seen = len(lags)
    while len(lags) == seen:
        await asyncio.sleep(0.01)
    beating.cancel()
    assert max(lags[seen:]) > 0.1
    assert min(lags) >= 0.0
