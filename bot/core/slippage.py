"""What an order moves by its size: the square-root law of market impact.

    moved = coefficient * volatility * sqrt(quantity / volume)

as measured by Almgren, Thum, Hauptmann and Li, "Direct Estimation of Equity Market Impact", Risk 18 (2005), and by Toth
and others, "Anomalous Price Impact and the Critical Nature of Liquidity in Financial Markets", Physical Review X 1 (2011)
021006, who find a coefficient near 1. Volatility and volume are of the same stretch of time; volatility grows with its root
and volume with itself, so that the law is the same over a minute as over a day. Here it is a minute.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from bot.core.market import MINUTE_MS, Candle


@dataclass(frozen=True, slots=True)
class ImpactRule:
    """The square-root law, beyond the fixed slippage.

    Attributes:
        coefficient: What volatility times the root of the share of the volume is multiplied by; about 1.
        window_minutes: How many one-minute returns the volatility is of.
        cap_bps: The most that an order moves by it, basis points.
    """

    coefficient: float = 1.0
    window_minutes: int = 60
    cap_bps: float = 100.0

    def moved_bps(self, volatility: float, quantity: float, volume: float) -> float:
        """How far an order moves the price by its size, basis points, between 0 and the cap.

        Args:
            volatility: Of one-minute returns, as a fraction.
            quantity: What is filled, base units.
            volume: Of the minute it is filled in, base units; in a minute without any, the cap is moved.
        """
        scaled = self.coefficient * volatility * 10_000
        if scaled == 0.0:
            return 0.0
        return min(scaled * math.sqrt(quantity / volume), self.cap_bps) if volume > 0 else self.cap_bps


class MinuteVolatility:
    """Volatility of the last one-minute log returns of one symbol, about a mean of zero; returns over a hole are left out."""

    def __init__(self, window_minutes: int) -> None:
        self._squares: deque[float] = deque(maxlen=window_minutes)
        self._seen_ms = -1
        self._close = 0.0

    def observe(self, candle: Candle) -> None:
        """Take in the next closed candle."""
        if candle.opened_at_ms == self._seen_ms + MINUTE_MS:
            self._squares.append(math.log(candle.close / self._close) ** 2)
        self._seen_ms, self._close = candle.opened_at_ms, candle.close

    def value(self) -> float:
        """As a fraction; 0 before the first return."""
        count = len(self._squares)
        return math.sqrt(math.fsum(self._squares) / count) if count else 0.0

    def snapshot(self) -> list[Any]:
        """What a restart needs, as JSON values."""
        return [self._seen_ms, self._close, list(self._squares)]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot; of a longer window the newest returns."""
        self._seen_ms, self._close, squares = state
        self._squares = deque(squares, maxlen=self._squares.maxlen)
