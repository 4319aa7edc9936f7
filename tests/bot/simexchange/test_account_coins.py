"""Money on spot: what orders cost, what they lock, what they may not spend."""

from __future__ import annotations

import pytest

from bot.simexchange.config import Market
from bot.simexchange.orders import Disturbance, OrderStatus, SimBalance
from tests.sim_accounts import SYMBOL, SimWorld, limit, refused, request, sim_world, stop, target

SHORT = (-2010, "Account has insufficient balance for requested action.")


def spot(**balances: float) -> SimWorld:
    """A spot account with these coins."""
    return sim_world(Market.SPOT, balances=balances)


def balance(world: SimWorld, asset: str) -> SimBalance:
    """Of one asset."""
    return next(one for one in world.account.balances() if one.asset == asset)


def test_a_bought_quantity_can_be_sold_whole():
    """The fee is paid in money, so the coins are all there; in the end only costs are missing."""
    world = spot(USDT=1_000.0)
    world.place(request("BUY", 0.3))
    assert balance(world, "AAA") == SimBalance("AAA", 0.3, 0.0)
    world.place(request("SELL", 0.1, "a"))
    world.place(request("SELL", 0.2, "b"))
    assert balance(world, "AAA").free == 0.0
    trades = world.account.trades(None)
    flows = sum((-1 if one.side == "BUY" else 1) * one.quantity * one.price - one.fee for one in trades)
    assert balance(world, "USDT").free == pytest.approx(1_000.0 + flows, abs=1e-9)


def test_money_is_spent_once():
    """What a resting order locks is not there for another."""
    world = spot(USDT=100.0)
    world.place(limit("BUY", 99.0, 0.9))
    assert balance(world, "USDT").locked == pytest.approx(0.9 * 99.0 * 1.0002)
    assert refused(lambda: world.place(limit("BUY", 99.0, 0.2, "more"))) == SHORT
    assert refused(lambda: world.place(request("BUY", 0.2, "now"))) == SHORT
    assert world.place(request("BUY", 0.1, "now")).status is OrderStatus.FILLED


def test_coins_are_sold_once():
    """A stop locks them too."""
    world = spot(USDT=0.0, AAA=1.0)
    world.place(stop("SELL", 99.0, 0.6))
    assert balance(world, "AAA") == SimBalance("AAA", 0.4, 0.6)
    assert refused(lambda: world.place(target("SELL", 101.0, 0.5))) == SHORT
    assert refused(lambda: world.place(request("SELL", 0.5))) == SHORT
    assert world.place(request("SELL", 0.4)).status is OrderStatus.FILLED


def test_nothing_is_sold_that_is_not_owned():
    """Spot has no short positions."""
    assert refused(lambda: spot(USDT=1e6).place(request("SELL", 0.1))) == SHORT


def test_a_pair_locks_its_coins_once():
    """And a second pair for the same coins is refused."""
    world = spot(USDT=0.0, AAA=1.0)
    world.account.place_pair(stop("SELL", 99.0), target("SELL", 101.0), "list", world.now_ms)
    assert balance(world, "AAA") == SimBalance("AAA", 0.0, 1.0)
    other = (stop("SELL", 99.0, client_id="s"), target("SELL", 101.0, client_id="t"))
    assert refused(lambda: world.account.place_pair(*other, "other", world.now_ms)) == SHORT


def test_what_a_partly_filled_order_locks_is_what_is_left_of_it():
    """Each execution frees its part."""
    world = spot(USDT=1_000.0)
    world.account.disturb = lambda _: Disturbance(fill_shares=(0.25,))
    world.place(limit("BUY", 99.0, 4.0))
    world.open_bar(100.0, 100.0, 98.0, 99.5)
    world.close_bars()
    assert balance(world, "USDT").locked == pytest.approx(3.0 * 99.0 * 1.0002)
    assert balance(world, "USDT").free == pytest.approx(1_000 - 4.0 * 99.0 * 1.0002)


def test_a_buying_stop_that_ran_away_from_its_money_expires():
    """A gap can make it cost more than it locked and more than there is: then it ends, and nothing is owed."""
    world = spot(USDT=102.0)
    world.place(stop("BUY", 101.0, 1.0))
    world.open_bar(110.0)
    world.close_bars()
    order = world.account.find(SYMBOL, client_order_id="stop")
    assert (order.status, order.reason) == (OrderStatus.EXPIRED, SHORT[1])
    assert balance(world, "USDT") == SimBalance("USDT", 102.0, 0.0)


def test_a_buying_stop_uses_what_it_locked():
    """Its own lock counts as money that it may spend."""
    world = spot(USDT=102.0)
    world.place(stop("BUY", 101.0, 1.0))
    world.open_bar(100.0, 101.5, 100.0, 101.0)
    world.close_bars()
    assert world.account.find(SYMBOL, client_order_id="stop").status is OrderStatus.FILLED
    assert balance(world, "AAA").free == 1.0


def test_spot_has_no_positions_and_no_income():
    """What it holds are balances."""
    world = spot(USDT=1_000.0)
    world.place(request())
    world.account.pay_funding(SYMBOL, 0.01, 100.0, world.now_ms)
    assert world.account.positions() == []
    assert world.account.income() == []
