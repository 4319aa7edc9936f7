"""Tests that money changes only by price, fee and funding."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.account import Account
from bot.core.market import Symbol
from bot.core.orders import Adopted, Fill, Funding, Leg, Side
from bot.errors import EngineProtocolError
from tests.core_builders import PERPETUAL, SPOT, fill_of, instrument, order

Event = tuple[str, Symbol, int, int, int]
"""What happens: fill, mark or funding; to whom; signed lots or rate; price in cents; fee in cents."""

events = st.lists(
    st.tuples(
        st.sampled_from(["fill", "fill", "mark", "funding"]),
        st.sampled_from([PERPETUAL, SPOT]),
        st.integers(-5000, 5000).filter(bool),
        st.integers(1000, 20_000),
        st.integers(0, 500),
    ),
    max_size=30,
)


def new_account(cash: float = 100_000.0) -> Account:
    """An account that trades one perpetual and one spot market."""
    return Account(cash, {symbol: instrument(symbol) for symbol in (PERPETUAL, SPOT)})


def fill(symbol: Symbol, lots: int, cents: int, fee_cents: int = 0) -> Fill:
    """An execution of a signed number of thousandths."""
    side = Side.BUY if lots > 0 else Side.SELL
    return fill_of(
        order(symbol=symbol, side=side, quantity=abs(lots) / 1000), cents / 100, fee=fee_cents / 100
    )


def play(account: Account, happened: list[Event]) -> None:
    """Let it happen, checking equity at every step."""
    for kind, symbol, amount, cents, fee in happened:
        before, held = account.equity(), account.position(symbol).quantity
        was_at = account.mark_price(symbol)
        if kind == "mark":
            account.mark(symbol, cents / 100)
            expected = before + held * (cents / 100 - was_at)
        elif kind == "funding":
            rate = amount / 1e6
            paid = account.apply_funding(Funding(symbol, rate, cents / 100, 0))
            assert paid == pytest.approx(0.0 if symbol == SPOT else held * cents / 100 * rate)
            expected = before - paid
        else:
            lots = max(amount, -round(held * 1000)) if symbol == SPOT else amount
            if not lots:
                continue
            # At its own price a fill changes nothing but the fee.
            account.mark(symbol, cents / 100)
            expected = before + held * (cents / 100 - was_at) - fee / 100
            account.apply_fill(fill(symbol, lots, cents, fee), "exit")
            assert account.position(symbol).quantity == pytest.approx(held + lots / 1000, abs=1e-9)
        assert account.equity() == pytest.approx(expected, abs=1e-6)


@given(happened=events)
@settings(deadline=None)
def test_equity_changes_only_by_price_fee_and_funding(happened: list[Event]) -> None:
    """Long, short, flipped, in parts, on spot and perpetual: cash plus worth moves by nothing else."""
    account = new_account()
    for symbol in (PERPETUAL, SPOT):
        account.mark(symbol, 100.0)
    play(account, happened)


@given(happened=events)
@settings(deadline=None)
def test_once_flat_the_cash_is_the_start_plus_all_trades(happened: list[Event]) -> None:
    """Trades' pnl sums to the change of cash, and their fees and funding to the account's."""
    account = new_account()
    trades = []
    closing = [("fill", symbol, 0, 10_000, 7) for symbol in (PERPETUAL, SPOT)]
    for kind, symbol, amount, cents, fee in happened + closing:
        held = round(account.position(symbol).quantity * 1000)
        if kind == "mark":
            continue
        if kind == "funding":
            account.apply_funding(Funding(symbol, amount / 1e6, cents / 100, 0))
            continue
        lots = -held if amount == 0 else max(amount, -held) if symbol == SPOT else amount
        if lots:
            trade = account.apply_fill(fill(symbol, lots, cents, fee), "exit")
            trades += [trade] if trade else []
    assert not account.has_positions
    assert account.positions() == []
    assert account.total_notional() == 0.0
    assert account.cash == account.equity()
    assert account.trade_count == len(trades)
    assert sum(t.pnl for t in trades) == pytest.approx(account.cash - account.starting_cash, abs=1e-6)
    assert sum(t.fees for t in trades) == pytest.approx(account.fees_paid, abs=1e-6)
    assert sum(t.funding for t in trades) == pytest.approx(account.funding_paid, abs=1e-6)


@given(happened=events)
@settings(deadline=None)
def test_a_snapshot_as_text_brings_back_the_same_account(happened: list[Event]) -> None:
    """Restored from JSON, every figure is equal to the bit."""
    account, again = new_account(), new_account(5.0)
    play(account, happened)
    again.restore(json.loads(json.dumps(account.snapshot())))
    assert again.snapshot() == account.snapshot()
    assert again.equity() == account.equity()
    assert again.positions() == account.positions()


def test_a_spot_purchase_is_paid_in_full() -> None:
    """Cash falls by notional and fee, and the holding is worth its quantity times the price."""
    account = new_account(1000.0)
    account.apply_fill(fill(SPOT, 2000, 10_000, 50), "")
    assert (account.cash, account.value(SPOT), account.equity()) == (799.5, 200.0, 999.5)
    account.mark(SPOT, 110.0)
    assert (account.value(SPOT), account.notional(SPOT), account.equity()) == (220.0, 220.0, 1019.5)


def test_a_perpetual_short_gains_as_the_price_falls() -> None:
    """Opening moves no cash but the fee; the position is worth its unrealized gain."""
    account = new_account(1000.0)
    account.apply_fill(fill(PERPETUAL, -2000, 10_000, 50), "")
    account.mark(PERPETUAL, 90.0)
    assert (account.cash, account.value(PERPETUAL), account.equity()) == (999.5, 20.0, 1019.5)
    assert account.notional(PERPETUAL) == 180.0
    trade = account.apply_fill(fill(PERPETUAL, 2000, 9_000), "quiet")
    assert trade is not None
    assert (account.cash, trade.pnl, trade.exit_reason) == (1019.5, 19.5, "quiet")


@pytest.mark.parametrize(
    ("lots", "rate", "paid"), [(2000, 0.001, 0.2), (-2000, 0.001, -0.2), (2000, -0.001, -0.2)]
)
def test_longs_pay_a_positive_rate_and_shorts_receive_it(lots: int, rate: float, paid: float) -> None:
    """Payment is signed quantity times mark price times rate."""
    account = new_account(1000.0)
    account.apply_fill(fill(PERPETUAL, lots, 10_000), "")
    assert account.apply_funding(Funding(PERPETUAL, rate, 100.0, 0)) == pytest.approx(paid)
    assert account.cash == pytest.approx(1000.0 - paid)
    assert account.position(PERPETUAL).funding == account.funding_paid


@pytest.mark.parametrize(
    "wrong",
    [
        fill_of(order(symbol=SPOT, side=Side.SELL, leg=Leg.EXIT)),
        fill_of(order(symbol=SPOT, side=Side.SELL, leg=Leg.EXIT, quantity=2.5)),
        fill_of(order(symbol="DOGE/USDT")),
    ],
)
def test_an_impossible_fill_raises_and_changes_nothing(wrong: Fill) -> None:
    """Short on spot, or a symbol that is not ours."""
    account = new_account()
    if wrong.quantity == 2.5:
        account.apply_fill(fill(SPOT, 2499, 10_000), "")
    before = account.snapshot()
    with pytest.raises(EngineProtocolError):
        account.apply_fill(wrong, "exit")
    assert account.snapshot() == before


def test_without_a_mark_the_entry_price_stands_in() -> None:
    """A position whose market was not seen yet is worth what was paid."""
    account = new_account(1000.0)
    account.apply_fill(fill(SPOT, 1000, 10_000), "")
    assert (account.mark_price(SPOT), account.equity()) == (100.0, 1000.0)
    assert [position.symbol for position in account.positions()] == [SPOT]
    assert account.notional(PERPETUAL) == account.value(PERPETUAL) == 0.0


def test_the_total_notional_adds_longs_and_shorts() -> None:
    """Sizes add up whatever their side, at the mark where one was seen, else at the entry price."""
    account = new_account(1000.0)
    account.apply_fill(fill(SPOT, 1000, 10_000), "")
    account.apply_fill(fill(PERPETUAL, -2000, 10_000), "")
    assert account.total_notional() == 300.0
    account.mark(PERPETUAL, 90.0)
    assert account.total_notional() == 280.0
    assert account.total_notional() == account.notional(SPOT) + account.notional(PERPETUAL)


def test_what_an_exchange_says_it_booked_as_funding_is_booked_exactly() -> None:
    """Not worked out again, and also where nothing is held any more."""
    account = new_account(1000.0)
    account.apply_fill(fill(PERPETUAL, 1000, 10_000), "")
    cash = account.cash
    assert account.apply_funding(Funding(PERPETUAL, 0.0, 0.0, 8, 0.125)) == 0.125
    assert (account.cash, account.position(PERPETUAL).funding) == (cash - 0.125, 0.125)
    account.apply_fill(fill(PERPETUAL, -1000, 10_000), "")
    cash = account.cash
    account.apply_funding(Funding(PERPETUAL, 0.0, 0.0, 9, -0.5))
    assert (account.cash, account.funding_paid) == (cash + 0.5, -0.375)
    assert account.position(PERPETUAL).is_flat


def test_an_adopted_position_is_held_and_moves_no_money() -> None:
    """At the price that it was entered at; closing it realizes the difference."""
    account = new_account(1000.0)
    account.adopt(Adopted(PERPETUAL, -2.0, 100.0, 5))
    assert (account.cash, account.position(PERPETUAL).quantity) == (1000.0, -2.0)
    trade = account.apply_fill(fill(PERPETUAL, 2000, 9000), "exit")
    assert trade is not None
    assert (trade.entry_price, trade.exit_price) == (100.0, 90.0)


@pytest.mark.parametrize(
    "wrong",
    [
        Adopted(PERPETUAL, 0.0, 100.0, 5),
        Adopted(PERPETUAL, 1.0, 0.0, 5),
        Adopted(SPOT, -1.0, 100.0, 5),
        Adopted("X/USDT", 1.0, 100.0, 5),
    ],
)
def test_what_cannot_be_held_cannot_be_adopted(wrong: Adopted) -> None:
    """Nothing, without a price, short on spot, or in a symbol that is not ours."""
    account = new_account()
    with pytest.raises(EngineProtocolError, match="adopted"):
        account.adopt(wrong)
    assert not account.has_positions


def test_a_position_cannot_be_adopted_beside_one_that_is_held() -> None:
    """What is ours already has its own history."""
    account = new_account()
    account.adopt(Adopted(PERPETUAL, 1.0, 100.0, 5))
    with pytest.raises(EngineProtocolError, match="one is held"):
        account.adopt(Adopted(PERPETUAL, 1.0, 100.0, 5))


@given(
    happened=events,
    prices=st.lists(st.integers(1000, 20_000), min_size=1, max_size=8),
    with_spot=st.booleans(),
)
@settings(deadline=None)
def test_the_value_over_some_minutes_is_that_of_marking_each(
    happened: list[Event], prices: list[int], with_spot: bool
) -> None:
    """``over`` gives, to the last digit, what equity and notional are after each mark; an absent symbol keeps its own."""
    account = new_account()
    play(account, happened)
    closes = {PERPETUAL: [cents / 100 for cents in prices]}
    if with_spot:
        closes[SPOT] = [cents / 50 for cents in prices]
    equities, notionals = account.over(closes, len(prices))
    for place in range(len(prices)):
        for symbol, column in closes.items():
            account.mark(symbol, column[place])
        assert (equities[place], notionals[place]) == (account.equity(), account.total_notional())


def test_what_was_kept_can_be_put_back() -> None:
    """After a failed booking the account is as it was, marks included."""
    account = new_account()
    account.apply_fill(fill(PERPETUAL, 100, 5000, 3), "stop_loss")
    before, kept = account.snapshot(), account.kept()
    account.apply_fill(fill(PERPETUAL, -100, 6000, 3), "take_profit")
    account.apply_fill(fill(SPOT, 100, 5000), "x")
    account.put_back(kept)
    assert account.snapshot() == before
