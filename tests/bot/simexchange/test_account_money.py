"""Money of a simulated account: what it must always add up to, the core's own account as the second opinion, margin."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.account import Account
from bot.core.market import Instrument, kind_of
from bot.core.orders import Fill, Side
from bot.simexchange.account_money import Holding
from bot.simexchange.config import Market
from bot.simexchange.orders import AccountChanged, Income, OrderChanged, OrderStatus, SimTrade
from tests.sim_accounts import (
    LISTINGS,
    SYMBOL,
    SimWorld,
    held,
    limit,
    random_steps,
    refused,
    request,
    sim_world,
    stop,
    wallet,
)

SEEDS = st.integers(0, 2**32)
MARKETS = st.sampled_from(Market)


def second_opinion(market: Market) -> Account:
    """The core's account with the same listings and money."""
    rules = {}
    for symbol, listing in LISTINGS.items():
        name = listing.unified(market)
        rules[symbol] = Instrument(symbol, kind_of(name), listing.tick, listing.step, listing.step, 5.0)
    return Account(10_000.0, rules)


def core_fill(trade: SimTrade) -> Fill:
    """An execution as the core knows it."""
    return Fill(
        str(trade.trade_id),
        trade.client_order_id,
        trade.symbol,
        Side(trade.side.lower()),
        trade.quantity,
        trade.price,
        trade.fee,
        trade.fee_asset,
        trade.at_ms,
    )


def feed(world: SimWorld, account: Account) -> None:
    """Tell the core's account what the exchange told since the last time."""
    for event in world.account.take_events():
        if isinstance(event, OrderChanged) and event.trade is not None:
            account.apply_fill(core_fill(event.trade), "")
        elif isinstance(event, AccountChanged) and event.reason == "FUNDING_FEE":
            account.apply_funding(world.paid[-1])  # at most one a step


@settings(max_examples=40)
@given(seed=SEEDS, market=MARKETS)
def test_the_core_s_account_fed_with_the_same_fills_has_the_same_money_and_positions(seed, market):
    """Two independent ways of counting come to the same cash and positions after every step."""
    world, account = sim_world(market), second_opinion(market)
    for _ in random_steps(world, seed, 60):
        feed(world, account)
        assert wallet(world.account) == pytest.approx(account.cash, abs=1e-9)
        for symbol, listing in LISTINGS.items():
            mine = account.position(symbol)
            if market is Market.SPOT:
                assert wallet(world.account, listing.base) == pytest.approx(mine.quantity, abs=1e-9)
            else:
                theirs = next(one for one in world.account.positions() if one.symbol == symbol)
                assert theirs.quantity == pytest.approx(mine.quantity, abs=1e-9)
                assert theirs.entry_price == pytest.approx(mine.entry_price, abs=1e-9)


@settings(max_examples=25)
@given(seed=SEEDS)
def test_a_wallet_is_the_sum_of_its_history_to_the_last_bit(seed):
    """Start plus gains less fees less funding, summed in order of time, is exactly the wallet."""
    world = sim_world()
    for _ in random_steps(world, seed, 60):
        pass
    total = 10_000.0
    for line in world.account.income(limit=100_000):
        total += line.amount
    assert wallet(world.account) == total
    kinds = [line.kind for line in world.account.income(limit=100_000)]
    trades = world.account.trades(None, limit=100_000)
    assert kinds.count("COMMISSION") == len(trades)
    assert kinds.count("REALIZED_PNL") == sum(trade.realized != 0 for trade in trades)


@settings(max_examples=30)
@given(seed=SEEDS, market=MARKETS)
def test_what_holds_after_every_step(seed, market):
    """Sums of executions, ids, states, reductions and locks are right whatever a client does."""
    world = sim_world(market)
    for _ in random_steps(world, seed, 50):
        check_orders(world)
        for balance in world.account.balances():
            assert balance.locked >= 0
            assert market is Market.USDM or balance.free >= -1e-9
    trades = world.account.trades(None, limit=100_000)
    assert [trade.trade_id for trade in trades] == list(range(1, len(trades) + 1))
    assert [trade.at_ms for trade in trades] == sorted(trade.at_ms for trade in trades)
    if market is Market.USDM:
        check_reductions(world, trades)


def check_orders(world: SimWorld) -> None:
    """Executed is the sum of trades; an order is open or final."""
    account = world.account
    open_now = {order.order_id for order in account.open_orders()}
    for order in account.orders(None, limit=100_000):
        mine = account.trades(None, order_id=order.order_id, limit=100_000)
        assert order.executed_quantity == pytest.approx(sum(trade.quantity for trade in mine), abs=1e-9)
        spent = sum(trade.price * trade.quantity for trade in mine)
        assert order.executed_notional == pytest.approx(spent, abs=1e-9)
        assert (order.order_id in open_now) == order.is_open
        assert order.is_open == (order.status in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
        assert order.executed_quantity <= order.request.quantity
        assert (order.status is OrderStatus.FILLED) == (order.remaining <= 0)
    for order in (
        account.orders(None, conditional=True, limit=100_000) if account.market is Market.USDM else []
    ):
        child = order.triggered_order_id
        assert (order.status is OrderStatus.FINISHED) == bool(child)
        if child:
            made = account.find(None, order_id=child)
            assert made.parent_id == order.order_id
            assert made.request.client_order_id == order.request.client_order_id
            assert made.executed_quantity == order.executed_quantity


def check_reductions(world: SimWorld, trades: list[SimTrade]) -> None:
    """No reducing order ever opened or turned a position."""
    reducing = {
        order.order_id: order.request.reduce_only for order in world.account.orders(None, limit=100_000)
    }
    quantities = dict.fromkeys(LISTINGS, 0.0)
    for trade in trades:
        before = quantities[trade.symbol]
        after = before + trade.quantity * (1 if trade.side == "BUY" else -1)
        if reducing[trade.order_id]:
            assert abs(after) < abs(before)
            assert abs(after) < 1e-9 or (after > 0) == (before > 0)
        quantities[trade.symbol] = after


@given(
    fills=st.lists(
        st.tuples(st.integers(-3000, 3000).filter(bool), st.integers(5000, 20_000)), min_size=1, max_size=20
    )
)
def test_the_gains_of_a_holding_and_what_is_left_are_its_cash_flow(fills):
    """Bought and sold in any order, gains plus what is open equal the money that went in and out."""
    holding, gains, paid = Holding(), 0.0, 0.0
    for thousandths, cents in fills:
        quantity, price = thousandths / 1000, cents / 100
        gains += holding.add(quantity, price)
        paid += quantity * price
    last = fills[-1][1] / 100
    assert gains + holding.quantity * (last - holding.entry_price) == pytest.approx(
        holding.quantity * last - paid, abs=1e-6
    )


def test_funding_is_paid_by_the_long_and_got_by_the_short():
    """A positive rate takes notional at the mark price times the rate from a long, and gives it to a short."""
    for side, sign in (("BUY", 1), ("SELL", -1)):
        world = sim_world()
        world.place(request(side, 2.0))
        before = wallet(world.account)
        world.account.pay_funding(SYMBOL, 0.001, 90.0, world.now_ms)
        assert wallet(world.account) == before - sign * 2.0 * 90.0 * 0.001
        line = world.account.income(kind="FUNDING_FEE")[0]
        assert line == Income(line.income_id, SYMBOL, "FUNDING_FEE", -sign * 0.18, "USDT", world.now_ms)


def test_funding_without_a_position_is_nothing():
    """Nothing is booked and nothing told where nothing is held."""
    world = sim_world()
    world.account.pay_funding(SYMBOL, 0.001, 90.0, world.now_ms)
    assert world.account.income() == []
    assert world.account.take_events() == []


def test_a_crossed_position_is_not_told_at_a_funding_time():
    """As on Binance the event names the wallet alone; of an isolated position it names that too."""
    for isolated in (False, True):
        world = sim_world()
        if isolated:
            world.account.set_isolated(SYMBOL, True)
        world.place(request())
        world.account.take_events()
        world.account.pay_funding(SYMBOL, 0.001, 100.0, world.now_ms)
        (event,) = world.account.take_events()
        assert isinstance(event, AccountChanged)
        assert [one.symbol for one in event.positions] == ([SYMBOL] if isolated else [])
        assert event.balances == tuple(world.account.balances())


def test_what_is_available_is_the_wallet_and_the_gain_less_the_margins():
    """Initial margin is notional at the price by leverage, of the larger side with its open orders."""
    world = sim_world(taker_fee_bps=0.0, half_spread_bps=0.0, slippage_bps=0.0)
    world.account.set_leverage(SYMBOL, 10)
    world.place(request("BUY", 5.0))
    world.place(limit("BUY", 99.0, 2.0, "more"))
    world.place(limit("SELL", 101.0, 4.0, "less"))
    world.open_bar(110.0)
    margin = world.account.margin("USDT", world.now_ms)
    assert margin.wallet == 10_000.0
    assert margin.unrealized == 50.0
    assert margin.position_margin == pytest.approx(55.0)
    assert margin.order_margin == pytest.approx(22.0)
    assert margin.available == pytest.approx(10_000 + 50 - 55 - 22)


def test_what_the_margin_does_not_cover_is_refused():
    """At leverage 2 twice the wallet is too much with its fee, and what leaves room for it is taken."""
    world = sim_world()
    world.account.set_leverage(SYMBOL, 2)
    assert refused(lambda: world.place(request("BUY", 200.0))) == (-2019, "Margin is insufficient.")
    assert refused(lambda: world.place(limit("BUY", 99.0, 201.0))) == (-2019, "Margin is insufficient.")
    assert world.account.orders(None) == []
    world.place(request("BUY", 199.0))
    assert held(world.account) == 199.0


def test_resting_orders_bind_margin_until_they_are_gone():
    """A second order for which the first left too little is refused, and taken once that is canceled."""
    world = sim_world()
    world.account.set_leverage(SYMBOL, 1)
    world.place(limit("BUY", 99.0, 60.0, "first"))
    assert refused(lambda: world.place(limit("BUY", 99.0, 60.0, "second")))[0] == -2019
    world.account.cancel(SYMBOL, client_order_id="first", now_ms=world.now_ms)
    assert world.place(limit("BUY", 99.0, 60.0, "second")).is_open


def test_a_position_can_always_be_made_smaller():
    """With nothing available left an order that reduces is still taken, be it marked so or not."""
    world = sim_world()
    world.account.set_leverage(SYMBOL, 1)
    world.place(request("BUY", 99.0))
    world.open_bar(60.0)
    assert world.account.margin("USDT", world.now_ms).available < 100
    world.place(request("SELL", 50.0, "half"))
    world.place(request("SELL", 49.0, "rest", reduce_only=True))
    assert held(world.account) == 0.0


def test_a_conditional_order_is_checked_for_margin_when_it_triggers():
    """It is taken whatever its size, and rejected at its trigger where the margin is too small."""
    world = sim_world()
    world.place(stop("BUY", 101.0, 90_000.0))
    world.open_bar(100.0, 102.0, 100.0, 102.0)
    world.close_bars()
    order = world.account.find(SYMBOL, client_order_id="stop", conditional=True)
    assert (order.status, order.reason) == (OrderStatus.REJECTED, "Margin is insufficient.")
    assert world.account.orders(None) == []
    assert held(world.account) == 0.0
