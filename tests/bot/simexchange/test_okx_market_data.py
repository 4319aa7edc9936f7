"""OKX's market data, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import ccxt
import pytest

from tests.real_messages import missing_keys, real_message

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"
MINUTE_MS = 60_000


def rows_of(made, first: int, last: int) -> list[list[float]]:
    """Bars as ccxt tells them."""
    columns = (made.ts, made.open, made.high, made.low, made.close, made.volume)
    return [[float(column[number]) for column in columns] for number in range(first, last)]


async def test_markets_are_swaps_with_their_contract_sizes(swap, make_tape) -> None:
    """BTC, ETH and SOL have those of the exchange; other kinds of instruments are answered with none."""
    tapes = [make_tape(f"{base}USDT", exchange="okx") for base in ("BTC", "ETH", "SOL")]
    async with swap(*tapes) as (_, exchange):
        sizes = {name: market["contractSize"] for name, market in exchange.markets.items()}
        assert sizes == {"BTC/USDT:USDT": 0.01, "ETH/USDT:USDT": 0.1, "SOL/USDT:USDT": 1}
        market = exchange.market(SYMBOL)
        assert (market["swap"], market["linear"], market["active"]) == (True, True, True)
        assert (market["precision"], market["limits"]["amount"]["min"]) == (
            {"amount": 0.01, "price": 0.1},
            0.01,
        )
        assert {"BTC", "ETH", "SOL", "USDT"} <= set(exchange.currencies)
        with pytest.raises(ccxt.BadRequest, match="51000"):
            await exchange.publicGetPublicInstruments({"instType": "SHARES"})


async def test_candles_are_the_tape_s(swap, bars, start_ms: int) -> None:
    """The newest ones with the open one, from a time on, and whole: volume in base units."""
    async with swap(start_at="+30m") as (_, exchange):
        made = bars("BTCUSDT", 60)
        assert await exchange.fetch_ohlcv(SYMBOL, "1m", limit=5) == rows_of(made, 25, 30)
        since = start_ms + 10 * MINUTE_MS
        assert await exchange.fetch_ohlcv(SYMBOL, "1m", since, 5) == rows_of(made, 10, 15)
        assert await exchange.fetch_ohlcv(SYMBOL, "1m", start_ms, 300) == rows_of(made, 0, 30)
        (five,) = await exchange.fetch_ohlcv(SYMBOL, "5m", since, 1)
        assert five[1:3] == [float(made.open[10]), float(made.high[10:15].max())]


async def test_candles_come_newest_first_with_their_flag(swap, start_ms: int) -> None:
    """Only the open bar is not confirmed; history has only those that are over; pages go by after and before."""
    async with swap(start_at="+30m") as (server, exchange):
        server.conductor._clock.reach(start_ms + 30 * MINUTE_MS + 5_000, 0.0)
        recent = (await exchange.publicGetMarketCandles({"instId": NAME}))["data"]
        assert [row[0] for row in recent] == [str(start_ms + n * MINUTE_MS) for n in range(30, -1, -1)]
        assert [row[8] for row in recent] == ["0", *["1"] * 30]
        contracts, base = float(recent[1][5]), float(recent[1][6])
        assert contracts == pytest.approx(base * 100)
        asked = {"instId": NAME, "after": start_ms + 9 * MINUTE_MS, "before": start_ms + 3 * MINUTE_MS}
        older = (await exchange.publicGetMarketHistoryCandles(asked))["data"]
        assert [row[0] for row in older] == [str(start_ms + n * MINUTE_MS) for n in range(8, 3, -1)]
        newest = (await exchange.publicGetMarketHistoryCandles({"instId": NAME, "limit": 2}))["data"]
        assert [(int(row[0]) - start_ms) // MINUTE_MS for row in newest] == [29, 28]
        real = real_message("messages", "http_get_candlesticks_full.json", exchange="okx")["data"]
        assert len(recent[0]) == len(real[0])


async def test_a_bar_or_a_symbol_that_is_not_there_is_refused(swap) -> None:
    """With HTTP 200 and OKX's codes, which ccxt maps."""
    async with swap() as (_, exchange):
        with pytest.raises(ccxt.BadRequest, match=r"51000.*bar"):
            await exchange.publicGetMarketCandles({"instId": NAME, "bar": "7m"})
        with pytest.raises(ccxt.BadSymbol, match="51001"):
            await exchange.publicGetMarketCandles({"instId": "NOPE-USDT-SWAP"})


async def test_prices_are_those_of_the_last_trade(swap, bars) -> None:
    """Ticker, book and mark price, with half the spread between bid and ask."""
    async with swap(start_at="+30m", half_spread_bps=10) as (_, exchange):
        last = float(bars("BTCUSDT", 60).close[29])
        ticker = await exchange.fetch_ticker(SYMBOL)
        assert (ticker["last"], ticker["bid"], ticker["ask"]) == (last, last * 0.999, last * 1.001)
        assert set(await exchange.fetch_tickers([SYMBOL])) == {SYMBOL}
        book = await exchange.fetch_order_book(SYMBOL)
        assert (book["bids"][0][0], book["asks"][0][0]) == (last * 0.999, last * 1.001)
        assert (await exchange.fetch_mark_price(SYMBOL))["markPrice"] == last


async def test_funding_rates_are_told_as_they_will_be_paid(swap, make_tape, start_ms: int) -> None:
    """The next one, and those that were, newest first; the keys of the real rows are there."""
    async with swap(make_tape(minutes=1_100, exchange="okx"), start_at="+1000m") as (_, exchange):
        now = await exchange.fetch_funding_rate(SYMBOL)
        assert (now["fundingRate"], now["fundingTimestamp"]) == (0.0001, start_ms + 24 * 3_600_000)
        past = await exchange.fetch_funding_rate_history(SYMBOL, start_ms, 10)
        assert [row["timestamp"] for row in past] == [start_ms + 8 * 3_600_000 * n for n in range(3)]
        real = real_message("messages", "http_get_funding_rate_history.json", exchange="okx")["data"][0]
        assert missing_keys(real, past[0]["info"]) == []
        assert (await exchange.fetch_market_leverage_tiers(SYMBOL))[0]["maxLeverage"] == 100


async def test_the_time_is_told(swap) -> None:
    """As the exchange takes it to be."""
    async with swap(start_at="+30m") as (server, exchange):
        assert await exchange.fetch_time() == server.conductor.now_ms()
