"""Core values as JSON values and back, exactly: what the journal stores and a snapshot holds."""

from __future__ import annotations

from typing import Any

from bot.core.orders import (
    Accepted,
    Adopted,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Protection,
    Rejected,
    Side,
    Unknown,
)

_REPORTS: dict[str, type[Any]] = {
    "accepted": Accepted,
    "rejected": Rejected,
    "canceled": Canceled,
    "unknown": Unknown,
    "fill": Fill,
    "funding": Funding,
    "adopted": Adopted,
}
_REPORT_NAMES = {kind: name for name, kind in _REPORTS.items()}


def intent_to_json(intent: OrderIntent) -> dict[str, Any]:
    """An intent as JSON values."""
    return {
        "client_order_id": intent.client_order_id,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "quantity": intent.quantity,
        "type": intent.type.value,
        "leg": intent.leg.value,
        "decided_at_ms": intent.decided_at_ms,
        "reason": intent.reason,
        "stop_price": intent.stop_price,
        "reduce_only": intent.reduce_only,
        "protection": list(intent.protection) if intent.protection else None,
        "limit_price": intent.limit_price,
        "expires_at_ms": intent.expires_at_ms,
        "taker_fallback": intent.taker_fallback,
    }


def intent_from_json(row: dict[str, Any]) -> OrderIntent:
    """The intent that ``intent_to_json`` wrote."""
    return OrderIntent(
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        quantity=row["quantity"],
        type=OrderType(row["type"]),
        leg=Leg(row["leg"]),
        decided_at_ms=row["decided_at_ms"],
        reason=row["reason"],
        stop_price=row["stop_price"],
        reduce_only=row["reduce_only"],
        protection=Protection(*row["protection"]) if row["protection"] else None,
        limit_price=row.get("limit_price"),  # rows of older journals have none of these three
        expires_at_ms=row.get("expires_at_ms"),
        taker_fallback=row.get("taker_fallback", False),
    )


def order_to_json(record: OrderRecord) -> dict[str, Any]:
    """An order record as JSON values."""
    return {
        "intent": intent_to_json(record.intent),
        "state": record.state.value,
        "filled_quantity": record.filled_quantity,
        "cancel_reason": record.cancel_reason,
    }


def order_from_json(row: dict[str, Any]) -> OrderRecord:
    """The record that ``order_to_json`` wrote."""
    return OrderRecord(
        intent_from_json(row["intent"]),
        OrderState(row["state"]),
        row["filled_quantity"],
        row.get("cancel_reason"),  # older journals have none
    )


def report_to_json(report: ExecutionReport) -> dict[str, Any]:
    """A report as JSON values, its kind under ``kind``."""
    row: dict[str, Any] = {"kind": _REPORT_NAMES[type(report)]}
    for name in type(report).__slots__:
        row[name] = getattr(report, name)
    if isinstance(report, Fill):
        row["side"] = report.side.value
        if report.spread_bps is None:
            del row["spread_bps"], row["slippage_bps"]  # moved by the fixed figures: a row as it always was
    if isinstance(report, Funding) and report.paid is None:
        del row["paid"]  # worked out from rate and price: a row as it always was
    if isinstance(report, Accepted):
        row["intent"] = None if report.intent is None else intent_to_json(report.intent)
    return row


def report_from_json(row: dict[str, Any]) -> ExecutionReport:
    """The report that ``report_to_json`` wrote."""
    fields = {name: value for name, value in row.items() if name != "kind"}
    if row["kind"] == "fill":
        fields["side"] = Side(fields["side"])
    if row["kind"] == "accepted" and fields["intent"] is not None:
        fields["intent"] = intent_from_json(fields["intent"])
    report: ExecutionReport = _REPORTS[row["kind"]](**fields)
    return report
