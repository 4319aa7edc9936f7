"""Best bids and asks, and coming funding rates, as the unmodified client tells them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.errors import ConfigError, DataError, TransientError
from bot.feeds.quotes import best_quotes, coming_funding_rates
from tests.feed_rig import sim, walk

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


class Told:
    """A client with prepared answers; counts the questions."""

    def __init__(self, has: set[str], answer: Any, intervals: Any = None) -> None:
        self.id = "told"
        self.has = SimpleNamespace(get=lambda name: name in has)
        self.answer, self.intervals = answer, intervals
        self.asked: list[str] = []

    async def _give(self, name: str, answer: Any) -> Any:
        self.asked.append(name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fetch_bids_asks(self, _: Any) -> Any:
        return await self._give("bids", self.answer)

    async def fetch_tickers(self, _: Any) -> Any:
        return await self._give("tickers", self.answer)

    async def fetch_funding_rates(self, _: Any) -> Any:
        return await self._give("rates", self.answer)

    async def fetch_funding_intervals(self, _: Any) -> Any:
        return await self._give("intervals", self.intervals)


@pytest.mark.parametrize(("of", "contract"), [("binance", ""), ("binanceusdm", ":USDT")])
@pytest.mark.parametrize("bases", [("BTC",), ("BTC", "ETH")])
async def test_both_prices_of_every_symbol_come_with_one_request(
    tmp_path: Path, of: str, contract: str, bases: tuple[str, ...]
) -> None:
    """On spot and on perpetuals, of one symbol and of several, the price lies between bid and ask, about a spread apart."""
    tapes = {f"{base}USDT": walk(f"{base}USDT", 30) for base in bases}
    symbols = [f"{base}/USDT{contract}" for base in bases]
    async with sim(tmp_path, tapes, of=of, start_at="+20m", half_spread_bps=2.0) as line:
        feed = line.feed(symbols)
        await feed.open()
        quotes = await feed.quotes()
        rates = await feed.coming_funding_rates()
        await feed.close()
    assert sorted(quotes) == symbols
    for base, symbol in zip(bases, symbols, strict=True):
        price = tapes[f"{base}USDT"].close[19]
        assert quotes[symbol].bid < price < quotes[symbol].ask
        ticks_bps = 2 * 0.1 / price * 10_000  # both are rounded outward
        assert 4.0 - 1e-9 <= quotes[symbol].spread_bps < 4.0 + ticks_bps
    assert rates == (dict.fromkeys(symbols, 0.0001) if contract else {})


async def test_prices_that_cannot_be_of_one_moment_are_not_told() -> None:
    """A price that is missing, crossed, nothing or no number leaves its symbol out; equal ones are a spread of nothing."""
    rows: dict[str, Any] = {
        "a": {"bid": 99.0, "ask": 101.0},
        "b": {"bid": None, "ask": 101.0},
        "c": {"bid": 102.0, "ask": 101.0},
        "d": {"bid": 0.0, "ask": 101.0},
        "e": {"bid": float("nan"), "ask": 101.0},
        "f": {"bid": 101.0, "ask": 101.0},
    }
    client: Any = Told({"fetchBidsAsks", "fetchTickers"}, rows)
    quotes = await best_quotes(client, [*rows, "missing"])
    assert {symbol: quote.spread_bps for symbol, quote in quotes.items()} == {"a": 200.0, "f": 0.0}
    assert client.asked == ["bids"]


async def test_an_exchange_without_the_question_is_asked_for_tickers_or_refused() -> None:
    """Tickers have both prices too; where there are neither, the sentence names the exchange."""
    client: Any = Told({"fetchTickers"}, {BTC: {"bid": 1.0, "ask": 2.0}})
    assert list(await best_quotes(client, [BTC])) == [BTC]
    assert client.asked == ["tickers"]
    nothing: Any = Told(set(), {})
    with pytest.raises(ConfigError, match="told tells no bids"):
        await best_quotes(nothing, [BTC])
    with pytest.raises(ConfigError, match="told tells no funding"):
        await coming_funding_rates(nothing, [BTC])


async def test_rates_are_brought_to_eight_hours() -> None:
    """A rate paid every four hours counts double, by the interval that comes with it or is asked for; none told means eight."""
    rows = {BTC: {"fundingRate": 0.0002, "interval": "4h"}, ETH: {"fundingRate": "-0.0001", "interval": None}}
    client: Any = Told({"fetchFundingRates"}, rows)
    assert await coming_funding_rates(client, [BTC, ETH]) == {BTC: 0.0004, ETH: -0.0001}
    without = {BTC: {"fundingRate": 0.0002}, ETH: {"fundingRate": None}}
    client = Told({"fetchFundingRates", "fetchFundingIntervals"}, without, {BTC: {"interval": "1h"}})
    assert await coming_funding_rates(client, [BTC, ETH]) == {BTC: 0.0016}
    assert client.asked == ["rates", "intervals"]
    client = Told({"fetchFundingRates"}, {BTC: {"fundingRate": 0.1, "interval": "daily"}})
    with pytest.raises(DataError, match="every 'daily'"):
        await coming_funding_rates(client, [BTC])


async def test_what_goes_wrong_is_told_in_our_own_words_and_asked_once() -> None:
    """A failed request is a TransientError, a page instead of rows a DataError; neither is asked again."""
    client: Any = Told({"fetchBidsAsks"}, TimeoutError("no answer"))
    with pytest.raises(TransientError):
        await best_quotes(client, [BTC])
    assert client.asked == ["bids"]
    pages: list[Any] = [[], {"x": None}, "<html>"]
    for page in pages:
        client = Told({"fetchBidsAsks"}, page)
        with pytest.raises(DataError, match="bids and asks"):
            await best_quotes(client, [BTC])
