"""Orders, trades and account events as the JSON values of Binance's spot API: replies and user stream. Pure.

Every field of the real messages is there. Numbers are texts with every digit, so that a client's sums equal the
exchange's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.simexchange.bars import number
from bot.simexchange.orders import (
    OrderChanged,
    OrderKind,
    OrderRequest,
    OrderStatus,
    SimBalance,
    SimOrder,
    SimPair,
    SimTrade,
    TimeInForce,
)

SELF_TRADE = "EXPIRE_MAKER"
"""What Binance does with a client's own orders that would meet; ours never do."""

TYPES = {
    "MARKET": OrderKind.MARKET,
    "LIMIT": OrderKind.LIMIT,
    "LIMIT_MAKER": OrderKind.LIMIT,
    "STOP_LOSS": OrderKind.STOP_MARKET,
    "TAKE_PROFIT": OrderKind.TAKE_PROFIT_MARKET,
}
"""Spot's names of the types that are served."""


def type_name(request: OrderRequest) -> str:
    """The type of an order as spot calls it."""
    if request.kind is OrderKind.LIMIT:
        return "LIMIT_MAKER" if request.time_in_force is TimeInForce.GTX else "LIMIT"
    return {OrderKind.STOP_MARKET: "STOP_LOSS", OrderKind.TAKE_PROFIT_MARKET: "TAKE_PROFIT"}.get(
        request.kind, "MARKET"
    )


def order_reply(order: SimOrder) -> dict[str, Any]:
    """An order that was looked up."""
    return {
        "symbol": order.request.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.request.client_order_id,
        **_state(order),
        "stopPrice": _level(order.request.stop_price),
        "icebergQty": "0.00000000",
        "time": order.created_at_ms,
        "updateTime": order.updated_at_ms,
        "isWorking": True,
        "workingTime": order.created_at_ms,
    }


def made_reply(order: SimOrder, fills: Sequence[SimTrade], detail: str) -> dict[str, Any]:
    """An order that was just made; ``detail`` is ACK, RESULT or FULL."""
    reply: dict[str, Any] = {
        "symbol": order.request.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.request.client_order_id,
        "transactTime": order.updated_at_ms,
    }
    if detail == "ACK":
        return reply
    reply |= {**_state(order), "workingTime": order.created_at_ms}
    if order.request.stop_price is not None:
        reply["stopPrice"] = _level(order.request.stop_price)
    if detail == "FULL":
        reply["fills"] = [_fill(trade) for trade in fills]
    return reply


def canceled_reply(order: SimOrder, cancel_id: str) -> dict[str, Any]:
    """An order that was just canceled; ``cancel_id`` is the client id of the canceling."""
    reply = {
        "symbol": order.request.symbol,
        "origClientOrderId": order.request.client_order_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_at_ms,
        **_state(order),
    }
    if order.list_id >= 0:
        reply |= {"stopPrice": _level(order.request.stop_price), "icebergQty": "0.00000000"}
    return reply


def list_reply(pair: SimPair, orders: Sequence[SimOrder], at_ms: int, *, done: bool) -> dict[str, Any]:
    """An OCO list as such; its orders' reports are added by who needs them."""
    return {
        "orderListId": pair.list_id,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE" if done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if done else "EXECUTING",
        "listClientOrderId": pair.client_id,
        "transactionTime": at_ms,
        "symbol": pair.symbol,
        "orders": [
            {
                "symbol": pair.symbol,
                "orderId": order.order_id,
                "clientOrderId": order.request.client_order_id,
            }
            for order in orders
        ],
    }


def trade_reply(trade: SimTrade) -> dict[str, Any]:
    """An execution as ``myTrades`` tells it."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": number(trade.price),
        "qty": number(trade.quantity),
        "quoteQty": number(trade.price * trade.quantity),
        "commission": number(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def order_event(change: OrderChanged, cancel_id: str) -> dict[str, Any]:
    """``executionReport``; where it tells of a canceling, ``c`` is that request's id and ``C`` the order's own."""
    order, trade = change.order, change.trade
    asked = order.request
    canceled = change.execution == "CANCELED"
    return {
        "e": "executionReport",
        "E": change.at_ms,
        "s": asked.symbol,
        "c": cancel_id if canceled else asked.client_order_id,
        "S": asked.side,
        "o": type_name(asked),
        "f": _lasting(asked),
        "q": number(asked.quantity),
        "p": _level(asked.price),
        "P": _level(asked.stop_price),
        "F": "0.00000000",
        "g": order.list_id,
        "C": asked.client_order_id if canceled else "",
        "x": change.execution,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "l": number(trade.quantity) if trade else "0.00000000",
        "z": number(order.executed_quantity),
        "L": number(trade.price) if trade else "0.00000000",
        "n": number(trade.fee) if trade else "0",
        "N": trade.fee_asset if trade else None,
        "T": change.at_ms,
        "t": trade.trade_id if trade else -1,
        "I": order.order_id,
        "w": order.is_open,
        "m": trade.is_maker if trade else False,
        "M": False,
        "O": order.created_at_ms,
        "Z": number(order.executed_notional),
        "Y": number(trade.price * trade.quantity) if trade else "0.00000000",
        "Q": "0.00000000",
        "W": order.created_at_ms,
        "V": SELF_TRADE,
        **({"eR": order.reason} if change.execution == "EXPIRED" else {}),
    }


def account_event(at_ms: int, balances: Sequence[SimBalance]) -> dict[str, Any]:
    """``outboundAccountPosition``."""
    parts = [
        {"a": balance.asset, "f": number(balance.free), "l": number(balance.locked)} for balance in balances
    ]
    return {"e": "outboundAccountPosition", "E": at_ms, "u": at_ms, "B": parts}


def list_event(pair: SimPair, orders: Sequence[SimOrder], at_ms: int, *, done: bool) -> dict[str, Any]:
    """``listStatus``."""
    told = list_reply(pair, orders, at_ms, done=done)
    return {
        "e": "listStatus",
        "E": at_ms,
        "s": pair.symbol,
        "g": pair.list_id,
        "c": "OCO",
        "l": told["listStatusType"],
        "L": told["listOrderStatus"],
        "r": "NONE",
        "C": pair.client_id,
        "T": at_ms,
        "O": [
            {"s": pair.symbol, "i": order.order_id, "c": order.request.client_order_id} for order in orders
        ],
    }


def balance_row(balance: SimBalance) -> dict[str, str]:
    """A balance in the reply of ``account``."""
    return {"asset": balance.asset, "free": number(balance.free), "locked": number(balance.locked)}


def _state(order: SimOrder) -> dict[str, Any]:
    """What the replies have in common."""
    asked = order.request
    return {
        "price": _level(asked.price),
        "origQty": number(asked.quantity),
        "executedQty": number(order.executed_quantity),
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": number(order.executed_notional),
        "status": OrderStatus(order.status).value,
        "timeInForce": _lasting(asked),
        "type": type_name(asked),
        "side": asked.side,
        "selfTradePreventionMode": SELF_TRADE,
    }


def _fill(trade: SimTrade) -> dict[str, Any]:
    return {
        "price": number(trade.price),
        "qty": number(trade.quantity),
        "commission": number(trade.fee),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.trade_id,
    }


def _lasting(request: OrderRequest) -> str:
    """Spot knows no GTX; a post-only order is a type of its own."""
    return "GTC" if request.time_in_force is TimeInForce.GTX else request.time_in_force.value


def _level(price: float | None) -> str:
    return "0.00000000" if price is None else number(price)
