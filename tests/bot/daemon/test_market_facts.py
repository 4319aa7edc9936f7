"""What the guards must know beside candles is asked for in time, kept as long as it holds, and missed aloud."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.clock import MarketClock
from bot.core.limits import MarketFacts, RiskLimits
from bot.core.market import Quote, Symbol
from bot.daemon.batching import Batch
from bot.daemon.market_facts import FactSource
from bot.daemon.telling import Teller
from bot.errors import ConfigError, DataError, TransientError
from bot.ports import CandleClosed
from tests.core_builders import MIDNIGHT, at, candle
from tests.daemon_harness import SYMBOLS, ListFeed, Silent

BTC, ETH = SYMBOLS
QUOTES = {BTC: Quote(9999.0, 10_001.0), ETH: Quote(100.0, 100.0)}
BOTH = RiskLimits(max_spread_bps=3.0, max_funding_rate=0.001)


class Notes:
    """A journal that keeps its notes."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def note(self, kind: str, _at_ms: int, _fields: Any) -> None:
        self.kinds.append(kind)


class Market(ListFeed):
    """Tells quotes and rates, fails, or never answers."""

    def __init__(self) -> None:
        super().__init__([], now_ms=MIDNIGHT)
        self.symbols = SYMBOLS
        self.told: dict[Symbol, Quote] | Exception | None = dict(QUOTES)
        self.rates: dict[Symbol, float] | Exception = {BTC: 0.0002, ETH: -0.0001}
        self.asked: list[str] = []

    async def quotes(self) -> dict[Symbol, Quote]:
        self.asked.append("quotes")
        if self.told is None:
            await asyncio.Event().wait()
        if isinstance(self.told, Exception):
            raise self.told
        return dict(self.told or {})

    async def coming_funding_rates(self) -> dict[Symbol, float]:
        self.asked.append("rates")
        if isinstance(self.rates, Exception):
            raise self.rates
        return dict(self.rates)


class Rig:
    """A source on such a market."""

    def __init__(self, limits: RiskLimits = BOTH) -> None:
        self.market, self.log, self.notes, self.clock = Market(), Silent(), Notes(), MarketClock(MIDNIGHT)
        teller = Teller(self.log, self.notes, self.clock.now_ms)
        self.source = FactSource(self.market, limits, self.clock, teller, ask_seconds=0.01)

    async def minute(self, number: int, *, late_ms: int = 0) -> list[MarketFacts]:
        """What is known when this minute is decided."""
        self.clock.advance_to(at(number + 1) + late_ms)
        await self.source.before_batch(Batch(at(number), (CandleClosed(candle(number), "stream", 0),), ()))
        return self.source.facts(SYMBOLS)


async def test_quotes_are_asked_each_minute_and_rates_once_an_hour() -> None:
    """Each decision has the quotes of its minute; the rates of the hour's first are kept for the others."""
    rig = Rig()
    first = await rig.minute(0)
    assert first == [MarketFacts(BTC, QUOTES[BTC].spread_bps, 0.0002), MarketFacts(ETH, 0.0, -0.0001)]
    assert first[0].spread_bps == pytest.approx(2.0)
    rig.market.rates = {BTC: 0.5, ETH: 0.5}
    assert await rig.minute(1) == first
    assert [fact.funding_rate for fact in await rig.minute(59)] == [0.5, 0.5]
    assert rig.market.asked == ["quotes", "rates", "quotes", "quotes", "rates"]
    assert rig.log.lines == []


@pytest.mark.parametrize(
    ("limits", "asked"),
    [
        (RiskLimits(), []),
        (RiskLimits(max_spread_bps=3.0), ["quotes"]),
        (RiskLimits(max_funding_rate=0.001), ["rates"]),
    ],
)
async def test_only_what_a_limit_needs_is_asked(limits: RiskLimits, asked: list[str]) -> None:
    """Without a limit nothing is asked, and what comes first stays alone."""
    rig = Rig(limits)

    async def first(_: Batch) -> None:
        rig.market.asked.append("first")

    composed = rig.source.after(first)
    assert (composed is first) is not bool(asked)
    await composed(Batch(at(0), (), ()))
    assert rig.market.asked == ["first", *asked]


@pytest.mark.parametrize("told", [None, TransientError("gone"), DataError("a page"), ConfigError("refused")])
async def test_a_spread_that_is_not_told_in_time_is_not_known(told: Exception | None) -> None:
    """Neither silence nor a refusal ends anything, or leaves the last minute's spread: it is unknown, and told once."""
    rig = Rig(RiskLimits(max_spread_bps=3.0))
    await rig.minute(0)
    rig.market.told = told
    for number in (1, 2, 3):
        assert await rig.minute(number) == [MarketFacts(BTC), MarketFacts(ETH)]
    rig.market.told = {BTC: QUOTES[BTC]}
    assert [fact.spread_bps is None for fact in await rig.minute(4)] == [False, True]
    rig.market.told = dict(QUOTES)
    await rig.minute(5)
    assert [event for event, _ in rig.log.lines] == ["feed.quotes_unknown", "feed.quotes_known"]
    assert rig.log.lines[0][1]["symbols"] == list(SYMBOLS)
    assert rig.log.lines[1][1] == {"minutes": 4}
    assert rig.notes.kinds == ["feed.quotes_unknown", "feed.quotes_known"]


async def test_a_rate_that_is_not_told_again_counts_for_eight_hours_and_is_asked_each_minute() -> None:
    """What was told last stands in until its payment is over; each minute asks until the answer is whole."""
    rig = Rig(RiskLimits(max_funding_rate=0.001))
    await rig.minute(0)
    rig.market.rates = TransientError("gone")
    for number in (60, 61, 8 * 60):
        assert [fact.funding_rate for fact in await rig.minute(number)] == [0.0002, -0.0001]
    assert [fact.funding_rate for fact in await rig.minute(8 * 60 + 1)] == [None, None]
    rig.market.rates = {BTC: 0.0003}
    assert [fact.funding_rate for fact in await rig.minute(8 * 60 + 2)] == [0.0003, None]
    assert len(rig.market.asked) == 6
    assert [event for event, _ in rig.log.lines] == ["funding.rates_unknown"]


async def test_of_a_minute_that_is_decided_late_nothing_is_asked() -> None:
    """After an outage many minutes come at once: an answer of now says nothing of them, and would take its time."""
    rig = Rig()
    assert await rig.minute(0, late_ms=90_001) == [MarketFacts(BTC), MarketFacts(ETH)]
    assert rig.market.asked == []
    assert (await rig.minute(3))[0].spread_bps is not None
