"""What the exchange takes for the time, by our clock and its answers. Pure but for the clock that it is given."""

from __future__ import annotations

from bot.ports import Clock


class ExchangeTime:
    """The timestamps of signed requests.

    Args:
        clock: Ours.
        steady: Whether it runs by itself. One that only moves by messages lags behind between two of them: then an
            exchange that is ahead of it tells nothing of an error, and its answer is a floor, not a correction.
    """

    def __init__(self, clock: Clock, *, steady: bool) -> None:
        self._clock = clock
        self._steady = steady
        self._offset_ms = 0
        self._floor_ms = 0

    @property
    def offset_ms(self) -> int:
        """What is added to our clock."""
        return self._offset_ms

    def now_ms(self) -> int:
        """The exchange's time, as far as it is known."""
        return max(self._clock.now_ms() + self._offset_ms, self._floor_ms)

    def synchronise(self, exchange_ms: int, round_trip_ns: int) -> None:
        """Take in the exchange's time from an answer, which is taken to be half its round trip old."""
        ours_ms = self._clock.now_ms()
        if self._steady:
            self._offset_ms = exchange_ms + max(round_trip_ns, 0) // 2_000_000 - ours_ms
            return
        self._offset_ms = min(exchange_ms - ours_ms, 0)
        self._floor_ms = exchange_ms
