"""How patient a feed is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeedTiming:
    """Waits and limits of a feed; seconds are of this machine, ``*_ms`` of the exchange's clock.

    Attributes:
        stall_seconds: A symbol that is silent for so long is asked after over REST.
        grace_ms: A candle that has not come by so long after its close is fetched; and a minute that closed so
            long ago is final wherever REST tells it.
        pace_seconds: First wait before a failed request or dial is repeated; each further one doubles it.
        pace_most_seconds: The longest such wait.
        attempts: How often a request is tried before it is given up (a later one asks for the same minutes).
        market_speed: Market seconds a second; 0 where the exchange's clock waits for its clients, so that
            nothing can be concluded from the time that has passed here.
    """

    stall_seconds: float = 90.0
    grace_ms: int = 3_000
    pace_seconds: float = 0.5
    pace_most_seconds: float = 30.0
    attempts: int = 8
    market_speed: float = 1.0

    @classmethod
    def at_speed(cls, speed: float) -> FeedTiming:
        """The timing for a market that runs ``speed`` times as fast as the world, 0 for one that waits."""
        if speed in {0, 1}:
            quick = speed == 0
            return cls(
                pace_seconds=0.05 if quick else 0.5,
                stall_seconds=10.0 if quick else 90.0,
                market_speed=speed,
            )
        return cls(
            stall_seconds=max(90.0 / speed, 3.0),
            pace_seconds=max(0.5 / speed, 0.05),
            pace_most_seconds=max(30.0 / speed, 1.0),
            market_speed=speed,
        )

    def wait_seconds(self, attempt: int, random: Callable[[], float]) -> float:
        """The wait after the ``attempt``-th failure (from 1): doubled each time, spread over its upper half."""
        longest = min(self.pace_seconds * 2.0 ** min(attempt - 1, 20), self.pace_most_seconds)
        return longest * (0.5 + 0.5 * random())
