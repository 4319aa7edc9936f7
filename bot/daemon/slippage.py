"""How far fills lie from what the model of costs said they would be: what a backtest does not know of the market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from bot.core.market import Candle, Symbol
from bot.core.orders import Fill, OrderIntent, OrderType

MOST_ORDERS: Final = 1_000
"""Orders that are remembered; the oldest is forgotten first. A fill of one that is not is only counted."""


class _Expected(NamedTuple):
    """What an order's fill is compared with."""

    leg: str
    reference: float | None
    modelled_bps: float


class SlippageBook:
    """Remembers orders, and compares their fills.

    A market order is measured from the last close before it was sent, a protective one from its trigger, both beyond half
    the spread and slippage; a limit order from its own price.

    Args:
        modelled_bps: Half the spread and slippage, basis points.
    """

    def __init__(self, modelled_bps: float) -> None:
        self._modelled_bps = modelled_bps
        self._closes: dict[Symbol, float] = {}
        self._orders: dict[str, _Expected] = {}

    def on_candles(self, candles: Sequence[Candle]) -> None:
        """Take note of the newest closes."""
        for candle in candles:
            self._closes[candle.symbol] = candle.close

    def on_order(self, intent: OrderIntent) -> None:
        """An order was sent, or came to life."""
        if intent.type is OrderType.MARKET:
            expected = _Expected(intent.leg.name.lower(), self._closes.get(intent.symbol), self._modelled_bps)
        elif intent.type in {OrderType.STOP, OrderType.TAKE_PROFIT}:
            expected = _Expected(intent.leg.name.lower(), intent.stop_price, self._modelled_bps)
        else:
            expected = _Expected(intent.leg.name.lower(), intent.limit_price, 0.0)
        if len(self._orders) >= MOST_ORDERS:
            del self._orders[next(iter(self._orders))]
        self._orders[intent.client_order_id] = expected

    def on_fill(self, fill: Fill) -> tuple[str, float | None]:
        """What the filled order was for, and how much worse than modelled it filled, basis points; None if unknown."""
        expected = self._orders.get(fill.client_order_id)
        if expected is None:
            return "unknown", None
        if expected.reference is None or expected.reference <= 0:
            return expected.leg, None
        worse_bps = fill.side.sign * (fill.price / expected.reference - 1) * 1e4
        return expected.leg, worse_bps - expected.modelled_bps
