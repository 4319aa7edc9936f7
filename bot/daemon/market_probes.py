"""Asks an exchange what it tells anybody: its time, its markets, a price."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bot.core.market import Instrument, Symbol
from bot.daemon.asking import Asker
from bot.daemon.doctor import Unknown
from bot.daemon.doctor_market import ClockReading, MarketFacts
from bot.exchange_client import Exchange
from bot.feeds.markets import check_exchange, check_symbols, instrument_of


class SignedTime:
    """The time of a client's signed requests: this machine's, corrected by the exchange's.

    Args:
        exchange: Whose nonce it becomes.
        wall_ms: This machine's time.
    """

    def __init__(self, exchange: Exchange, wall_ms: Callable[[], int]) -> None:
        self._exchange = exchange
        self._wall_ms = wall_ms
        self._offset_ms = 0
        exchange.nonce = self.now_ms

    def now_ms(self) -> int:
        """The exchange's time, as far as it is known."""
        return self._wall_ms() + self._offset_ms

    async def synchronise(self) -> None:
        """Ask the exchange; late by the way back, so that no request is ahead of it."""
        self._offset_ms = int(await self._exchange.fetch_time()) - self._wall_ms()


async def ask_market(
    exchange: Exchange,
    symbols: Sequence[Symbol],
    asker: Asker,
    *,
    wall_ms: Callable[[], int] | None,
    monotonic_ns: Callable[[], int],
) -> MarketFacts:
    """Ask an exchange about its time and the symbols.

    Args:
        exchange: The client; its markets are loaded by this.
        symbols: What is traded.
        asker: How to ask.
        wall_ms: This machine's time; None where the market has a time of its own.
        monotonic_ns: A counter, for the round trip.
    """
    listed = await asker.ask(lambda: _instruments(exchange, symbols))
    clock: ClockReading | Unknown | None = None
    if wall_ms is not None:
        clock = await asker.ask(_reading(exchange, wall_ms, monotonic_ns))
    prices = {}
    for symbol in () if isinstance(listed, Unknown) else symbols:
        rows = await asker.ask(_candles(exchange, symbol), needed=False)
        if not isinstance(rows, Unknown) and rows:
            prices[symbol] = float(rows[-1][4])
    return MarketFacts(clock, listed, prices)


async def _instruments(exchange: Exchange, symbols: Sequence[Symbol]) -> dict[Symbol, Instrument]:
    """The rules of each symbol; ConfigError where one is not listed."""
    check_exchange(exchange)
    markets = await exchange.load_markets()
    check_symbols(exchange.id, markets, symbols)
    return {symbol: instrument_of(markets[symbol], exchange.precisionMode) for symbol in symbols}


def _candles(exchange: Exchange, symbol: Symbol) -> Callable[[], Awaitable[list[list[Any]]]]:
    return lambda: exchange.fetch_ohlcv(symbol, "1m", None, 2)


def _reading(
    exchange: Exchange, wall_ms: Callable[[], int], monotonic_ns: Callable[[], int]
) -> Callable[[], Awaitable[ClockReading]]:
    async def read() -> ClockReading:
        asked_ns = monotonic_ns()
        theirs_ms = await exchange.fetch_time()
        answered_ns = monotonic_ns()
        round_trip_ms = (answered_ns - asked_ns) / 1e6
        # The answer is taken to be half the round trip old (Cristian's algorithm).
        return ClockReading(float(theirs_ms) + round_trip_ms / 2 - wall_ms(), round_trip_ms)

    return read
