"""Funding rates are asked for when a funding time has passed with a position held."""

from __future__ import annotations

from bot.core.market import MINUTE_MS
from bot.core.matching import FundingRates
from bot.daemon.batching import Batch
from bot.daemon.funding import FundingRateSource
from bot.errors import TransientError
from bot.ports import CandleClosed
from tests.core_builders import MIDNIGHT, PERPETUAL, at, candle
from tests.daemon_harness import ListFeed, Silent


class RateFeed(ListFeed):
    """Tells one rate, or fails."""

    def __init__(self, rates: dict[int, float] | None) -> None:
        super().__init__([], now_ms=MIDNIGHT)
        self.rates = rates
        self.asked: list[tuple[int, int]] = []

    async def funding_rates(self, symbol: str, since_ms: int, until_ms: int) -> dict[int, float]:
        self.asked.append((since_ms, until_ms))
        if self.rates is None:
            raise TransientError("no answer")
        return {at_ms: rate for at_ms, rate in self.rates.items() if since_ms <= at_ms < until_ms}


def batch(minute: int) -> Batch:
    """One candle of the perpetual."""
    return Batch(at(minute), (CandleClosed(candle(minute), "stream", 0),), ())


def source(feed: RateFeed, table: FundingRates, *, held: bool = True) -> tuple[FundingRateSource, Silent]:
    """A source that last saw the minute before midnight."""
    log = Silent()
    return FundingRateSource(table, feed, lambda _: held, at(-1), log), log


async def test_the_rate_of_a_passed_funding_time_is_asked_for_and_cut_to_the_minute() -> None:
    """A payment stamped some milliseconds late is booked in its minute, and other hours ask for nothing new."""
    feed, table = RateFeed({MIDNIGHT + 7: 0.0003}), FundingRates(0.0001)
    asking, _ = source(feed, table)
    await asking.before_batch(batch(0))
    assert table.tables[PERPETUAL] == {MIDNIGHT: 0.0003}
    await asking.before_batch(batch(1))
    assert len(feed.asked) == 1


async def test_without_an_answer_the_constant_rate_stands_in_and_it_is_told() -> None:
    """A silent exchange neither blocks the minute nor makes funding free."""
    feed, table = RateFeed(None), FundingRates(0.0001)
    asking, log = source(feed, table)
    await asking.before_batch(batch(0))
    assert table.tables[PERPETUAL] == {MIDNIGHT: 0.0001}
    assert log.lines[0][0] == "funding.rate_unknown"


async def test_over_a_hole_every_funding_time_within_is_asked_for() -> None:
    """The first minute after an outage asks from the last minute seen on."""
    feed, table = RateFeed({}), FundingRates(0.0001)
    asking, _ = source(feed, table)
    await asking.before_batch(batch(500))
    assert feed.asked == [(MIDNIGHT, at(500) + MINUTE_MS)]


async def test_without_a_position_nothing_is_asked() -> None:
    """A flat account pays no funding, so the exchange is left alone."""
    feed, table = RateFeed({}), FundingRates(0.0001)
    asking, _ = source(feed, table, held=False)
    await asking.before_batch(batch(0))
    assert feed.asked == []
