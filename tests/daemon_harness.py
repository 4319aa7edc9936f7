"""A daemon without sockets: real journal, real engine, real loop; the candles come from a list."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np

from backtests.inputs import PredictionColumns
from bot.brokers.paper import PaperBroker
from bot.clock import MarketClock
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Candle, Instrument, Quote, Symbol
from bot.core.matching import Costs, FundingRates
from bot.daemon.loop import TradingLoop
from bot.daemon.recovery import recover
from bot.daemon.stored_predictions import StoredPredictor
from bot.journal.journal import SqliteJournal
from bot.ports import CandleClosed, FeedEvent, MarketTime, Predictor
from strategies import strategy_factory
from tests.core_builders import MIDNIGHT, instrument

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT")


class ListFeed:
    """The Feed port over a list of candles; only what has closed by its clock can be read as history."""

    def __init__(self, candles: Sequence[Candle], *, now_ms: int) -> None:
        self.symbols = tuple(sorted({candle.symbol for candle in candles}))
        self.candles = list(candles)
        self.now_ms = now_ms
        self.started_from: dict[Symbol, int] = {}
        self.busy: set[Symbol] = set()

    @property
    def catching_up(self) -> AbstractSet[Symbol]:
        return self.busy

    def start_from(self, symbol: Symbol, last_opened_at_ms: int) -> None:
        self.started_from[symbol] = last_opened_at_ms

    async def open(self) -> None:
        return

    async def exchange_time_ms(self) -> int:
        return self.now_ms

    async def instruments(self) -> dict[Symbol, Instrument]:
        return {symbol: instrument(symbol) for symbol in self.symbols}

    async def history(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[Candle]:
        return [
            candle
            for candle in self.candles
            if candle.symbol == symbol
            and since_ms <= candle.opened_at_ms < until_ms
            and candle.closed_at_ms <= self.now_ms
        ]

    async def funding_rates(self, symbol: Symbol, since_ms: int, until_ms: int) -> dict[int, float]:
        return {}

    async def quotes(self) -> dict[Symbol, Quote]:
        return {}

    async def coming_funding_rates(self) -> dict[Symbol, float]:
        return {}

    async def events(self) -> AsyncIterator[FeedEvent]:
        for candle in self.candles:
            if candle.opened_at_ms > self.started_from.get(candle.symbol, -1):
                yield CandleClosed(candle, "stream", 0)
                yield MarketTime(candle.closed_at_ms)

    async def close(self) -> None:
        return


async def drained(queue: asyncio.Queue[FeedEvent]) -> AsyncIterator[FeedEvent]:
    """What comes through a queue, without an end."""
    while True:
        yield await queue.get()


class Silent:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    debug = warning = error = info


def random_market(seed: int, minutes: int, *, missing: float = 0.0) -> list[Candle]:
    """Random walks of two symbols, in order of time; some candles are missing where asked."""
    generator = random.Random(seed)
    prices = dict.fromkeys(SYMBOLS, 100.0)
    candles = []
    for minute in range(minutes):
        for symbol in SYMBOLS:
            first = prices[symbol]
            last = round(first * (1 + generator.gauss(0, 0.002)), 2)
            prices[symbol] = last
            spread = abs(generator.gauss(0, 0.05))
            if generator.random() >= missing:
                opened = MIDNIGHT + minute * MINUTE_MS
                top, bottom = max(first, last) + spread, min(first, last) - spread
                candles.append(Candle(symbol, opened, first, top, bottom, last, 1.0))
    return candles


def random_predictions(seed: int, candles: Sequence[Candle]) -> StoredPredictor:
    """A forecast on every candle, as large as it takes to trade now and then."""
    generator = np.random.default_rng(seed)
    columns = {}
    for symbol in SYMBOLS:
        ts = np.array([c.opened_at_ms for c in candles if c.symbol == symbol], dtype=np.int64)
        columns[symbol] = PredictionColumns(
            ts, np.round(generator.normal(0, 0.002, len(ts)), 6), "stored", 15
        )
    return StoredPredictor(columns)


class Daemon:
    """One life of the daemon over a state folder."""

    def __init__(
        self,
        folder: Path,
        candles: Sequence[Candle],
        predictor: Predictor,
        *,
        now_ms: int,
        costs: Costs | None = None,
    ) -> None:
        self.feed = ListFeed(candles, now_ms=now_ms)
        self.journal = SqliteJournal(folder / "journal.sqlite")
        instruments = {symbol: instrument(symbol) for symbol in self.feed.symbols}
        costs = costs or Costs()
        config = EngineConfig("run", instruments, costs)
        self.engine = TradingEngine(config, strategy_factory("lstm_scalping:aggressive"))
        self.broker = PaperBroker(costs, instruments, FundingRates(costs.funding_rate), config.starting_cash)
        self.predictor = predictor
        self.log = Silent()
        self.clock = MarketClock(now_ms)
        self.loop: TradingLoop | None = None

    async def start(self) -> bool:
        """Recover; True when there was something to recover."""
        recovered = await recover(
            engine=self.engine,
            broker=self.broker,
            predictor=self.predictor,
            journal=self.journal,
            feed=self.feed,
        )
        self.loop = TradingLoop(
            engine=self.engine,
            broker=self.broker,
            predictor=self.predictor,
            journal=self.journal,
            feed=self.feed,
            clock=self.clock,
            log=self.log,
            deadline_ms=5_000,
        )
        return recovered

    async def run(self, *, until_ms: int | None = None) -> None:
        """Feed it everything, or only the candles that closed by ``until_ms``; then stop it."""
        assert self.loop is not None
        queue: asyncio.Queue[FeedEvent] = asyncio.Queue()
        last = 0
        async for event in self.feed.events():
            at_ms = (
                event.candle.closed_at_ms if isinstance(event, CandleClosed) else getattr(event, "at_ms", 0)
            )
            if until_ms is None or at_ms <= until_ms:
                queue.put_nowait(event)
                last = at_ms
        queue.put_nowait(MarketTime(last + 5_000))
        stop = asyncio.Event()
        running = asyncio.create_task(self.loop.run(drained(queue), stop))
        while not queue.empty() and not running.done():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        stop.set()
        await running

    def close(self) -> None:
        self.journal.close()
