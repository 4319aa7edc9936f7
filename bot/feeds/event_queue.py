"""What a feed has seen and its consumer has not yet taken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bot.ports import FeedEvent, MarketTime


@dataclass(frozen=True, slots=True)
class _Mark:
    """A place in the queue; its call is made when the consumer has taken everything before it."""

    reached: Callable[[], None]


class EventQueue:
    """A queue for one consumer that is filled without waiting.

    Times that nobody has taken yet are merged, so it grows with candles only.
    """

    def __init__(self) -> None:
        self._items: deque[FeedEvent | _Mark] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._closed = False

    def put(self, event: FeedEvent) -> None:
        """Add an event."""
        items = self._items
        if type(event) is MarketTime and items and type(items[-1]) is MarketTime:
            items[-1] = event
        else:
            items.append(event)
        self._wake()

    def mark(self, reached: Callable[[], None]) -> None:
        """Call ``reached`` when the consumer asks for what comes after all that is in the queue now."""
        self._items.append(_Mark(reached))
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Raise this to the consumer, after what is in the queue; the first error counts."""
        if self._error is None:
            self._error = error
        self._wake()

    def close(self) -> None:
        """End the queue after what is in it."""
        self._closed = True
        self._wake()

    async def get(self) -> FeedEvent | None:
        """The next event, None at the end; raises what ``fail`` was given."""
        while True:
            while self._items:
                item = self._items.popleft()
                if not isinstance(item, _Mark):
                    return item
                item.reached()
            if self._error is not None:
                raise self._error
            if self._closed:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
