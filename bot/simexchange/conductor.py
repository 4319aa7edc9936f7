"""Moves market time and sends what is due: the one task that drives a simulated exchange.

Time stands while it was told to hold, while too few symbols are subscribed (so that a tape waits for a daemon
that is down), and, paced, while a minute that closed is not acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from bot.errors import ConfigError, StorageError
from bot.simexchange.bars import Bar, kline_message, number, partial_bar
from bot.simexchange.binance_stream import KLINE, MARK_PRICES, StreamHub
from bot.simexchange.clock import MarketClock, Pace
from bot.simexchange.market import FUNDING_INTERVAL_MS, VisibleMarket
from bot.simexchange.schedule import Event, EventKind, next_event

log = logging.getLogger(__name__)


class Conductor:
    """Plays a market to a hub."""

    def __init__(
        self,
        market: VisibleMarket,
        *,
        start_ms: int,
        speed: float,
        offsets_ms: tuple[int, ...],
        wait_for_symbols: int,
        clock_file: Path,
    ) -> None:
        """``wait_for_symbols``: how many must be subscribed for time to move; 0 lets it run alone."""
        self.market = market
        self.start_ms = start_ms
        self.ended = False
        self.told_to_hold = False
        self._offsets_ms = offsets_ms
        self._wait_for = wait_for_symbols
        self._clock_file = clock_file
        self._clock = MarketClock(start_ms, speed)
        self._pace = Pace(offsets_ms[0], start_ms, start_ms)
        self._position_ms = start_ms
        self._changed = asyncio.Event()
        self._hub: StreamHub | None = None
        self._fingerprint: str = market.source.describe()["fingerprint"]

    def attach(self, hub: StreamHub) -> None:
        """Say where to send; before ``play``."""
        self._hub = hub

    def now_ms(self) -> int:
        """The exchange's time."""
        return self._clock.now_ms(asyncio.get_running_loop().time())

    def wake(self) -> None:
        """Something changed on which time may depend."""
        self._changed.set()

    def acknowledge(self, closed_at_ms: int) -> None:
        """A client is done with everything that closed up to here."""
        self._pace.acknowledge(closed_at_ms)
        self.wake()

    def tell_to_hold(self, hold: bool) -> None:
        """Stop time, or let it go on."""
        self.told_to_hold = hold
        self.wake()

    def state(self) -> dict[str, Any]:
        """Where time stands and why, as JSON values."""
        event = next_event(self.market.source, self._position_ms, self._offsets_ms)
        reason = self._held_because(event) if event else None
        return {
            "now_ms": self.now_ms(),
            "speed": self._clock.speed,
            "held": reason is not None,
            "held_because": reason,
            "awaiting_ack_ms": self._pace.last_close_ms if reason == "awaiting_ack" else None,
            "last_close_ms": self._pace.last_close_ms,
            "acknowledged_ms": self._pace.acknowledged_ms,
            "ended": self.ended,
            "start_ms": self.start_ms,
            "end_ms": self.market.source.end_ms,
        }

    async def play(self) -> None:
        """Send everything that is due, in order of time, until the source ends; cancel it to stop."""
        loop = asyncio.get_running_loop()
        while event := next_event(self.market.source, self._position_ms, self._offsets_ms):
            self._clock.limit(event.at_ms)
            await self._until_due(event)
            self._clock.reach(event.at_ms, loop.time())
            self._send(event)
            self._position_ms = event.at_ms
            if event.kind is EventKind.FINAL:
                self._pace.close(event.at_ms)
                self.save()
            await asyncio.sleep(0)  # let the writers send
        self._clock.stop(loop.time())
        self.ended = True
        self.save()
        log.info("the market has ended at %d", self._position_ms)

    def save(self) -> None:
        """Write where time stands; raises StorageError if the disk refuses."""
        state = {
            "now_ms": self._position_ms,
            "last_close_ms": self._pace.last_close_ms,
            "acknowledged_ms": self._pace.acknowledged_ms,
            "start_ms": self.start_ms,
            "fingerprint": self._fingerprint,
        }
        waiting = self._clock_file.with_suffix(".part")
        try:
            waiting.write_text(json.dumps(state))
            waiting.replace(self._clock_file)
        except OSError as error:
            raise StorageError(f"{self._clock_file}: cannot be written: {error}") from error

    def restore(self) -> bool:
        """Go on from the file; False if there is none. Raises ConfigError if it is of another market."""
        try:
            state = json.loads(self._clock_file.read_text())
            position, start = int(state["now_ms"]), int(state["start_ms"])
            pace = Pace(self._offsets_ms[0], int(state["last_close_ms"]), int(state["acknowledged_ms"]))
            fingerprint = state["fingerprint"]
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._clock_file}: cannot be read: {error!r}; start without --resume"
            ) from error
        if fingerprint != self._fingerprint:
            raise ConfigError(f"{self._clock_file}: belongs to another market; start without --resume")
        self._position_ms, self.start_ms, self._pace = position, start, pace
        self._clock = MarketClock(position, self._clock.speed)
        return True

    async def _until_due(self, event: Event) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            if self._held_because(event):
                self._clock.stop(loop.time())
                await self._changed.wait()
                continue
            self._clock.start(loop.time())
            delay = self._clock.seconds_until(event.at_ms, loop.time())
            if delay <= 0:
                return
            try:
                async with asyncio.timeout(delay):  # wait_for may lose a cancellation on Python 3.11
                    await self._changed.wait()
            except TimeoutError:
                return

    def _held_because(self, event: Event) -> str | None:
        if self.told_to_hold:
            return "told_to_hold"
        if self._wait_for and (not self._hub or len(self._hub.subscribed_symbols()) < self._wait_for):
            return "too_few_symbols_subscribed"
        if self._clock.speed == 0 and self._pace.awaits(event.at_ms):
            return "awaiting_ack"
        return None

    def _send(self, event: Event) -> None:
        hub = self._hub
        if hub is None:
            return
        for symbol in self.market.source.symbols:
            name = symbol.lower()
            stream = f"{name}@{KLINE}"
            marks = [mark for ending in MARK_PRICES if hub.wanted(mark := f"{name}@{ending}")]
            if not marks and not hub.wanted(stream):
                continue
            bar = self.market.closing(symbol, event.minute_ms)
            if bar is None:
                continue
            shown = (
                bar
                if event.kind is not EventKind.PARTIAL
                else partial_bar(bar, event.at_ms - event.minute_ms)
            )
            closed = event.kind is not EventKind.PARTIAL
            hub.publish(stream, kline_message(symbol, shown, event.at_ms, closed=closed))
            for mark in marks:
                hub.publish(mark, self._mark_price(symbol, shown, event.at_ms))

    def _mark_price(self, symbol: str, bar: Bar, at_ms: int) -> str:
        due = at_ms - at_ms % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS
        rate = number(self.market.funding_rate(symbol, due))
        price = number(bar.close)
        return (
            f'{{"e":"markPriceUpdate","E":{at_ms},"s":"{symbol}","p":"{price}","i":"{price}","P":"{price}",'
            f'"r":"{rate}","T":{due}}}'
        )
