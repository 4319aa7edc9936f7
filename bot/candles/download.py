"""History from an exchange into the store, page by page over REST.

What the store has is not fetched again: a download continues after it, and before it month by month backwards, so
that what is stored stays in one piece whenever it is cut short. Minutes that are absent inside it stay absent
(the exchange had an outage, or nothing to publish) unless they are asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bot.candles.columns import from_candles, iso_utc
from bot.candles.store import CandleStore
from bot.core.market import MINUTE_MS, Candle, Symbol, candle_fault
from bot.errors import ConfigError, DataError, TransientError
from bot.exchange_client import mapped

ATTEMPTS = 6
"""Tries of one page; the waits between them are 1, 2, 4, 8 and 16 seconds."""

DEFAULT_PAGE = 1000
"""Rows asked for at once where ccxt does not know the exchange's limit."""


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download is: minutes looked at, of all to look at, and candles stored so far."""

    done_minutes: int
    total_minutes: int
    candles: int


@dataclass(frozen=True, slots=True)
class DownloadOutcome:
    """What a download brought; times in ms UTC, the range as [since_ms, until_ms).

    Attributes:
        exchange: ccxt id.
        symbol: Unified name.
        since_ms: As asked.
        until_ms: As asked, or the start of the unfinished minute where that is earlier.
        fetched: Candles that were not stored before.
        stored: Candles in the range now.
        missing_minutes: Minutes between the first and the last of them that the store does not have.
    """

    exchange: str
    symbol: Symbol
    since_ms: int
    until_ms: int
    fetched: int
    stored: int
    missing_minutes: int


class _Stretch(NamedTuple):
    """Minutes to fetch, within one month; ``keep_part`` where a part of it may be stored when cut short."""

    since_ms: int
    until_ms: int
    keep_part: bool


async def download(
    exchange: Any,
    store: CandleStore,
    symbol: Symbol,
    since_ms: int,
    until_ms: int,
    *,
    now_ms: int,
    on_progress: Callable[[DownloadProgress], None] | None = None,
    refill_holes: bool = False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> DownloadOutcome:
    """Fetch the finished candles with since_ms <= opened_at < until_ms that the store does not have.

    Args:
        exchange: A ccxt.pro instance; the caller closes it.
        store: Where the candles go, under the exchange's ccxt id.
        symbol: Unified name.
        since_ms: From, ms UTC.
        until_ms: To, not included.
        now_ms: The exchange's time: the minute that is running then is not stored.
        on_progress: Called after each page.
        refill_holes: Ask again for minutes that are absent inside what is stored.
        sleep: Waits seconds between tries of a page that failed in passing.

    Raises:
        ConfigError: The exchange has no such market, or no one-minute candles.
        DataError: The exchange sent a row that is no candle, or one that differs from what is stored.
        TransientError: A page failed six times.
        StorageError: The disk refused.
    """
    since_ms += -since_ms % MINUTE_MS
    until_ms = min(until_ms, now_ms - now_ms % MINUTE_MS)
    page = await _page_size(exchange, symbol)
    held = store.read(exchange.id, symbol, since_ms, until_ms).ts
    stretches = list(_stretches(held, since_ms, until_ms, refill_holes=refill_holes))
    run = _Run(exchange, store, symbol, page, sum(map(_minutes, stretches)), on_progress, sleep)
    for stretch in stretches:
        await run.fetch_and_store(stretch)
    held = store.read(exchange.id, symbol, since_ms, until_ms).ts
    span = int(held[-1] - held[0]) // MINUTE_MS + 1 if len(held) else 0
    return DownloadOutcome(exchange.id, symbol, since_ms, until_ms, run.fetched, len(held), span - len(held))


async def _page_size(exchange: Any, symbol: Symbol) -> int:
    """Check that the exchange has the market in one-minute candles; returns how many it sends at once."""
    try:
        await exchange.load_markets()
    except Exception as error:
        raise mapped(error) from error
    if symbol not in exchange.markets:
        raise ConfigError(
            f"{exchange.id} has no market {symbol}; write it as ccxt does, BTC/USDT for spot, BTC/USDT:USDT for a perpetual"
        )
    if not exchange.has.get("fetchOHLCV") or "1m" not in (exchange.timeframes or {}):
        raise ConfigError(f"{exchange.id} publishes no one-minute candles; take another exchange")
    return int(exchange.feature_value(symbol, "fetchOHLCV", "limit", DEFAULT_PAGE) or DEFAULT_PAGE)


def _stretches(
    held: npt.NDArray[np.int64], since_ms: int, until_ms: int, *, refill_holes: bool
) -> Iterator[_Stretch]:
    """What to fetch: before the stored minutes backwards, the holes in them if asked, and after them forwards."""
    if not len(held):
        yield from _by_month(since_ms, until_ms, keep_part=True)
        return
    first, last = int(held[0]), int(held[-1])
    yield from reversed(list(_by_month(since_ms, first, keep_part=False)))
    if refill_holes:
        for at in np.flatnonzero(np.diff(held) > MINUTE_MS).tolist():
            yield from _by_month(int(held[at]) + MINUTE_MS, int(held[at + 1]), keep_part=False)
    yield from _by_month(last + MINUTE_MS, until_ms, keep_part=True)


def _by_month(since_ms: int, until_ms: int, *, keep_part: bool) -> Iterator[_Stretch]:
    """Cut a range at the turns of the months, as the store's files are."""
    while since_ms < until_ms:
        moment = datetime.fromtimestamp(since_ms / 1000, UTC)
        turn = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
        end_ms = min(until_ms, int(turn.timestamp()) * 1000)
        yield _Stretch(since_ms, end_ms, keep_part)
        since_ms = end_ms


def _minutes(stretch: _Stretch) -> int:
    return (stretch.until_ms - stretch.since_ms) // MINUTE_MS


@dataclass(slots=True)
class _Run:
    """One download under way: what it needs, and how far it is."""

    exchange: Any
    store: CandleStore
    symbol: Symbol
    page: int
    total_minutes: int
    on_progress: Callable[[DownloadProgress], None] | None
    sleep: Callable[[float], Awaitable[None]]
    done_minutes: int = 0
    fetched: int = 0

    async def fetch_and_store(self, stretch: _Stretch) -> None:
        """Fetch one stretch page by page, and store it."""
        candles: list[Candle] = []
        cursor = stretch.since_ms
        try:
            while cursor < stretch.until_ms:
                rows = await self._fetch_page(
                    cursor, min(self.page, (stretch.until_ms - cursor) // MINUTE_MS)
                )
                fresh = [row for row in rows if cursor <= row.opened_at_ms < stretch.until_ms]
                candles += fresh
                next_ms = min(self._after(rows, fresh, cursor, stretch.until_ms), stretch.until_ms)
                self.done_minutes += (next_ms - cursor) // MINUTE_MS
                self.fetched += len(fresh)
                cursor = next_ms
                if self.on_progress:
                    self.on_progress(DownloadProgress(self.done_minutes, self.total_minutes, self.fetched))
        finally:
            # Cut short, by a failure or by the user: what came is kept where it joins what is stored.
            if candles and (cursor == stretch.until_ms or stretch.keep_part):
                self.store.write(self.exchange.id, self.symbol, from_candles(candles))

    def _after(self, rows: list[Candle], fresh: list[Candle], cursor: int, until_ms: int) -> int:
        """Where the next page begins.

        Rows beyond the stretch say that it holds no more. A page without any row of it is an outage, or the
        time before the listing, as long as a page.
        """
        if rows and rows[-1].opened_at_ms >= until_ms:
            return until_ms
        return fresh[-1].opened_at_ms + MINUTE_MS if fresh else cursor + self.page * MINUTE_MS

    async def _fetch_page(self, since_ms: int, limit: int) -> list[Candle]:
        """Fetch one page, again after a failure that may pass; the rows are sound and in order."""
        attempt = 0
        while True:
            try:
                rows = await self.exchange.fetch_ohlcv(self.symbol, "1m", since_ms, limit)
                return _sound(self.exchange.id, self.symbol, rows)
            except Exception as raised:
                error = mapped(raised)
                attempt += 1
                if not isinstance(error, TransientError | DataError) or attempt == ATTEMPTS:
                    raise error from raised
                await self.sleep(2.0 ** (attempt - 1))


def _sound(exchange_id: str, symbol: Symbol, rows: Any) -> list[Candle]:
    """Validate a page; DataError names the first row that is no candle."""
    if not isinstance(rows, list):
        raise DataError(f"{exchange_id} sent no list of candles of {symbol}: {rows!r}")
    candles: list[Candle] = []
    for row in sorted(rows, key=_time_of):
        try:
            candle = Candle(symbol, int(row[0]), *(float(value) for value in row[1:6]))
        except (TypeError, ValueError, IndexError) as error:
            raise DataError(f"{exchange_id} sent a candle of {symbol} that is unreadable: {row}") from error
        fault = candle_fault(candle)
        if candles and candle.opened_at_ms == candles[-1].opened_at_ms:
            if candle == candles[-1]:
                continue
            fault = "ts is there twice with other values"
        if fault:
            when = iso_utc(candle.opened_at_ms)
            raise DataError(
                f"{exchange_id} sent a candle of {symbol} that is refused: {fault} at {when}: {row}"
            )
        candles.append(candle)
    return candles


def _time_of(row: Any) -> int:
    """The time of a row; a row without one sorts first and is refused there."""
    return row[0] if isinstance(row, list) and row and isinstance(row[0], int) else -1
