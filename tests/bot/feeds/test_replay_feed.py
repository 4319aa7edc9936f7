"""Tests of playing stored candles."""

from __future__ import annotations

import numpy as np
import pytest

from bot.core.market import MINUTE_MS, Candle
from bot.errors import ConfigError, DataError, EngineProtocolError
from bot.feeds.replay_feed import ReplayFeed
from bot.ports import CandleClosed, FeedEvent, FeedNotice, MarketTime
from tests.feed_rig import START_MS, candles_of, unified, walk

BTC, ETH = unified("BTCUSDT"), unified("ETHUSDT")


def at(minute: int) -> int:
    """The open time of a minute counted from the start."""
    return START_MS + minute * MINUTE_MS


async def all_of(feed: ReplayFeed) -> list[FeedEvent]:
    """Every event."""
    await feed.open()
    return [event async for event in feed.events()]


async def test_minutes_come_in_order_with_the_time_after_each() -> None:
    """Candles of one minute come by name of symbol, then the market's time; a hole is told before its end."""
    bars = {BTC: walk("BTCUSDT", 4, [1]), ETH: walk("ETHUSDT", 4)}
    events = await all_of(ReplayFeed(bars))
    told = [
        (event.candle.symbol, event.candle.opened_at_ms)
        if isinstance(event, CandleClosed)
        else event.at_ms
        if isinstance(event, MarketTime)
        else event
        for event in events
    ]
    gap = {"symbol": BTC, "since_ms": at(1), "until_ms": at(2), "minutes": 1}
    assert told == [
        *((BTC, at(0)), (ETH, at(0)), at(1)),
        *((ETH, at(1)), at(2)),
        *(FeedNotice("candle.gap_remains", gap), (BTC, at(2)), (ETH, at(2)), at(3)),
        *((BTC, at(3)), (ETH, at(3)), at(4)),
    ]


async def test_arrays_and_candles_play_the_same() -> None:
    """Columns and candles of the same minutes give the same events."""
    bars = walk("BTCUSDT", 30, [4, 5])
    by_rows = await all_of(ReplayFeed({BTC: candles_of("BTCUSDT", bars)}, start_at_ms=at(10)))
    assert by_rows == await all_of(ReplayFeed({BTC: bars}, start_at_ms=at(10)))
    assert len(by_rows) == 40


async def test_catching_up_lasts_until_the_start_is_reached() -> None:
    """Symbols resumed before the start are catching up while their earlier candles are played."""
    feed = ReplayFeed({BTC: walk("BTCUSDT", 10), ETH: walk("ETHUSDT", 10)}, start_at_ms=at(6))
    feed.start_from(BTC, at(2))
    feed.start_from(ETH, at(3))
    await feed.open()
    states = [
        ((event.candle.opened_at_ms - START_MS) // MINUTE_MS, set(feed.catching_up))
        async for event in feed.events()
        if isinstance(event, CandleClosed)
    ]
    both = {BTC, ETH}
    assert states[:5] == [(3, both), (4, both), (4, both), (5, both), (5, both)]
    assert [state for minute, state in states if minute >= 6] == [set()] * 8


@pytest.mark.parametrize("fault", ["nan", "order", "twice", "none", "symbol"])
def test_unsound_candles_are_refused_by_place(fault: str) -> None:
    """A row that is unsound, out of order, repeated or of another symbol is a DataError that names it."""
    rows = candles_of("BTCUSDT", walk("BTCUSDT", 5))
    if fault == "nan":
        rows[3] = rows[3]._replace(close=float("nan"))
    elif fault == "order":
        rows[3] = rows[3]._replace(opened_at_ms=at(0))
    elif fault == "twice":
        rows[3] = rows[2]
    elif fault == "symbol":
        rows[3] = rows[3]._replace(symbol=ETH)
    with pytest.raises(DataError, match=BTC):
        ReplayFeed({BTC: [] if fault == "none" else rows})


async def test_misuse_is_refused() -> None:
    """No symbol, a start off the minute, events before open, events twice: each is refused."""
    row = Candle(BTC, at(0), 1.0, 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(ConfigError):
        ReplayFeed({})
    with pytest.raises(ConfigError):
        ReplayFeed({BTC: [row]}, start_at_ms=at(0) + 1)
    feed = ReplayFeed({BTC: [row]})
    with pytest.raises(EngineProtocolError):
        await anext(feed.events())
    await all_of(feed)
    with pytest.raises(EngineProtocolError):
        await anext(feed.events())
    with pytest.raises(EngineProtocolError):
        feed.start_from(BTC, at(0))


async def test_funding_is_told_up_to_the_present() -> None:
    """Funding rates come by time, and none of the future."""
    rates = {at(minute): float(np.round(minute / 1e4, 4)) for minute in (8, 2, 5)}
    feed = ReplayFeed({BTC: walk("BTCUSDT", 10)}, start_at_ms=at(5), funding={BTC: rates})
    await feed.open()
    assert list((await feed.funding_rates(BTC, at(0), at(100))).items()) == [(at(2), 0.0002), (at(5), 0.0005)]
