"""Orders, executions, income lines and pairs as JSON values and back, every digit kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bot.simexchange.orders import (
    Income,
    OrderKind,
    OrderRequest,
    OrderStatus,
    SimBalance,
    SimOrder,
    SimPair,
    SimPosition,
    SimTrade,
    TimeInForce,
)


def row_of_order(order: SimOrder) -> dict[str, Any]:
    """An order as JSON values."""
    row = asdict(order)
    row["status"] = order.status.value
    row["request"]["kind"] = order.request.kind.value
    row["request"]["time_in_force"] = order.request.time_in_force.value
    return row


def order_of_row(row: dict[str, Any]) -> SimOrder:
    """The order that ``row_of_order`` was given."""
    asked = row["request"]
    request = OrderRequest(
        **{
            **asked,
            "kind": OrderKind(asked["kind"]),
            "time_in_force": TimeInForce(asked["time_in_force"]),
        }
    )
    return SimOrder(**{**row, "request": request, "status": OrderStatus(row["status"])})


def row_of_value(value: SimTrade | Income | SimPair | SimPosition | SimBalance) -> dict[str, Any]:
    """A record of plain fields as JSON values."""
    return asdict(value)


def trade_of_row(row: dict[str, Any]) -> SimTrade:
    """An execution."""
    return SimTrade(**row)


def income_of_row(row: dict[str, Any]) -> Income:
    """A line of the income history."""
    return Income(**row)


def pair_of_row(row: dict[str, Any]) -> SimPair:
    """A pair."""
    return SimPair(**row)
