"""Tests that what goes into the journal comes out the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.orders import (
    Accepted,
    Adopted,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Protection,
    Rejected,
    Side,
    Unknown,
)
from bot.core.records import (
    intent_from_json,
    intent_to_json,
    order_from_json,
    order_to_json,
    report_from_json,
    report_to_json,
)
from tests.core_builders import order

numbers = st.floats(allow_nan=False, allow_infinity=False)
times = st.integers(0, 2**53)
words = st.text(max_size=20)
intents = st.builds(
    OrderIntent,
    client_order_id=words,
    symbol=words,
    side=st.sampled_from(Side),
    quantity=numbers,
    type=st.sampled_from(OrderType),
    leg=st.sampled_from(Leg),
    decided_at_ms=times,
    reason=words,
    stop_price=st.none() | numbers,
    reduce_only=st.booleans(),
    protection=st.none() | st.builds(Protection, numbers, numbers),
    limit_price=st.none() | numbers,
    expires_at_ms=st.none() | times,
    taker_fallback=st.booleans(),
)
reports = st.one_of(
    st.builds(Accepted, words, words, times, st.none() | intents),
    st.builds(Rejected, words, words, times, words),
    st.builds(Canceled, words, words, times, words),
    st.builds(Unknown, words, words, times, words),
    st.builds(Fill, words, words, words, st.sampled_from(Side), numbers, numbers, numbers, words, times),
    st.builds(Funding, words, numbers, numbers, times, st.none() | numbers),
    st.builds(Adopted, words, numbers, numbers, times),
)


@given(intent=intents)
@settings(deadline=None)
def test_an_intent_survives_json(intent: OrderIntent) -> None:
    """Every field comes back equal and of its type, floats to the bit."""
    again = intent_from_json(json.loads(json.dumps(intent_to_json(intent))))
    assert again == intent
    assert (type(again.side), type(again.leg), type(again.type)) == (Side, Leg, OrderType)
    assert again.protection is None or isinstance(again.protection, Protection)


@given(intent=intents, state=st.sampled_from(OrderState), filled=numbers, reason=st.none() | words)
@settings(deadline=None)
def test_an_order_record_survives_json(
    intent: OrderIntent, state: OrderState, filled: float, reason: str | None
) -> None:
    """So does how far an order has come, and why it is to be canceled."""
    record = OrderRecord(intent, state, filled, reason)
    assert order_from_json(json.loads(json.dumps(order_to_json(record)))) == record


def test_an_order_of_an_older_journal_is_read() -> None:
    """Rows from before limit orders were known have neither price, expiry, fallback nor cancel."""
    record = OrderRecord(order())
    row = order_to_json(record)
    del row["cancel_reason"]
    for name in ("limit_price", "expires_at_ms", "taker_fallback"):
        del row["intent"][name]
    assert order_from_json(row) == record


@given(report=reports)
@settings(deadline=None, max_examples=200)
def test_a_report_survives_json(report: ExecutionReport) -> None:
    """So does each kind of report."""
    again = report_from_json(json.loads(json.dumps(report_to_json(report))))
    assert again == report
    assert type(again) is type(report)


@pytest.mark.parametrize("protection", [None, Protection(0.0, 0.0), Protection(0.005, 0.01)])
def test_a_protection_of_zeros_is_not_taken_for_none(protection: Protection | None) -> None:
    """None stays None, and two zeros stay two zeros."""
    assert intent_from_json(intent_to_json(order(protection=protection))).protection == protection


def test_a_funding_that_was_worked_out_is_written_as_it_always_was() -> None:
    """Rows of older journals and new ones are the same; what an exchange booked is kept beside the rate."""
    worked_out = Funding("BTC/USDT:USDT", 0.0001, 100.0, 8)
    assert "paid" not in report_to_json(worked_out)
    assert report_from_json(report_to_json(worked_out)) == worked_out
    assert report_to_json(Funding("BTC/USDT:USDT", 0.0, 0.0, 8, 0.25))["paid"] == 0.25
