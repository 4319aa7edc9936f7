"""REST, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import logging

import ccxt
import pytest

MINUTE_MS = 60_000
DAY = 24 * 60


async def test_spot_markets_are_loaded(play, make_tape) -> None:
    """The spot class of ccxt loads the markets of a spot tape, and only those."""
    async with play(make_tape(exchange="binance"), start_at="+30m") as (_, endpoint, exchange):
        await exchange.load_markets()
        assert exchange.id == endpoint.exchange_id == "binance"
        assert list(exchange.markets) == ["BTC/USDT"]
        market = exchange.market("BTC/USDT")
        assert market["spot"]
        assert market["precision"] == {"amount": 1e-05, "price": 0.01, "base": 1e-08, "quote": 1e-08}
        rows = await exchange.fetch_ohlcv("BTC/USDT", "1m")
        assert len(rows) == 30


async def test_perpetual_markets_are_loaded(play, make_tape) -> None:
    """The USD-M class of ccxt loads the markets of perpetual tapes with their limits."""
    tapes = (make_tape("BTCUSDT"), make_tape("XYZUSDT"))
    async with play(*tapes) as (_, _, exchange):
        await exchange.load_markets()
        assert sorted(exchange.markets) == ["BTC/USDT:USDT", "XYZ/USDT:USDT"]
        market = exchange.market("BTC/USDT:USDT")
        assert (market["swap"], market["linear"], market["contractSize"]) == (True, True, 1)
        assert market["limits"]["cost"]["min"] == 100


async def test_time_is_the_markets(play, make_tape, start_ms: int) -> None:
    """fetch_time and the clock of the exchange are market time, not this machine's."""
    async with play(make_tape(), start_at="+10m") as (_, _, exchange):
        assert await exchange.fetch_time() == start_ms + 10 * MINUTE_MS
        assert await exchange.fapiPublicGetPing() == {}


async def test_bars_are_paged_exactly(play, make_tape, bars, start_ms: int) -> None:
    """Paging forward through the history gives every float of the tape once, and nothing of the future."""
    async with play(make_tape(minutes=3 * DAY), start_at="+2d") as (_, _, exchange):
        await exchange.load_markets()
        found: list[list[float]] = []
        since = start_ms
        while page := await exchange.fetch_ohlcv("BTC/USDT:USDT", "1m", since=since, limit=700):
            assert len(page) <= 700
            found += page
            since = page[-1][0] + MINUTE_MS
        tape = bars("BTCUSDT", 3 * DAY).rows(0, 2 * DAY)
        columns = (tape.ts, tape.open, tape.high, tape.low, tape.close, tape.volume)
        assert found == [list(row) for row in zip(*(c.tolist() for c in columns), strict=True)]


async def test_limits_are_the_exchanges_own(play, make_tape) -> None:
    """USD-M gives at most 1500 bars, spot 1000, 500 unasked; the newest ones where no start is given."""
    async with play(make_tape(minutes=2 * DAY), start_at="+2879m") as (_, _, exchange):
        last = exchange.iso8601
        rows = await exchange.fapiPublicGetKlines({"symbol": "BTCUSDT", "interval": "1m", "limit": 5000})
        assert len(rows) == 1500
        assert last(int(rows[-1][0])) == "2023-05-20T23:58:00.000Z"
        assert len(await exchange.fapiPublicGetKlines({"symbol": "BTCUSDT", "interval": "1m"})) == 500
    async with play(make_tape(minutes=2 * DAY, exchange="binance"), start_at="+2000m") as (_, _, exchange):
        rows = await exchange.publicGetKlines({"symbol": "BTCUSDT", "interval": "1m", "limit": 1500})
        assert len(rows) == 1000


async def test_longer_timeframes_are_served(play, make_tape) -> None:
    """An hour of minutes is one hourly bar."""
    async with play(make_tape(minutes=DAY), start_at="+600m") as (_, _, exchange):
        rows = await exchange.fetch_ohlcv("BTC/USDT:USDT", "1h")
        assert len(rows) == 10
        assert rows[1][0] - rows[0][0] == 60 * MINUTE_MS


async def test_funding_rates_are_served(play, make_tape, start_ms: int) -> None:
    """Rates paid so far come with their times; the next payment is announced, and not more."""
    async with play(make_tape(minutes=2 * DAY), start_at="+1500m") as (_, _, exchange):
        history = await exchange.fetch_funding_rate_history("BTC/USDT:USDT", since=start_ms)
        hours = [(row["timestamp"] - start_ms) / 3_600_000 for row in history]
        assert hours == [0, 8, 16, 24]
        assert {row["fundingRate"] for row in history} == {0.0001}
        rate = await exchange.fetch_funding_rate("BTC/USDT:USDT")
        assert rate["fundingTimestamp"] == start_ms + 32 * 3_600_000
        closes = await exchange.fetch_ohlcv("BTC/USDT:USDT", "1m", limit=1)
        assert rate["markPrice"] == closes[0][4]
        intervals = await exchange.fetch_funding_intervals()
        assert intervals["BTC/USDT:USDT"]["interval"] == "8h"


@pytest.mark.parametrize(
    ("params", "kind", "code"),
    [
        ({"symbol": "NOPEUSDT", "interval": "1m"}, ccxt.BadSymbol, "-1121"),
        ({"symbol": "BTCUSDT", "interval": "7m"}, ccxt.BadRequest, "-1120"),
        ({"symbol": "BTCUSDT"}, ccxt.BadRequest, "-1102"),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "x"}, ccxt.BadRequest, "-1100"),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": 0}, ccxt.BadRequest, "-1130"),
    ],
)
async def test_errors_have_binances_shape(play, make_tape, params, kind, code: str) -> None:
    """What a client asks wrongly comes back with Binance's code, which ccxt maps to its own classes."""
    async with play(make_tape()) as (_, _, exchange):
        with pytest.raises(kind, match=code):
            await exchange.fapiPublicGetKlines(params)


async def test_an_unknown_route_fails_loudly(play, make_tape, caplog) -> None:
    """A route that is not served raises in the client and is logged as an error."""
    async with play(make_tape()) as (_, _, exchange):
        with caplog.at_level(logging.ERROR), pytest.raises(ccxt.ExchangeError, match="is not served"):
            await exchange.fapiPublicGetDepth({"symbol": "BTCUSDT"})
        assert "no such route: GET fapi.binance.com/fapi/v1/depth" in caplog.text


async def test_the_market_that_is_not_played_is_empty(play, make_tape) -> None:
    """A perpetual tape gives the spot class no market, and its bars no route."""
    async with play(make_tape()) as (_, _, exchange):
        assert (await exchange.publicGetExchangeInfo())["symbols"] == []
        with pytest.raises(ccxt.ExchangeError, match="is not served"):
            await exchange.publicGetKlines({"symbol": "BTCUSDT", "interval": "1m"})


async def test_used_weight_is_told(play, make_tape) -> None:
    """Each reply carries the weight used in this minute, which grows with what was asked."""
    async with play(make_tape()) as (_, _, exchange):
        weights = []
        for limit in (10, 1500):
            await exchange.fapiPublicGetKlines({"symbol": "BTCUSDT", "interval": "1m", "limit": limit})
            headers = {name.upper(): value for name, value in exchange.last_response_headers.items()}
            weights.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
        assert weights[1] - weights[0] in {10, 10 - weights[0]}  # the second: the machine's minute turned
