"""Closed candles of any exchange that ccxt.pro streams.

The way of a candle: frame → ccxt → hook (``hooks``) → closer → queue → ``events``; synchronous up to the queue.
Whatever the stream does not bring is fetched (``backfill``): minutes that a closer misses, minutes that closed
``grace_ms`` ago and did not come, minutes from before the subscription. Three things end a silence: ccxt's own
ping, the stream's loss (``stream``), and the watch below, which asks REST whether a silent symbol really trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from bot.core.closer import BackfillNeeded, Closed, CloserEvent, Revised
from bot.core.market import MINUTE_MS, Candle, Instrument, Quote, Symbol
from bot.errors import DataError, EngineProtocolError
from bot.exchange_client import Exchange, mapped
from bot.feeds.backfill import Backfills
from bot.feeds.event_queue import EventQueue
from bot.feeds.hooks import MALFORMED, StreamMessage, install_hook, parser_of, update_from_row
from bot.feeds.markets import check_exchange, check_symbols, instrument_of
from bot.feeds.quotes import best_quotes, coming_funding_rates
from bot.feeds.rest import RestReader, Retrying
from bot.feeds.stream import CandleStream, Rows
from bot.feeds.timing import FeedTiming
from bot.feeds.tracks import SymbolTrack
from bot.feeds.watch import Watch
from bot.ports import CandleClosed, CandleRevised, Clock, FeedEvent, FeedNotice, MarketTime
from bot.quiet_time import QuietTime
from bot.reply_guard import guard_candles

CACHED_CANDLES = 10
"""Candles that ccxt keeps of each symbol; its own thousand would be 50 MB with 200 symbols."""


class CcxtFeed:
    """The ``Feed`` port over ccxt.pro.

    Args:
        exchange: From ``bot.exchange_client.make_exchange``; the feed owns it and closes it.
        symbols: Unified names, all spot or all linear perpetuals.
        clock: Its local counter stamps messages; its time stands in where the exchange tells none.
        random: In [0, 1); spreads the waits between retries.
        timing: Patience; ``FeedTiming.at_speed`` for a simulated exchange.
        flags: False takes candles from what ccxt returns, confirmed by REST, as for exchanges whose messages
            have no known closed flag.
        retrying: Told at once of each request that is tried again, also before ``events`` are taken.
    """

    def __init__(
        self,
        exchange: Exchange,
        symbols: Sequence[Symbol],
        *,
        clock: Clock,
        random: Callable[[], float],
        timing: FeedTiming | None = None,
        flags: bool = True,
        retrying: Retrying | None = None,
    ) -> None:
        self.symbols = tuple(symbols)
        QuietTime(clock.monotonic_ns).keep(exchange)
        guard_candles(exchange)
        timing = timing or FeedTiming()
        self.market_speed = timing.market_speed
        self._exchange = exchange
        self._clock = clock
        self._queue = EventQueue()
        self._tracks = {symbol: SymbolTrack(symbol) for symbol in self.symbols}
        self._parser = parser_of(exchange) if flags else None
        self._rest = RestReader(
            exchange, now_ms=clock.now_ms, timing=timing, random=random, retrying=retrying
        )
        self._backfills = Backfills(
            self._rest,
            self._queue,
            take=self._take_fetched,
            monotonic_ns=clock.monotonic_ns,
            timing=timing,
            random=random,
        )
        self._stream = CandleStream(
            exchange,
            self.symbols,
            take_rows=None if self._parser else self._take_rows,
            dialled=self._ask_soon,
            tell=self._tell,
            fail=self._queue.fail,
            timing=timing,
            random=random,
        )
        self._watch = Watch(
            list(self._tracks.values()),
            rest=self._rest,
            backfills=self._backfills,
            drop=self._stream.drop,
            see_time=self._see_time,
            tell=self._tell,
            monotonic_ns=clock.monotonic_ns,
            timing=timing,
        )
        self._resumed: dict[Symbol, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._opened = self._started = self._closed = False

    @property
    def catching_up(self) -> AbstractSet[Symbol]:
        """Symbols whose earlier candles are being fetched, or were and are not yet taken from ``events``."""
        if not self._started:
            return self._resumed.keys()
        return self._backfills.catching_up

    def start_from(self, symbol: Symbol, last_opened_at_ms: int) -> None:
        """Before ``events``: deliver the candles after this one too, fetched if they closed earlier."""
        if self._started:
            raise EngineProtocolError("start_from comes before events")
        if last_opened_at_ms % MINUTE_MS:
            raise EngineProtocolError(f"{symbol}: {last_opened_at_ms} is not on a whole minute")
        self._tracks[symbol].start_from(last_opened_at_ms)
        self._resumed[symbol] = last_opened_at_ms

    async def open(self) -> None:
        """Read the markets; ConfigError for what cannot be fed, TransientError or DataError if there is no answer."""
        check_exchange(self._exchange)
        await self._rest.retried(self._load_markets)
        check_symbols(self._exchange.id, self._exchange.markets, self.symbols)
        if self._parser is not None and not self._opened:
            install_hook(
                self._exchange,
                self._parser,
                {self._exchange.market_id(symbol): symbol for symbol in self.symbols},
                monotonic_ns=self._clock.monotonic_ns,
                take=self._take,
                refuse=self._refuse,
            )
        self._exchange.options["OHLCVLimit"] = CACHED_CANDLES
        self._opened = True

    async def exchange_time_ms(self) -> int:
        """The exchange's clock, asked now."""
        return await self._rest.retried(self._rest.exchange_time_ms)

    async def instruments(self) -> dict[Symbol, Instrument]:
        """The trading rules of each symbol; ConfigError for a contract that is not one unit of its base."""
        self._require_open()
        return {
            symbol: instrument_of(self._exchange.market(symbol), self._exchange.precisionMode)
            for symbol in self.symbols
        }

    async def history(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[Candle]:
        """Closed candles with since_ms <= opened_at_ms < until_ms that the exchange has, in order, validated."""
        self._require_open()
        return await self._rest.history(symbol, since_ms, until_ms)

    async def funding_rates(self, symbol: Symbol, since_ms: int, until_ms: int) -> dict[int, float]:
        """Funding rates by payment time in [since_ms, until_ms), whole minutes; empty on spot."""
        self._require_open()
        return await self._rest.funding_rates(symbol, since_ms, until_ms)

    async def quotes(self) -> dict[Symbol, Quote]:
        """The best bid and ask of each symbol that has both, asked now and once."""
        self._require_open()
        return await best_quotes(self._exchange, self.symbols)

    async def coming_funding_rates(self) -> dict[Symbol, float]:
        """The rate that each perpetual pays next, per 8 hours, asked now and once; empty on spot."""
        self._require_open()
        return await coming_funding_rates(self._exchange, self.symbols)

    async def events(self) -> AsyncIterator[FeedEvent]:
        """Stream until closed; raises what no retry can mend. For one consumer, once."""
        self._require_open()
        if self._started:
            raise EngineProtocolError("events of a feed can be taken once")
        self._started = True
        await self._start()
        while (event := await self._queue.get()) is not None:
            yield event

    async def close(self) -> None:
        """Leave no socket and no task behind; what was not taken from ``events`` is still there to be taken."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watch.close()
        await self._backfills.close()
        await self._exchange.close()
        await self._stream.close()
        self._queue.close()

    # --- starting -----------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Subscribe first, then fetch what closed before: the closers put both together."""
        self._watch.begin()
        self._tasks = [self._task(self._stream.run()), self._task(self._watch.run())]
        now_ms = await self.exchange_time_ms()
        for symbol, last_ms in self._resumed.items():
            over_ms = now_ms - now_ms % MINUTE_MS
            if last_ms + MINUTE_MS < over_ms:
                self._backfills.ask(self._tracks[symbol], over_ms, tell=True)
        self._see_time(now_ms)

    def _task(self, run: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(run)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._queue.fail(error)

    async def _load_markets(self) -> None:
        try:
            await self._exchange.load_markets()
        except Exception as error:
            raise mapped(error) from error
        if not self._exchange.markets:
            raise DataError(f"{self._exchange.id} answered with no markets")

    def _require_open(self) -> None:
        if not self._opened or self._closed:
            raise EngineProtocolError("the feed is not open")

    # --- from the stream ----------------------------------------------------------------------------------

    def _take(self, message: StreamMessage, received_at_ns: int) -> None:
        """Take in what the hook read; runs within ccxt's handling of the frame."""
        for update in message.updates:
            track = self._tracks[update.symbol]
            track.heard_ns = received_at_ns
            opened_at_ms = update.opened_at_ms
            if opened_at_ms > track.seen_ms:
                track.seen_ms = opened_at_ms
                if track.next_ms is None:
                    track.next_ms = opened_at_ms
            self._deliver(track, track.closer.on_update(update, now_ms=message.at_ms), received_at_ns)
        if message.updates:
            self._stream.heard()
        if message.at_ms is not None:
            self._see_time(message.at_ms)

    def _take_rows(self, symbol: Symbol, rows: Rows) -> None:
        """Take in what ccxt returned of one symbol: no flag, and no time but the newest bar's open."""
        received_at_ns = self._clock.monotonic_ns()
        try:
            updates = [update_from_row(symbol, row, closed=None) for row in rows]
        except MALFORMED as error:
            self._refuse(f"a candle of {self._exchange.id} could not be read: {error!r}")
            return
        if updates:
            at_ms = max(update.opened_at_ms for update in updates)
            self._take(StreamMessage(updates, at_ms), received_at_ns)

    def _take_fetched(self, track: SymbolTrack, events: Sequence[CloserEvent]) -> None:
        self._deliver(track, events, self._clock.monotonic_ns())

    def _deliver(self, track: SymbolTrack, events: Sequence[CloserEvent], received_at_ns: int) -> None:
        for event in events:
            if isinstance(event, Closed):
                self._deliver_closed(track, event, received_at_ns)
            elif isinstance(event, BackfillNeeded):
                # Without flags every minute waits for REST: only what is more is worth a line.
                tell = self._parser is not None or event.until_ms - event.since_ms > MINUTE_MS
                self._backfills.ask(track, event.until_ms, tell=tell)
            elif isinstance(event, Revised):
                self._queue.put(CandleRevised(event.candle, event.previous))
            else:
                self._tell("candle.refused", {"symbol": track.symbol, "reason": event.reason})

    def _deliver_closed(self, track: SymbolTrack, event: Closed, received_at_ns: int) -> None:
        candle = event.candle
        opened_at_ms = candle.opened_at_ms
        if track.next_ms is not None and opened_at_ms > track.next_ms:
            minutes = (opened_at_ms - track.next_ms) // MINUTE_MS
            gap = {"since_ms": track.next_ms, "until_ms": opened_at_ms, "minutes": minutes}
            self._tell("candle.gap_remains", {"symbol": track.symbol, **gap})
        track.next_ms = opened_at_ms + MINUTE_MS
        self._queue.put(CandleClosed(candle, event.source, received_at_ns))

    def _ask_soon(self) -> None:
        self._watch.ask_soon()

    def _see_time(self, at_ms: int) -> None:
        if self._watch.sees(at_ms):
            self._queue.put(MarketTime(at_ms))

    def _refuse(self, sentence: str) -> None:
        self._tell("feed.frame_refused", {"cause": sentence})

    def _tell(self, event: str, fields: dict[str, Any]) -> None:
        self._queue.put(FeedNotice(event, fields))
