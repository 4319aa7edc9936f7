"""Tests of the queue between a feed and its consumer."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import TransientError
from bot.feeds.event_queue import EventQueue
from bot.ports import FeedNotice, MarketTime


async def test_times_that_nobody_took_are_merged_and_order_is_kept() -> None:
    """Of times in a row only the newest is left; what lies between them stays between them."""
    queue = EventQueue()
    notice = FeedNotice("feed.stalled")
    for put in (MarketTime(1), MarketTime(2), notice, MarketTime(3), MarketTime(4)):
        queue.put(put)
    queue.close()
    taken = []
    while (event := await queue.get()) is not None:
        taken.append(event)
    assert taken == [MarketTime(2), notice, MarketTime(4)]


async def test_a_mark_is_reached_when_what_came_before_it_was_taken() -> None:
    """A mark's call is made on the next request, not when the event before it is handed out."""
    queue = EventQueue()
    reached: list[str] = []
    queue.put(MarketTime(1))
    queue.mark(lambda: reached.append("mark"))
    await queue.get()
    assert reached == []
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert reached == ["mark"]
    queue.put(MarketTime(2))
    assert await waiting == MarketTime(2)


async def test_a_failure_is_raised_after_what_came_before_it_and_stays() -> None:
    """The consumer gets what is queued, then the first error, each time it asks."""
    queue = EventQueue()
    queue.put(MarketTime(1))
    queue.fail(TransientError("first"))
    queue.fail(TransientError("second"))
    assert await queue.get() == MarketTime(1)
    for _ in range(2):
        with pytest.raises(TransientError, match="first"):
            await queue.get()
