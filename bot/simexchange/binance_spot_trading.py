"""Binance's trading and account endpoints of spot: orders, OCO pairs, executions, balances."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from bot.simexchange import spot_messages as messages
from bot.simexchange.account import SimAccount
from bot.simexchange.account_teller import SpotTeller
from bot.simexchange.orders import OrderKind, OrderRequest, Refusal, SimOrder, SimPair, TimeInForce
from bot.simexchange.parameters import Params, decimal, integer, needed, rows, side, span, word
from bot.simexchange.routes import Routes, read, trade

DAY_MS = 86_400_000
"""The longest stretch of executions and orders that one request may ask for."""

_INVALID_TYPE = (-1116, "Invalid orderType.")
_MORE_THAN_A_DAY = (-1127, "More than 24 hours between startTime and endTime.")


class SpotTrading:
    """Carries out the orders of a client of spot."""

    def __init__(
        self,
        account: SimAccount,
        teller: SpotTeller,
        now_ms: Callable[[], int],
        make_id: Callable[[], str],
        fees_bps: tuple[float, float],
    ) -> None:
        """As ``FuturesTrading``; ``fees_bps``: of a maker and of a taker."""
        self._account = account
        self._teller = teller
        self._now_ms = now_ms
        self._make_id = make_id
        self._fees_bps = fees_bps

    def routes(self) -> Routes:
        """What it serves."""
        v3 = "/api/v3"
        return {
            ("POST", f"{v3}/order"): trade(self._place, 1, orders=1),
            ("GET", f"{v3}/order"): read(self._look_up, 4),
            ("DELETE", f"{v3}/order"): trade(self._cancel),
            ("GET", f"{v3}/openOrders"): read(self._open_orders, 6, 80),
            ("DELETE", f"{v3}/openOrders"): trade(self._cancel_all),
            ("GET", f"{v3}/allOrders"): read(self._all_orders, 20),
            ("GET", f"{v3}/myTrades"): read(self._trades, 20),
            ("GET", f"{v3}/account"): read(self._whole, 20),
            ("POST", f"{v3}/orderList/oco"): trade(self._place_pair, 1, orders=2),
            ("GET", f"{v3}/orderList"): read(self._look_up_pair, 4),
            ("DELETE", f"{v3}/orderList"): trade(self._cancel_pair),
            ("GET", f"{v3}/openOrderList"): read(self._open_pairs, 6),
        }

    # --- orders -----------------------------------------------------------------------------------------------

    def _place(self, params: Params) -> dict[str, Any]:
        name = needed(params, "type")
        detail = params.get("newOrderRespType") or ("FULL" if name in {"MARKET", "LIMIT"} else "ACK")
        if detail not in {"ACK", "RESULT", "FULL"}:
            raise Refusal(-1136, "Invalid newOrderRespType.")
        request = self._request(params, name, "", params.get("newClientOrderId"))
        order = self._account.place(request, self._now_ms())
        fills = self._account.trades(request.symbol, from_id=0, order_id=order.order_id, limit=1000)
        return messages.made_reply(order, fills, detail)

    def _look_up(self, params: Params) -> dict[str, Any]:
        return messages.order_reply(self._account.find(needed(params, "symbol"), **_which(params)))

    def _cancel(self, params: Params) -> dict[str, Any]:
        symbol = needed(params, "symbol")
        order = self._account.find(symbol, **_which(params)) if _names_one(params) else None
        if order is not None and order.is_open:
            self._name_cancel(order, params)
        canceled = self._account.cancel(symbol, **_which(params), now_ms=self._now_ms())
        if canceled.list_id >= 0:
            return self._canceled_pair(self._account.pair(canceled.list_id))
        return messages.canceled_reply(canceled, self._teller.cancel_id(canceled))

    def _cancel_all(self, params: Params) -> list[dict[str, Any]]:
        symbol = needed(params, "symbol")
        canceled = self._account.cancel_all(symbol, now_ms=self._now_ms())
        lists = sorted({order.list_id for order in canceled if order.list_id >= 0})
        single = [order for order in canceled if order.list_id < 0]
        return [
            *(messages.canceled_reply(order, self._teller.cancel_id(order)) for order in single),
            *(self._canceled_pair(self._account.pair(number)) for number in lists),
        ]

    def _open_orders(self, params: Params) -> list[dict[str, Any]]:
        return [messages.order_reply(order) for order in self._account.open_orders(params.get("symbol"))]

    def _all_orders(self, params: Params) -> list[dict[str, Any]]:
        symbol = needed(params, "symbol")
        since, until = _span(params, self._now_ms())
        found = self._account.orders(
            symbol,
            since_ms=since,
            until_ms=until,
            from_id=integer(params, "orderId"),
            limit=rows(params, 500, 1000),
        )
        return [messages.order_reply(order) for order in found]

    def _trades(self, params: Params) -> list[dict[str, Any]]:
        symbol = needed(params, "symbol")
        since, until = _span(params, self._now_ms())
        found = self._account.trades(
            symbol,
            since_ms=since,
            until_ms=until,
            from_id=integer(params, "fromId"),
            order_id=integer(params, "orderId"),
            limit=rows(params, 500, 1000),
        )
        return [messages.trade_reply(one) for one in found]

    def _whole(self, params: Params) -> dict[str, Any]:
        del params
        maker, taker = self._fees_bps
        rates = {
            "maker": f"{maker / 10_000:.8f}",
            "taker": f"{taker / 10_000:.8f}",
            "buyer": "0.00000000",
            "seller": "0.00000000",
        }
        return {
            "makerCommission": round(maker),
            "takerCommission": round(taker),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": rates,
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._now_ms(),
            "accountType": "SPOT",
            "balances": [messages.balance_row(balance) for balance in self._account.balances()],
            "permissions": ["SPOT"],
            "uid": 354937868,
        }

    # --- pairs ------------------------------------------------------------------------------------------------

    def _place_pair(self, params: Params) -> dict[str, Any]:
        above, below = (
            self._request(params, needed(params, f"{leg}Type"), leg, params.get(f"{leg}ClientOrderId"))
            for leg in ("above", "below")
        )
        stop, target = (above, below) if above.kind is OrderKind.STOP_MARKET else (below, above)
        list_id = params.get("listClientOrderId") or self._make_id()
        number, first, second = self._account.place_pair(stop, target, list_id, self._now_ms())
        pair = self._account.pair(number)
        orders = (first, second)
        return {
            **messages.list_reply(pair, orders, pair.created_at_ms, done=False),
            "orderReports": [messages.made_reply(order, (), "RESULT") for order in orders],
        }

    def _look_up_pair(self, params: Params) -> dict[str, Any]:
        return self._pair_reply(self._pair(params))

    def _open_pairs(self, params: Params) -> list[dict[str, Any]]:
        del params
        numbers = sorted({order.list_id for order in self._account.open_orders() if order.list_id >= 0})
        return [self._pair_reply(self._account.pair(number)) for number in numbers]

    def _cancel_pair(self, params: Params) -> dict[str, Any]:
        pair = self._pair(params)
        self._account.cancel(needed(params, "symbol"), order_id=pair.stop_id, now_ms=self._now_ms())
        return self._canceled_pair(pair)

    def _pair(self, params: Params) -> SimPair:
        """The pair that a request names."""
        number = integer(params, "orderListId")
        if number is not None:
            return self._account.pair(number)
        client_id = params.get("listClientOrderId") or params.get("origClientOrderId")
        if not client_id:
            needed(params, "orderListId")
        for one in count(1):
            pair = self._account.pair(one)  # refuses the number after the last
            if pair.client_id == client_id:
                return pair
        raise AssertionError("counted to the end of numbers")

    def _orders(self, pair: SimPair) -> list[SimOrder]:
        return [self._account.find(pair.symbol, order_id=one) for one in (pair.stop_id, pair.target_id)]

    def _pair_reply(self, pair: SimPair) -> dict[str, Any]:
        orders = self._orders(pair)
        done = not any(order.is_open for order in orders)
        return messages.list_reply(pair, orders, pair.created_at_ms, done=done)

    def _canceled_pair(self, pair: SimPair) -> dict[str, Any]:
        orders = self._orders(pair)
        reports = [messages.canceled_reply(order, self._teller.cancel_id(order)) for order in orders]
        reply = messages.list_reply(pair, orders, orders[0].updated_at_ms, done=True)
        return {**reply, "orderReports": reports}

    def _name_cancel(self, order: SimOrder, params: Params) -> None:
        """Remember the client id that a canceling has; the stream tells it."""
        if name := params.get("newClientOrderId"):
            self._teller.cancel_ids[order.order_id] = name

    def _request(self, params: Params, name: str, leg: str, client_id: str | None) -> OrderRequest:
        """An order, or with ``leg`` (``above`` or ``below``) one order of a pair."""
        kind = messages.TYPES.get(name)
        if kind is None:
            raise Refusal(*_INVALID_TYPE)
        price_name = f"{leg}Price" if leg else "price"
        stop_name = f"{leg}StopPrice" if leg else "stopPrice"
        needed(params, "quantity")
        lasting = TimeInForce.GTC
        if kind is OrderKind.LIMIT:
            needed(params, price_name)
            lasting = _lasting(params, name)
        waits = kind in {OrderKind.STOP_MARKET, OrderKind.TAKE_PROFIT_MARKET}
        if waits:
            needed(params, stop_name)
        return OrderRequest(
            symbol=needed(params, "symbol"),
            side=side(params),
            kind=kind,
            quantity=decimal(params, "quantity") or 0.0,
            client_order_id=client_id or self._make_id(),
            price=decimal(params, price_name) if kind is OrderKind.LIMIT else None,
            stop_price=decimal(params, stop_name) if waits else None,
            time_in_force=lasting,
        )


def _lasting(params: Params, name: str) -> TimeInForce:
    """How long a limit order lives; a LIMIT_MAKER is what the perpetuals call GTX."""
    if name == "LIMIT_MAKER":
        return TimeInForce.GTX
    needed(params, "timeInForce")
    invalid = Refusal(-1115, "Invalid timeInForce.")
    lasting = word(params, "timeInForce", TimeInForce, invalid)
    if lasting is TimeInForce.GTX:
        raise invalid
    return lasting


def _names_one(params: Params) -> bool:
    return bool(params.get("orderId") or params.get("origClientOrderId"))


def _which(params: Params) -> dict[str, Any]:
    """The order that a request names."""
    return {"order_id": integer(params, "orderId"), "client_order_id": params.get("origClientOrderId")}


def _span(params: Params, now_ms: int) -> tuple[int | None, int | None]:
    """The stretch of a history; spot shows everything up to now where none is asked for."""
    if "startTime" not in params and "endTime" not in params:
        return None, None
    if "startTime" in params and "endTime" not in params:
        return integer(params, "startTime"), None
    return span(params, now_ms, DAY_MS, _MORE_THAN_A_DAY)
