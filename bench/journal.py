"""What it costs to have a minute's batch on the disk before it is acted upon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from backtests.inputs import BacktestInput, minute_batches
from backtests.seeded import seeded_predictions
from bench.context import Context
from bench.figures import Figure, spread
from bench.market import SEED, random_walk, symbols
from bench.sampling import durations_ns
from bot.brokers.paper import PaperBroker
from bot.clock import FixedClock
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.market import default_instrument
from bot.core.matching import FundingRates
from bot.daemon.batching import Batch
from bot.daemon.loop import TradingLoop
from bot.daemon.stored_predictions import StoredPredictor
from bot.journal.journal import SqliteJournal
from bot.ports import BatchRecord, CandleClosed
from strategies import strategy_factory

WARM_UP_MINUTES = 70


def measure(context: Context) -> list[Figure]:
    """A commit with ``synchronous=FULL`` of one and of twenty symbols, beside what the disk itself takes."""
    folder = context.room("journal")
    count = context.pick(2000, 500, 30)
    bare = durations_ns(_syncs(folder / "bare").__next__, count)
    figures = spread("fdatasync_4k", bare, "us", note="the disk's share of a commit")
    for name, number in (("one_symbol", 1), ("twenty_symbols", 20)):
        journal = SqliteJournal(folder / f"{name}.sqlite")
        samples = []
        for record in records(number, count):
            samples += durations_ns(partial(journal.commit, record), 1)
            journal.rest()
        journal.close()
        figures += spread(f"commit_{name}", samples, "us")
    return figures


class Keeper:
    """A journal that keeps the last batch and nothing else."""

    def __init__(self) -> None:
        self.last: BatchRecord | None = None

    def commit(self, record: BatchRecord) -> None:
        """Keep it."""
        self.last = record

    def snapshot(self) -> None:
        """Nothing was committed before."""


class Mute:
    """A log that says nothing."""

    def info(self, event: str, **fields: Any) -> None:
        """Nothing."""

    debug = warning = error = info


def records(symbol_count: int, count: int) -> Iterator[BatchRecord]:
    """What the daemon's own loop would commit, minute by minute, while it trades seeded forecasts."""
    names = symbols(symbol_count)
    minutes = WARM_UP_MINUTES + count
    candles = {name: random_walk(minutes, seed=SEED + place) for place, name in enumerate(names)}
    forecasts = {name: seeded_predictions(name, arrays, SEED) for name, arrays in candles.items()}
    rules = {name: default_instrument(name, price=100.0) for name in names}
    config = EngineConfig(run_id="bench", instruments=rules)
    factory = strategy_factory("lstm_scalping:aggressive")
    keeper = Keeper()
    loop = TradingLoop(
        engine=TradingEngine(config, factory),
        broker=PaperBroker(config.costs, rules, FundingRates(config.costs.funding_rate)),
        predictor=StoredPredictor(forecasts),
        journal=keeper,  # type: ignore[arg-type]  # process() commits and asks nothing else of it
        feed=None,  # type: ignore[arg-type]  # process() is given what a feed would bring
        clock=FixedClock(),
        log=Mute(),
        deadline_ms=5_000,
    )
    data = BacktestInput(candles, forecasts, config, factory)
    for number, (batch, _) in enumerate(minute_batches(data)):
        arrivals = tuple(CandleClosed(candle, "stream", 0) for candle in batch)
        loop.process(Batch(batch[0].opened_at_ms, arrivals, ()))
        if number >= WARM_UP_MINUTES and keeper.last is not None:
            yield keeper.last


def _syncs(path: Path) -> Iterator[None]:
    """Each step writes a page and waits for the disk."""
    page = b"\0" * 4096
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(page)
            os.fdatasync(file.fileno())
            yield
