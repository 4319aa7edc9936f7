"""Binance's own rows where ccxt's structures do not say enough: conditional orders, user messages, wallets. Pure.

A conditional order of the perpetuals is not an order of the matching engine but of the algo service::

    NEW --price reached--> TRIGGERING -> TRIGGERED (its market order was made) -> FINISHED (that one is done with)
     |                          |
     CANCELED, EXPIRED          REJECTED (the market order was refused; the reason is told)

ccxt reads TRIGGERED and FINISHED as "closed" and what was ordered as filled: neither is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bot.brokers.venue_rows import ConditionalRow, UserRows
from bot.core.venue import VenueStatus
from bot.errors import DataError
from bot.exchange_client import Exchange

_CONDITIONAL_STATUS: Final = {
    "NEW": VenueStatus.OPEN,
    "TRIGGERING": VenueStatus.OPEN,
    "TRIGGERED": VenueStatus.OPEN,
    "FINISHED": None,  # what became of its market order says more
    "CANCELED": VenueStatus.CANCELED,
    "CANCELLED": VenueStatus.CANCELED,
    "EXPIRED": VenueStatus.EXPIRED,
    "REJECTED": VenueStatus.REJECTED,
}

EXECUTIONS: Final = frozenset({"TRADE", "CALCULATED"})
"""Execution types that are a trade; CALCULATED is one of a liquidation or of auto-deleveraging."""

ENDINGS: Final = {
    "listenKeyExpired": "the listen key has expired",
    "eventStreamTerminated": "the exchange ended the stream",
    "serverShutdown": "the exchange is shutting the line down",
}


def conditional_row(info: Mapping[str, Any]) -> ConditionalRow | None:
    """Read a conditional order as REST or the stream tells it; None of any other order; raises DataError."""
    if "algoId" in info:
        names = ("clientAlgoId", "algoId", "symbol", "algoStatus", "actualOrderId", "quantity", "updateTime")
        reason = info.get("failReason") or info.get("rejectReason")
    elif "aid" in info:
        names = ("caid", "aid", "s", "X", "ai", "q", "T")
        reason = info.get("rm")
    else:
        return None
    client, algo, market, status, order, quantity, at_ms = (info.get(name) for name in names)
    if status not in _CONDITIONAL_STATUS:
        raise DataError(f"a conditional order has the unknown status {status!r}")
    if not client or not algo:
        raise DataError("a conditional order has no id")
    read = _CONDITIONAL_STATUS[status]
    return ConditionalRow(
        client_order_id=str(client),
        algo_id=str(algo),
        market_id=str(market or ""),
        status=read,
        order_id="" if order in {None, "", 0, "0"} else str(order),
        quantity=float(quantity or 0.0),
        at_ms=None if at_ms is None else int(at_ms),
        # The stream carries a text there in every message; it means something of a refusal only.
        reason=str(reason) if reason and read is VenueStatus.REJECTED else "",
    )


def read_user_message(exchange: Exchange, message: Mapping[str, Any]) -> UserRows:
    """Read ``executionReport`` (spot), ``ORDER_TRADE_UPDATE`` or ``ALGO_UPDATE``; raises what ccxt's parsers raise."""
    event = message.get("e")
    if event == "ALGO_UPDATE":
        return UserRows(conditional=conditional_row({"T": message.get("T"), **message["o"]}))
    row = message["o"] if event == "ORDER_TRADE_UPDATE" else message
    trades = []
    if row["x"] in EXECUTIONS and float(row["l"]) > 0:
        trades.append(exchange.parse_ws_trade({**row, "x": "TRADE"}))
    return UserRows(trades, [exchange.parse_ws_order(row)], client_order_id=str(row["c"]))


def read_user_messages(exchange: Exchange, message: Mapping[str, Any]) -> list[UserRows]:
    """The same as a list: a message is about one order."""
    return [read_user_message(exchange, message)]


def stream_ending(message: Any) -> str:
    """Why a message means that no more will come; "" for any other message."""
    if not isinstance(message, Mapping):
        return ""
    inner = message.get("event")
    event = inner.get("e") if isinstance(inner, Mapping) else message.get("e")
    return ENDINGS.get(event, "") if isinstance(event, str) else ""


def futures_position(row: Mapping[str, Any]) -> tuple[str, float, float]:
    """A position as market, signed contracts and average entry price; raises DataError for a hedged account's.

    Read from the exchange's own row: ccxt takes the sign from the notional, and leaves out what it takes for nothing.
    """
    held = float(row["positionAmt"])
    if held and row.get("positionSide", "BOTH") != "BOTH":
        raise DataError("the account holds long and short apart (hedge mode): switch it to one-way mode")
    return str(row["symbol"]), held, float(row["entryPrice"])


def futures_wallet(balance: Mapping[str, Any], currency: str) -> float:
    """The wallet balance: ccxt's total has the unrealised profit in it."""
    for asset in balance["info"]["assets"]:
        if asset["asset"] == currency:
            return float(asset["walletBalance"])
    return 0.0


def spot_wallet(balance: Mapping[str, Any], currency: str) -> float:
    """Free and locked; summed from the exchange's own row, since ccxt leaves out what it takes for nothing."""
    for asset in balance["info"]["balances"]:
        if asset["asset"] == currency:
            return float(asset["free"]) + float(asset["locked"])
    return 0.0
