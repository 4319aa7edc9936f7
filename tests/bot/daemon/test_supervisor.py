"""Keeping step with a simulated exchange."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.core.market import MINUTE_MS
from bot.daemon.supervisor import SimMinder
from tests.core_builders import at


class Control:
    """The command line of an exchange whose tape ends at minute 3."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.ended = False

    async def acknowledge(self, closed_at_ms: int) -> dict[str, Any]:
        self.acknowledged.append(closed_at_ms)
        return {}

    async def clock(self) -> dict[str, Any]:
        return {"ended": self.ended, "end_ms": at(3)}


async def test_what_was_decided_before_the_start_is_acknowledged_again() -> None:
    """A paced exchange may still wait for the minute that the last life decided before it was killed."""
    control, stop = Control(), asyncio.Event()
    stop.set()
    minder = SimMinder(control, at(0), until_end=True)  # type: ignore[arg-type]
    await minder.watch(stop, paced=True)
    assert control.acknowledged == [at(0) + MINUTE_MS]


async def test_the_end_of_the_tape_stops_the_run_once_its_last_minute_is_decided() -> None:
    """Not when the tape ends, and not when the last minute is decided of a tape that goes on, but with both."""
    control, stop = Control(), asyncio.Event()
    minder = SimMinder(control, at(1), until_end=True)  # type: ignore[arg-type]
    watching = asyncio.create_task(minder.watch(stop, paced=False))
    control.ended = True
    await asyncio.sleep(0.4)
    assert not stop.is_set()
    await minder.note(at(3))
    async with asyncio.timeout(5):
        await stop.wait()
    await watching
