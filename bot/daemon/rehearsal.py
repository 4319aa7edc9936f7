"""Forecasts that nobody hears, in the last moments of a minute: the real one then finds the processor awake.

A daemon sleeps nearly all of a minute. What it does in the first millisecond after takes three times as long as the same
a little later, since the processor had gone to sleep and its caches belong to others. So shortly before a candle is due,
by the market's own clock, the newest forecast is computed again every few milliseconds until the candle is there. No
number is kept, and nothing is changed (``bench decision_latency``; docs/decisions/0025).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from bot.core.market import MINUTE_MS

LEAD_SECONDS: Final = 0.02
"""Of ours, before the candle is due."""

LEAD_SHARE: Final = 0.25
"""Of a minute at most: a market that is played fast has short ones."""

PAUSE_SECONDS: Final = 0.003
"""Between two rehearsals: shorter than it takes to fall asleep, longer than one of them."""

PATIENCE_SECONDS: Final = 1.0
"""After the candle was due, of ours; exchanges that are idle send it later."""


class Timer(Protocol):
    """What ``call_later`` gives."""

    def cancel(self) -> None:
        """Do not call."""


Later = Callable[[float, Callable[[], None]], Timer]


def _later(seconds: float, call: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, call)


class Rehearsal:
    """Rehearses before each minute that somebody tells the time of.

    Args:
        rehearse: Computes a forecast, and changes nothing.
        market_speed: Market seconds a second; 0 where the market waits for us, and there is nothing to gain.
        monotonic_ns: The local counter.
        later: Calls something after so many seconds.
    """

    def __init__(
        self,
        rehearse: Callable[[], None],
        market_speed: float,
        monotonic_ns: Callable[[], int],
        later: Later = _later,
    ) -> None:
        self._rehearse = rehearse
        self._speed = market_speed
        self._monotonic_ns = monotonic_ns
        self._later = later
        self._due_ms = 0
        self._until_ns = 0
        self._timer: Timer | None = None

    def heard(self, at_ms: int) -> None:
        """A message told the market's time: plan for the end of this minute, once."""
        due_ms = at_ms - at_ms % MINUTE_MS + MINUTE_MS
        if self._speed <= 0 or due_ms <= self._due_ms:
            return
        self._due_ms = due_ms
        left = (due_ms - at_ms) / 1000 / self._speed
        lead = min(LEAD_SECONDS, LEAD_SHARE * MINUTE_MS / 1000 / self._speed)
        self.rest()
        self._until_ns = self._monotonic_ns() + int((left + PATIENCE_SECONDS) * 1e9)
        self._timer = self._later(max(left - lead, 0.0), self._again)

    def decided(self, closed_at_ms: int) -> None:
        """A minute is being decided: that of its end is over."""
        if closed_at_ms >= self._due_ms:
            self.rest()

    def rest(self) -> None:
        """Do nothing until the next minute."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._timer = None
        if self._monotonic_ns() > self._until_ns:
            return
        try:
            self._rehearse()
        except Exception:  # noqa: BLE001 - the decision will meet it as well, and tell it
            return
        self._timer = self._later(PAUSE_SECONDS, self._again)
