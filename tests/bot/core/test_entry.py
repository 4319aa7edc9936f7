"""Tests of how a position is entered: the price at the touch, the cost, and what a limit order falls back to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.costs import Costs
from bot.core.entry import EntryRule, EntryStyle, fallback_intent, touch_price
from bot.core.orders import Leg, OrderType, Side, protective_id
from bot.errors import EngineProtocolError
from tests.core_builders import PROTECTION, approved, at, instrument, order

MAKER = EntryRule(EntryStyle.MAKER, 3)


@given(
    side=st.sampled_from(Side),
    ticks=st.integers(2, 10**7),
    half=st.floats(0, 50),
    digits=st.integers(0, 6),
)
def test_the_touch_is_on_the_tick_and_never_nearer_than_half_a_spread(
    side: Side, ticks: int, half: float, digits: int
) -> None:
    """A buyer's price is at most the bid, a seller's at least the offer, and both within a tick of it."""
    rules = replace(instrument(), tick_size=10.0**-digits)
    close = rules.round_price(ticks * rules.tick_size)
    price = touch_price(side, close, Costs(half_spread_bps=half), rules)
    edge = close * (1 - side.sign * half / 10_000)
    assert rules.round_price(price) == price > 0
    if price > rules.tick_size:
        assert (edge - price) * side.sign >= -1e-11 * close
    assert (edge - price) * side.sign < rules.tick_size * (1 + 1e-6) + 1e-11 * close


def test_a_maker_entry_is_the_market_entry_at_the_touch():
    """Only type, price and expiry differ; a taker rule changes nothing."""
    rules, costs = instrument(), Costs(half_spread_bps=1.0)
    wish = order(minute=5)
    made = replace(MAKER, taker_fallback=True).applied(wish, 100.0, costs, rules)
    assert made == replace(
        wish, type=OrderType.LIMIT, limit_price=99.99, expires_at_ms=at(8), taker_fallback=True
    )
    sold = MAKER.applied(order(side=Side.SELL, minute=5), 100.0, costs, rules)
    assert (sold.limit_price, sold.taker_fallback) == (100.01, False)
    assert EntryRule().applied(wish, 100.0, costs, rules) is wish


def test_a_rule_is_charged_for_what_it_may_pay():
    """A maker pays its fee on the way in and the market on the way out; one that may fall back counts as a taker."""
    costs = Costs(taker_fee_bps=4, half_spread_bps=0.5, slippage_bps=1, maker_fee_bps=2)
    assert EntryRule().round_trip(costs) == costs.round_trip == pytest.approx(0.0011)
    assert MAKER.round_trip(costs) == pytest.approx(0.00075)
    assert replace(MAKER, taker_fallback=True).round_trip(costs) == costs.round_trip


def test_the_fallback_is_the_same_order_at_market():
    """It keeps market, side, quantity and protection, has an id of its own, and the same protective ids."""
    rule = replace(MAKER, taker_fallback=True)
    limit = rule.applied(order(minute=5), 100.0, Costs(), instrument())
    market = fallback_intent(limit, at(8))
    assert market.type is OrderType.MARKET
    assert (market.decided_at_ms, market.limit_price, market.expires_at_ms) == (at(8), None, None)
    assert (market.side, market.quantity, market.protection) == (limit.side, limit.quantity, PROTECTION)
    assert market.client_order_id != limit.client_order_id
    assert market.client_order_id.isalnum()
    assert len(market.client_order_id) == len(limit.client_order_id)
    for leg in (Leg.STOP, Leg.TAKE_PROFIT):
        assert protective_id(market.client_order_id, leg) == protective_id(limit.client_order_id, leg)
    assert approved(market).intent.taker_fallback is False


def test_nothing_else_falls_back():
    """A market order, a limit without a fallback and an exit have none."""
    limit = MAKER.applied(order(), 100.0, Costs(), instrument())
    exiting = replace(limit, reduce_only=True, taker_fallback=True)
    for intent in (order(), limit, exiting):
        with pytest.raises(EngineProtocolError, match="no market order to fall back to"):
            fallback_intent(intent, at(3))
