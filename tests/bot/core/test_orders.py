"""Tests of order ids, the seal of approval, and the lifecycle table, every cell of it."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.market import MINUTE_MS
from bot.core.orders import (
    FINAL_STATES,
    TRANSITIONS,
    Accepted,
    ApprovedOrder,
    Canceled,
    Fill,
    Leg,
    OrderRecord,
    OrderState,
    Rejected,
    Side,
    Unknown,
    client_order_id,
    protective_id,
)
from bot.errors import EngineProtocolError
from tests.core_builders import approved, fill_of, order

ROOT = Path(__file__).resolve().parents[3]
S = OrderState
OPEN = (S.SENT, S.ACCEPTED, S.PARTIALLY_FILLED, S.UNKNOWN)
EVENTS = ("accepted", "part", "filled", "canceled", "rejected", "unknown")
INTENT = order(quantity=1.0)


def record_in(state: OrderState) -> OrderRecord:
    """An order of one unit that stands in a state."""
    filled = {S.PARTIALLY_FILLED: 0.25, S.FILLED: 1.0}.get(state, 0.0)
    return OrderRecord(INTENT, state, filled)


def report(event: str, record: OrderRecord) -> Accepted | Rejected | Canceled | Unknown | Fill:
    """The report that stands for an event."""
    identity = (INTENT.client_order_id, INTENT.symbol, INTENT.decided_at_ms)
    if event == "part":
        return fill_of(INTENT, quantity=0.25)
    if event == "filled":
        return fill_of(INTENT, quantity=INTENT.quantity - record.filled_quantity or 1.0)
    if event == "accepted":
        return Accepted(*identity)
    ended: dict[str, type[Canceled | Rejected | Unknown]] = {
        "canceled": Canceled,
        "rejected": Rejected,
        "unknown": Unknown,
    }
    return ended[event](*identity, "why")


@pytest.mark.parametrize(("state", "event"), list(itertools.product(S, EVENTS)))
def test_every_cell_of_the_lifecycle_table(state: OrderState, event: str) -> None:
    """Each state and event lead where the table in the docstring says, or raise and change nothing."""
    record = record_in(state)
    targets = {
        "accepted": S.PARTIALLY_FILLED if state is S.PARTIALLY_FILLED else S.ACCEPTED,
        "part": S.PARTIALLY_FILLED,
        "filled": S.FILLED,
        "canceled": S.CANCELED,
        "rejected": S.REJECTED,
        "unknown": S.UNKNOWN,
    }
    legal = state in OPEN and not (state is S.PARTIALLY_FILLED and event == "rejected")
    assert ((state, event) in TRANSITIONS) == legal
    if not legal:
        with pytest.raises(EngineProtocolError):
            record.after(report(event, record))
        assert record == record_in(state)
        return
    after = record.after(report(event, record))
    assert after.state is targets[event]
    assert after.is_open == (after.state not in FINAL_STATES)
    traded = {"part": 0.25, "filled": 1.0 - record.filled_quantity}.get(event, 0.0)
    assert after.filled_quantity == record.filled_quantity + traded


def test_final_states_are_those_without_a_way_out() -> None:
    """FILLED, CANCELED and REJECTED have no row in the table; every other state has one."""
    assert {state for state, _ in TRANSITIONS} == set(S) - FINAL_STATES


@pytest.mark.parametrize(
    "wrong",
    [
        fill_of(INTENT, quantity=1.001),
        fill_of(INTENT, quantity=0.0),
        fill_of(INTENT, quantity=-0.5),
        fill_of(INTENT, quantity=float("nan")),
        fill_of(INTENT, price=0.0),
        fill_of(INTENT, price=float("nan")),
        replace(fill_of(INTENT), side=Side.SELL),
    ],
)
def test_a_fill_that_can_not_be_of_this_order_is_refused(wrong: Fill) -> None:
    """More than ordered, nothing, a negative or unknown amount, no price, or the other side."""
    with pytest.raises(EngineProtocolError):
        OrderRecord(INTENT).after(wrong)


@given(
    parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=40),
    step=st.sampled_from([1e-8, 0.001, 0.1, 1.0]),
)
@settings(deadline=None)
def test_an_order_is_filled_by_its_last_part_and_not_before(parts: list[int], step: float) -> None:
    """However large the order and small the lot, every part but the last leaves it open."""
    digits = {1e-8: 8, 0.001: 3, 0.1: 1, 1.0: 0}[step]
    intent = order(quantity=round(sum(parts) * step, digits))
    record = OrderRecord(intent)
    for part in parts:
        assert record.is_open
        record = record.after(fill_of(intent, quantity=round(part * step, digits)))
    assert record.state is S.FILLED


def test_only_the_risk_review_approves() -> None:
    """An approved order can't be made without the seal, and equals another of the same intent only."""
    with pytest.raises(EngineProtocolError):
        ApprovedOrder(INTENT, seal=object())
    assert approved(INTENT) == approved(INTENT)
    assert approved(INTENT) != approved(order(quantity=2.0))
    assert approved(INTENT) != INTENT
    assert len({approved(INTENT), approved(INTENT)}) == 1
    assert INTENT.client_order_id in repr(approved(INTENT))


def test_the_seal_is_used_by_orders_and_risk_alone() -> None:
    """No other module of the product names APPROVAL_SEAL."""
    rooms = ("bot", "strategies", "models", "backtests", "config")
    users = {
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if "APPROVAL_SEAL" in path.read_text(encoding="utf-8")
    }
    assert users == {"bot/core/orders.py", "bot/core/risk.py"}


run_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
minutes = st.integers(0, 10**8).map(lambda minute: minute * MINUTE_MS)


@given(
    run_id=run_ids, symbol=st.text(min_size=1, max_size=80), closed_at_ms=minutes, leg=st.sampled_from(Leg)
)
@settings(deadline=None)
def test_ids_fit_every_exchange(run_id: str, symbol: str, closed_at_ms: int, leg: Leg) -> None:
    """[a-z0-9], at most 32 characters, and the same again for the same order."""
    made = client_order_id(run_id, symbol, closed_at_ms, leg)
    assert re.fullmatch(r"[a-z0-9]{1,32}", made)
    assert made == client_order_id(run_id, symbol, closed_at_ms, leg)


def test_ids_do_not_change_between_versions() -> None:
    """A daemon that was updated recognises the orders that its last version sent."""
    assert client_order_id("run", "BTC/USDT:USDT", 1_704_067_200_000, Leg.ENTRY) == "runr7tis8gwqg0e"


@given(run_id=run_ids, first=minutes, second=minutes)
@settings(deadline=None)
def test_ids_differ_by_symbol_minute_and_leg(run_id: str, first: int, second: int) -> None:
    """No two orders of a run share an id."""
    symbols = ["BTC/USDT", "BTC/USDT:USDT", "ETH/USDT", "1000PEPE/USDT:USDT"]
    orders = {(symbol, minute, leg) for symbol in symbols for minute in (first, second) for leg in Leg}
    assert len({client_order_id(run_id, *each) for each in orders}) == len(orders)


def test_thousands_of_symbols_have_codes_of_their_own() -> None:
    """The six characters that stand for a symbol do not collide over any exchange's list."""
    symbols = [f"COIN{number}/USDT{settle}" for number in range(2000) for settle in ("", ":USDT")]
    assert len({client_order_id("r", symbol, 0, Leg.ENTRY) for symbol in symbols}) == len(symbols)


def test_a_protective_id_is_its_entrys_with_another_letter() -> None:
    """Stop and target of an entry are told from it, from each other, and from an exit of the same minute."""
    entry = INTENT.client_order_id
    family = {entry, protective_id(entry, Leg.STOP), protective_id(entry, Leg.TAKE_PROFIT)}
    family |= {
        client_order_id("run", INTENT.symbol, INTENT.decided_at_ms, leg) for leg in (Leg.EXIT, Leg.FLATTEN)
    }
    assert len(family) == 5
    assert {each[:-1] for each in family} == {entry[:-1]}


def test_sides_are_each_others_opposite() -> None:
    """Signs and opposites agree."""
    for side in Side:
        assert side.opposite.opposite is side
        assert side.sign == -side.opposite.sign
    assert Side.BUY.sign == 1
