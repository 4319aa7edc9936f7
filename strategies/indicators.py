"""Two indicators that strategies filter with, computed candle by candle.

They start at the first candle after a gap and forget exponentially: after ten times the slowest period the start
no longer shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Rsi:
    """Relative strength index after Wilder (New Concepts in Technical Trading Systems, 1978).

    The first average is the simple mean of ``period`` changes; then each is smoothed by 1/period. A market
    that did not move has an RSI of 50.
    """

    __slots__ = ("_average_gain", "_average_loss", "_count", "_last", "period")

    def __init__(self, period: int = 14) -> None:
        self.period = period
        self.reset()

    def reset(self) -> None:
        """Start over."""
        self._last: float | None = None
        self._count = 0
        self._average_gain = 0.0
        self._average_loss = 0.0

    def update(self, close: float) -> None:
        """Take in a close."""
        last, self._last = self._last, close
        if last is None:
            return
        change = close - last
        gain = change if change > 0 else 0.0
        loss = -change if change < 0 else 0.0
        count = self._count
        if count < self.period:
            self._count = count + 1
            self._average_gain += gain / self.period
            self._average_loss += loss / self.period
        else:
            keep = self.period - 1
            self._average_gain = (self._average_gain * keep + gain) / self.period
            self._average_loss = (self._average_loss * keep + loss) / self.period

    def update_all(self, closes: Sequence[float]) -> None:
        """The same as ``update`` on one after the other, to the last digit."""
        ready = max(0, self.period + (self._last is None) - self._count)
        for close in closes[:ready]:
            self.update(close)
        if ready >= len(closes):
            return
        # The same sums with the state in locals: ten times as fast.
        last, keep, period = self._last, self.period - 1, self.period
        up, down = self._average_gain, self._average_loss
        for close in closes[ready:]:
            change = close - last  # type: ignore[operator]  # known once it is ready
            last = close
            if change > 0:
                up, down = (up * keep + change) / period, down * keep / period
            else:
                up, down = up * keep / period, (down * keep - change) / period
        self._last, self._average_gain, self._average_loss = last, up, down

    @property
    def value(self) -> float | None:
        """0 to 100, or None before ``period`` changes were seen."""
        if self._count < self.period:
            return None
        total = self._average_gain + self._average_loss
        return 50.0 if total == 0 else 100.0 * self._average_gain / total

    def snapshot(self) -> list[Any]:
        """State as JSON values."""
        return [self._last, self._count, self._average_gain, self._average_loss]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot."""
        self._last, self._count, self._average_gain, self._average_loss = state


class Macd:
    """Moving average convergence divergence after Appel: EMA(fast) - EMA(slow), and its own EMA as signal.

    Every average starts at the first value it sees.
    """

    __slots__ = (
        "_count",
        "_fast",
        "_fast_share",
        "_signal",
        "_signal_share",
        "_slow",
        "_slow_share",
        "slow_period",
    )

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        self.slow_period = slow
        self._fast_share = 2.0 / (fast + 1)
        self._slow_share = 2.0 / (slow + 1)
        self._signal_share = 2.0 / (signal + 1)
        self.reset()

    def reset(self) -> None:
        """Start over."""
        self._count = 0
        self._fast = 0.0
        self._slow = 0.0
        self._signal = 0.0

    def update(self, close: float) -> None:
        """Take in a close."""
        self._count += 1
        if self._count == 1:
            self._fast = self._slow = close
            return
        fast = self._fast + (close - self._fast) * self._fast_share
        slow = self._slow + (close - self._slow) * self._slow_share
        self._fast, self._slow = fast, slow
        self._signal += (fast - slow - self._signal) * self._signal_share

    def update_all(self, closes: Sequence[float]) -> None:
        """The same as ``update`` on one after the other, to the last digit."""
        if not closes:
            return
        if self._count == 0:
            self.update(closes[0])
            closes = closes[1:]
        fast, slow, signal = self._fast, self._slow, self._signal
        fast_share, slow_share, signal_share = self._fast_share, self._slow_share, self._signal_share
        for close in closes:
            fast += (close - fast) * fast_share
            slow += (close - slow) * slow_share
            signal += (fast - slow - signal) * signal_share
        self._count += len(closes)
        self._fast, self._slow, self._signal = fast, slow, signal

    @property
    def histogram(self) -> float | None:
        """MACD line minus its signal, in price units, or None before ``slow`` closes were seen."""
        if self._count < self.slow_period:
            return None
        return self._fast - self._slow - self._signal

    def snapshot(self) -> list[Any]:
        """State as JSON values."""
        return [self._count, self._fast, self._slow, self._signal]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot."""
        self._count, self._fast, self._slow, self._signal = state
