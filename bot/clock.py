"""The only module that asks what time it is.

Three clocks keep the contract of ``bot.ports.Clock``: the system's, the market's (as its messages tell it) and
one that stands still until it is moved.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bot.errors import EngineProtocolError


def wall_ms() -> int:
    """UTC milliseconds on this machine's clock, for the time stamps of files."""
    return time.time_ns() // 1_000_000


def utc_now() -> datetime:
    """The moment on this machine's clock, with its zone (UTC)."""
    return datetime.now(UTC)


def monotonic_ns() -> int:
    """A counter of nanoseconds that never goes back; for measuring durations only."""
    return time.perf_counter_ns()


class SystemClock:
    """This machine's clock, corrected by what the exchange's differs from it.

    Args:
        offset_ms: Exchange's time minus this machine's, milliseconds.
    """

    __slots__ = ("offset_ms",)

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        """UTC milliseconds on the exchange's clock."""
        return wall_ms() + self.offset_ms

    def monotonic_ns(self) -> int:
        """A local counter that never goes back."""
        return monotonic_ns()

    def synchronize(self, exchange_ms: int, *, asked_at_ns: int, answered_at_ns: int) -> int:
        """Take up the exchange's time from a reply; returns the new offset, milliseconds.

        The reply is taken to be half the round trip old (Cristian's algorithm): the error is at most that
        half.

        Args:
            exchange_ms: The time that the reply carries.
            asked_at_ns: ``monotonic_ns`` when the request left.
            answered_at_ns: ``monotonic_ns`` when the reply came; call this right then.
        """
        if answered_at_ns < asked_at_ns:
            raise EngineProtocolError("a reply of the exchange's clock came before it was asked")
        age_ms = (answered_at_ns - asked_at_ns) // 2_000_000
        self.offset_ms = exchange_ms + age_ms - wall_ms()
        return self.offset_ms


class MarketClock:
    """The time of the exchange's own messages; it moves only when told and never goes back.

    Args:
        start_ms: Where it stands before the first message, UTC milliseconds.
    """

    __slots__ = ("_now_ms",)

    def __init__(self, start_ms: int = 0) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """The latest time that was seen, UTC milliseconds."""
        return self._now_ms

    def monotonic_ns(self) -> int:
        """A local counter that never goes back; real, whatever the market's speed."""
        return monotonic_ns()

    def advance_to(self, at_ms: int) -> None:
        """Take note of a time; one that is earlier than the latest (messages overtake each other) is ignored."""
        self._now_ms = max(self._now_ms, at_ms)


class FixedClock:
    """A clock that stands still, for tests and for drivers of stored candles.

    Args:
        now_ms: UTC milliseconds.
        monotonic_ns: What the counter shows.
    """

    __slots__ = ("_monotonic_ns", "_now_ms")

    def __init__(self, now_ms: int = 0, monotonic_ns: int = 0) -> None:
        self._now_ms = now_ms
        self._monotonic_ns = monotonic_ns

    def now_ms(self) -> int:
        """Where it was set, UTC milliseconds."""
        return self._now_ms

    def monotonic_ns(self) -> int:
        """Where the counter was set."""
        return self._monotonic_ns

    def set(self, now_ms: int) -> None:
        """Put the time somewhere, back included; the counter stays."""
        self._now_ms = now_ms

    def advance(self, milliseconds: int) -> None:
        """Let time and counter pass.

        Raises:
            EngineProtocolError: A negative duration.
        """
        if milliseconds < 0:
            raise EngineProtocolError("time does not pass backwards; use set")
        self._now_ms += milliseconds
        self._monotonic_ns += milliseconds * 1_000_000
