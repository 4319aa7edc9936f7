"""What is missing of a symbol is fetched, and nothing that came by the stream meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.core.closer import CloserEvent
from bot.core.market import MINUTE_MS, Symbol
from bot.errors import TransientError
from bot.feeds.backfill import Backfills
from bot.feeds.event_queue import EventQueue
from bot.feeds.rest import Page
from bot.feeds.timing import FeedTiming
from bot.feeds.tracks import SymbolTrack
from tests.core_builders import at

SYMBOL = "BTC/USDT:USDT"


class ScriptedRest:
    """Fails as often as told, then answers that there were no candles."""

    def __init__(self, failures: int) -> None:
        self.asked: list[tuple[int, int]] = []
        self._failures = failures

    async def page(self, symbol: Symbol, since_ms: int, until_ms: int, *, strict: bool = True) -> Page:
        """Remember what was asked for."""
        assert symbol == SYMBOL
        assert strict
        self.asked.append((since_ms, until_ms))
        if len(self.asked) <= self._failures:
            raise TransientError("cut")
        return Page([], until_ms, [])


def backfills(rest: ScriptedRest) -> Backfills:
    """Quick to try again."""

    def take(_track: SymbolTrack, _events: Sequence[CloserEvent]) -> None:
        """Nobody listens."""

    timing = FeedTiming(pace_seconds=0.01, pace_most_seconds=0.01)
    return Backfills(
        rest,  # type: ignore[arg-type]  # the part of it that is asked
        EventQueue(),
        take=take,
        monotonic_ns=lambda: 0,
        timing=timing,
        random=lambda: 0.5,
    )


async def test_what_the_stream_told_while_a_request_waited_is_not_asked_for_again() -> None:
    """A first request that fails, and candles that come before the second: the second is never made."""
    rest = ScriptedRest(failures=1)
    fills, track = backfills(rest), SymbolTrack(SYMBOL)
    track.next_ms = at(5)
    fills.ask(track, at(6), tell=False)
    while not rest.asked:
        await asyncio.sleep(0)
    track.next_ms = at(8)  # the stream has gone on, two minutes beyond what was wanted
    async with asyncio.timeout(5):
        while fills.runs_for(SYMBOL):
            await asyncio.sleep(0.001)
    assert rest.asked == [(at(5), at(6))]
    await fills.close()


async def test_what_is_missing_is_asked_for_until_it_is_told() -> None:
    """Every request asks for what is unknown then, up to the end that was wanted."""
    rest = ScriptedRest(failures=2)
    fills, track = backfills(rest), SymbolTrack(SYMBOL)
    track.next_ms = at(5)
    fills.ask(track, at(9), tell=False)
    async with asyncio.timeout(5):
        while fills.runs_for(SYMBOL):
            await asyncio.sleep(0.001)
    assert rest.asked == [(at(5), at(9))] * 3
    assert track.told_ms == at(5) + 4 * MINUTE_MS
    await fills.close()
