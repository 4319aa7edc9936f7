"""Tests of how a decision is named and written."""

from __future__ import annotations

import json

import pytest

from bot.core.decision import Decision, decision_id, decision_to_json
from bot.core.orders import Protection, RefusedOrder
from bot.core.signal import Direction, Signal
from tests.core_builders import PERPETUAL, approved, at, order, predicted


def test_a_decision_id_names_symbol_and_minute() -> None:
    """In UTC, to the minute, whatever the local time zone."""
    assert decision_id("BTC/USDT", at(12 * 60 + 1)) == "BTC/USDT@2024-01-01T12:01Z"
    assert Decision(PERPETUAL, at(0), None, None, (), (), "x").decision_id == f"{PERPETUAL}@2024-01-01T00:00Z"


def test_a_hold_is_written_with_its_reason() -> None:
    """What was not there is null."""
    assert decision_to_json(Decision(PERPETUAL, at(1), None, None, (), (), "warming_up")) == {
        "decision_id": f"{PERPETUAL}@2024-01-01T00:01Z",
        "symbol": PERPETUAL,
        "closed_at_ms": at(1),
        "prediction": None,
        "signal": None,
        "approved": [],
        "refused": [],
        "hold_reason": "warming_up",
    }


BASE = Decision(
    PERPETUAL,
    at(1),
    predicted(1, 0.001),
    Signal(Direction.LONG, 0.5, "up"),
    (approved(order()),),
    (RefusedOrder(order(), "over_notional_limit"),),
    None,
)


@pytest.mark.parametrize(
    "changed",
    [
        BASE._replace(symbol="ETH/USDT"),
        BASE._replace(closed_at_ms=at(2)),
        BASE._replace(prediction=predicted(1, 0.001000001)),
        BASE._replace(prediction=predicted(1, 0.001)._replace(raw=0.1)),
        BASE._replace(prediction=None),
        BASE._replace(signal=Signal(Direction.SHORT, 0.5, "up")),
        BASE._replace(signal=Signal(Direction.LONG, 0.5000001, "up")),
        BASE._replace(signal=Signal(Direction.LONG, 0.5, "down")),
        BASE._replace(signal=Signal(Direction.LONG, 0.5, "up", Protection(0.01, 0.02))),
        BASE._replace(prediction=predicted(1, 0.001)._replace(volatility=0.002)),
        BASE._replace(approved=()),
        BASE._replace(approved=(approved(order(quantity=1.001)),)),
        BASE._replace(refused=()),
        BASE._replace(refused=(RefusedOrder(order(), "too_many_orders"),)),
        BASE._replace(hold_reason="x"),
    ],
)
def test_two_decisions_that_differ_are_written_differently(changed: Decision) -> None:
    """The text of a decision shows any difference that a comparison of drivers must find."""
    base, other = (json.dumps(decision_to_json(decision)) for decision in (BASE, changed))
    assert base != other
    assert base == json.dumps(decision_to_json(BASE._replace()))
