"""What every adapter of the Feed port promises, checked over each of them on the same candles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bot.core.market import MINUTE_MS, Candle, candle_fault
from bot.errors import EngineProtocolError
from bot.exchange_client import SimControl, open_exchange
from bot.feeds.replay_feed import ReplayFeed
from bot.feeds.timing import FeedTiming
from bot.ports import CandleClosed, Feed, FeedEvent, FeedNotice, MarketTime
from tests.feed_rig import START_MS, candles_of, sim, unified, walk

BTC, ETH = unified("BTCUSDT"), unified("ETHUSDT")
BARS = {"BTCUSDT": walk("BTCUSDT", 40, [25, 26]), "ETHUSDT": walk("ETHUSDT", 40)}
BARS_BY_SYMBOL = {unified(name): bars for name, bars in BARS.items()}
CANDLES = {unified(name): candles_of(name, bars) for name, bars in BARS.items()}
BEGIN = START_MS + 20 * MINUTE_MS

Acknowledge: TypeAlias = Callable[[int], Awaitable[Any]]


@asynccontextmanager
async def replay(folder: Path) -> AsyncIterator[tuple[Feed, Acknowledge]]:
    """Candles in memory."""
    del folder

    async def nothing(closed_at_ms: int) -> None:
        del closed_at_ms

    yield ReplayFeed(BARS_BY_SYMBOL, start_at_ms=BEGIN), nothing


def over_ccxt(*, flags: bool, of: str = "binanceusdm") -> Callable[..., Any]:
    """The feed over ccxt against the simulated exchange."""

    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[tuple[Feed, Acknowledge]]:
        async with sim(folder, BARS, of=of, start_at="+20m") as line:
            client = open_exchange(line.exchange_id, connect_to=line.address, ca_file=line.ca_file)
            async with client as exchange:
                exchange.timeout_on_exit = 0
                timing = FeedTiming(pace_seconds=0.05, market_speed=0 if flags else 60)
                yield line.feed([BTC, ETH], timing, flags=flags), SimControl(exchange).acknowledge

    return start


ADAPTERS = {
    "replay": replay,
    "ccxt": over_ccxt(flags=True),
    "ccxt without flags": over_ccxt(flags=False),
    "ccxt on OKX": over_ccxt(flags=True, of="okx"),
    "ccxt on OKX without flags": over_ccxt(flags=False, of="okx"),
}

Adapter: TypeAlias = Callable[[Path], Any]


@pytest.fixture(params=list(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """One way of getting at the same candles."""
    return ADAPTERS[request.param]


async def events_of(feed: Feed, acknowledge: Acknowledge, since_ms: int) -> list[FeedEvent]:
    """All events until the last minute but one is whole (an exchange without flags cannot tell the last)."""
    wanted = {
        c for rows in CANDLES.values() for c in rows if since_ms <= c.opened_at_ms < START_MS + 39 * MINUTE_MS
    }
    taken: list[FeedEvent] = []
    async for event in feed.events():
        taken.append(event)
        if isinstance(event, CandleClosed):
            wanted.discard(event.candle)
            at_ms = event.candle.opened_at_ms
            if not any(candle.opened_at_ms <= at_ms for candle in wanted):
                await acknowledge(at_ms + MINUTE_MS)
        if not wanted:
            break
    return taken


def closed(events: list[FeedEvent]) -> dict[str, list[Candle]]:
    """Delivered candles by symbol."""
    rows = [event.candle for event in events if isinstance(event, CandleClosed)]
    return {symbol: [row for row in rows if row.symbol == symbol] for symbol in CANDLES}


def expected(since: int, until: int = 39) -> dict[str, list[Candle]]:
    """The tape between two minutes."""
    first, last = START_MS + since * MINUTE_MS, START_MS + until * MINUTE_MS
    return {symbol: [c for c in rows if first <= c.opened_at_ms < last] for symbol, rows in CANDLES.items()}


async def test_each_candle_comes_once_in_order_with_its_values(adapter: Adapter, tmp_path: Path) -> None:
    """From the start on each symbol's candles come exactly once, in order, with the tape's values, and sound."""
    async with adapter(tmp_path) as (feed, acknowledge):
        await feed.open()
        events = await events_of(feed, acknowledge, BEGIN)
        await feed.close()
    delivered = closed(events)
    wanted = expected(20)
    assert {symbol: rows[: len(wanted[symbol])] for symbol, rows in delivered.items()} == wanted
    assert all(candle_fault(candle) is None for rows in delivered.values() for candle in rows)


async def test_market_time_never_goes_back_and_holes_are_told(adapter: Adapter, tmp_path: Path) -> None:
    """Times are strictly increasing; the hole is told, with its bounds, before the candle after it."""
    async with adapter(tmp_path) as (feed, acknowledge):
        await feed.open()
        events = await events_of(feed, acknowledge, BEGIN)
        await feed.close()
    times = [event.at_ms for event in events if isinstance(event, MarketTime)]
    assert times == sorted(set(times))
    assert times[-1] > BEGIN
    bounds = {"since_ms": START_MS + 25 * MINUTE_MS, "until_ms": START_MS + 27 * MINUTE_MS, "minutes": 2}
    notice = FeedNotice("candle.gap_remains", {"symbol": BTC, **bounds})
    after = next(e for e in events if isinstance(e, CandleClosed) and e.candle == expected(27)[BTC][0])
    assert events.index(notice) < events.index(after)


async def test_start_from_brings_what_came_before(adapter: Adapter, tmp_path: Path) -> None:
    """Told the last candle that was taken, a feed delivers from the one after it, and says who is catching up."""
    async with adapter(tmp_path) as (feed, acknowledge):
        await feed.open()
        for symbol in feed.symbols:
            feed.start_from(symbol, START_MS + 11 * MINUTE_MS)
        assert set(feed.catching_up) == {BTC, ETH}
        events = await events_of(feed, acknowledge, START_MS + 12 * MINUTE_MS)
        with pytest.raises(EngineProtocolError):
            feed.start_from(BTC, START_MS)
        await feed.close()
    rows = {symbol: rows[: len(expected(12)[symbol])] for symbol, rows in closed(events).items()}
    assert rows == expected(12)


async def test_history_is_what_closed_by_now(adapter: Adapter, tmp_path: Path) -> None:
    """History holds the closed candles within its bounds and none of the future; the time is the start's."""
    async with adapter(tmp_path) as (feed, _):
        with pytest.raises(EngineProtocolError):
            await feed.history(BTC, START_MS, BEGIN)
        await feed.open()
        assert await feed.exchange_time_ms() == BEGIN
        far_ms = START_MS + 10_000 * MINUTE_MS
        assert await feed.history(BTC, START_MS, far_ms) == expected(0, 20)[BTC]
        part = await feed.history(ETH, START_MS + 5 * MINUTE_MS, START_MS + 9 * MINUTE_MS)
        assert part == expected(5, 9)[ETH]
        assert await feed.history(BTC, BEGIN, far_ms) == []
        await feed.close()


async def test_rules_and_funding_are_told_for_each_symbol(adapter: Adapter, tmp_path: Path) -> None:
    """Every symbol has usable trading rules, and funding rates lie within the bounds that were asked for."""
    async with adapter(tmp_path) as (feed, _):
        await feed.open()
        rules = await feed.instruments()
        assert set(rules) == set(feed.symbols) == {BTC, ETH}
        for symbol, instrument in rules.items():
            assert instrument.symbol == symbol
            assert min(instrument.tick_size, instrument.lot_step, instrument.min_quantity) > 0
            rates = await feed.funding_rates(symbol, START_MS, BEGIN)
            assert all(START_MS <= at_ms < BEGIN for at_ms in rates)
        await feed.close()


async def test_quotes_and_coming_rates_are_of_its_own_symbols(adapter: Adapter, tmp_path: Path) -> None:
    """Where quotes are told a bid is never above its ask; a rate to come is a small fraction; nothing before ``open``."""
    async with adapter(tmp_path) as (feed, _):
        for question in (feed.quotes, feed.coming_funding_rates):
            with pytest.raises(EngineProtocolError):
                await question()
        await feed.open()
        quotes, rates = await feed.quotes(), await feed.coming_funding_rates()
        assert set(quotes) == set(rates)
        assert set(quotes) in (set(), {BTC, ETH})
        assert all(0 < quote.bid <= quote.ask for quote in quotes.values())
        assert all(abs(rate) < 0.03 for rate in rates.values())
        await feed.close()


async def test_a_closed_feed_ends_its_events_and_can_be_closed_again(
    adapter: Adapter, tmp_path: Path
) -> None:
    """After ``close`` the events end by themselves; a second ``close`` does nothing."""
    async with adapter(tmp_path) as (feed, _):
        await feed.open()
        count = 0
        async for _event in feed.events():
            count += 1
            if count == 3:
                await feed.close()
        assert count >= 3
        await feed.close()
