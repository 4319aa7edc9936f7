"""What answers say of orders that are not to be found yet."""

from __future__ import annotations

import json

import pytest

from bot.simexchange.fault_actions import VisibleAfter
from bot.simexchange.fault_desk import FaultDesk
from bot.simexchange.fault_hiding import OrderHiding
from bot.simexchange.fault_plan import Fault, FaultPlan, Match
from bot.simexchange.orders import OrderKind, OrderRequest


class Rig:
    """A desk that hides the order ``late`` for three seconds; the exchange has called it 7."""

    def __init__(self, answer: object) -> None:
        self.now_s = 0.0
        plan = FaultPlan((Fault("one", Match(state="order"), VisibleAfter(3_000)),))
        self.desk = FaultDesk(
            plan, now_ms=lambda: 0, now_s=lambda: self.now_s, start_ms=lambda: 0, record=lambda _: None
        )
        self.desk.on_order(OrderRequest("BTCUSDT", "BUY", OrderKind.MARKET, 1.0, "late"))
        self.hiding = OrderHiding(self.desk)
        assert self.hiding.shown("POST", json.dumps(answer)) is None


PLACED = {"orderId": 7, "clientOrderId": "late"}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("GET", {"origClientOrderId": "late"}, -2013),
        ("GET", {"orderId": "7"}, -2013),
        ("DELETE", {"origClientOrderId": "late"}, -2011),
        ("DELETE", {"orderId": "7"}, -2011),
        ("GET", {"orderId": "8"}, None),
        ("GET", {"algoId": "7"}, None),
        ("GET", {"symbol": "BTCUSDT"}, None),
        ("POST", {"newClientOrderId": "late"}, None),
    ],
)
def test_a_request_about_a_hidden_order_finds_nothing(
    method: str, params: dict[str, str], code: int | None
) -> None:
    """By its client id or its number, in its own series of numbers; until its time has come."""
    rig = Rig(PLACED)
    refusal = rig.hiding.refusal(method, params)
    assert (refusal[0] if refusal else None) == code
    rig.now_s = 3.1
    assert rig.hiding.refusal(method, params) is None


def test_lists_leave_out_the_rows_of_hidden_orders() -> None:
    """Orders by their client ids, trades by their order's number; other rows and answers stay as they are."""
    rig = Rig(PLACED)
    rows = [{"orderId": 7, "clientOrderId": "late"}, {"orderId": 7, "qty": "1"}, {"orderId": 8, "qty": "1"}]
    assert json.loads(rig.hiding.shown("GET", json.dumps(rows)) or "") == [rows[2]]
    assert rig.hiding.shown("GET", json.dumps(rows[2:])) is None
    assert rig.hiding.shown("GET", '{"orderId": 7}') is None
    assert rig.hiding.shown("GET", "<html>") is None
    rig.now_s = 3.1
    assert rig.hiding.shown("GET", json.dumps(rows)) is None


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ({"algoId": 5, "clientAlgoId": "late"}, "algoId:5"),
        ({"orderListId": 2, "orderReports": [{"orderId": 9, "clientOrderId": "late"}]}, "orderId:9"),
        ({"orderListId": 2, "orders": [{"orderId": 9, "clientOrderId": "late"}]}, "orderId:9"),
    ],
)
def test_the_number_of_a_hidden_order_is_learned_from_the_answer_to_it(answer: object, number: str) -> None:
    """Conditional orders have a series of their own, and those of a pair come in its reports."""
    rig = Rig(answer)
    assert rig.desk.hidden_number(number)
    assert not rig.desk.hidden_number("orderId:7")
