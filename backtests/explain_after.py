"""What came of a decision: its orders and their executions, the round trip that it is part of, and what the price did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.decision import decision_id
from bot.core.market import MINUTE_MS, Symbol
from bot.core.position import Trade
from bot.journal.explain import ExplainReader


def after_section(reader: ExplainReader, row: Mapping[str, Any]) -> dict[str, Any]:
    """Orders, executions, round trip and what the price did over the horizon.

    ``trade_role`` is what the decision was in the round trip: ``opened`` it, ``closed`` it, or ``held`` while it lasted.
    """
    orders = _orders(reader, row)
    fills = reader.fills_of(order["client_order_id"] for order in orders)
    role, trade = _trade(reader, row, orders, fills)
    return {
        "orders": orders,
        "fills": fills,
        "held_before": reader.held_before(row["symbol"], int(row["closed_at_ms"])),
        "trade_role": role,
        "trade": None if trade is None else _trade_row(reader, trade),
        "price": price_section(reader, row),
    }


def _orders(reader: ExplainReader, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The orders that were sent, and those that follow from an entry: their ids begin alike."""
    found: dict[str, dict[str, Any]] = {}
    for sent in row["approved"]:
        for order in reader.orders_like(sent[0][:-1]):
            found[order["client_order_id"]] = order
    return list(found.values())


def _trade(
    reader: ExplainReader,
    row: Mapping[str, Any],
    orders: Sequence[Mapping[str, Any]],
    fills: Sequence[Mapping[str, Any]],
) -> tuple[str | None, Trade | None]:
    symbol, closed_at_ms = row["symbol"], int(row["closed_at_ms"])
    sent = {order[0]: order[4] for order in row["approved"]}
    # A market order in an entry's place has its id but for the last letter.
    entered = any(leg == "e" for leg in sent.values())
    first = next((fill for fill in fills if _is_entry(fill, sent, orders)), None)
    if entered:
        if first is None:
            return None, None
        at_ms = first["filled_at_ms"]
        trade = reader.trade_over(symbol, at_ms, at_ms)
        return "opened", trade if trade is not None and trade.entry_at_ms == at_ms else None
    if sent and fills:
        at_ms = fills[-1]["filled_at_ms"]
        return "closed", reader.trade_over(symbol, at_ms, at_ms)
    trade = reader.trade_over(symbol, closed_at_ms, closed_at_ms - 1)
    return ("held", trade) if trade is not None else (None, None)


def _trade_row(reader: ExplainReader, trade: Trade) -> dict[str, Any]:
    """A round trip, with the decisions that began and ended it; a stop or target is of the decision of its entry."""
    opened_ms = reader.decided_of_fill(trade.symbol, trade.entry_at_ms, entry=True)
    closed_ms = reader.decided_of_fill(trade.symbol, trade.exit_at_ms, entry=False)
    return {
        **trade._asdict(),
        "opened_by": None if opened_ms is None else decision_id(trade.symbol, opened_ms),
        "closed_by": None if closed_ms is None else decision_id(trade.symbol, closed_ms),
    }


def _is_entry(fill: Mapping[str, Any], sent: Mapping[str, str], orders: Sequence[Mapping[str, Any]]) -> bool:
    if sent.get(fill["client_order_id"]) == "e":
        return True
    legs = {order["client_order_id"]: order["leg"] for order in orders}
    return legs.get(fill["client_order_id"]) == "e"


def price_section(reader: ExplainReader, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the price did from the close decided on until the horizon of the forecast was over.

    ``realized_return`` is the log return of the two closes; ``highest`` and ``lowest`` are log returns of the extremes in
    between. None, and why, where it is not over, or where the journal lacks a minute.
    """
    made = row["prediction"]
    shown: dict[str, Any] = {
        "horizon_minutes": None if made is None else made["horizon_minutes"],
        "due_at_ms": None,
        "expected_return": None if made is None else made["expected_return"],
        "realized_return": None,
        "highest": None,
        "lowest": None,
        "direction_right": None,
        "watch": None,
        "unknown_because": "there was no forecast, so no horizon" if made is None else None,
    }
    if made is None:
        return shown
    symbol, closed_at_ms, horizon = row["symbol"], int(row["closed_at_ms"]), int(made["horizon_minutes"])
    shown["due_at_ms"] = due_ms = closed_at_ms + horizon * MINUTE_MS
    shown["watch"] = reader.outcome_of(made["model_id"], symbol, closed_at_ms)
    path = reader.candles(symbol, closed_at_ms - MINUTE_MS, due_ms)
    if len(path) < horizon + 1:
        shown["unknown_because"] = _why(reader, symbol, due_ms)
        return shown
    base, ahead = path[0].close, path[1:]
    realized = math.log(ahead[-1].close / base)
    shown |= {
        "realized_return": realized,
        "highest": math.log(max(candle.high for candle in ahead) / base),
        "lowest": math.log(min(candle.low for candle in ahead) / base),
        "direction_right": _right(made["expected_return"], realized),
    }
    return shown


def _why(reader: ExplainReader, symbol: Symbol, due_ms: int) -> str:
    if reader.candles(symbol, due_ms - MINUTE_MS, due_ms + 1):
        return "a minute of the horizon is missing in the journal"
    return "the horizon is not over, or the journal does not reach so far"


def _right(expected: float | None, realized: float) -> bool | None:
    """Whether the forecast had the direction; None where one of the two has none."""
    if not expected or not realized:
        return None
    return (expected > 0) == (realized > 0)
