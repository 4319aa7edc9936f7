"""Orders, executions, positions, money and bills of the account as OKX tells them, over REST and on its streams. No I/O.

Quantities are in contracts, fees and payments are negative, and every value is text. What this exchange does not know is
an empty text, as on OKX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.simexchange.bars import number
from bot.simexchange.exchange_info import Listing
from bot.simexchange.okx_listing import contracts, family, inst_id
from bot.simexchange.orders import (
    OrderKind,
    OrderRequest,
    OrderStatus,
    SimOrder,
    SimPosition,
    SimTrade,
    TimeInForce,
)

Row = dict[str, Any]

STATES = {
    OrderStatus.NEW: "live",
    OrderStatus.PARTIALLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "canceled",
    OrderStatus.REJECTED: "canceled",
}
ALGO_STATES = {
    OrderStatus.NEW: "live",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "order_failed",
    OrderStatus.REJECTED: "order_failed",
    OrderStatus.TRIGGERED: "effective",
    OrderStatus.FINISHED: "effective",
}
CANCELED_BY_USER, CANCELED_BY_RULE, POST_ONLY_TOOK = "1", "0", "31"
"""Sources of a cancellation."""

_LIMIT_TYPES = {
    TimeInForce.GTC: "limit",
    TimeInForce.GTX: "post_only",
    TimeInForce.FOK: "fok",
    TimeInForce.IOC: "ioc",
}
_UNKNOWN_OF_AN_ORDER = (
    "attachAlgoClOrdId", "cancelSourceReason", "pxType", "pxUsd", "pxVol", "quickMgnType", "slOrdPx", "slTriggerPx",
    "slTriggerPxType", "stpId", "tag", "tgtCcy", "tpOrdPx", "tpTriggerPx", "tpTriggerPxType", "tradeQuoteCcy",
)  # fmt: skip
_UNKNOWN_ON_A_STREAM = (
    "amendResult", "amendSource", "fillFwdPx", "fillIdxPx", "fillMarkPx", "fillMarkVol", "fillPxUsd", "fillPxVol",
    "msg", "reqId",
)  # fmt: skip
_UNKNOWN_OF_AN_ALGO = (
    "activePx", "amendPxOnTriggerType", "callbackRatio", "callbackSpread", "ccy", "moveTriggerPx", "pxLimit",
    "pxSpread", "pxVar", "quickMgnType", "szLimit", "tag", "tgtCcy", "timeInterval", "tradeQuoteCcy",
)  # fmt: skip


def order_type(request: OrderRequest) -> str:
    """OKX's word for the type of an ordinary order."""
    return _LIMIT_TYPES[request.time_in_force] if request.kind is OrderKind.LIMIT else "market"


def order_row(
    order: SimOrder, trades: Sequence[SimTrade], listing: Listing, held: SimPosition, parent: SimOrder | None
) -> Row:
    """An ordinary order, as ``trade/order`` and the lists of orders tell it.

    Args:
        order: As it stands.
        trades: Its executions so far.
        listing: Of its symbol.
        held: The symbol's leverage and margin mode.
        parent: The conditional order that it came of: its id is told in place of a client's own.
    """
    request, last = order.request, trades[-1] if trades else None
    mean = order.executed_notional / order.executed_quantity if order.executed_quantity else None
    return {
        **dict.fromkeys(_UNKNOWN_OF_AN_ORDER, ""),
        "accFillSz": contracts(listing, order.executed_quantity),
        "algoClOrdId": parent.request.client_order_id if parent else "",
        "algoId": str(parent.order_id) if parent else "",
        "attachAlgoOrds": [],
        "avgPx": "" if mean is None else number(mean),
        "cTime": str(order.created_at_ms),
        "cancelSource": _cancel_source(order),
        "category": "normal",
        "ccy": listing.quote,
        "clOrdId": "" if parent else request.client_order_id,
        "fee": _negated(sum(trade.fee for trade in trades)),
        "feeCcy": listing.quote,
        "fillPx": number(last.price) if last else "",
        "fillSz": contracts(listing, last.quantity) if last else "0",
        "fillTime": str(last.at_ms) if last else "",
        "instId": inst_id(listing),
        "instType": "SWAP",
        "isTpLimit": "false",
        "lever": number(float(held.leverage)),
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": str(order.order_id),
        "ordType": order_type(request),
        "pnl": number(sum(trade.realized for trade in trades) + 0.0) if trades else "0",
        "posSide": "net",
        "px": "" if request.price is None else number(request.price),
        "rebate": "0",
        "rebateCcy": listing.quote,
        "reduceOnly": "true" if request.only_reduces else "false",
        "side": request.side.lower(),
        "source": "7" if parent else "",
        "state": STATES[order.status],
        "stpMode": "cancel_maker",
        "sz": contracts(listing, request.quantity),
        "tdMode": margin_mode(held),
        "tradeId": str(last.trade_id) if last else "",
        "uTime": str(order.updated_at_ms),
    }


def order_push(row: Row, trade: SimTrade | None, listing: Listing) -> Row:
    """An order's row with what the stream tells beside: of the execution that this message is about, if it is one."""
    more: Row = {**dict.fromkeys(_UNKNOWN_ON_A_STREAM, ""), "code": "0", "lastPx": row["fillPx"]}
    if trade is None:
        none = {"fillPx": "", "fillSz": "0", "fillTime": "", "tradeId": ""}
        return {
            **row, **more, **none, "execType": "", "fillFee": "0", "fillFeeCcy": "", "fillNotionalUsd": "",
            "fillPnl": "0", "notionalUsd": "",
        }  # fmt: skip
    notional = number(trade.quantity * trade.price)
    return {
        **row,
        **more,
        "execType": liquidity(trade),
        "fillFee": _negated(trade.fee),
        "fillFeeCcy": trade.fee_asset,
        "fillNotionalUsd": notional,
        "fillPnl": number(trade.realized),
        "fillPx": number(trade.price),
        "fillSz": contracts(listing, trade.quantity),
        "fillTime": str(trade.at_ms),
        "notionalUsd": notional,
        "tradeId": str(trade.trade_id),
    }


def algo_row(
    order: SimOrder,
    listing: Listing,
    held: SimPosition,
    child: SimOrder | None,
    twin: SimOrder | None = None,
    price: float | None = None,
) -> Row:
    """A conditional order, as the algo endpoints and the stream ``orders-algo`` tell it.

    Args:
        order: The conditional order; of an OCO pair its stop.
        listing: Of its symbol.
        held: The symbol's leverage and margin mode.
        child: The market order that it became.
        twin: Of an OCO pair, its target.
        price: The current one.
    """
    request = order.request
    done = child is not None and child.executed_quantity > 0
    mean = child.executed_notional / child.executed_quantity if child and done else None
    triggered = order if order.triggered_order_id else twin if twin and twin.triggered_order_id else None
    shown = triggered or order
    return {
        **dict.fromkeys(_UNKNOWN_OF_AN_ALGO, ""),
        **_levels(order, twin),
        "actualPx": "" if mean is None else number(mean),
        "actualSide": "" if triggered is None else _side_of_level(triggered),
        "actualSz": contracts(listing, child.executed_quantity) if child else "0",
        "algoClOrdId": request.client_order_id,
        "algoId": str(order.order_id),
        "attachAlgoOrds": [],
        "cTime": str(order.created_at_ms),
        "clOrdId": "",
        "closeFraction": "1" if request.close_position else "",
        "failCode": ""
        if shown.status not in {OrderStatus.EXPIRED, OrderStatus.REJECTED}
        else _fail_code(shown),
        "instId": inst_id(listing),
        "instType": "SWAP",
        "isTradeBorrowMode": "",
        "last": "" if price is None else number(price),
        "lever": number(float(held.leverage)),
        "linkedOrd": {"ordId": ""},
        "notionalUsd": number(request.quantity * (request.stop_price or 0.0)),
        "ordId": str(child.order_id) if child else "",
        "ordIdList": [str(child.order_id)] if child else [],
        "posSide": "net",
        "reduceOnly": "true" if request.only_reduces else "false",
        "side": request.side.lower(),
        "state": ALGO_STATES[shown.status],
        "sz": "" if request.close_position else contracts(listing, request.quantity),
        "tdMode": margin_mode(held),
        "triggerTime": str(shown.updated_at_ms) if triggered else "",
        "uTime": str(max(order.updated_at_ms, shown.updated_at_ms)),
        "uly": family(listing),
    }


def fill_row(trade: SimTrade, order: SimOrder, listing: Listing) -> Row:
    """An execution, as ``trade/fills`` tells it."""
    return {
        "billId": bill_of_trade(trade),
        "clOrdId": "" if order.parent_id else order.request.client_order_id,
        "execType": liquidity(trade),
        "fee": _negated(trade.fee),
        "feeCcy": trade.fee_asset,
        "feeRate": "",
        "fillFwdPx": "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPnl": number(trade.realized),
        "fillPx": number(trade.price),
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillSz": contracts(listing, trade.quantity),
        "fillTime": str(trade.at_ms),
        "instId": inst_id(listing),
        "instType": "SWAP",
        "ordId": str(trade.order_id),
        "posSide": "net",
        "side": trade.side.lower(),
        "subType": "1" if trade.side == "BUY" else "2",
        "tag": "",
        "tradeId": str(trade.trade_id),
        "ts": str(trade.at_ms),
    }


def bill_of_trade(trade: SimTrade) -> str:
    """The number of the bill of an execution."""
    return str(2_000_000_000_000 + trade.trade_id)


def liquidity(trade: SimTrade) -> str:
    """Whether an execution took or made."""
    return "M" if trade.is_maker else "T"


def margin_mode(held: SimPosition) -> str:
    """OKX's word for the margin mode of a symbol."""
    return "isolated" if held.isolated else "cross"


def _levels(order: SimOrder, twin: SimOrder | None) -> Row:
    """Type and triggers of a conditional order; its market price is written -1."""
    names = (
        "ordPx",
        "slOrdPx",
        "slTriggerPx",
        "slTriggerPxType",
        "tpOrdPx",
        "tpTriggerPx",
        "tpTriggerPxType",
    )
    told: Row = dict.fromkeys((*names, "triggerPx", "triggerPxType"), "")
    if order.request.label == "trigger":
        return {**told, **_level(order, "trigger"), "ordPx": "-1", "ordType": "trigger"}
    for one in (order, twin):
        if one is not None:
            side = _side_of_level(one)
            told |= {**_level(one, f"{side}Trigger"), f"{side}OrdPx": "-1"}
    return {**told, "ordType": "oco" if twin else "conditional"}


def _level(order: SimOrder, name: str) -> Row:
    return {f"{name}Px": number(order.request.stop_price or 0.0), f"{name}PxType": "last"}


def _side_of_level(order: SimOrder) -> str:
    """``sl`` of a stop, ``tp`` of a target."""
    return "sl" if order.request.kind is OrderKind.STOP_MARKET else "tp"


def _fail_code(order: SimOrder) -> str:
    """Why the market order of a trigger was not made."""
    return "51169" if order.status is OrderStatus.EXPIRED else "51008"


def _cancel_source(order: SimOrder) -> str:
    if order.status is OrderStatus.CANCELED:
        return (
            POST_ONLY_TOOK
            if order.request.time_in_force is TimeInForce.GTX and order.reason
            else CANCELED_BY_USER
        )
    return CANCELED_BY_RULE if STATES[order.status] == "canceled" else ""


def _negated(paid: float) -> str:
    """What was paid, as OKX writes it: negative."""
    return number(-paid) if paid else "0"
