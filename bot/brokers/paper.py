"""The paper broker: orders are filled by the closed candles that follow, by the rules of ``bot.core.matching``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.decision import CancelWish
from bot.core.market import Candle, Instrument, Symbol
from bot.core.matching import BarMatcher, Costs, FundingRates
from bot.core.orders import ApprovedOrder, ExecutionReport, OrderRecord
from bot.core.position import Position


class PaperBroker:
    """Adapter of the Broker port over the bar matcher.

    Args:
        costs: Fees, spread and slippage that a fill pays.
        instruments: The rules of each symbol.
        funding: Which funding rate is paid when.
    """

    def __init__(self, costs: Costs, instruments: Mapping[Symbol, Instrument], funding: FundingRates) -> None:
        self.funding = funding
        self._matcher = BarMatcher(costs, instruments, funding)

    def submit(self, orders: Sequence[ApprovedOrder]) -> None:
        """Take orders in; market orders fill in the next bar of their symbol, limit orders may."""
        for order in orders:
            self._matcher.submit(order)

    def cancel(self, wishes: Sequence[CancelWish]) -> None:
        """Cancel entries that rest, before the next bar of their symbol can fill them."""
        for wish in wishes:
            self._matcher.cancel(wish)

    def on_candles(self, candles: Sequence[Candle]) -> list[ExecutionReport]:
        """What the candles of one minute do to open orders."""
        reports: list[ExecutionReport] = []
        for candle in candles:
            reports += self._matcher.match(candle)
        return reports

    def snapshot(self) -> dict[str, Any]:
        """Nothing: the book is made of the engine's orders."""
        return {}

    def recover(
        self,
        orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        seen_ms: Mapping[Symbol, int],
        state: Mapping[str, Any],  # noqa: ARG002 - nothing was left in it
    ) -> None:
        """Rebuild the book from the journal's orders and positions."""
        self._matcher.recover(orders, positions, seen_ms)
