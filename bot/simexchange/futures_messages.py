"""Orders, trades and account events as the JSON values of Binance's USD-M API: replies and user stream. Pure.

Every field of the real messages is there. Numbers are texts with every digit, so that a client's sums equal the
exchange's.
"""

from __future__ import annotations

from typing import Any

from bot.simexchange.bars import number
from bot.simexchange.orders import (
    Income,
    OrderChanged,
    OrderKind,
    SimBalance,
    SimOrder,
    SimPosition,
    SimTrade,
)

SELF_TRADE = "EXPIRE_MAKER"
"""What Binance does with a client's own orders that would meet; ours never do."""


def order_reply(order: SimOrder, *, with_time: bool) -> dict[str, Any]:
    """An order; where it was just made or canceled its reply has no time of creation."""
    asked = order.request
    reply: dict[str, Any] = {
        "orderId": order.order_id,
        "symbol": asked.symbol,
        "status": order.status.value,
        "clientOrderId": asked.client_order_id,
        "price": _level(asked.price),
        "avgPrice": _average(order),
        "origQty": number(asked.quantity),
        "executedQty": number(order.executed_quantity),
        "cumQuote": number(order.executed_notional),
        "timeInForce": asked.time_in_force.value,
        "type": asked.kind.value,
        "reduceOnly": asked.reduce_only,
        "closePosition": asked.close_position,
        "side": asked.side,
        "positionSide": asked.position_side,
        "stopPrice": _level(asked.stop_price),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": asked.kind.value,
        "priceMatch": "NONE",
        "selfTradePreventionMode": SELF_TRADE,
        "goodTillDate": 0,
        "updateTime": order.updated_at_ms,
    }
    if with_time:
        reply["time"] = order.created_at_ms
    else:
        reply["cumQty"] = number(order.executed_quantity)
    return reply


def algo_reply(order: SimOrder, child: SimOrder | None) -> dict[str, Any]:
    """A conditional order; ``child`` is the market order that it became.

    The documentation calls its type ``orderType``, a recorded reply ``type``: both are told.
    """
    asked = order.request
    return {
        "algoId": order.order_id,
        "clientAlgoId": asked.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": asked.kind.value,
        "type": asked.kind.value,
        "symbol": asked.symbol,
        "side": asked.side,
        "positionSide": asked.position_side,
        "timeInForce": asked.time_in_force.value,
        "quantity": number(asked.quantity),
        "algoStatus": order.status.value,
        "actualOrderId": str(order.triggered_order_id or ""),
        "actualPrice": _average(child) if child else "0.00000",
        "triggerPrice": _level(asked.stop_price),
        "price": _level(asked.price),
        "icebergQuantity": None,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
        "selfTradePreventionMode": SELF_TRADE,
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": asked.close_position,
        "priceProtect": False,
        "reduceOnly": asked.reduce_only,
        "createTime": order.created_at_ms,
        "updateTime": order.updated_at_ms,
        "triggerTime": order.updated_at_ms if order.triggered_order_id else 0,
        "goodTillDate": 0,
    }


def trade_reply(trade: SimTrade) -> dict[str, Any]:
    """An execution as ``userTrades`` tells it."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "side": trade.side,
        "price": number(trade.price),
        "qty": number(trade.quantity),
        "realizedPnl": number(trade.realized),
        "marginAsset": trade.fee_asset,
        "quoteQty": number(trade.price * trade.quantity),
        "commission": number(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "positionSide": "BOTH",
        "buyer": trade.side == "BUY",
        "maker": trade.is_maker,
    }


def income_reply(line: Income) -> dict[str, Any]:
    """A line of the income history."""
    return {
        "symbol": line.symbol,
        "incomeType": line.kind,
        "income": number(line.amount),
        "asset": line.asset,
        "info": line.kind,
        "time": line.at_ms,
        "tranId": line.income_id,
        "tradeId": "",
    }


def order_event(change: OrderChanged, quote: str) -> dict[str, Any]:
    """``ORDER_TRADE_UPDATE``; ``quote`` is the currency of the fee."""
    order, trade = change.order, change.trade
    asked = order.request
    body = {
        "s": asked.symbol,
        "c": asked.client_order_id,
        "S": asked.side,
        "o": asked.kind.value,
        "f": asked.time_in_force.value,
        "q": number(asked.quantity),
        "p": _level(asked.price),
        "ap": _average(order),
        "sp": _level(asked.stop_price),
        "x": change.execution,
        "X": order.status.value,
        "i": order.order_id,
        "l": number(trade.quantity) if trade else "0",
        "z": number(order.executed_quantity),
        "L": number(trade.price) if trade else "0",
        "N": trade.fee_asset if trade else quote,
        "n": number(trade.fee) if trade else "0",
        "T": change.at_ms,
        "t": trade.trade_id if trade else 0,
        "b": "0",
        "a": "0",
        "m": trade.is_maker if trade else False,
        "R": asked.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": asked.kind.value,
        "ps": asked.position_side,
        "cp": asked.close_position,
        "AP": "0",
        "cr": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": number(trade.realized) if trade else "0",
        "V": SELF_TRADE,
        "pm": "NONE",
        "gtd": 0,
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": change.at_ms, "E": change.at_ms, "o": body}


def trade_event(trade: SimTrade, order: SimOrder) -> dict[str, Any]:
    """``TRADE_LITE``: the short form of an execution, which comes before the long one."""
    return {
        "e": "TRADE_LITE",
        "E": trade.at_ms,
        "T": trade.at_ms,
        "s": trade.symbol,
        "q": number(order.request.quantity),
        "p": _level(order.request.price),
        "m": trade.is_maker,
        "c": trade.client_order_id,
        "S": trade.side,
        "L": number(trade.price),
        "l": number(trade.quantity),
        "t": trade.trade_id,
        "i": trade.order_id,
    }


def algo_event(change: OrderChanged, child: SimOrder | None) -> dict[str, Any]:
    """``ALGO_UPDATE``; ``child`` is the market order that a triggered conditional order became."""
    order = change.order
    asked = order.request
    body = {
        "caid": asked.client_order_id,
        "aid": order.order_id,
        "at": "CONDITIONAL",
        "o": asked.kind.value,
        "s": asked.symbol,
        "S": asked.side,
        "ps": asked.position_side,
        "f": asked.time_in_force.value,
        "q": number(asked.quantity),
        "X": order.status.value,
        "ai": str(order.triggered_order_id or ""),
        "ap": _average(child) if child else "0.00000",
        "aq": number(child.executed_quantity) if child else "0.00000",
        "act": OrderKind.MARKET.value if order.triggered_order_id else "0",
        "tp": _level(asked.stop_price),
        "p": _level(asked.price),
        "V": SELF_TRADE,
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": asked.close_position,
        "pP": False,
        "R": asked.reduce_only,
        "tt": order.updated_at_ms if order.triggered_order_id else 0,
        "gtd": 0,
        "rm": order.reason,
    }
    return {"e": "ALGO_UPDATE", "T": change.at_ms, "E": change.at_ms, "o": body}


def account_event(
    reason: str, at_ms: int, balances: list[dict[str, Any]], positions: list[dict[str, Any]]
) -> dict[str, Any]:
    """``ACCOUNT_UPDATE`` of parts that ``balance_part`` and ``position_part`` made."""
    return {
        "e": "ACCOUNT_UPDATE",
        "T": at_ms,
        "E": at_ms,
        "a": {"m": reason, "B": balances, "P": positions},
    }


def balance_part(balance: SimBalance, change: float) -> dict[str, Any]:
    """A balance in ``ACCOUNT_UPDATE``; ``change`` is what was paid or received beside profit and fees."""
    wallet = number(balance.free)
    return {"a": balance.asset, "wb": wallet, "cw": wallet, "bc": number(change)}


def position_part(position: SimPosition, price: float, realized: float, asset: str) -> dict[str, Any]:
    """A position in ``ACCOUNT_UPDATE``; ``realized`` is what its symbol has earned so far, before fees."""
    profit = position.quantity * (price - position.entry_price)
    return {
        "s": position.symbol,
        "pa": number(position.quantity),
        "ep": number(position.entry_price),
        "bep": number(position.entry_price),
        "cr": number(realized),
        "up": number(profit),
        "mt": "isolated" if position.isolated else "cross",
        "iw": "0",
        "ps": "BOTH",
        "ma": asset,
    }


def _level(price: float | None) -> str:
    return "0" if price is None else number(price)


def _average(order: SimOrder) -> str:
    if order.executed_quantity == 0:
        return "0.00"
    return number(order.executed_notional / order.executed_quantity)
