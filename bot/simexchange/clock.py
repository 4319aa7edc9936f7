"""Market time: a function of the event loop's time, and of what clients have acknowledged. Pure.

::

    standing --start--> running --stop--> standing       (started or stopped twice: nothing happens)
"""

from __future__ import annotations

LAG_ALLOWED_S = 1.0
"""A market that is further behind than this is not run after: its time starts anew from where it is."""


class MarketClock:
    """Market milliseconds as loop seconds pass, at a speed; at speed 0 time moves only by ``reach``."""

    def __init__(self, at_ms: int, speed: float) -> None:
        """Stand at ``at_ms``."""
        self.speed = speed
        self._anchor_ms = at_ms
        self._anchor_s: float | None = None
        self._limit_ms = at_ms

    @property
    def standing(self) -> bool:
        """Whether time is stopped."""
        return self._anchor_s is None

    def now_ms(self, loop_s: float) -> int:
        """Market time at this loop time; never later than the next event that is still to be sent."""
        if self._anchor_s is None or self.speed == 0:
            return self._anchor_ms
        passed = int((loop_s - self._anchor_s) * self.speed * 1000)
        return min(self._anchor_ms + max(passed, 0), max(self._limit_ms, self._anchor_ms))

    def limit(self, next_event_ms: int) -> None:
        """Let time go no further than the next event."""
        self._limit_ms = next_event_ms

    def start(self, loop_s: float) -> None:
        """Let time run from here."""
        if self._anchor_s is None:
            self._anchor_s = loop_s

    def stop(self, loop_s: float) -> None:
        """Stop time where it is."""
        self._anchor_ms = self.now_ms(loop_s)
        self._anchor_s = None

    def seconds_until(self, market_ms: int, loop_s: float) -> float:
        """Loop seconds until market time gets there, 0 or less if it is due; only while running."""
        if self.speed == 0 or self._anchor_s is None:
            return 0.0
        return self._anchor_s + (market_ms - self._anchor_ms) / 1000 / self.speed - loop_s

    def reach(self, market_ms: int, loop_s: float) -> None:
        """An event of this time is sent now: time is there, and goes on from there if it was far behind."""
        if self._anchor_s is None or self.speed == 0:
            self._anchor_ms = max(self._anchor_ms, market_ms)
        elif self.seconds_until(market_ms, loop_s) < -LAG_ALLOWED_S:
            self._anchor_ms, self._anchor_s = market_ms, loop_s
        self._limit_ms = max(self._limit_ms, market_ms)


class Pace:
    """Which close the paced market waits for.

    After a minute has closed, only the first event of the next minute may be sent (so that market time is
    seen to pass the close) until a client has said that it is done with the minute.
    """

    def __init__(self, grace_ms: int, last_close_ms: int, acknowledged_ms: int) -> None:
        """``grace_ms``: how long after a close the one event that needs no acknowledgement is sent."""
        self._grace_ms = grace_ms
        self.last_close_ms = last_close_ms
        self.acknowledged_ms = acknowledged_ms

    def close(self, closed_at_ms: int) -> None:
        """A minute's final bars have been sent."""
        self.last_close_ms = max(self.last_close_ms, closed_at_ms)

    def acknowledge(self, closed_at_ms: int) -> None:
        """A client is done with everything that closed up to here."""
        self.acknowledged_ms = max(self.acknowledged_ms, closed_at_ms)

    def awaits(self, next_event_ms: int) -> bool:
        """Whether the next event must wait for an acknowledgement of ``last_close_ms``."""
        if self.acknowledged_ms >= self.last_close_ms:
            return False
        return next_event_ms > self.last_close_ms + self._grace_ms
