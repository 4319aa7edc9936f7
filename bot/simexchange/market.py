"""What is visible of the market at a time: closed bars, the unfinished one, funding rates. Never the future."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bot.simexchange.bars import MINUTE_MS, Bar, partial_bar
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import Listing
from bot.simexchange.source import BarSource
from models.candle_arrays import CandleArrays

FUNDING_INTERVAL_MS = 8 * 3_600_000
INTEREST_RATE = 0.0001
"""The rate of a funding interval for which no file gives another: 1 bp, what Binance charges in a flat market."""

INTERVALS_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": 1440 * MINUTE_MS,
}


class VisibleMarket:
    """A source of bars, the listings of its symbols, and their funding rates."""

    def __init__(
        self,
        source: BarSource,
        listings: Mapping[str, Listing],
        market: Market,
        funding: Mapping[str, Mapping[int, float]],
    ) -> None:
        """``listings`` and ``funding`` go by exchange id; ``funding`` by payment time after that."""
        self.source = source
        self.listings = dict(listings)
        self.market = market
        self._funding = funding

    def closing(self, symbol: str, minute_ms: int) -> Bar | None:
        """The final bar of a minute, or None where the symbol has none; for sending at its close."""
        bars = self.source.between(symbol, minute_ms, minute_ms + 1)
        return _bar(bars, 0) if len(bars) else None

    def unfinished(self, symbol: str, now_ms: int) -> Bar | None:
        """The bar that is open at ``now_ms``, as far as it has come; None in a hole and at the open itself."""
        elapsed = now_ms % MINUTE_MS
        bar = self.closing(symbol, now_ms - elapsed) if elapsed else None
        return partial_bar(bar, elapsed) if bar else None

    def last_price(self, symbol: str, now_ms: int) -> float | None:
        """The latest price seen by ``now_ms``; None before the first."""
        rows = self.klines(symbol, MINUTE_MS, None, now_ms, 1, now_ms)
        return rows[-1].close if rows else None

    def trading_price(self, symbol: str, now_ms: int) -> float | None:
        """The price at which an order of this moment trades: at a minute's boundary the open of the bar that begins."""
        if now_ms % MINUTE_MS == 0 and (bar := self.closing(symbol, now_ms)):
            return bar.open
        return self.last_price(symbol, now_ms)

    def klines(
        self,
        symbol: str,
        interval_ms: int,
        since_ms: int | None,
        until_ms: int | None,
        limit: int,
        now_ms: int,
    ) -> list[Bar]:
        """Bars by open time: the first ``limit`` from ``since_ms`` on, or the last ones up to ``until_ms``.

        Both bounds are included. The last bar may be unfinished, as on Binance. Longer intervals are made of
        the minutes that there are.
        """
        last = now_ms if until_ms is None else min(until_ms, now_ms)
        first = self.source.start_ms if since_ms is None else max(since_ms, self.source.start_ms)
        first += -first % interval_ms if since_ms is not None else -(first % interval_ms)
        if limit <= 0 or first > last:
            return []
        span = interval_ms * limit
        while True:
            # A hole makes a span hold fewer bars than asked for: widen until there are enough or no more.
            lower = (
                first if since_ms is not None else max(first, last - last % interval_ms - span + interval_ms)
            )
            upper = min(last, lower + span - 1) if since_ms is not None else last
            bars = self._within(symbol, interval_ms, lower, upper - upper % interval_ms + interval_ms, now_ms)
            done = (upper >= last) if since_ms is not None else (lower <= first)
            if len(bars) >= limit or done:
                return bars[:limit] if since_ms is not None else bars[-limit:]
            span *= 4

    def funding_rate(self, symbol: str, paid_at_ms: int) -> float:
        """The rate paid at a funding time."""
        return self._funding.get(symbol, {}).get(paid_at_ms, INTEREST_RATE)

    def funding_times(self, symbol: str, since_ms: int, until_ms: int) -> list[int]:
        """Funding times in [since_ms, until_ms] that fall on the symbol's market, in order."""
        first = max(since_ms, self.source.start_ms)
        grid = range(first + -first % FUNDING_INTERVAL_MS, until_ms + 1, FUNDING_INTERVAL_MS)
        told = self._funding.get(symbol, {})
        if not told:
            return list(grid)
        # A file's own times rule over its stretch (some contracts pay every four hours).
        low, high = min(told), max(told)
        outside = [time for time in grid if not low <= time <= high]
        return sorted([*outside, *(time for time in told if first <= time <= until_ms)])

    def _within(self, symbol: str, interval_ms: int, since_ms: int, until_ms: int, now_ms: int) -> list[Bar]:
        """Bars of an interval that open in [since_ms, until_ms), the unfinished minute last."""
        open_minute = now_ms - now_ms % MINUTE_MS
        closed = self.source.between(symbol, since_ms, min(until_ms, open_minute))
        bars = _bars(closed) if interval_ms == MINUTE_MS else _grouped(closed, interval_ms)
        if since_ms <= open_minute < until_ms and (bar := self.unfinished(symbol, now_ms)):
            start = bar.opened_at_ms - bar.opened_at_ms % interval_ms
            if bars and bars[-1].opened_at_ms == start:
                bars[-1] = _merged(bars[-1], bar)
            else:
                bars.append(bar._replace(opened_at_ms=start))
        return bars


def _bar(bars: CandleArrays, index: int) -> Bar:
    return Bar(
        int(bars.ts[index]),
        float(bars.open[index]),
        float(bars.high[index]),
        float(bars.low[index]),
        float(bars.close[index]),
        float(bars.volume[index]),
    )


def _bars(bars: CandleArrays) -> list[Bar]:
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return list(map(Bar._make, zip(*(column.tolist() for column in columns), strict=True)))


def _grouped(bars: CandleArrays, interval_ms: int) -> list[Bar]:
    """Minutes put together into longer bars."""
    if len(bars) == 0:
        return []
    starts, first = np.unique(bars.ts - bars.ts % interval_ms, return_index=True)
    last = np.append(first[1:], len(bars)) - 1
    volume = np.round(np.add.reduceat(bars.volume, first), 8).astype(np.float64)
    return _bars(
        CandleArrays(
            starts,
            bars.open[first],
            np.maximum.reduceat(bars.high, first),
            np.minimum.reduceat(bars.low, first),
            bars.close[last],
            volume,
        )
    )


def _merged(left: Bar, right: Bar) -> Bar:
    return Bar(
        left.opened_at_ms,
        left.open,
        max(left.high, right.high),
        min(left.low, right.low),
        right.close,
        round(left.volume + right.volume, 8),
    )
