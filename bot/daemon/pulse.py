"""A beat beside the loop: how late it is woken, and whether minutes are still decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.daemon.progress import Progress
from bot.daemon.telling import Log


class Pulse:
    """Beats until cancelled.

    Args:
        progress: When the last minute was decided.
        log: Bound with run_id and mode.
        monotonic_ns: A counter that never goes back.
        every_seconds: Between two beats.
        stalled_seconds: Without a minute for so long, ``service.stalled`` is told, once.
        on_lag: Told how late each beat came, seconds.
        blind_seconds: Without a minute for so long ``on_blind`` is called, once; None never does.
        on_blind: Told how long it was; a restart does not end it.
        on_standing: Told how long no minute was decided, once, when that counts as stalled; None when one was again.
        every_beat: Called at each beat.
    """

    def __init__(
        self,
        progress: Progress,
        log: Log,
        monotonic_ns: Callable[[], int],
        *,
        every_seconds: float,
        stalled_seconds: float,
        on_lag: Callable[[float], None] | None,
        blind_seconds: float | None = None,
        on_blind: Callable[[float], None] | None = None,
        on_standing: Callable[[float | None], None] | None = None,
        every_beat: Callable[[], None] | None = None,
    ) -> None:
        self._progress = progress
        self._log = log
        self._monotonic_ns = monotonic_ns
        self._every_seconds = every_seconds
        self._stalled_seconds = stalled_seconds
        self._on_lag = on_lag
        self._blind_seconds = blind_seconds
        self._on_blind = on_blind
        self._on_standing = on_standing
        self._every_beat = every_beat
        self._is_blind = False
        self._is_standing = False
        self._longest: float | None = None

    async def beat(self) -> None:
        """Measure and look, again and again."""
        while True:
            began_ns = self._monotonic_ns()
            await asyncio.sleep(self._every_seconds)
            late_seconds = (self._monotonic_ns() - began_ns) / 1e9 - self._every_seconds
            if self._on_lag is not None:
                self._on_lag(max(late_seconds, 0.0))
            self.look()
            if self._every_beat is not None:
                self._every_beat()

    def look(self) -> None:
        """Tell when no minute comes any more, and when one came again."""
        seconds, blind_seconds = self._progress.since_decided_seconds, self._progress.blind_seconds
        blind = self._blind_seconds is not None and blind_seconds >= self._blind_seconds
        if blind and not self._is_blind and self._on_blind is not None:
            self._on_blind(blind_seconds)
        self._is_blind = blind
        standing = seconds >= self._progress.expected_seconds
        if standing != self._is_standing and self._on_standing is not None:
            self._on_standing(seconds if standing else None)
        self._is_standing = standing
        if seconds >= self._stalled_seconds:
            if self._longest is None:
                self._log.warning("service.stalled", seconds=round(seconds))
            self._longest = seconds
        elif self._longest is not None:
            self._log.warning("service.going_again", stalled_seconds=round(self._longest))
            self._longest = None
