"""Half the spread, estimated from closed candles alone.

The estimator is that of Abdi and Ranaldo, "A Simple Estimation of Bid-Ask Spreads from Daily Close, High, and Low
Prices", Review of Financial Studies 30 (2017) 4437-4480, equation 5, on minutes in place of days: with the log close c
and the log mid-range m = (log high + log low) / 2 of neighbouring bars,

    half spread = sqrt(max(mean of (c[t] - m[t]) * (c[t] - m[t+1]), 0))

A close bounces between bid and ask, a mid-range does not: their product keeps the square of half the spread, and what the
price itself does averages out. It does so slowly: over 240 minutes a half spread below about a tenth of the minute's
volatility drowns in noise. Then the estimate is often 0, and the floor stands.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from bot.core.market import MINUTE_MS, Candle

LEAST_PAIRS: Final = 30
"""Pairs of bars below which nothing is estimated."""


@dataclass(frozen=True, slots=True)
class SpreadRule:
    """How half the spread is estimated; the fixed half spread is its floor.

    Attributes:
        window_minutes: How many pairs of neighbouring minutes are looked at.
        cap_bps: The most that half the spread is taken for, basis points.
    """

    window_minutes: int = 240
    cap_bps: float = 20.0


class SpreadEstimate:
    """What the last minutes of one symbol say of its spread.

    A pair over a hole, or with a minute in which nothing was traded, says nothing and is left out.
    """

    def __init__(self, rule: SpreadRule) -> None:
        self.rule = rule
        self._products: deque[float] = deque(maxlen=rule.window_minutes)
        self._seen_ms = -1
        self._bounce = self._close = 0.0

    def observe(self, candle: Candle) -> None:
        """Take in the next closed candle."""
        if not candle.volume > 0:
            self._seen_ms = -1
            return
        middle = (math.log(candle.high) + math.log(candle.low)) / 2
        if candle.opened_at_ms == self._seen_ms + MINUTE_MS:
            self._products.append(self._bounce * (self._close - middle))
        self._seen_ms = candle.opened_at_ms
        self._close = math.log(candle.close)
        self._bounce = self._close - middle

    def half_bps(self, floor_bps: float) -> float:
        """Half the spread, between the floor and the cap, basis points; the floor while too little is known."""
        count = len(self._products)
        if count < min(LEAST_PAIRS, self.rule.window_minutes):
            return floor_bps
        mean = math.fsum(self._products) / count
        return max(floor_bps, min(math.sqrt(max(mean, 0.0)) * 10_000, self.rule.cap_bps))

    def snapshot(self) -> list[Any]:
        """What a restart needs, as JSON values."""
        return [self._seen_ms, self._bounce, self._close, list(self._products)]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot; of a longer window the newest pairs."""
        self._seen_ms, self._bounce, self._close, products = state
        self._products = deque(products, maxlen=self.rule.window_minutes)
