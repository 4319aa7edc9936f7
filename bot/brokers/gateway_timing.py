"""How patient a gateway is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatewayTiming:
    """Waits and limits of a gateway, seconds of this machine.

    Attributes:
        keep_alive_ms: How often the user stream is pinged. A line whose pongs stay away is given up after two to four
            of these.
        dial_seconds: How long a dial of the user stream may take, its authentication included.
        renew_seconds: How often a listen key is prolonged (it lives for an hour).
        pace_seconds: First wait before the stream is dialled again; each further one doubles it.
        pace_most_seconds: The longest such wait.
        steady_clock: Whether our clock runs by itself. One that moves by the messages of a simulated market lags
            behind in between: then the exchange's being ahead is no error of ours.
    """

    keep_alive_ms: int = 4_000
    dial_seconds: float = 10.0
    renew_seconds: float = 1_200.0
    pace_seconds: float = 0.5
    pace_most_seconds: float = 30.0
    steady_clock: bool = True

    @classmethod
    def at_speed(cls, speed: float) -> GatewayTiming:
        """The timing for a simulated market that runs ``speed`` times as fast as the world, 0 for one that waits."""
        rate = max(speed, 1.0)
        return cls(
            renew_seconds=max(1_200.0 / rate, 1.0),
            pace_seconds=0.05,
            pace_most_seconds=max(30.0 / rate, 1.0),
            steady_clock=False,
        )

    def wait_seconds(self, attempt: int, random: Callable[[], float]) -> float:
        """The wait after the ``attempt``-th failure (from 1): doubled each time, spread over its upper half."""
        longest = min(self.pace_seconds * 2.0 ** min(attempt - 1, 20), self.pace_most_seconds)
        return longest * (0.5 + 0.5 * random())
