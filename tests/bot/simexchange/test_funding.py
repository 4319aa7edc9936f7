"""Funding payments of the simulated account."""

from __future__ import annotations

import pytest

from bot.core.matching import FundingRates
from bot.simexchange.account import SimAccount
from bot.simexchange.bars import MINUTE_MS
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import list_symbol
from bot.simexchange.funding import FundingClerk
from bot.simexchange.market import FUNDING_INTERVAL_MS, INTEREST_RATE, VisibleMarket
from bot.simexchange.orders import AccountTerms
from bot.simexchange.tape import TapeSource
from tests.sim_accounts import request

SYMBOL = "BTCUSDT"
MINUTES = 2 * 24 * 60
RATE = 0.000312345


class World:
    """A market, an account and a clerk."""

    def __init__(self, bars, *, holes: tuple[int, ...] = ()) -> None:
        source = TapeSource({SYMBOL: bars(SYMBOL, MINUTES, holes=holes)})
        self.start_ms = source.start_ms
        funding = {SYMBOL: {source.start_ms + 2 * FUNDING_INTERVAL_MS: RATE}}
        listing = list_symbol(SYMBOL, Market.USDM, 100)
        self.market = VisibleMarket(source, {SYMBOL: listing}, Market.USDM, funding)
        self.account = SimAccount(
            Market.USDM, AccountTerms(listings=self.market.listings), self.market.trading_price
        )
        self.clerk = FundingClerk(self.market, self.account, self.start_ms)

    def buy(self, minute: int, side: str = "BUY") -> None:
        """Trade one coin at a minute's open."""
        asked = request(side, 1.0, f"{side}{minute}", symbol=SYMBOL)
        self.account.place(asked, self.start_ms + minute * MINUTE_MS)

    def pass_minutes(self, first: int, last: int) -> None:
        """Let minutes begin that have a bar."""
        for minute in range(first, last):
            at_ms = self.start_ms + minute * MINUTE_MS
            if self.market.closing(SYMBOL, at_ms):
                self.clerk.pay(at_ms)
                self.clerk.pay(at_ms)  # it begins once

    def paid(self) -> list[tuple[int, float]]:
        """Minutes and amounts of the payments."""
        lines = self.account.income(kind="FUNDING_FEE", limit=100)
        return [((line.at_ms - self.start_ms) // MINUTE_MS, line.amount) for line in lines]

    def open_of(self, minute: int) -> float:
        """A bar's open."""
        bar = self.market.closing(SYMBOL, self.start_ms + minute * MINUTE_MS)
        assert bar is not None
        return bar.open


def test_what_is_held_pays_at_each_time_at_the_open(bars) -> None:
    """Once each, at the rate that clients are told; what is opened at the time itself does not pay it."""
    world = World(bars)
    world.pass_minutes(0, 481)
    world.buy(480)
    world.pass_minutes(481, 1500)
    world.buy(1500, "SELL")
    world.pass_minutes(1500, MINUTES)
    told = float(f"{RATE:.8f}")
    expected = [-world.open_of(960) * told, -world.open_of(1440) * INTEREST_RATE]
    assert [minute for minute, _ in world.paid()] == [960, 1440]
    assert [amount for _, amount in world.paid()] == pytest.approx(expected)


def test_a_time_in_a_hole_waits_for_the_next_bar_as_on_paper(bars) -> None:
    """It is paid at the open of the first bar after, dated to its own time, as the paper broker's rates say."""
    world = World(bars, holes=tuple(range(470, 490)))
    world.buy(0)
    world.pass_minutes(0, 600)
    assert world.paid() == [(480, -world.open_of(490) * INTEREST_RATE)]
    paper = FundingRates(INTEREST_RATE).between(
        "BTC/USDT:USDT", world.start_ms + 469 * MINUTE_MS, world.start_ms + 490 * MINUTE_MS
    )
    assert paper == [(world.start_ms + 480 * MINUTE_MS, INTEREST_RATE)]


def test_a_restart_neither_forgets_nor_repeats(bars) -> None:
    """A clerk that goes on from before the last payment, or from within a hole, pays what is not paid yet."""
    world = World(bars, holes=tuple(range(470, 490)))
    world.buy(0)
    world.pass_minutes(0, 470)
    for since, until in ((469, 600), (470, 600), (480, 1000), (900, 1200)):
        world.clerk = FundingClerk(world.market, world.account, world.start_ms + since * MINUTE_MS)
        world.pass_minutes(since, until)
    assert [minute for minute, _ in world.paid()] == [480, 960]
