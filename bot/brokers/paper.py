"""The paper broker: orders are filled by the closed candles that follow, by the rules of ``bot.core.matching``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.decision import CancelWish
from bot.core.market import Candle, Instrument, Symbol
from bot.core.matchers import matcher_of
from bot.core.matching import Costs, FundingRates
from bot.core.orders import ApprovedOrder, ExecutionReport, OrderRecord
from bot.core.position import Position


class PaperBroker:
    """Adapter of the Broker port over the bar matcher.

    Args:
        costs: What a fill pays, and how the market carries orders out.
        instruments: The rules of each symbol.
        funding: Which funding rate is paid when.
        starting_cash: Of a new account, quote currency; only costs with a margin rule look at it.
    """

    def __init__(
        self,
        costs: Costs,
        instruments: Mapping[Symbol, Instrument],
        funding: FundingRates,
        starting_cash: float = 0.0,
    ) -> None:
        self.funding = funding
        self._matcher = matcher_of(costs, instruments, funding, starting_cash)

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

    def warm(self, candles: Sequence[Candle]) -> None:
        """Show it a symbol's closed candles from before the first minute: estimates of spread and volatility begin there."""
        self._matcher.warm(candles)

    def snapshot(self) -> dict[str, Any]:
        """What the book does not have from the engine's orders; nothing with plain costs."""
        return self._matcher.snapshot()

    def recover(
        self,
        orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        seen_ms: Mapping[Symbol, int],
        state: Mapping[str, Any],
    ) -> None:
        """Rebuild the book from the journal's orders and positions."""
        self._matcher.recover(orders, positions, seen_ms, state)
