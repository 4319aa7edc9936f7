"""Orders as the pages name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

LEGS: Final = {
    "e": "entry",
    "x": "exit",
    "s": "stop",
    "t": "take_profit",
    "f": "flatten",
    "l": "liquidation",
}
"""What the journal's letters for the legs of a trade stand for."""

FINAL: Final = frozenset({"filled", "canceled", "rejected"})


def leg_word(letter: str) -> str:
    """A leg as a word."""
    return LEGS.get(letter, letter)


def open_orders(snapshot: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Orders that may still trade, of the engine's last snapshot."""
    rows = []
    for record in snapshot.get("orders", ()):
        intent = record["intent"]
        if record["state"] in FINAL:
            continue
        rows.append(
            {
                "client_order_id": intent["client_order_id"],
                "symbol": intent["symbol"],
                "side": intent["side"],
                "type": intent["type"],
                "leg": leg_word(intent["leg"]),
                "quantity": intent["quantity"],
                "filled_quantity": record.get("filled_quantity", 0.0),
                "stop_price": intent["stop_price"],
                "limit_price": intent.get("limit_price"),
                "state": record["state"],
                "decided_at_ms": intent["decided_at_ms"],
            }
        )
    return rows


def protection_of(symbol: str, orders: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """Where stop and target of a symbol lie; None where there is none."""
    levels: dict[str, float | None] = {
        order["leg"]: order["stop_price"] for order in orders if order["symbol"] == symbol
    }
    return levels.get("stop"), levels.get("take_profit")
