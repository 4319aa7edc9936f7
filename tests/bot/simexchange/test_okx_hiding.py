"""What OKX's answers say of orders that are not to be found yet."""

from __future__ import annotations

import json

import pytest

from bot.simexchange.fault_actions import VisibleAfter
from bot.simexchange.fault_desk import FaultDesk
from bot.simexchange.fault_plan import Fault, FaultPlan, Match
from bot.simexchange.okx_hiding import OkxHiding
from bot.simexchange.orders import OrderKind, OrderRequest

ORDER, CANCEL = "/api/v5/trade/order", "/api/v5/trade/cancel-order"


class Rig:
    """A desk that hides the order ``late`` for three seconds; the exchange has called it 7."""

    def __init__(self, **placed: str) -> None:
        self.now_s = 0.0
        plan = FaultPlan((Fault("one", Match(state="order"), VisibleAfter(3_000)),))
        self.desk = FaultDesk(
            plan, now_ms=lambda: 0, now_s=lambda: self.now_s, start_ms=lambda: 0, record=lambda _: None
        )
        self.desk.on_order(OrderRequest("BTCUSDT", "BUY", OrderKind.MARKET, 1.0, "late"))
        self.hiding = OkxHiding(self.desk)
        assert self.hiding.shown("POST", json.dumps({"code": "0", "data": [placed]})) is None


@pytest.mark.parametrize(
    ("method", "path", "params", "code"),
    [
        ("GET", ORDER, {"clOrdId": "late"}, 51603),
        ("GET", ORDER, {"ordId": "7"}, 51603),
        ("POST", CANCEL, {"clOrdId": "late"}, 51400),
        ("POST", CANCEL, {"ordId": "7"}, 51400),
        ("GET", ORDER, {"ordId": "8"}, None),
        ("GET", ORDER, {"algoId": "7"}, None),
        ("POST", ORDER, {"clOrdId": "late"}, None),
    ],
)
def test_a_request_about_a_hidden_order_finds_nothing(method, path, params, code) -> None:
    """By its client id or its number, in its own series of numbers; until its time has come."""
    rig = Rig(clOrdId="late", ordId="7")
    assert rig.hiding.refusal(method, path, params) == code
    rig.now_s = 3.1
    assert rig.hiding.refusal(method, path, params) is None


def test_lists_leave_out_the_rows_of_hidden_orders() -> None:
    """Conditional ones by their own ids; other rows and answers stay as they are."""
    rig = Rig(algoClOrdId="late", algoId="7")
    rows = [{"algoId": "7"}, {"algoClOrdId": "late", "ordId": "9"}, {"algoId": "8", "algoClOrdId": ""}]
    shown = rig.hiding.shown("GET", json.dumps({"code": "0", "data": rows, "msg": ""}))
    assert json.loads(shown or "") == {"code": "0", "data": rows[2:], "msg": ""}
    for text in (json.dumps({"code": "0", "data": rows[2:]}), "[]", "no json", '{"data": 5}'):
        assert rig.hiding.shown("GET", text) is None
