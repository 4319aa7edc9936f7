"""An exchange of closed bars that can say beforehand in which bars nothing executes: a backtest need not ask it there."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

from bot.core.costs import FUNDING_INTERVAL_MS
from bot.core.market import Symbol
from bot.core.matching import BarMatcher
from bot.core.orders import Leg, OrderIntent, Side


class Idle(NamedTuple):
    """Bars of a symbol in which nothing executes and no funding is paid.

    Attributes:
        above: Their lows are higher than this.
        below: Their highs are lower than this.
        until_ms: They open before this; None for no such time.
    """

    above: float
    below: float
    until_ms: int | None


class CalmMatcher(BarMatcher):
    """``BarMatcher`` with plain costs, which can be taken over bars; its arguments are those of ``BarMatcher``."""

    _funding_times: dict[Symbol, list[int]] | None = None

    def idle(self, symbol: Symbol) -> Idle | None:
        """Which of the coming bars of a symbol do nothing, as its orders stand; None while one waits for a bar."""
        if symbol in self._waiting:
            return None
        if symbol not in self._held:
            return Idle(-math.inf, math.inf, None)
        above, below = -math.inf, math.inf
        for intent in self._protective.get(symbol, ()):
            level = intent.stop_price
            if level is None:
                continue
            if _triggers_from_above(intent):
                above = max(above, level)
            else:
                below = min(below, level)
        return Idle(above, below, self._next_funding_ms(symbol))

    def pass_over(self, symbol: Symbol, opened_at_ms: int) -> None:
        """Take note that bars which do nothing have passed, the last of which opened then."""
        if symbol in self._held:
            self._seen_ms[symbol] = opened_at_ms

    def _next_funding_ms(self, symbol: Symbol) -> int | None:
        """The first funding time after the last bar."""
        if symbol not in self._funded:
            return None
        seen, table = self._seen_ms[symbol], self.funding.tables.get(symbol)
        if table is None:
            return (seen // FUNDING_INTERVAL_MS + 1) * FUNDING_INTERVAL_MS
        if self._funding_times is None:
            self._funding_times = {name: sorted(rates) for name, rates in self.funding.tables.items()}
        times = self._funding_times[symbol]
        place = bisect_right(times, seen)
        return times[place] if place < len(times) else None


def _triggers_from_above(intent: OrderIntent) -> bool:
    """A selling stop and a buying target trigger when the price falls to them, the other two when it rises."""
    return (intent.side is Side.SELL) == (intent.leg is Leg.STOP)
