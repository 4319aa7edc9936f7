"""Stored candles through the port of a live feed, as fast as they are taken."""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import attrgetter

from bot.core.market import MINUTE_MS, Candle, Instrument, Quote, Symbol, candle_fault, default_instrument
from bot.errors import ConfigError, DataError, EngineProtocolError
from bot.ports import CandleClosed, FeedEvent, FeedNotice, MarketTime
from models.candle_arrays import CandleArrays

_opened_at = attrgetter("opened_at_ms")


class ReplayFeed:
    """The ``Feed`` port over candles in memory; the stream ends when they do.

    The exchange's time starts at ``start_at_ms``: what closed before is history. Then the minutes come in order:
    the candles of one minute by name of symbol, a notice ``candle.gap_remains`` before a candle that minutes are
    missing before, and the market's time at their close.

    Args:
        candles: By symbol, in order of time; minutes may be missing.
        start_at_ms: A whole minute; None: the first minute of all.
        instruments: Trading rules; ``default_instrument`` stands in for a symbol that has none.
        funding: Funding rates by symbol and payment time.
        monotonic_ns: Stamps what is delivered; without it every candle is stamped 0.
        source: What a candle is said to come from.

    Raises:
        DataError: A symbol without candles, or an unsound, repeated or misplaced candle.
        ConfigError: No symbol, or a start off the minute.
    """

    def __init__(
        self,
        candles: Mapping[Symbol, Sequence[Candle] | CandleArrays],
        *,
        start_at_ms: int | None = None,
        instruments: Mapping[Symbol, Instrument] | None = None,
        funding: Mapping[Symbol, Mapping[int, float]] | None = None,
        monotonic_ns: Callable[[], int] = lambda: 0,
        source: str = "stream",
    ) -> None:
        if not candles:
            raise ConfigError("symbols: none is given")
        self.symbols = tuple(candles)
        self._candles = {symbol: _checked(symbol, rows) for symbol, rows in candles.items()}
        first_ms = min(rows[0].opened_at_ms for rows in self._candles.values())
        self._now_ms = first_ms if start_at_ms is None else start_at_ms
        if self._now_ms % MINUTE_MS:
            raise ConfigError(f"start_at_ms: {self._now_ms} is not on a whole minute")
        self._instruments = dict(instruments or {})
        self._funding = dict(funding or {})
        self._monotonic_ns = monotonic_ns
        self._source = source
        self._after_ms = dict.fromkeys(self.symbols, self._now_ms - MINUTE_MS)
        self._resumed: set[Symbol] = set()
        self._behind = False
        self._playing_ms = self._now_ms - MINUTE_MS
        self._opened = self._started = self._closed = False

    @property
    def catching_up(self) -> AbstractSet[Symbol]:
        """Whoever was resumed before the start, until the start is reached; then empty: each minute comes whole."""
        return self._resumed if self._behind else frozenset()

    def start_from(self, symbol: Symbol, last_opened_at_ms: int) -> None:
        """Before ``events``: deliver the candles after this one too."""
        if self._started:
            raise EngineProtocolError("start_from comes before events")
        if last_opened_at_ms % MINUTE_MS:
            raise EngineProtocolError(f"{symbol}: {last_opened_at_ms} is not on a whole minute")
        self._after_ms[symbol] = last_opened_at_ms
        self._resumed.add(symbol)
        self._behind = self._behind or last_opened_at_ms + MINUTE_MS < self._now_ms

    async def open(self) -> None:
        """Nothing to connect to."""
        self._opened = True

    async def exchange_time_ms(self) -> int:
        """Close time of the newest minute that was delivered, the start before the first."""
        return self._now_ms

    async def instruments(self) -> dict[Symbol, Instrument]:
        """The trading rules of each symbol."""
        self._require_open()
        return {
            symbol: self._instruments.get(symbol) or default_instrument(symbol, price=rows[0].open)
            for symbol, rows in self._candles.items()
        }

    async def history(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[Candle]:
        """Candles with since_ms <= opened_at_ms < until_ms that have closed by the exchange's time."""
        self._require_open()
        return self._between(symbol, since_ms, min(until_ms, self._now_ms - MINUTE_MS + 1))

    async def funding_rates(self, symbol: Symbol, since_ms: int, until_ms: int) -> dict[int, float]:
        """Funding rates by payment time in [since_ms, until_ms), none later than the exchange's time."""
        self._require_open()
        end_ms = min(until_ms, self._now_ms + 1)
        rates = self._funding.get(symbol, {})
        return {at_ms: rates[at_ms] for at_ms in sorted(rates) if since_ms <= at_ms < end_ms}

    async def quotes(self) -> dict[Symbol, Quote]:
        """None: candles do not tell them."""
        self._require_open()
        return {}

    async def coming_funding_rates(self) -> dict[Symbol, float]:
        """None: a table tells what was paid, and nothing ahead of its time."""
        self._require_open()
        return {}

    async def events(self) -> AsyncIterator[FeedEvent]:
        """Play until the last candle or ``close``; once."""
        self._require_open()
        if self._started:
            raise EngineProtocolError("events of a feed can be taken once")
        self._started = True
        expected = {symbol: self._after_ms[symbol] + MINUTE_MS for symbol in self._resumed}
        for candle in heapq.merge(*map(self._upcoming, self.symbols), key=lambda row: (row[1], row[0])):
            opened_at_ms, symbol = candle.opened_at_ms, candle.symbol
            if opened_at_ms >= self._now_ms:
                self._behind = False
            if opened_at_ms > self._playing_ms:
                await asyncio.sleep(0)  # whoever else runs in this loop gets a turn
                if (passed := self._passed()) is not None:
                    yield passed
            if self._closed:
                return
            self._playing_ms = opened_at_ms
            if opened_at_ms > expected.get(symbol, opened_at_ms):
                yield _gap(symbol, expected[symbol], opened_at_ms)
            expected[symbol] = opened_at_ms + MINUTE_MS
            yield CandleClosed(candle, self._source, self._monotonic_ns())
        self._behind = False
        if (passed := self._passed()) is not None:
            yield passed

    async def close(self) -> None:
        """End the stream at the next candle."""
        self._closed = True

    def _passed(self) -> MarketTime | None:
        """The market's time at the close of the minute played last, if it is news."""
        if self._playing_ms + MINUTE_MS <= self._now_ms:
            return None
        self._now_ms = self._playing_ms + MINUTE_MS
        return MarketTime(self._now_ms)

    def _upcoming(self, symbol: Symbol) -> Iterator[Candle]:
        rows = self._candles[symbol]
        first = bisect_left(rows, self._after_ms[symbol] + 1, key=_opened_at)
        return (rows[index] for index in range(first, len(rows)))

    def _between(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[Candle]:
        rows = self._candles[symbol]
        return list(
            rows[bisect_left(rows, since_ms, key=_opened_at) : bisect_left(rows, until_ms, key=_opened_at)]
        )

    def _require_open(self) -> None:
        if not self._opened or self._closed:
            raise EngineProtocolError("the feed is not open")


def _gap(symbol: Symbol, since_ms: int, until_ms: int) -> FeedNotice:
    minutes = (until_ms - since_ms) // MINUTE_MS
    fields = {"symbol": symbol, "since_ms": since_ms, "until_ms": until_ms, "minutes": minutes}
    return FeedNotice("candle.gap_remains", fields)


def _checked(symbol: Symbol, rows: Sequence[Candle] | CandleArrays) -> Sequence[Candle]:
    """The candles as a sequence; DataError names the first that is unsound or out of order."""
    candles = _of_arrays(symbol, rows) if isinstance(rows, CandleArrays) else rows
    if not len(candles):
        raise DataError(f"{symbol}: no candles")
    before_ms = -1
    for index, candle in enumerate(candles):
        fault = candle_fault(candle)
        if candle.symbol != symbol:
            fault = f"is of {candle.symbol}"
        elif candle.opened_at_ms <= before_ms:
            fault = "ts is not later than the row before it"
        if fault:
            raise DataError(f"{symbol}: candle {index} at {candle.opened_at_ms}: {fault}")
        before_ms = candle.opened_at_ms
    return candles


def _of_arrays(symbol: Symbol, rows: CandleArrays) -> list[Candle]:
    columns = (rows.ts, rows.open, rows.high, rows.low, rows.close, rows.volume)
    return [Candle(symbol, *row) for row in zip(*(column.tolist() for column in columns), strict=True)]
