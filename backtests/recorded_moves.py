"""Executions and fundings of a run, summed up so that those of another run can be laid beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.market import MINUTE_MS, Symbol
from bot.core.orders import Adopted, ExecutionReport, Fill, Funding
from bot.core.position import Position, held_after


@dataclass(slots=True)
class OrderFill:
    """All executions of one order.

    Attributes:
        symbol: The market.
        side_sign: +1 bought, -1 sold.
        quantity: Base units.
        notional: Quote currency.
        fee: Quote currency.
        first_ms: Of the first execution.
    """

    symbol: Symbol
    side_sign: int
    quantity: float
    notional: float
    fee: float
    first_ms: int

    @property
    def price(self) -> float:
        """On average."""
        return self.notional / self.quantity

    def row(self, client_order_id: str) -> dict[str, Any]:
        """As JSON values; of the time only the minute counts: a model of the market knows no more."""
        return {
            "client_order_id": client_order_id,
            "symbol": self.symbol,
            "side": "buy" if self.side_sign > 0 else "sell",
            "quantity": self.quantity,
            "price": self.price,
            "fee": self.fee,
            "minute_ms": self.first_ms // MINUTE_MS * MINUTE_MS,
        }


@dataclass(slots=True)
class Moves:
    """What moved money in a run.

    Attributes:
        orders: By client id, in the order of their first execution.
        fundings: What was paid (negative: received), by symbol and minute.
    """

    orders: dict[str, OrderFill] = field(default_factory=dict)
    fundings: dict[tuple[Symbol, int], float] = field(default_factory=dict)
    _held: dict[Symbol, float] = field(default_factory=dict)

    def hold(self, positions: Iterable[Position]) -> None:
        """Positions are there already."""
        self._held = {position.symbol: position.quantity for position in positions}

    def held(self, symbol: Symbol) -> float:
        """Signed base units."""
        return self._held.get(symbol, 0.0)

    def add(self, reports: Sequence[ExecutionReport]) -> set[Symbol]:
        """Take reports in, in order; gives the symbols of positions that were adopted."""
        adopted = set()
        for report in reports:
            if isinstance(report, Fill):
                self._fill(report)
            elif isinstance(report, Funding):
                minute = report.paid_at_ms // MINUTE_MS * MINUTE_MS
                paid = report.paid
                if paid is None:
                    paid = self.held(report.symbol) * report.mark_price * report.rate
                key = (report.symbol, minute)
                self.fundings[key] = self.fundings.get(key, 0.0) + paid
            elif isinstance(report, Adopted):
                self._held[report.symbol] = report.quantity
                adopted.add(report.symbol)
        return adopted

    def _fill(self, fill: Fill) -> None:
        sign = fill.side.sign
        self._held[fill.symbol] = held_after(self.held(fill.symbol), sign * fill.quantity)
        known = self.orders.get(fill.client_order_id)
        if known is None:
            self.orders[fill.client_order_id] = OrderFill(
                fill.symbol, sign, fill.quantity, fill.quantity * fill.price, fill.fee, fill.filled_at_ms
            )
            return
        known.quantity += fill.quantity
        known.notional += fill.quantity * fill.price
        known.fee += fill.fee

    def rows(self) -> Mapping[tuple[str, ...], dict[str, Any]]:
        """Every order's executions and every funding as JSON values, by what they are of."""
        found: dict[tuple[str, ...], dict[str, Any]] = {
            ("fill", name): order.row(name) for name, order in self.orders.items()
        }
        for (symbol, minute_ms), paid in self.fundings.items():
            found["funding", symbol, str(minute_ms)] = {
                "symbol": symbol,
                "minute_ms": minute_ms,
                "paid": paid,
            }
        return found
