"""How one bar closes positions by force: what is added to the rules of ``bot.core.friction_matching``.

10. A perpetual whose bar reaches its liquidation price (``bot.core.liquidation``) is closed there by the exchange, whole and
    beyond all participation; a bar that opens at it or beyond closes it at the open. A stop that is nearer comes first.
    The price is moved as a market order's, but no worse than bankruptcy, for the exchange's insurance bears what lies
    beyond; the fee takes no more than is left of what stood behind the position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.costs import Costs, FundingRates
from bot.core.friction_matching import UNMOVED, FrictionMatcher
from bot.core.liquidation import LIQUIDATION, MarginRule
from bot.core.margin_book import ForcedClose, MarginBook
from bot.core.market import MINUTE_MS, Candle, Instrument, Symbol
from bot.core.orders import (
    Accepted,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderType,
    Side,
    client_order_id,
    protective_id,
)
from bot.core.position import Position


class LiquidatingMatcher(FrictionMatcher):
    """The matcher of an exchange that looks at margin.

    Args:
        costs: What trading costs.
        rule: Leverage, maintenance, mode.
        instruments: The rules of each symbol.
        funding: Which funding rate is paid when.
        starting_cash: Of the account, quote currency.
    """

    def __init__(
        self,
        costs: Costs,
        rule: MarginRule,
        instruments: Mapping[Symbol, Instrument],
        funding: FundingRates,
        starting_cash: float,
    ) -> None:
        super().__init__(costs, instruments, funding)
        self._margin = MarginBook(rule, instruments, starting_cash)

    def match(self, candle: Candle) -> list[ExecutionReport]:
        """What a bar does to the orders and the position of its symbol, in the order in which it happens."""
        self._margin.begin(candle.opened_at_ms)
        reports = super().match(candle)
        self._margin.observe(candle)
        return reports

    def _pay_funding(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        before = len(reports)
        super()._pay_funding(candle, reports)
        for report in reports[before:]:
            if isinstance(report, Funding):
                self._margin.book(report)

    def _book(self, intent: OrderIntent, fill: Fill, reports: list[ExecutionReport]) -> None:
        self._margin.book(fill)
        super()._book(intent, fill, reports)

    def _force_at_open(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """A bar that opens at the liquidation price or beyond."""
        forced = self._margin.forced(candle.symbol)
        if forced is not None and forced.reached(candle.open):
            self._liquidate(forced, candle.open, candle, candle.opened_at_ms, reports)

    def _worst(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """Stops and the liquidation that a bar reaches, the nearer first."""
        inside = candle.opened_at_ms + MINUTE_MS - 1
        while candle.symbol in self._held:
            stop = self._first_reached(candle, OrderType.STOP)
            forced = self._margin.forced(candle.symbol)
            extreme = candle.low if self._held[candle.symbol] > 0 else candle.high
            if forced is not None and forced.reached(extreme) and not _comes_before(stop, forced):
                base = candle.open if forced.reached(candle.open) else forced.price
                self._liquidate(forced, base, candle, inside, reports)
            elif stop is not None:
                self._trigger(stop, candle, reports)
            else:
                return

    def _liquidate(
        self, forced: ForcedClose, base: float, candle: Candle, at_ms: int, reports: list[ExecutionReport]
    ) -> None:
        """The exchange takes the whole position over."""
        intent = self._liquidation(forced, candle)
        reports.append(Accepted(intent.client_order_id, candle.symbol, at_ms, intent))
        moved = self._frictions[candle.symbol].moved(intent.quantity, candle.volume)
        price = forced.bounded(moved.price(intent.side, base))
        if price != moved.price(intent.side, base):
            moved = UNMOVED
        fee_bps = self.costs.taker_fee_bps + self._margin.rule.liquidation_fee_bps
        fee = min(intent.quantity * price * fee_bps / 10_000, forced.left_at(price))
        self._fill(intent, intent.quantity, (price, fee, moved), at_ms, reports)

    def _liquidation(self, forced: ForcedClose, candle: Candle) -> OrderIntent:
        """The exchange's own order; its id is that of those which protect or close the position, with its own letter."""
        symbol, opened_at_ms = candle.symbol, candle.opened_at_ms
        order_id = client_order_id("held", symbol, opened_at_ms, Leg.LIQUIDATION)
        for order in (*self._protective.get(symbol, ()), *self._waiting.get(symbol, ())):
            order_id = protective_id(order.client_order_id, Leg.LIQUIDATION)
            break
        return OrderIntent(
            client_order_id=order_id,
            symbol=symbol,
            side=Side.SELL if forced.quantity > 0 else Side.BUY,
            quantity=abs(forced.quantity),
            type=OrderType.MARKET,
            leg=Leg.LIQUIDATION,
            decided_at_ms=opened_at_ms,
            reason=LIQUIDATION,
            reduce_only=True,
        )

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs beside orders and positions, as JSON values; only between two minutes."""
        return {**super().snapshot(), "margin": self._margin.snapshot()}

    def recover(
        self,
        orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        seen_ms: Mapping[Symbol, int],
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Rebuild the book after a restart; what a state does not have begins anew."""
        super().recover(orders, positions, seen_ms, state)
        self._margin.restore((state or {}).get("margin"), positions)


def _comes_before(stop: OrderIntent | None, forced: ForcedClose) -> bool:
    """Whether a stop is nearer to where the price comes from than the liquidation."""
    if stop is None or stop.stop_price is None:
        return False
    return stop.stop_price > forced.price if forced.quantity > 0 else stop.stop_price < forced.price
