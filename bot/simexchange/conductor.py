"""Moves market time and sends what is due: the one task that drives a simulated exchange.

Time stands while it was told to hold, while too few symbols are subscribed (so that a tape waits for a daemon
that is down), and, paced, while a minute that closed is not acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.errors import ConfigError, StorageError
from bot.simexchange.bars import Bar, kline_message, number, partial_bar
from bot.simexchange.binance_stream import KLINE, MARK_PRICES, StreamHub
from bot.simexchange.clock import MarketClock, Pace
from bot.simexchange.market import FUNDING_INTERVAL_MS, VisibleMarket
from bot.simexchange.okx_stream import OkxStreams
from bot.simexchange.schedule import Event, EventKind, next_event
from bot.simexchange.trading_floor import TradingFloor

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
        holds: bool = True,
    ) -> None:
        """``wait_for_symbols``: how many must be subscribed for time to move, or without ``holds`` to begin; 0: none."""
        self.market = market
        self.start_ms = start_ms
        self.ended = False
        self.told_to_hold = False
        self.before_event: Callable[[int], None] | None = None
        self._offsets_ms = offsets_ms
        self._wait_for = wait_for_symbols
        self._holds = holds
        self._clock_file = clock_file
        self._clock = MarketClock(start_ms, speed)
        self._pace = Pace(offsets_ms[0], start_ms, start_ms)
        self._position_ms = start_ms
        self._changed = asyncio.Event()
        self._event_before_ms = start_ms
        self._hub: StreamHub | OkxStreams | None = None
        self._floor: TradingFloor | None = None
        self._fingerprint: str = market.source.describe()["fingerprint"]

    def attach(self, hub: StreamHub | OkxStreams) -> None:
        """Say where to send; before ``play``."""
        self._hub = hub

    def attach_floor(self, floor: TradingFloor) -> None:
        """Say where orders are matched; before ``play``."""
        self._floor = floor
        floor.stored = self.save

    def now_ms(self) -> int:
        """The exchange's time."""
        return self._clock.now_ms(asyncio.get_running_loop().time())

    def trading_ms(self) -> int:
        """When an order that comes now is made.

        While a paced market waits for the last close to be acknowledged, what comes is an answer to that close, and
        is made at it: time goes on a little beyond only so that clients see it pass.
        """
        if self._clock.speed == 0 and self._pace.acknowledged_ms < self._pace.last_close_ms:
            return self._pace.last_close_ms
        return self.now_ms()

    def event_before_ms(self) -> int:
        """Market time of the event that was sent before the newest one; paced, no later than the last acknowledged close.

        A paced market goes through a minute in no time, so a request may be on its way while several events are sent.
        """
        if self._clock.speed == 0:
            return min(self._event_before_ms, self._pace.acknowledged_ms)
        return self._event_before_ms

    @property
    def speed(self) -> float:
        """Market seconds a second."""
        return self._clock.speed

    @property
    def position_ms(self) -> int:
        """Time of the newest event."""
        return self._position_ms

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
            if self.before_event is not None:
                self.before_event(event.at_ms)
            bars = self._bars(event)
            await self._trade(event, bars)
            self._send(event, bars)
            self._event_before_ms, self._position_ms = self._position_ms, event.at_ms
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
        self._event_before_ms = position
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
            if not self._holds:
                self._wait_for = 0
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

    def _bars(self, event: Event) -> dict[str, Bar]:
        """The bars of the event's minute, by symbol: all at its end, else those that somebody listens to."""
        hub = self._hub
        bars: dict[str, Bar] = {}
        for symbol in self.market.source.symbols:
            needed = event.kind is EventKind.FINAL or (hub is not None and hub.listens(symbol))
            if needed and (bar := self.market.closing(symbol, event.minute_ms)) is not None:
                bars[symbol] = bar
        return bars

    async def _trade(self, event: Event, bars: dict[str, Bar]) -> None:
        """Match a minute before its final bars are sent, and in a paced market let clients hear of it first."""
        floor = self._floor
        if floor is None or event.kind is EventKind.BEAT:
            return
        if event.kind is EventKind.FINAL:
            told = floor.close_minute(bars)
        else:
            told = floor.begin_minute(event.minute_ms)
        if told and self._clock.speed == 0:
            await floor.streams.wait_until_read()

    def _send(self, event: Event, bars: dict[str, Bar]) -> None:
        hub = self._hub
        if hub is None:
            return
        for symbol, bar in bars.items():
            if not hub.listens(symbol):
                continue
            closed = event.kind is not EventKind.PARTIAL
            shown = bar if closed else partial_bar(bar, event.at_ms - event.minute_ms)
            if isinstance(hub, OkxStreams):
                hub.send_bar(symbol, shown, closed=closed)
            else:
                self._send_to_binance(hub, symbol, shown, event.at_ms, closed=closed)

    def _send_to_binance(self, hub: StreamHub, symbol: str, bar: Bar, at_ms: int, *, closed: bool) -> None:
        """The streams of a symbol's bars and of its mark price, each where somebody listens."""
        name = symbol.lower()
        stream = f"{name}@{KLINE}"
        if hub.wanted(stream):
            hub.publish(stream, kline_message(symbol, bar, at_ms, closed=closed))
        for ending in MARK_PRICES:
            if hub.wanted(mark := f"{name}@{ending}"):
                hub.publish(mark, self._mark_price(symbol, bar, at_ms))

    def _mark_price(self, symbol: str, bar: Bar, at_ms: int) -> str:
        due = at_ms - at_ms % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS
        rate = number(self.market.funding_rate(symbol, due))
        price = number(bar.close)
        return (
            f'{{"e":"markPriceUpdate","E":{at_ms},"s":"{symbol}","p":"{price}","i":"{price}","P":"{price}",'
            f'"r":"{rate}","T":{due}}}'
        )
