"""A simulated account as a whole: what becomes of orders, what a fault plan does to them, snapshots."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import EngineProtocolError
from bot.simexchange.config import Market
from bot.simexchange.orders import (
    AccountChanged,
    OrderChanged,
    OrderStatus,
    TimeInForce,
)
from tests.sim_accounts import (
    SYMBOL,
    SimWorld,
    held,
    limit,
    outcome,
    random_steps,
    refused,
    request,
    sim_world,
    stop,
    target,
)

MARKETS = pytest.mark.parametrize("market", list(Market))


def executions(world: SimWorld) -> list[str]:
    """The words told of orders since the last time."""
    return [event.execution for event in world.account.take_events() if isinstance(event, OrderChanged)]


@MARKETS
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_market_order_fills_at_once_moved_against_it(market, side):
    """Price, fee and time are those of a taker at the current price."""
    world = sim_world(market, balances={"USDT": 10_000.0, "AAA": 5.0})
    order = world.place(request(side, 2.0))
    assert (order.status, order.executed_quantity) == (OrderStatus.FILLED, 2.0)
    (trade,) = world.account.trades(SYMBOL)
    sign = 1 if side == "BUY" else -1
    assert trade.price == 100.0 * (1 + sign * 1.5 / 10_000)
    assert trade.fee == 2.0 * trade.price * 4.0 / 10_000
    assert (trade.fee_asset, trade.is_maker, trade.at_ms) == ("USDT", False, world.now_ms)
    assert executions(world) == ["NEW", "TRADE"]


def test_within_a_minute_the_price_is_that_of_the_unfinished_bar():
    """An order after half a minute pays what the bar shows then."""
    world = sim_world(half_spread_bps=0.0, slippage_bps=0.0)
    world.open_bar(100.0, 103.0, 98.0, 101.0)
    world.now_ms += 30_000
    world.place(request())
    assert world.account.trades(SYMBOL)[0].price == 100.5


@MARKETS
@pytest.mark.parametrize(
    ("force", "price", "status"),
    [
        ("GTC", 101.0, OrderStatus.FILLED),
        ("IOC", 101.0, OrderStatus.FILLED),
        ("FOK", 101.0, OrderStatus.FILLED),
        ("GTC", 99.0, OrderStatus.NEW),
        ("GTX", 99.0, OrderStatus.NEW),
        ("IOC", 99.0, OrderStatus.EXPIRED),
    ],
)
def test_what_becomes_of_a_limit_order_by_its_time_in_force(market, force, price, status):
    """Through the market it takes; away from it, it rests or expires."""
    world = sim_world(market)
    order = world.place(limit("BUY", price, 2.0, force=force))
    assert order.status is status
    assert order.executed_quantity == (2.0 if status is OrderStatus.FILLED else 0.0)


def test_a_limit_order_never_pays_beyond_its_limit():
    """Where spread and slippage would lead beyond, it fills at the limit."""
    world = sim_world(slippage_bps=50.0)
    world.place(limit("BUY", 100.2))
    world.place(limit("SELL", 99.8, client_id="other"))
    assert [trade.price for trade in world.account.trades(SYMBOL)] == [100.2, 99.8]


def test_a_fill_or_kill_that_cannot_fill():
    """The perpetuals refuse it and keep nothing; spot keeps it as expired."""
    world = sim_world()
    code, text = refused(lambda: world.place(limit("BUY", 99.0, force="FOK")))
    assert code == -5021
    assert "FOK order has been rejected" in text
    assert world.account.orders(None) == []
    assert sim_world(Market.SPOT).place(limit("BUY", 99.0, force="FOK")).status is OrderStatus.EXPIRED


def test_an_order_handed_out_is_a_copy():
    """Changing it changes nothing in the account, and it stays as it was when the order goes on."""
    world = sim_world()
    order = world.place(limit("BUY", 99.0))
    order.status = OrderStatus.FILLED
    assert world.account.open_orders()[0].status is OrderStatus.NEW
    before = world.account.find(SYMBOL, order_id=1)
    world.account.cancel(SYMBOL, order_id=1, now_ms=world.now_ms)
    assert before.status is OrderStatus.NEW


def test_an_event_shows_the_order_as_it_stood():
    """A later change does not reach into what was told before."""
    world = sim_world()
    world.place(request())
    first, second, _ = world.account.take_events()
    assert isinstance(first, OrderChanged)
    assert isinstance(second, OrderChanged)
    assert (first.order.status, second.order.status) == (OrderStatus.NEW, OrderStatus.FILLED)


def test_an_order_that_reduces_is_cut_to_what_is_held():
    """It closes the position, never turns it, and the rest of it expires."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    order = world.place(request("SELL", 3.0, "exit", reduce_only=True))
    assert (order.status, order.executed_quantity) == (OrderStatus.EXPIRED, 1.0)
    assert order.reason == "Reduce Only reject"
    assert held(world.account) == 0.0


def test_a_resting_order_that_reduces_expires_when_nothing_is_left():
    """A limit that would now open a position is ended in the minute that reaches it."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.place(limit("SELL", 101.0, reduce_only=True))
    world.place(request("SELL", 1.0, "exit"))
    world.open_bar(100.0, 102.0, 100.0, 102.0)
    world.close_bars()
    assert world.account.find(SYMBOL, client_order_id="limit").status is OrderStatus.EXPIRED
    assert held(world.account) == 0.0


def test_a_resting_order_of_more_than_is_held_is_cut_and_does_not_rest_on():
    """A limit that reduces fills what there is to reduce; its rest could only open a position."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.place(limit("SELL", 101.0, 3.0, reduce_only=True))
    world.open_bar(100.0, 102.0, 100.0, 102.0)
    world.close_bars()
    order = world.account.find(SYMBOL, client_order_id="limit")
    assert (order.status, order.executed_quantity) == (OrderStatus.EXPIRED, 1.0)
    assert held(world.account) == 0.0


@MARKETS
def test_canceling_frees_what_was_bound_and_ends_the_order(market):
    """A canceled order is final, keeps its number, and is not canceled twice."""
    world = sim_world(market)
    world.place(limit("BUY", 99.0))
    assert world.account.cancel(SYMBOL, client_order_id="limit", now_ms=9).status is OrderStatus.CANCELED
    assert world.account.open_orders() == []
    assert refused(lambda: world.account.cancel(SYMBOL, order_id=1, now_ms=9)) == (
        -2011,
        "Unknown order sent.",
    )
    assert world.account.find(SYMBOL, order_id=1).updated_at_ms == 9


def test_cancel_all_ends_one_series_of_one_symbol():
    """Orders of the other series and of other symbols stay."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.place(limit("BUY", 99.0))
    world.place(limit("BUY", 99.0, symbol="BBBUSDT"))
    world.place(stop("SELL", 99.0))
    assert [one.order_id for one in world.account.cancel_all(SYMBOL, now_ms=world.now_ms)] == [2]
    assert [one.request.symbol for one in world.account.open_orders()] == ["BBBUSDT"]
    assert len(world.account.open_orders(conditional=True)) == 1
    assert len(world.account.cancel_all(SYMBOL, conditional=True, now_ms=world.now_ms)) == 1
    assert world.account.cancel_all(SYMBOL, now_ms=world.now_ms) == []


def test_cancel_all_on_spot_with_nothing_open_is_refused():
    """As Binance does; and a pair is canceled once, not twice."""
    world = sim_world(Market.SPOT)
    cancel = world.account.cancel_all
    assert refused(lambda: cancel(SYMBOL, now_ms=world.now_ms)) == (-2011, "Unknown order sent.")
    world.place(request("BUY", 1.0))
    pair = (stop("SELL", 99.0), target("SELL", 101.0))
    world.account.place_pair(*pair, "list", world.now_ms)
    world.account.take_events()
    both = cancel(SYMBOL, now_ms=world.now_ms)
    assert [one.status for one in both] == [OrderStatus.CANCELED] * 2
    assert executions(world) == ["CANCELED", "CANCELED"]


# --- keeping ------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 39), market=st.sampled_from(Market))
def test_an_account_restored_goes_on_as_if_nothing_had_happened(seed, cut, market):
    """At any step, through JSON text, what comes later is the same to the last bit."""
    whole, broken = sim_world(market), sim_world(market)
    for _ in random_steps(whole, seed, 40):
        pass
    for step in random_steps(broken, seed, 40):
        if step == cut:
            snapshot = json.loads(json.dumps(broken.account.snapshot()))
            events = broken.account.take_events()
            fresh = sim_world(market, None)
            fresh.account.restore(snapshot)
            assert fresh.account.truth() == broken.account.truth()
            assert fresh.account.snapshot() == snapshot
            broken.account, broken.account._price = fresh.account, broken.price
    truth, told = outcome(broken)
    assert (truth, [*events, *told]) == outcome(whole)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), market=st.sampled_from(Market))
def test_changes_in_a_row_make_the_same_account(seed, market):
    """What is taken as unsaved after each step, applied in order, is the account; where nothing changed it is empty."""
    world, copy = sim_world(market), sim_world(market, None)
    for _ in random_steps(world, seed, 40):
        before = world.account.unsaved()
        if before:
            copy.account.apply(json.loads(json.dumps(before)))
        world.account.saved()
        assert world.account.unsaved() == {}
        assert copy.account.truth() == world.account.truth()


def test_settings_are_part_of_a_snapshot():
    """Leverage, margin mode and position mode come back."""
    world, again = sim_world(), sim_world()
    world.account.set_leverage(SYMBOL, 7)
    world.account.set_isolated(SYMBOL, True)
    world.account.dual_side = True
    again.account.restore(json.loads(json.dumps(world.account.snapshot())))
    assert again.account.dual_side
    assert again.account.positions() == world.account.positions()


def test_the_truth_is_json_and_names_everything():
    """What a test compares with survives being written and read."""
    world = sim_world()
    world.place(request())
    world.place(stop("SELL", 99.0))
    truth = world.account.truth()
    assert json.loads(json.dumps(truth)) == truth
    assert [len(truth[name]) for name in ("orders", "conditional_orders", "trades", "income")] == [1, 1, 1, 1]
    assert truth["positions"][0]["quantity"] == 1.0
    assert truth["market"] == "usdm"


def test_spot_has_no_leverage_margin_or_position_mode():
    """Asking for them there is a bug of ours and not of the client."""
    account = sim_world(Market.SPOT).account
    for act in (
        lambda: account.margin("USDT", 0),
        lambda: account.set_leverage(SYMBOL, 2),
        lambda: account.set_isolated(SYMBOL, True),
        lambda: setattr(account, "dual_side", True),
    ):
        with pytest.raises(EngineProtocolError, match="perpetuals"):
            act()


def test_every_time_in_force_is_known():
    """A new one would need a rule here."""
    assert set(TimeInForce) == {"GTC", "IOC", "FOK", "GTX"}


def test_an_account_event_names_both_assets_of_a_trade_on_spot():
    """Coins and money, free and locked, as they are after it."""
    world = sim_world(Market.SPOT)
    world.place(request())
    told = [event for event in world.account.take_events() if isinstance(event, AccountChanged)]
    assert [[one.asset for one in event.balances] for event in told] == [["AAA", "USDT"]]
    assert told[0].balances == tuple(world.account.balances())


@pytest.mark.parametrize("holding", [True, False])
def test_of_a_pair_of_swaps_nothing_is_left_once_one_was_reached(holding):
    """Stop and target are conditional orders of which one ends the other, also where there is nothing to reduce."""
    world = sim_world(Market.OKX)
    if holding:
        world.place(request("BUY", 2.0))
    ends: dict[str, Any] = {"quantity": 2.0, "reduce_only": True}
    asked = (stop("SELL", 90.0, **ends), target("SELL", 110.0, **ends))
    list_id, first, second = world.account.place_pair(*asked, "pair", world.now_ms)
    assert (first.list_id, second.list_id) == (list_id, list_id)
    assert world.account.pair(list_id).target_id == second.order_id
    world.open_bar(100.0, 111.0, 99.0, 105.0)
    world.close_bars()
    assert world.account.open_orders(conditional=True) == []
    reached = world.account.find(SYMBOL, order_id=second.order_id, conditional=True)
    assert reached.status is (OrderStatus.FINISHED if holding else OrderStatus.EXPIRED)
    assert held(world.account) == 0.0


def test_an_order_may_be_taken_in_and_canceled_at_once():
    """It has a number and a reason, and nothing was traded."""
    world = sim_world(Market.OKX)
    order = world.account.place_canceled(limit("BUY", 99.0), world.now_ms, "would take")
    assert (order.status, order.reason, order.executed_quantity) == (OrderStatus.CANCELED, "would take", 0.0)
    assert executions(world) == ["NEW", "CANCELED"]
    assert world.account.open_orders() == []
