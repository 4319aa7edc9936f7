"""What runs beside the loop: keeping step with a simulated exchange; and how all of it ends together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from bot.core.market import MINUTE_MS
from bot.daemon.loop import TradingLoop
from bot.errors import BotError
from bot.exchange_client import SimControl, mapped
from bot.ports import Feed

T = TypeVar("T")

WATCH_SECONDS = 0.25


class SimMinder:
    """Keeps step with a simulated exchange: acknowledges minutes to a paced one, notices the end of the tape.

    Args:
        control: Its command line.
        decided_ms: Open time of the last minute decided before this run.
        until_end: Whether the end of the tape ends the run.
        settled: Waits until no order is in flight; the market goes on only then.
    """

    def __init__(
        self,
        control: SimControl,
        decided_ms: int,
        *,
        until_end: bool,
        settled: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._settled = settled
        self._control = control
        self._closed_at_ms = decided_ms + MINUTE_MS
        self._until_end = until_end

    async def note(self, closed_at_ms: int) -> None:
        """A minute was decided."""
        self._closed_at_ms = closed_at_ms

    async def acknowledge(self, closed_at_ms: int) -> None:
        """A minute was decided: a paced exchange may go on."""
        self._closed_at_ms = closed_at_ms
        if self._settled is not None:
            await self._settled()
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


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns; None, with the work cancelled, when the run is told to stop first."""
    working = asyncio.create_task(work, name="start")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def drive(
    loop: TradingLoop, feed: Feed, stop: asyncio.Event, beside: Sequence[Coroutine[Any, Any, None]]
) -> None:
    """Run the loop and what is beside it; the first that ends ends all, and what it raised is raised here.

    Args:
        loop: Finishes the minute at hand when it is told to stop.
        feed: Whose events it takes.
        stop: Ends the run.
        beside: Cancelled at the end.
    """
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(loop.run(feed.events(), stop), name="loop")]
    tasks += [asyncio.create_task(work, name="beside") for work in beside]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            await tasks[0]  # the batch at hand is finished
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result if isinstance(result, BotError) else mapped(result) from result
