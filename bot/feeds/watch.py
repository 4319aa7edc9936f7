"""Watching for what does not happen: a candle that does not come, a symbol that falls silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from bot.core.market import MINUTE_MS
from bot.errors import DataError, TransientError
from bot.feeds.backfill import Backfills
from bot.feeds.rest import RestReader
from bot.feeds.timing import FeedTiming
from bot.feeds.tracks import SymbolTrack

FAR_MS = 2**62
LOOK_AGAIN_MS = 0
"""A lateness that is not known yet: look whenever the exchange's time moves."""


class Watch:
    """Knows the exchange's time as far as it was seen, and asks REST when time passes and nothing comes.

    Args:
        tracks: The symbols.
        rest: Asked for the time and for the newest bars.
        backfills: Asked to fetch late candles.
        drop: Gives up the stream.
        see_time: Told of a time that REST told.
        tell: Called with the name and fields of a notice.
        monotonic_ns: The local counter.
        timing: Patience.
    """

    def __init__(
        self,
        tracks: Sequence[SymbolTrack],
        *,
        rest: RestReader,
        backfills: Backfills,
        drop: Callable[[str], None],
        see_time: Callable[[int], None],
        tell: Callable[[str, dict[str, Any]], None],
        monotonic_ns: Callable[[], int],
        timing: FeedTiming,
    ) -> None:
        self._tracks = tracks
        self._rest = rest
        self._backfills = backfills
        self._drop = drop
        self._see_time = see_time
        self._tell = tell
        self._monotonic_ns = monotonic_ns
        self._timing = timing
        self._market_ms = 0
        self._asked_ns = 0
        self._seen_ns = 0
        self._late_at_ms = LOOK_AGAIN_MS
        self._wake = asyncio.Event()
        self._unsure = False
        self._question: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start counting silence from now."""
        now_ns = self._asked_ns = self._seen_ns = self._monotonic_ns()
        for track in self._tracks:
            track.heard_ns = now_ns

    def sees(self, at_ms: int) -> bool:
        """Take in a time of the exchange; False if a later one is known already. Cheap, for every message."""
        if at_ms <= self._market_ms:
            return False
        self._market_ms = at_ms
        self._seen_ns = self._monotonic_ns()
        if at_ms >= self._late_at_ms:
            if self._late_at_ms == LOOK_AGAIN_MS:
                self._wake.set()
            else:
                # At once: whoever is told this time must find the late symbols among those catching up.
                self._ask_for_late(self._seen_ns)
        return True

    def ask_soon(self) -> None:
        """Learn the exchange's time now: a line was dialled, and what closed meanwhile may have been missed."""
        self._unsure = True
        self._wake.set()

    async def run(self) -> None:
        """Look around once a second (more often where time runs faster) and when a close is long enough past."""
        every_seconds = min(1.0, self._timing.stall_seconds / 10)
        while True:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the result.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_seconds):
                    await self._wake.wait()
            self._wake.clear()
            now_ns = self._monotonic_ns()
            self._ask_for_late(now_ns)
            if self._question is not None and self._question.done():
                self._question.result()  # raises what no retry can mend
                self._question = None
            if self._question is None and (question := self._next_question(now_ns)) is not None:
                self._question = asyncio.get_running_loop().create_task(question())

    async def close(self) -> None:
        """End a question that is out."""
        if self._question is not None:
            self._question.cancel()
            await asyncio.gather(self._question, return_exceptions=True)

    def _ask_for_late(self, now_ns: int) -> None:
        """Fetch every candle that closed ``grace_ms`` ago and did not come."""
        over_ms = self._market_ms - self._timing.grace_ms
        over_ms -= over_ms % MINUTE_MS
        self._late_at_ms = FAR_MS
        for track in self._tracks:
            unknown_ms = track.unknown_ms
            if unknown_ms is None or self._backfills.runs_for(track.symbol):
                self._late_at_ms = LOOK_AGAIN_MS
            elif unknown_ms < over_ms and now_ns >= track.retry_at_ns:
                # One late candle is everyday; an outage's are worth a line.
                self._backfills.ask(track, over_ms, tell=over_ms - unknown_ms > MINUTE_MS)
                self._late_at_ms = LOOK_AGAIN_MS
            else:
                late_at_ms = max(unknown_ms, over_ms) + MINUTE_MS + self._timing.grace_ms
                self._late_at_ms = min(self._late_at_ms, late_at_ms)

    def _next_question(self, now_ns: int) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """What to ask of REST now: about a silence, or only for the time, or nothing."""
        stalled_ns = now_ns - int(self._timing.stall_seconds * 1e9)
        if any(track.heard_ns < stalled_ns for track in self._tracks):
            return self._examine_silence
        if self._unsure:
            self._unsure = False
            return self._ask_time
        # No message for a while, and by the local count a close should be past: then ask for the time.
        speed = self._timing.market_speed
        guess_ms = self._market_ms + int((now_ns - self._seen_ns) / 1e6 * speed)
        waited_ms = (now_ns - self._asked_ns) / 1e6 * speed
        if guess_ms >= self._late_at_ms and waited_ms >= self._timing.grace_ms and self._late_at_ms:
            return self._ask_time
        return None

    async def _ask_time(self) -> None:
        """Learn the exchange's time from REST; no answer is no news."""
        try:
            at_ms = await self._rest.exchange_time_ms()
        except (TransientError, DataError) as error:
            self._tell("feed.time_unknown", {"cause": str(error)})
        else:
            self._see_time(at_ms)
        self._asked_ns = self._seen_ns = self._monotonic_ns()

    async def _examine_silence(self) -> None:
        """Ask REST about each silent symbol; one that trades unheard means that the stream is dead."""
        now_ns = self._monotonic_ns()
        stall_ns = int(self._timing.stall_seconds * 1e9)
        silent = [track for track in self._tracks if now_ns - track.heard_ns > stall_ns]
        await self._ask_time()
        for track in silent:
            heard_ns = track.heard_ns
            cause = await self._unheard(track)
            if track.heard_ns != heard_ns:
                continue
            if cause is None:
                track.heard_ns = self._monotonic_ns()
                continue
            seconds = round((self._monotonic_ns() - heard_ns) / 1e9, 1)
            fields = {"symbol": track.symbol, "silent_seconds": seconds, "silent_symbols": len(silent)}
            self._tell("feed.stalled", {**fields, "cause": cause})
            for other in self._tracks:
                other.heard_ns = self._monotonic_ns()
            self._drop(f"{track.symbol} was silent for {seconds} s")
            return

    async def _unheard(self, track: SymbolTrack) -> str | None:
        """Why a silent symbol's stream is taken to be dead; None if nothing was traded that it could tell."""
        since_ms = track.seen_ms or self._market_ms - self._market_ms % MINUTE_MS - MINUTE_MS
        try:
            rows = await self._rest.newest(track.symbol, since_ms)
        except (TransientError, DataError) as error:
            return f"REST does not answer either: {error}"
        if any(row.opened_at_ms > track.seen_ms and row.volume > 0 for row in rows):
            return "it traded meanwhile"
        return None
