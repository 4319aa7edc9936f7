"""Binance's trading endpoints of the USD-M perpetuals: orders, conditional orders, executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.simexchange import futures_messages as messages
from bot.simexchange.account import SimAccount
from bot.simexchange.orders import OrderKind, OrderRequest, Refusal, SimOrder, TimeInForce
from bot.simexchange.parameters import Params, decimal, flag, integer, needed, rows, side, span, word
from bot.simexchange.routes import Routes, read, trade

WEEK_MS = 7 * 86_400_000
"""The longest stretch of executions and orders that one request may ask for."""

ALL_CANCELED = {"code": 200, "msg": "The operation of cancel all open order is done."}

ALGO_TYPES = {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
"""What Binance takes on the algo endpoints only; of those this exchange knows the two that become market orders."""

_INVALID_TYPE = (-1116, "Invalid orderType.")
_ALGO_ONLY = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."


class FuturesTrading:
    """Carries out the orders of a client of the perpetuals."""

    def __init__(self, account: SimAccount, now_ms: Callable[[], int], make_id: Callable[[], str]) -> None:
        """``now_ms``: when an order that comes now is made; ``make_id``: client ids for orders that have none."""
        self._account = account
        self._now_ms = now_ms
        self._make_id = make_id

    def routes(self) -> Routes:
        """What it serves."""
        v1 = "/fapi/v1"
        return {
            ("POST", f"{v1}/order"): trade(self._place, 1, orders=1),
            ("GET", f"{v1}/order"): read(self._look_up),
            ("DELETE", f"{v1}/order"): trade(self._cancel),
            ("GET", f"{v1}/openOrders"): read(self._open_orders, 1, 40),
            ("GET", f"{v1}/openOrder"): read(self._open_order),
            ("GET", f"{v1}/allOrders"): read(self._all_orders, 5),
            ("DELETE", f"{v1}/allOpenOrders"): trade(self._cancel_all),
            ("POST", f"{v1}/algoOrder"): trade(self._place_algo, 1, orders=1),
            ("GET", f"{v1}/algoOrder"): read(self._look_up_algo),
            ("DELETE", f"{v1}/algoOrder"): trade(self._cancel_algo),
            ("GET", f"{v1}/openAlgoOrders"): read(self._open_algos, 1, 40),
            ("GET", f"{v1}/allAlgoOrders"): read(self._all_algos, 5),
            ("DELETE", f"{v1}/algoOpenOrders"): trade(self._cancel_all_algos),
            ("GET", f"{v1}/userTrades"): read(self._trades, 5),
        }

    # --- orders -----------------------------------------------------------------------------------------------

    def _place(self, params: Params) -> dict[str, Any]:
        if params.get("type") in ALGO_TYPES:
            raise Refusal(-4120, _ALGO_ONLY)
        kind = word(params, "type", OrderKind, Refusal(*_INVALID_TYPE))
        request = self._request(params, kind, "newClientOrderId", None)
        return messages.order_reply(self._account.place(request, self._now_ms()), with_time=False)

    def _look_up(self, params: Params) -> dict[str, Any]:
        found = self._account.find(needed(params, "symbol"), **_which(params))
        return messages.order_reply(found, with_time=True)

    def _open_order(self, params: Params) -> dict[str, Any]:
        found = self._account.find(needed(params, "symbol"), **_which(params))
        if not found.is_open:
            raise Refusal(-2013, "Order does not exist.")
        return messages.order_reply(found, with_time=True)

    def _cancel(self, params: Params) -> dict[str, Any]:
        canceled = self._account.cancel(needed(params, "symbol"), **_which(params), now_ms=self._now_ms())
        return messages.order_reply(canceled, with_time=False)

    def _cancel_all(self, params: Params) -> dict[str, Any]:
        self._account.cancel_all(needed(params, "symbol"), now_ms=self._now_ms())
        return ALL_CANCELED

    def _open_orders(self, params: Params) -> list[dict[str, Any]]:
        found = self._account.open_orders(params.get("symbol"))
        return [messages.order_reply(order, with_time=True) for order in found]

    def _all_orders(self, params: Params) -> list[dict[str, Any]]:
        return [messages.order_reply(order, with_time=True) for order in self._past(params, "orderId")]

    # --- conditional orders -----------------------------------------------------------------------------------

    def _place_algo(self, params: Params) -> dict[str, Any]:
        if needed(params, "algoType") != "CONDITIONAL":
            raise Refusal(-4136, "Invalid algoType.")
        kind = word(params, "type", OrderKind, Refusal(*_INVALID_TYPE))
        if kind not in {OrderKind.STOP_MARKET, OrderKind.TAKE_PROFIT_MARKET}:
            raise Refusal(*_INVALID_TYPE)
        needed(params, "triggerPrice")
        request = self._request(params, kind, "clientAlgoId", decimal(params, "triggerPrice"))
        return self._algo(self._account.place(request, self._now_ms()))

    def _look_up_algo(self, params: Params) -> dict[str, Any]:
        return self._algo(self._account.find(params.get("symbol"), **_which_algo(params), conditional=True))

    def _cancel_algo(self, params: Params) -> dict[str, Any]:
        canceled = self._account.cancel(
            params.get("symbol"), **_which_algo(params), conditional=True, now_ms=self._now_ms()
        )
        client_id = canceled.request.client_order_id
        return {"algoId": canceled.order_id, "clientAlgoId": client_id, "code": "200", "msg": "success"}

    def _cancel_all_algos(self, params: Params) -> dict[str, Any]:
        self._account.cancel_all(needed(params, "symbol"), conditional=True, now_ms=self._now_ms())
        return ALL_CANCELED

    def _open_algos(self, params: Params) -> list[dict[str, Any]]:
        found = self._account.open_orders(params.get("symbol"), conditional=True)
        wanted = params.get("algoId")
        return [self._algo(order) for order in found if wanted in {None, str(order.order_id)}]

    def _all_algos(self, params: Params) -> list[dict[str, Any]]:
        return [self._algo(order) for order in self._past(params, "algoId", conditional=True)]

    def _algo(self, order: SimOrder) -> dict[str, Any]:
        number = order.triggered_order_id
        child = self._account.find(order.request.symbol, order_id=number) if number else None
        return messages.algo_reply(order, child)

    # --- executions -------------------------------------------------------------------------------------------

    def _trades(self, params: Params) -> list[dict[str, Any]]:
        symbol = needed(params, "symbol")
        from_id = integer(params, "fromId")
        since, until = (None, None) if from_id is not None else span(params, self._now_ms(), WEEK_MS)
        found = self._account.trades(
            symbol,
            since_ms=since,
            until_ms=until,
            from_id=from_id,
            order_id=integer(params, "orderId"),
            limit=rows(params, 500, 1000),
        )
        return [messages.trade_reply(one) for one in found]

    def _past(self, params: Params, id_name: str, *, conditional: bool = False) -> list[SimOrder]:
        symbol = needed(params, "symbol")
        from_id = integer(params, id_name)
        since, until = (None, None) if from_id is not None else span(params, self._now_ms(), WEEK_MS)
        return self._account.orders(
            symbol,
            conditional=conditional,
            since_ms=since,
            until_ms=until,
            from_id=from_id,
            limit=rows(params, 500, 1000),
        )

    def _request(self, params: Params, kind: OrderKind, id_name: str, trigger: float | None) -> OrderRequest:
        closes = flag(params, "closePosition")
        if not closes:
            needed(params, "quantity")
        if kind is OrderKind.LIMIT:
            needed(params, "price")
            needed(params, "timeInForce")
        lasting = TimeInForce.GTC
        if params.get("timeInForce"):
            lasting = word(params, "timeInForce", TimeInForce, Refusal(-1115, "Invalid timeInForce."))
        return OrderRequest(
            symbol=needed(params, "symbol"),
            side=side(params),
            kind=kind,
            quantity=decimal(params, "quantity") or 0.0,
            client_order_id=params.get(id_name) or self._make_id(),
            price=decimal(params, "price") if kind is OrderKind.LIMIT else None,
            stop_price=trigger,
            time_in_force=lasting,
            reduce_only=flag(params, "reduceOnly"),
            close_position=closes,
            position_side=params.get("positionSide", "BOTH"),
        )


def _which(params: Params) -> dict[str, Any]:
    """The order that a request names."""
    return {"order_id": integer(params, "orderId"), "client_order_id": params.get("origClientOrderId")}


def _which_algo(params: Params) -> dict[str, Any]:
    return {"order_id": integer(params, "algoId"), "client_order_id": params.get("clientAlgoId")}
