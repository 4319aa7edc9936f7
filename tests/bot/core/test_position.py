"""Tests that a position is the sum of its fills, and a trade what happened between flat and flat."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.orders import Fill, Side
from bot.core.position import Position, Trade, apply_fill, held_after
from tests.core_builders import PERPETUAL

LOTS = {8: 1e-8, 3: 0.001, 0: 1.0}


def fill(lots: int, digits: int, cents: int, number: int = 0, fee: float = 0.0) -> Fill:
    """An execution of a signed number of lots."""
    side = Side.BUY if lots > 0 else Side.SELL
    quantity = round(abs(lots) * LOTS[digits], digits)
    return Fill(f"t{number}", "order", PERPETUAL, side, quantity, cents / 100, fee, "USDT", number)


fills = st.lists(
    st.tuples(st.integers(-(10**6), 10**6).filter(bool), st.integers(1, 10**6), st.integers(0, 100)),
    min_size=1,
    max_size=25,
)


@given(rows=fills, digits=st.sampled_from(sorted(LOTS)), closing=st.booleans())
@settings(deadline=None)
def test_a_position_is_the_sum_of_its_fills(
    rows: list[tuple[int, int, int]], digits: int, closing: bool
) -> None:
    """The quantity is exactly the decimal sum, flat exactly when the lots cancel, after any fills and flips."""
    total = sum(row[0] for row in rows)
    if closing and total:
        rows = [*rows, (-total, 500, 0)]
    position, lots = Position(PERPETUAL), 0
    for number, (count, cents, _) in enumerate(rows):
        position, _, _ = apply_fill(position, fill(count, digits, cents, number), "exit")
        lots += count
        assert position.quantity == pytest.approx(lots * LOTS[digits], rel=1e-9, abs=0)
        assert position.is_flat == (lots == 0)
    if closing:
        assert position == Position(PERPETUAL)


@given(rows=fills, digits=st.sampled_from(sorted(LOTS)), rate=st.integers(-50, 50))
@settings(deadline=None)
def test_a_trades_pnl_is_the_cash_that_moved(
    rows: list[tuple[int, int, int]], digits: int, rate: int
) -> None:
    """Over closed trades, pnl sums to quote received less quote spent, less fees, less funding: exactly."""
    position = Position(PERPETUAL)
    trades: list[Trade] = []
    cash, paid_fees, paid_funding, lots, turned = Fraction(0), 0.0, 0.0, 0, Fraction(0)
    rows = [*rows, (-sum(row[0] for row in rows) or 1, 700, 3)]
    if sum(row[0] for row in rows):
        rows.append((-sum(row[0] for row in rows), 900, 0))
    for number, (count, cents, fee) in enumerate(rows):
        position, _, trade = apply_fill(position, fill(count, digits, cents, number, fee / 100), "exit")
        trades += [trade] if trade else []
        lots += count
        cash -= Fraction(count, 10**digits) * Fraction(cents, 100)
        turned += abs(Fraction(count, 10**digits) * Fraction(cents, 100))
        paid_fees += fee / 100
        if lots:
            position = position.with_funding(rate / 100)
            paid_funding += rate / 100
    assert position.is_flat
    tolerance = 1e-9 * float(turned) + 1e-9
    assert sum(trade.pnl for trade in trades) == pytest.approx(
        float(cash) - paid_fees - paid_funding, abs=tolerance
    )
    assert sum(trade.fees for trade in trades) == pytest.approx(paid_fees, abs=1e-9)
    assert sum(trade.funding for trade in trades) == pytest.approx(paid_funding, abs=1e-9)
    for trade in trades:
        sign = 1 if trade.direction == "long" else -1
        gross = sign * trade.quantity * (trade.exit_price - trade.entry_price)
        assert trade.pnl == pytest.approx(gross - trade.fees - trade.funding, abs=tolerance)


@given(rows=fills, price=st.integers(1, 10**6))
@settings(deadline=None)
def test_realized_and_unrealized_gain_make_the_whole(rows: list[tuple[int, int, int]], price: int) -> None:
    """Gains realized plus the unrealized one equal money received, less spent, plus what is held at the price."""
    position, gains, expected, turned = Position(PERPETUAL), 0.0, Fraction(0), Fraction(0)
    for number, (count, cents, _) in enumerate(rows):
        position, gain, _ = apply_fill(position, fill(count, 3, cents, number), "exit")
        gains += gain
        expected += Fraction(count, 1000) * (Fraction(price, 100) - Fraction(cents, 100))
        turned += abs(Fraction(count, 1000) * Fraction(cents + price, 100))
    assert gains + position.unrealized(price / 100) == pytest.approx(
        float(expected), abs=1e-9 * float(turned) + 1e-9
    )


def test_a_long_round_trip() -> None:
    """Bought at 100, sold at 110, with fees and funding: every field of the trade."""
    opened, gain, trade = apply_fill(Position(PERPETUAL), fill(2000, 3, 10_000, 1, 0.5), "")
    assert (opened.quantity, opened.entry_price, opened.opened_at_ms, gain, trade) == (
        2.0,
        100.0,
        1,
        0.0,
        None,
    )
    flat, gain, trade = apply_fill(opened.with_funding(0.25), fill(-2000, 3, 11_000, 2, 0.75), "take_profit")
    assert (flat, gain) == (Position(PERPETUAL), 20.0)
    assert trade == Trade(PERPETUAL, "long", 1, 100.0, 2, 110.0, 2.0, 1.25, 0.25, 18.5, "take_profit")


def test_a_short_with_two_entries_and_two_exits() -> None:
    """Averages are weighted by quantity, pnl is entry less exit, and an exit does not move the entry price."""
    position, _, _ = apply_fill(Position(PERPETUAL), fill(-1000, 3, 10_000, 1), "")
    position, _, _ = apply_fill(position, fill(-3000, 3, 12_000, 2), "")
    assert (position.quantity, position.entry_price) == (-4.0, 115.0)
    position, gain, trade = apply_fill(position, fill(1000, 3, 11_000, 3), "first")
    assert (position.quantity, position.entry_price, gain, trade) == (-3.0, 115.0, 5.0, None)
    _, gain, trade = apply_fill(position, fill(3000, 3, 12_000, 4), "second")
    assert gain == -15.0
    assert trade is not None
    assert (trade.direction, trade.quantity, trade.exit_reason) == ("short", 4.0, "second")
    assert trade.entry_price == pytest.approx(115.0, rel=1e-15)
    assert trade.exit_price == pytest.approx(117.5, rel=1e-15)
    assert trade.pnl == -10.0


def test_a_flip_closes_and_opens_with_the_fee_split_by_quantity() -> None:
    """One fill of three against a long of one: a trade with a third of the fee, and a short of two."""
    position, _, _ = apply_fill(Position(PERPETUAL), fill(1000, 3, 10_000, 1), "")
    position, gain, trade = apply_fill(position, fill(-3000, 3, 10_600, 2, 0.9), "turned")
    assert gain == 6.0
    assert trade is not None
    assert trade.quantity == 1.0
    assert trade.fees == pytest.approx(0.3)
    assert (position.quantity, position.entry_price, position.opened_at_ms) == (-2.0, 106.0, 2)
    assert position.fees == pytest.approx(0.6)
    assert (position.traded_quantity, position.realized, position.exit_notional) == (2.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "parts", [[33333.3, 33333.4, 33333.4], [100000.1, 0.3, 0.1], [123456.78901234, 0.1, 7e-8]]
)
def test_large_quantities_come_back_to_flat(parts: list[float]) -> None:
    """Beyond a thousand units the noise of a sum is larger than 1e-12: it must not stay behind as a position."""
    position = Position(PERPETUAL)
    for side in (Side.BUY, Side.SELL):
        for number, part in enumerate(reversed(parts) if side is Side.SELL else parts):
            one = Fill(f"{side}{number}", "order", PERPETUAL, side, part, 10.0, 0.0, "USDT", 0)
            position, _, _ = apply_fill(position, one, "exit")
    assert position == Position(PERPETUAL)


def test_a_single_lot_of_a_large_holding_is_not_noise() -> None:
    """One unit of 1e-8 beside a thousand is still held."""
    assert held_after(1000.00000001, -1000.0) == 1e-8
    assert held_after(0.0, 1e-8) == 1e-8
