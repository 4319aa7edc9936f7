"""Tests of the feed over ccxt against the simulated exchange, over real sockets."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bot.core.market import MINUTE_MS, InstrumentKind
from bot.errors import ConfigError, EngineProtocolError, TransientError
from bot.feeds.timing import FeedTiming
from bot.ports import CandleClosed, FeedNotice
from tests.feed_rig import START_MS, TcpProxy, candles_of, play, sim, sim_process, stray_tasks, unified, walk

BTC, ETH = unified("BTCUSDT"), unified("ETHUSDT")

UNFLAGGED = FeedTiming(pace_seconds=0.05, market_speed=60)
"""A bar tells no time but its own open: what is left unsaid has to be guessed from this machine's."""


async def test_a_tape_with_holes_comes_exactly_once_and_in_order(tmp_path: Path) -> None:
    """Every candle of two tapes, one with a hole of its own and one they share, is delivered once, in order."""
    bars = {"BTCUSDT": walk("BTCUSDT", 60, [20, 21, 22, 40, 41]), "ETHUSDT": walk("ETHUSDT", 60, [40, 41])}
    expected = {unified(name): candles_of(name, rows, 10) for name, rows in bars.items()}
    async with sim(tmp_path, bars, start_at="+10m") as line:
        feed = line.feed([BTC, ETH])
        await feed.open()
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected
    assert played.times == sorted(set(played.times))
    gaps = [n.fields for n in played.notices if n.event == "candle.gap_remains"]
    assert {(gap["symbol"], gap["minutes"]) for gap in gaps} == {(BTC, 3), (BTC, 2), (ETH, 2)}


async def test_two_hundred_symbols_closing_together_lose_nothing(tmp_path: Path) -> None:
    """With 200 symbols closing in the same instant every candle comes, all but none of them by REST."""
    names = [f"SIM{number:03d}USDT" for number in range(200)]
    bars = {name: walk(name, 6) for name in names}
    expected = {unified(name): candles_of(name, bars[name], 2) for name in names}
    async with sim(tmp_path, bars, start_at="+2m") as line:
        feed = line.feed(list(expected))
        await feed.open()
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected
    assert {source for sources in played.sources.values() for source in sources} == {"stream"}


async def test_a_restart_gets_what_closed_before_it_subscribed(tmp_path: Path) -> None:
    """Candles after ``start_from`` that closed before the subscription come first, by REST, none twice."""
    bars = {"BTCUSDT": walk("BTCUSDT", 40, [12, 13]), "ETHUSDT": walk("ETHUSDT", 40)}
    expected = {unified(name): candles_of(name, rows, 5) for name, rows in bars.items()}
    async with sim(tmp_path, bars, start_at="+30m") as line:
        feed = line.feed([BTC, ETH])
        await feed.open()
        for symbol in feed.symbols:
            feed.start_from(symbol, START_MS + 4 * MINUTE_MS)
        assert set(feed.catching_up) == {BTC, ETH}
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected
    assert set(played.sources[ETH][:20]) == {"rest"}
    assert played.sources[ETH][-1] == "stream"


async def test_fetched_candles_count_as_catching_up_until_they_are_taken(tmp_path: Path) -> None:
    """A symbol leaves ``catching_up`` only when the consumer asks for what comes after its fetched candles."""
    bars = {"BTCUSDT": walk("BTCUSDT", 20)}
    async with sim(tmp_path, bars, start_at="+10m") as line:
        feed = line.feed([BTC])
        await feed.open()
        feed.start_from(BTC, START_MS + 4 * MINUTE_MS)
        events = feed.events()
        fetched = 0
        async with asyncio.timeout(10):
            while fetched < 5:
                fetched += isinstance(await anext(events), CandleClosed)
                await asyncio.sleep(0.1)
                assert set(feed.catching_up) == {BTC}
            asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(feed.close()))
            rest = [event async for event in events]
        assert rest
        assert set(feed.catching_up) == set()


async def test_an_exchange_in_another_process_plays_the_same(tmp_path: Path) -> None:
    """Over the sockets of another process a tape comes exactly once, from before the subscription to its end."""
    bars = {"BTCUSDT": walk("BTCUSDT", 60, [30]), "ETHUSDT": walk("ETHUSDT", 60)}
    expected = {unified(name): candles_of(name, rows, 15) for name, rows in bars.items()}
    async with sim_process(tmp_path, bars, "--start-at", "+20m") as line:
        feed = line.feed([BTC, ETH])
        await feed.open()
        for symbol in feed.symbols:
            feed.start_from(symbol, START_MS + 14 * MINUTE_MS)
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected


async def test_without_flags_the_same_candles_come(tmp_path: Path) -> None:
    """Taken from what ccxt returns and confirmed by REST, a tape with a hole comes whole, with the same values."""
    bars = {"BTCUSDT": walk("BTCUSDT", 25, [15, 16]), "ETHUSDT": walk("ETHUSDT", 25)}
    expected = {unified(name): candles_of(name, rows, 10)[:-1] for name, rows in bars.items()}
    async with sim(tmp_path, bars, start_at="+10m") as line:
        feed = line.feed([BTC, ETH], UNFLAGGED, flags=False)
        await feed.open()
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected
    assert "stream" not in {source for sources in played.sources.values() for source in sources}


async def test_history_and_rules_come_as_the_exchange_has_them(tmp_path: Path) -> None:
    """History gives the tape's closed bars and no unfinished one; instruments and funding come with it."""
    bars = {"BTCUSDT": walk("BTCUSDT", 1500, [700])}
    async with sim(tmp_path, bars, start_at="+1400m") as line:
        feed = line.feed([BTC])
        with pytest.raises(EngineProtocolError):
            await feed.history(BTC, START_MS, START_MS + MINUTE_MS)
        await feed.open()
        history = await feed.history(BTC, START_MS, START_MS + 10_000 * MINUTE_MS)
        part = await feed.history(BTC, START_MS + 1, START_MS + 3 * MINUTE_MS)
        rules = (await feed.instruments())[BTC]
        funding = await feed.funding_rates(BTC, START_MS, START_MS + 1440 * MINUTE_MS)
        assert await feed.exchange_time_ms() == START_MS + 1400 * MINUTE_MS
        await feed.close()
    expected = [
        c for c in candles_of("BTCUSDT", bars["BTCUSDT"]) if c.opened_at_ms < START_MS + 1400 * MINUTE_MS
    ]
    assert history == expected
    assert part == expected[1:3]
    assert rules.kind is InstrumentKind.PERPETUAL
    assert rules.lot_step > 0
    assert sorted(funding) == [START_MS, START_MS + 480 * MINUTE_MS, START_MS + 960 * MINUTE_MS]


async def test_an_unknown_symbol_is_refused_with_a_hint(tmp_path: Path) -> None:
    """A symbol that is not listed is a ConfigError that names it and what may have been meant."""
    async with sim(tmp_path, {"BTCUSDT": walk("BTCUSDT", 5)}) as line:
        feed = line.feed(["BTC/USD:USD"])
        with pytest.raises(ConfigError, match=r"'BTC/USD:USD' is not listed.*BTC/USDT:USDT"):
            await feed.open()
        await feed.close()


async def test_an_exchange_that_is_down_is_a_transient_error(tmp_path: Path) -> None:
    """Opening against a dead address raises TransientError after bounded retries."""
    async with sim(tmp_path, {"BTCUSDT": walk("BTCUSDT", 5)}) as line:
        pass
    feed = line.feed([BTC], FeedTiming(pace_seconds=0.01, attempts=3))
    with pytest.raises(TransientError):
        await feed.open()
    await feed.close()


async def test_closing_leaves_nothing_behind(tmp_path: Path) -> None:
    """After ``close`` in the middle of a stream no task is left and the stream ends."""
    bars = {"BTCUSDT": walk("BTCUSDT", 30)}
    async with sim(tmp_path, bars, start_at="+10m", speed=600) as line:
        before = asyncio.all_tasks()
        feed = line.feed([BTC], FeedTiming.at_speed(600))
        await feed.open()
        seen = 0
        async for _ in feed.events():
            seen += 1
            if seen == 10:
                await feed.close()
        await asyncio.sleep(0.1)  # the exchange's own end of the sockets
        assert stray_tasks(before) == []
        assert feed._exchange.session is None


async def _with_faults(
    tmp_path: Path, at: dict[int, str], *, timing: FeedTiming, flags: bool = True
) -> tuple[object, object, list[str], TcpProxy]:
    """Play 40 minutes of two symbols, doing something to the line as given candles of BTC come."""
    bars = {"BTCUSDT": walk("BTCUSDT", 50), "ETHUSDT": walk("ETHUSDT", 50)}
    expected = {
        unified(name): candles_of(name, rows, 10)[: 40 if flags else 39] for name, rows in bars.items()
    }
    async with sim(tmp_path, bars, start_at="+10m") as line, TcpProxy(line.address) as proxy:
        feed = line.through(proxy).feed([BTC, ETH], timing, flags=flags)
        await feed.open()
        loop = asyncio.get_running_loop()

        def on_candle(candle: object) -> None:
            if candle.symbol != BTC:  # type: ignore[attr-defined]
                return
            fault = at.get((candle.opened_at_ms - START_MS) // MINUTE_MS)  # type: ignore[attr-defined]
            if fault == "cut":
                proxy.cut()
            elif fault == "cut soon":
                loop.call_later(0.004, proxy.cut)
            elif fault == "down":
                proxy.refuses = True
                proxy.cut()
                loop.call_later(0.7, setattr, proxy, "refuses", False)
            elif fault == "stall":
                proxy.stall()

        played = await play(feed, line, expected, on_candle=on_candle)
        await feed.close()
    return played.closed, expected, played.names(), proxy


async def test_cut_lines_lose_no_candle(tmp_path: Path) -> None:
    """Connections reset at the close, in the middle of a minute, and refused for a while: each candle once."""
    at = {15: "cut", 20: "cut soon", 25: "cut soon", 28: "cut", 29: "cut", 33: "down"}
    closed, expected, names, proxy = await _with_faults(tmp_path, at, timing=FeedTiming.at_speed(0))
    assert closed == expected
    assert names.count("feed.reconnected") >= 4
    assert proxy.accepted > 6


async def test_a_silent_line_is_found_and_dialled_anew(tmp_path: Path) -> None:
    """A connection that stays open and brings nothing is given up by the watchdog, and nothing is lost."""
    timing = FeedTiming(stall_seconds=0.6, pace_seconds=0.05, pace_most_seconds=0.5, market_speed=0)
    closed, expected, names, _ = await _with_faults(tmp_path, {15: "stall", 30: "stall"}, timing=timing)
    assert closed == expected
    assert "feed.stalled" in names
    assert "feed.reconnected" in names


async def test_cut_lines_lose_no_candle_without_flags(tmp_path: Path) -> None:
    """The path of exchanges without flags keeps the same promise over cut lines."""
    at = {15: "cut", 20: "cut soon", 33: "down"}
    closed, expected, _, _ = await _with_faults(tmp_path, at, timing=UNFLAGGED, flags=False)
    assert closed == expected


async def test_a_market_that_stands_still_is_not_dialled_anew(tmp_path: Path) -> None:
    """While the exchange's clock is held the silence is asked after over REST and the line is kept."""
    timing = FeedTiming(stall_seconds=0.3, pace_seconds=0.05, market_speed=0)
    async with sim(tmp_path, {"BTCUSDT": walk("BTCUSDT", 30)}, start_at="+10m") as line:
        feed = line.feed([BTC], timing)
        await feed.open()
        asyncio.get_running_loop().call_later(2, lambda: asyncio.ensure_future(feed.close()))
        events = [event async for event in feed.events()]
    assert len(events) > 3
    assert [event for event in events if isinstance(event, FeedNotice)] == []


async def test_a_frame_that_cannot_be_read_is_told_and_outlived(tmp_path: Path) -> None:
    """Malformed JSON and a kline without its flag are noticed, the receive loop lives, and no candle is lost."""
    bars = {"BTCUSDT": walk("BTCUSDT", 20)}
    expected = {BTC: candles_of("BTCUSDT", bars["BTCUSDT"], 10)}
    async with sim(tmp_path, bars, start_at="+10m") as line:
        feed = line.feed([BTC])
        await feed.open()

        def poison(candle: object) -> None:
            del candle
            (client,) = feed._exchange.clients.values()
            from aiohttp import WSMessage, WSMsgType

            client.handle_message(WSMessage(WSMsgType.TEXT, '{"e":"kline",', None))
            text = '{"e":"kline","E":1,"s":"BTCUSDT","k":{"s":"BTCUSDT","i":"1m","x":"false"}}'
            client.handle_message(WSMessage(WSMsgType.TEXT, text, None))

        played = await play(feed, line, expected, on_candle=poison)
        await feed.close()
    assert played.closed == expected
    assert set(played.names()) == {"feed.frame_refused"}


async def test_a_lost_final_message_is_made_up_by_rest(tmp_path: Path) -> None:
    """Where the flagged message of a minute never comes, REST gives the same candle, and order is kept."""
    bars = {"BTCUSDT": walk("BTCUSDT", 30), "ETHUSDT": walk("ETHUSDT", 30)}
    expected = {unified(name): candles_of(name, rows, 10) for name, rows in bars.items()}
    async with sim(tmp_path, bars, start_at="+10m") as line:
        feed = line.feed([BTC, ETH])
        await feed.open()
        handle = feed._exchange.handle_ohlcv

        def lossy(client: object, message: dict[str, dict[str, object]]) -> None:
            minute = (int(message["k"]["t"]) - START_MS) // MINUTE_MS  # type: ignore[call-overload]
            if not (message["k"]["x"] and message["k"]["s"] == "BTCUSDT" and minute % 3 == 0):
                handle(client, message)

        feed._exchange.handle_ohlcv = lossy
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected
    lost = np.arange(10, 30) % 3 == 0
    assert [source != "stream" for source in played.sources[BTC]] == lost.tolist()


@pytest.mark.parametrize("how", ["html", "empty", "cut", "null_rows", "null_fields"])
async def test_a_reply_that_is_no_list_of_candles_is_no_answer(tmp_path: Path, how: str) -> None:
    """A 200 with a page, with nothing or with half a text does not make a hole of a minute: REST is asked again."""
    faults = [
        {"match": {"stream": ".+", "where": {"k.x": True}, "count": 3, "after": 3}, "action": "drop"},
        {"match": {"route": "GET /fapi/v1/klines", "count": 4}, "action": {"kind": "spoil", "how": how}},
    ]
    (tmp_path / "plan.yaml").write_text(json.dumps({"faults": faults}))
    bars = {"BTCUSDT": walk("BTCUSDT", 20)}
    expected = {BTC: candles_of("BTCUSDT", bars["BTCUSDT"], 10)}
    async with sim(tmp_path, bars, start_at="+10m", faults=tmp_path / "plan.yaml") as line:
        feed = line.feed([BTC])
        await feed.open()
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected
    assert "candle.gap_remains" not in played.names()


async def test_an_exchange_that_asks_for_quiet_is_left_in_peace(tmp_path: Path) -> None:
    """After 429 and 418 nothing is asked before the named time is over: each of them is met once."""
    many = {"kind": "answer", "code": -1003, "retry_after_s": 1}
    route = {"route": "GET /fapi/v1/klines", "count": "every"}
    faults = [
        {"match": {"stream": ".+", "where": {"k.x": True}, "after": 3}, "action": "drop"},
        {"name": "many", "match": {**route, "count": 1}, "action": {**many, "status": 429}},
        {"name": "banned", "match": {**route, "count": 1}, "action": {**many, "status": 418}},
    ]
    (tmp_path / "plan.yaml").write_text(json.dumps({"faults": faults}))
    bars = {"BTCUSDT": walk("BTCUSDT", 20)}
    expected = {BTC: candles_of("BTCUSDT", bars["BTCUSDT"], 10)}
    answered: list[tuple[int, float]] = []
    async with sim(tmp_path, bars, start_at="+10m", faults=tmp_path / "plan.yaml") as line:
        feed = line.feed([BTC])
        heard = feed._exchange.on_rest_response

        def note(code: int, *rest: object) -> object:
            answered.append((code, asyncio.get_running_loop().time()))
            return heard(code, *rest)

        feed._exchange.on_rest_response = note
        await feed.open()
        played = await play(feed, line, expected)
        await feed.close()
    assert played.closed == expected
    asked = [code for code, _ in answered if code != 200]
    assert asked == [429, 418]
    for (code, at), (_, following) in pairwise(answered):
        if code != 200:
            assert following - at >= 1.0
