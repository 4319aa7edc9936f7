"""What runs beside the loop: keeping step with a simulated exchange."""

from __future__ import annotations

import asyncio

from bot.core.market import MINUTE_MS
from bot.exchange_client import SimControl

WATCH_SECONDS = 0.25


class SimMinder:
    """Keeps step with a simulated exchange: acknowledges minutes to a paced one, notices the end of the tape.

    Args:
        control: Its command line.
        decided_ms: Open time of the last minute decided before this run.
        until_end: Whether the end of the tape ends the run.
    """

    def __init__(self, control: SimControl, decided_ms: int, *, until_end: bool) -> None:
        self._control = control
        self._closed_at_ms = decided_ms + MINUTE_MS
        self._until_end = until_end

    async def note(self, closed_at_ms: int) -> None:
        """A minute was decided."""
        self._closed_at_ms = closed_at_ms

    async def acknowledge(self, closed_at_ms: int) -> None:
        """A minute was decided: a paced exchange may go on."""
        self._closed_at_ms = closed_at_ms
        await self._control.acknowledge(closed_at_ms)

    async def watch(self, stop: asyncio.Event, *, paced: bool) -> None:
        """Acknowledge what was decided before this run, then stop the run once the tape's last minute is decided."""
        if paced:
            await self._control.acknowledge(self._closed_at_ms)
        while self._until_end and not stop.is_set():
            clock = await self._control.clock()
            if clock["ended"] and self._closed_at_ms >= clock["end_ms"]:
                stop.set()
                return
            await asyncio.sleep(WATCH_SECONDS)
        await stop.wait()
