"""Orders and their like as JSON values."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.account_rows import (
    income_of_row,
    order_of_row,
    pair_of_row,
    row_of_order,
    row_of_value,
    trade_of_row,
)
from bot.simexchange.orders import Income, OrderRequest, SimOrder, SimPair, SimTrade

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(order=st.builds(SimOrder, request=st.builds(OrderRequest, quantity=FINITE, price=FINITE | st.none())))
def test_an_order_comes_back_as_it_was(order):
    """Through JSON text, every digit, with its types."""
    back = order_of_row(json.loads(json.dumps(row_of_order(order))))
    assert repr(back) == repr(order)


@given(
    trade=st.builds(SimTrade, price=FINITE, quantity=FINITE, fee=FINITE, realized=FINITE),
    line=st.builds(Income, amount=FINITE),
    pair=st.builds(SimPair),
)
def test_trades_incomes_and_pairs_come_back_as_they_were(trade, line, pair):
    """Through JSON text, every digit."""
    assert trade_of_row(json.loads(json.dumps(row_of_value(trade)))) == trade
    assert income_of_row(json.loads(json.dumps(row_of_value(line)))) == line
    assert pair_of_row(json.loads(json.dumps(row_of_value(pair)))) == pair
