"""The lookback: contiguous closed candles of one symbol; a gap empties it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from bot.core.market import MINUTE_MS, Candle
from bot.errors import EngineProtocolError


class Window:
    """The last ``size`` candles of one symbol, one a minute without a hole.

    Args:
        size: Steps of a full window (60 by default everywhere).
    """

    __slots__ = ("_candles", "_next_ms", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._candles: deque[Candle] = deque(maxlen=size)
        self._next_ms: int | None = None

    def __len__(self) -> int:
        return len(self._candles)

    @property
    def is_full(self) -> bool:
        """Whether it holds ``size`` contiguous candles."""
        return len(self._candles) == self.size

    @property
    def candles(self) -> tuple[Candle, ...]:
        """The candles, oldest first."""
        return tuple(self._candles)

    def recent(self, count: int) -> tuple[Candle, ...]:
        """The newest ``count`` candles, or as many as there are, oldest first."""
        return tuple(self._candles)[-count:]

    def push(self, candle: Candle) -> bool:
        """Append the next closed candle; returns False when a gap emptied the window first.

        Raises:
            EngineProtocolError: The candle is not newer than the last one; nothing changes.
        """
        opened = candle.opened_at_ms
        expected = self._next_ms
        contiguous = opened == expected or expected is None
        if not contiguous:
            if opened < expected:  # type: ignore[operator]  # not None here
                raise EngineProtocolError(f"candle {opened} of {candle.symbol} came again or out of order")
            self._candles.clear()
        self._candles.append(candle)
        self._next_ms = opened + MINUTE_MS
        return contiguous

    def refill(self, candles: Iterable[Candle], seen_ms: int = -1) -> None:
        """Start over from these candles.

        Args:
            candles: In order of time.
            seen_ms: Open time of the last candle that was ever pushed, -1 for none: where the candles end before
                it, or there are none, the next one still has to follow it without a hole.
        """
        self._candles.clear()
        self._next_ms = None
        for candle in candles:
            self.push(candle)
        if seen_ms >= 0 and self._next_ms != seen_ms + MINUTE_MS:
            self._candles.clear()
            self._next_ms = seen_ms + MINUTE_MS
