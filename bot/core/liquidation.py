"""When an exchange closes a perpetual position by force, and at what price.

The formula is Binance's for USD-M contracts in one-way mode ("How to Calculate Liquidation Price of USDT-M Futures
Contracts"), with a single bracket, so that its maintenance amount is 0:

    price = (wallet - side * quantity * entry) / (quantity * rate - side * quantity)

``side`` is 1 for a long and -1 for a short. Isolated, the wallet is the margin of this position alone. Across the account it
is the wallet balance plus the unrealized gain of all other positions less their maintenance margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

LIQUIDATION: Final = "liquidation"
"""Why a position was closed that its margin no longer carried."""


class MarginMode(str, Enum):
    """What stands behind a position: its own margin, or the whole account."""

    ISOLATED = "isolated"
    CROSS = "cross"


@dataclass(frozen=True, slots=True)
class MarginRule:
    """How much margin a perpetual position has and needs.

    Attributes:
        mode: What stands behind a position.
        leverage: Notional of a position at its entry over its margin (isolated).
        maintenance_rate: Share of the notional below which what stands behind it may not fall.
        liquidation_fee_bps: Charged beside the taker fee, basis points of the notional, as far as the margin goes.
    """

    mode: MarginMode = MarginMode.ISOLATED
    leverage: float = 1.0
    maintenance_rate: float = 0.004
    liquidation_fee_bps: float = 125.0


def liquidation_price(quantity: float, entry_price: float, wallet: float, maintenance_rate: float) -> float:
    """The price at which what stands behind a position is down to its maintenance margin.

    Args:
        quantity: Signed base units, not zero.
        entry_price: Average price of what is held.
        wallet: What stands behind it at the entry price, quote currency.
        maintenance_rate: Below 1; with 0 it is the bankruptcy price, at which nothing is left.

    Returns:
        Quote per base unit; not above 0 for a long that no price ends.
    """
    size = abs(quantity)
    side = 1 if quantity > 0 else -1
    return (wallet - side * size * entry_price) / (size * maintenance_rate - side * size)
