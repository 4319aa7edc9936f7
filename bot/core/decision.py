"""What was decided on one closed candle, written so that two drivers can be compared line by line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bot.core.market import Symbol
from bot.core.orders import ApprovedOrder, OrderIntent, OrderType, RefusedOrder
from bot.core.prediction import Prediction
from bot.core.signal import Signal


@dataclass(frozen=True, slots=True)
class CancelWish:
    """An entry that still rests shall rest no longer; what comes of it is told by a report of the order.

    Attributes:
        client_order_id: The order.
        symbol: The market.
        decided_at_ms: When it was wished for.
        reason: A stable word in snake case; the ``Canceled`` that follows has it too. After ``limit_expired`` alone a
            market order may take the place of the entry.
    """

    client_order_id: str
    symbol: Symbol
    decided_at_ms: int
    reason: str


class Decision(NamedTuple):
    """The engine's answer to one closed candle of one symbol.

    Attributes:
        symbol: The market.
        closed_at_ms: Close time of the candle.
        prediction: What the model said, if it said anything.
        signal: What the strategy wanted, if it was asked.
        approved: Orders to send.
        refused: Orders that risk turned down.
        hold_reason: Why nothing is sent; None when something is.
        cancel: Resting entries to cancel.
    """

    symbol: Symbol
    closed_at_ms: int
    prediction: Prediction | None
    signal: Signal | None
    approved: tuple[ApprovedOrder, ...]
    refused: tuple[RefusedOrder, ...]
    hold_reason: str | None
    cancel: tuple[CancelWish, ...] = ()

    @property
    def decision_id(self) -> str:
        """Symbol and minute, such as ``BTC/USDT@2024-05-01T12:01Z``: unique within a run."""
        return decision_id(self.symbol, self.closed_at_ms)


def decision_id(symbol: Symbol, closed_at_ms: int) -> str:
    """The id of the decision on the candle of a symbol that closed at this time."""
    return f"{symbol}@{datetime.fromtimestamp(closed_at_ms / 1000, UTC):%Y-%m-%dT%H:%MZ}"


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """A decision as JSON values, complete and exact; ``cancel`` is there only where something is."""
    prediction, signal = decision.prediction, decision.signal
    row: dict[str, Any] = {
        "decision_id": decision.decision_id,
        "symbol": decision.symbol,
        "closed_at_ms": decision.closed_at_ms,
        "prediction": None if prediction is None else prediction._asdict(),
        "signal": None if signal is None else _signal_row(signal),
        "approved": [_order_row(order.intent) for order in decision.approved],
        "refused": [[*_order_row(order.intent), order.reason] for order in decision.refused],
        "hold_reason": decision.hold_reason,
    }
    if decision.cancel:
        row["cancel"] = [[wish.client_order_id, wish.reason] for wish in decision.cancel]
    return row


def _signal_row(signal: Signal) -> list[Any]:
    """Direction, strength and reason; then the protection, where the signal has its own."""
    row: list[Any] = [signal.direction.value, signal.strength, signal.reason]
    return row if signal.protection is None else [*row, list(signal.protection)]


def _order_row(intent: OrderIntent) -> list[Any]:
    """Id, side, quantity, type and leg; then price and expiry of a limit order, and whether it may fall back."""
    row: list[Any] = [
        intent.client_order_id,
        intent.side.value,
        intent.quantity,
        intent.type.value,
        intent.leg.value,
    ]
    if intent.type is OrderType.LIMIT:
        row += [intent.limit_price, intent.expires_at_ms, intent.taker_fallback]
    return row
