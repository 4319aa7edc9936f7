"""What happens to orders that wait: pairs, triggers, partial fills by a fault plan."""

from __future__ import annotations

import pytest

from bot.simexchange.account_book import FIRST_CONDITIONAL
from bot.simexchange.config import Market
from bot.simexchange.orders import Disturbance, OrderChanged, OrderRequest, OrderStatus, SimOrder
from tests.sim_accounts import (
    SYMBOL,
    SimWorld,
    held,
    limit,
    refused,
    request,
    sim_world,
    stop,
    target,
    wallet,
)

MARKETS = pytest.mark.parametrize("market", list(Market))


# --- pairs --------------------------------------------------------------------------------------------------


def place_pair(world: SimWorld, *, maker: bool = True) -> tuple[int, SimOrder, SimOrder]:
    """Buy one, and protect it with a pair."""
    world.place(request("BUY", 1.0))
    far = limit("SELL", 101.0, client_id="target", force="GTX") if maker else target("SELL", 101.0)
    return world.account.place_pair(stop("SELL", 99.0), far, "list", world.now_ms)


@pytest.mark.parametrize("maker", [True, False])
@pytest.mark.parametrize(
    ("bar", "filled"),
    [
        ((100.0, 100.5, 98.0, 99.0), "stop"),
        ((100.0, 102.0, 100.0, 101.0), "target"),
        ((100.0, 102.0, 98.0, 101.0), "stop"),
    ],
)
def test_of_a_pair_one_fills_and_the_other_expires(maker, bar, filled):
    """Whichever is reached, the stop where both are, the coins are sold once."""
    world = sim_world(Market.SPOT)
    place_pair(world, maker=maker)
    world.open_bar(*bar)
    world.close_bars()
    by_id = {one.request.client_order_id: one.status for one in world.account.orders(None)}
    other = "target" if filled == "stop" else "stop"
    assert (by_id[filled], by_id[other]) == (OrderStatus.FILLED, OrderStatus.EXPIRED)
    assert wallet(world.account, "AAA") == 0.0
    trade = world.account.trades(None)[-1]
    assert trade.is_maker == (filled == "target" and maker)


def test_canceling_one_of_a_pair_cancels_the_other():
    """Both are canceled by the cancel of either, and the coins are free."""
    world = sim_world(Market.SPOT)
    list_id, near, far = place_pair(world)
    assert (near.list_id, far.list_id) == (list_id, list_id)
    world.account.cancel(SYMBOL, order_id=far.order_id, now_ms=world.now_ms)
    assert world.account.open_orders() == []
    assert all(one.locked == 0 for one in world.account.balances())


def test_a_pair_can_be_asked_for():
    """By its number, with the numbers of both orders; another number is refused."""
    world = sim_world(Market.SPOT)
    list_id, near, far = place_pair(world)
    pair = world.account.pair(list_id)
    assert (pair.client_id, pair.stop_id, pair.target_id) == ("list", near.order_id, far.order_id)
    assert refused(lambda: world.account.pair(99)) == (-2018, "Order list does not exist.")


def test_a_pair_whose_stop_ran_away_from_its_money_is_over():
    """The buying stop expires for want of money, and its target does not stay behind alone."""
    world = sim_world(Market.SPOT, balances={"USDT": 102.0})
    world.account.place_pair(stop("BUY", 101.0), limit("BUY", 99.0, force="GTX"), "list", world.now_ms)
    world.open_bar(110.0)
    world.close_bars()
    assert [one.status for one in world.account.orders(None)] == [OrderStatus.EXPIRED] * 2
    assert world.account.trades(None) == []


def test_a_pair_that_buys_may_spend_what_it_locked():
    """The lock of the pair, which is that of its stop, pays for the stop."""
    world = sim_world(Market.SPOT, balances={"USDT": 101.1})
    world.account.place_pair(stop("BUY", 101.0), limit("BUY", 99.0, force="GTX"), "list", world.now_ms)
    world.open_bar(100.0, 102.0, 100.0, 101.0)
    world.close_bars()
    assert wallet(world.account, "AAA") == 1.0


# --- conditional orders of the perpetuals -------------------------------------------------------------------


def test_a_triggered_order_becomes_a_market_order_of_its_own_number():
    """Both series, the client id, the parent, and the words in their order."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    algo = world.place(stop("SELL", 99.0, reduce_only=True))
    assert algo.order_id == FIRST_CONDITIONAL
    world.account.take_events()
    world.open_bar(100.0, 100.0, 98.0, 99.0)
    world.close_bars()
    events = [event for event in world.account.take_events() if isinstance(event, OrderChanged)]
    assert [(event.execution, event.order.request.is_conditional) for event in events] == [
        ("TRIGGERED", True),
        ("NEW", False),
        ("TRADE", False),
        ("FINISHED", True),
    ]
    done = world.account.find(None, client_order_id="stop", conditional=True)
    market = world.account.find(SYMBOL, client_order_id="stop")
    assert (done.status, done.triggered_order_id) == (OrderStatus.FINISHED, market.order_id)
    assert (market.order_id, market.parent_id, market.status) == (2, algo.order_id, OrderStatus.FILLED)
    assert (done.executed_quantity, done.executed_notional) == (1.0, market.executed_notional)


def test_an_order_that_closes_the_position_closes_what_is_held_then():
    """Its quantity is decided at the trigger."""
    world = sim_world()
    world.place(request("SELL", 1.0))
    world.place(stop("BUY", 101.0, 0.0, close_position=True))
    world.place(request("SELL", 0.5, "more"))
    world.open_bar(100.0, 102.0, 100.0, 101.0)
    world.close_bars()
    assert world.account.trades(None)[-1].quantity == 1.5
    assert held(world.account) == 0.0


def test_a_stop_of_more_than_is_held_is_cut():
    """The market order expires with what there was executed; the conditional one is finished."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.place(stop("SELL", 99.0, 3.0, reduce_only=True))
    world.open_bar(100.0, 100.0, 98.0, 99.0)
    world.close_bars()
    market = world.account.find(SYMBOL, client_order_id="stop")
    assert (market.status, market.executed_quantity) == (OrderStatus.EXPIRED, 1.0)
    assert held(world.account) == 0.0


# --- fault plans --------------------------------------------------------------------------------------------


@MARKETS
def test_a_fault_plan_refuses_in_its_own_words(market):
    """The client gets that code and text, and nothing was taken in."""
    world = sim_world(market)
    world.account.disturb = lambda _: Disturbance(refuse=(-1001, "Internal error."))
    assert refused(lambda: world.place(request())) == (-1001, "Internal error.")
    assert world.account.orders(None) == []
    assert world.account.take_events() == []


def test_a_fault_plan_is_asked_only_about_orders_that_pass():
    """What the exchange itself refuses does not use up a fault."""
    world = sim_world()
    asked: list[OrderRequest] = []

    def listen(one: OrderRequest) -> None:
        asked.append(one)

    world.account.disturb = listen
    refused(lambda: world.place(request(quantity=0.0)))
    assert asked == []
    world.place(request())
    assert [one.client_order_id for one in asked] == ["one"]


@pytest.mark.parametrize(
    ("shares", "parts", "status"),
    [
        ((0.5, 0.5), [0.005, 0.005], OrderStatus.FILLED),
        ((1 / 3, 1 / 3, 1 / 3), [0.003, 0.003, 0.004], OrderStatus.FILLED),
        ((0.25, 0.25), [0.002, 0.003], OrderStatus.EXPIRED),
        ((0.01,), [], OrderStatus.EXPIRED),
        ((), [], OrderStatus.EXPIRED),
    ],
)
def test_a_fault_plan_fills_in_shares(shares, parts, status):
    """One trade each, cut to the lot step; what a market order leaves expires."""
    world = sim_world(price=1000.0)
    world.account.disturb = lambda _: Disturbance(fill_shares=shares)
    order = world.place(request(quantity=0.01))
    assert [trade.quantity for trade in world.account.trades(None)] == parts
    assert order.status is status
    assert order.executed_quantity == pytest.approx(sum(parts))


def test_what_shares_leave_of_an_order_that_may_rest_rests_and_fills_later():
    """A post-only order fills by its shares in the first minute that reaches it, then as any other."""
    world = sim_world()
    world.account.disturb = lambda _: Disturbance(fill_shares=(0.4,))
    world.place(limit("BUY", 99.0, force="GTX"))
    for left in (0.6, 0.0):
        world.open_bar(100.0, 100.0, 98.0, 99.5)
        world.close_bars()
        assert world.account.find(SYMBOL, order_id=1).remaining == pytest.approx(left)
    assert [trade.quantity for trade in world.account.trades(None)] == [0.4, 0.6]


def test_shares_of_a_conditional_order_are_those_of_its_market_order():
    """A stop can be made to fill in part, and the position keeps the rest."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.account.disturb = lambda _: Disturbance(fill_shares=(0.3,))
    world.place(stop("SELL", 99.0, reduce_only=True))
    world.open_bar(100.0, 100.0, 98.0, 99.0)
    world.close_bars()
    assert held(world.account) == pytest.approx(0.7)
    assert world.account.find(SYMBOL, client_order_id="stop").status is OrderStatus.EXPIRED
    assert world.account.open_orders(conditional=True) == []


def test_a_pair_is_disturbed_in_both_orders_or_refused_whole():
    """A refusal of the second takes the first along."""
    world = sim_world(Market.SPOT)
    world.place(request("BUY", 1.0))
    refusal = Disturbance(refuse=(-2010, "No."))
    world.account.disturb = lambda asked: refusal if asked.client_order_id == "target" else None
    pair = (stop("SELL", 99.0), target("SELL", 101.0))
    assert refused(lambda: world.account.place_pair(*pair, "list", world.now_ms)) == (-2010, "No.")
    assert world.account.open_orders() == []
