"""Fetching what the stream did not bring: one request at a time for a symbol, a few symbols at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bot.core.closer import BackfillNeeded, Closed, CloserEvent
from bot.core.market import MINUTE_MS, Symbol
from bot.errors import DataError, TransientError
from bot.feeds.event_queue import EventQueue
from bot.feeds.rest import Page, RestReader
from bot.feeds.timing import FeedTiming
from bot.feeds.tracks import SymbolTrack
from bot.ports import FeedNotice

AT_ONCE = 8
"""Symbols that are fetched at the same time."""


@dataclass(slots=True)
class _Request:
    """What is being fetched for one symbol; ``until_ms`` may grow meanwhile."""

    track: SymbolTrack
    until_ms: int
    told_of: bool
    delivered: int = 0


class Backfills:
    """Answers closers' requests from REST.

    Args:
        rest: Where from.
        queue: For notices; and a symbol counts as catching up until the consumer took what was fetched.
        take: Delivers a closer's events.
        monotonic_ns: The local counter.
        timing: Waits and attempts.
        random: In [0, 1).
    """

    def __init__(
        self,
        rest: RestReader,
        queue: EventQueue,
        *,
        take: Callable[[SymbolTrack, Sequence[CloserEvent]], None],
        monotonic_ns: Callable[[], int],
        timing: FeedTiming,
        random: Callable[[], float],
    ) -> None:
        self._rest = rest
        self._queue = queue
        self._take = take
        self._monotonic_ns = monotonic_ns
        self._timing = timing
        self._random = random
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._requests: dict[Symbol, _Request] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._catching_up: Counter[Symbol] = Counter()

    @property
    def catching_up(self) -> AbstractSet[Symbol]:
        """Symbols with a request, or with fetched candles that the consumer has not taken yet."""
        return self._catching_up.keys()

    def runs_for(self, symbol: Symbol) -> bool:
        """Whether a request of the symbol is under way."""
        return symbol in self._requests

    def ask(self, track: SymbolTrack, until_ms: int, *, tell: bool) -> None:
        """Fetch what is unknown of a symbol before ``until_ms``; ``tell`` says so in notices."""
        request = self._requests.get(track.symbol)
        if request is not None:
            request.until_ms = max(request.until_ms, until_ms)
            return
        request = self._requests[track.symbol] = _Request(track, until_ms, tell)
        self._catching_up[track.symbol] += 1
        since_ms = track.unknown_ms or until_ms
        minutes = (until_ms - since_ms) // MINUTE_MS
        if tell and minutes > 0:
            self._notice("candle.gap_found", track, since_ms=since_ms, until_ms=until_ms, minutes=minutes)
        task = asyncio.get_running_loop().create_task(self._run(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End every request."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, request: _Request) -> None:
        track = request.track
        try:
            await self._fetch_all(request)
        except Exception as error:  # noqa: BLE001 - it is raised to the consumer of the feed
            self._queue.fail(error)
        finally:
            del self._requests[track.symbol]
            self._queue.mark(lambda: self._caught_up(track.symbol))
        if request.told_of and request.delivered:
            self._notice("candle.gap_filled", track, candles=request.delivered, until_ms=request.until_ms)

    async def _fetch_all(self, request: _Request) -> None:
        """Fetch page after page; a page that tells nothing new, or fails, is tried again, and not for ever."""
        track, attempt = request.track, 0
        cause = "the exchange has not told these minutes yet"
        while (track.unknown_ms or 0) < request.until_ms:
            if attempt >= self._timing.attempts:
                track.retry_at_ns = self._monotonic_ns() + int(self._timing.pace_most_seconds * 1e9)
                self._notice("feed.backfill_failed", track, until_ms=request.until_ms, cause=cause)
                return
            if attempt:
                await asyncio.sleep(self._timing.wait_seconds(attempt, self._random))
            try:
                advanced = await self._fetch_page(request, strict=attempt < self._timing.attempts // 2)
            except (TransientError, DataError) as error:
                attempt, cause = attempt + 1, str(error)
            else:
                attempt = 0 if advanced else attempt + 1

    async def _fetch_page(self, request: _Request, *, strict: bool) -> bool:
        """Fetch and hand over one page; whether it told anything new."""
        track = request.track
        async with self._gate:
            since_ms = track.unknown_ms or request.until_ms - MINUTE_MS
            if since_ms >= request.until_ms:  # the stream has told it while this one waited
                return True
            page = await self._rest.page(track.symbol, since_ms, request.until_ms, strict=strict)
        if page.told_until_ms <= since_ms:
            return False
        self._hand_over(request, page)
        return True

    def _hand_over(self, request: _Request, page: Page) -> None:
        track = request.track
        for sentence in page.refused:
            self._notice("candle.refused", track, reason=sentence)
        track.told_ms = max(track.told_ms, page.told_until_ms)
        events = track.closer.on_history(page.candles, page.told_until_ms)
        for event in events:
            if isinstance(event, BackfillNeeded):
                request.until_ms = max(request.until_ms, event.until_ms)
        request.delivered += sum(isinstance(event, Closed) for event in events)
        self._take(track, [event for event in events if not isinstance(event, BackfillNeeded)])

    def _caught_up(self, symbol: Symbol) -> None:
        self._catching_up[symbol] -= 1
        if self._catching_up[symbol] <= 0:
            del self._catching_up[symbol]

    def _notice(self, event: str, track: SymbolTrack, **fields: object) -> None:
        self._queue.put(FeedNotice(event, {"symbol": track.symbol, **fields}))
