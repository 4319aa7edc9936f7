"""What it costs to have a minute's batch on the disk before it is acted upon."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from backtests.inputs import minute_batches
from bench.context import Context
from bench.engines import year_of_trading
from bench.figures import Figure, spread
from bench.market import symbols
from bench.sampling import durations_ns
from bot.core.engine import TradingEngine
from bot.core.matching import BarMatcher, FundingRates
from bot.journal.journal import SqliteJournal
from bot.ports import BatchRecord


def measure(context: Context) -> list[Figure]:
    """A commit with ``synchronous=FULL`` of one and of twenty symbols, beside what the disk itself takes."""
    folder = context.room("journal")
    count = context.pick(2000, 500, 30)
    bare = durations_ns(_syncs(folder / "bare").__next__, count)
    figures = spread("fdatasync_4k", bare, "us", note="the disk's share of a commit")
    for name, number in (("one_symbol", 1), ("twenty_symbols", 20)):
        journal = SqliteJournal(folder / f"{name}.sqlite")
        coming = records(number, count)
        samples = durations_ns(lambda j=journal, c=coming: j.commit(next(c)), 1)
        samples = [_commit_ns(journal, record) for record in records(number, count)]
        journal.close()
        figures += spread(f"commit_{name}", samples, "us")
    return figures


def _commit_ns(journal: SqliteJournal, record: BatchRecord) -> int:
    return durations_ns(lambda: journal.commit(record), 1)[0]


def records(symbol_count: int, count: int) -> Iterator[BatchRecord]:
    """Batches of a real engine that trades; the other symbols of a minute are copies of its candle."""
    raise NotImplementedError


def _syncs(path: Path) -> Iterator[None]:
    """Each step writes a page and waits for the disk."""
    page = b"\0" * 4096
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(page)
            os.fdatasync(file.fileno())
            yield
