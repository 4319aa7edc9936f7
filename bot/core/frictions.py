"""What one symbol's fills are moved by: fixed figures, and what its closed candles say of spread and volatility."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bot.core.costs import Costs
from bot.core.market import Candle
from bot.core.orders import Side
from bot.core.slippage import MinuteVolatility
from bot.core.spread import SpreadEstimate


class Moved(NamedTuple):
    """How far a fill was moved against us, basis points: by half the spread, and by slippage."""

    spread_bps: float
    slippage_bps: float

    def price(self, side: Side, base: float) -> float:
        """A price that is moved so far against us."""
        return base * (1 + side.sign * (self.spread_bps + self.slippage_bps) / 10_000)


class Frictions:
    """Spread and slippage of one symbol.

    Only candles that were observed count, and a candle is observed after it was matched: nothing of its own bar is known
    of the market but its volume.
    """

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._spread = None if costs.spread is None else SpreadEstimate(costs.spread)
        self._volatility = None if costs.impact is None else MinuteVolatility(costs.impact.window_minutes)

    def observe(self, candle: Candle) -> None:
        """Take in the next closed candle."""
        if self._spread is not None:
            self._spread.observe(candle)
        if self._volatility is not None:
            self._volatility.observe(candle)

    def moved(self, quantity: float, volume: float) -> Moved:
        """What a market order pays beside its fee.

        Args:
            quantity: What is filled, base units.
            volume: Of the candle that it is filled in, base units.
        """
        costs = self._costs
        half_bps, slippage_bps = costs.half_spread_bps, costs.slippage_bps
        if self._spread is not None:
            half_bps = self._spread.half_bps(half_bps)
        if self._volatility is not None and costs.impact is not None:
            slippage_bps += costs.impact.moved_bps(self._volatility.value(), quantity, volume)
        return Moved(half_bps, slippage_bps)

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""
        state: dict[str, Any] = {}
        if self._spread is not None:
            state["spread"] = self._spread.snapshot()
        if self._volatility is not None:
            state["volatility"] = self._volatility.snapshot()
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a snapshot; what it does not have begins anew."""
        if self._spread is not None and "spread" in state:
            self._spread.restore(state["spread"])
        if self._volatility is not None and "volatility" in state:
            self._volatility.restore(state["volatility"])
