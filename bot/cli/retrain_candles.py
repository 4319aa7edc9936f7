"""Candles for a retraining: given files, or the store, brought up to now from the exchange, and the daemon's journal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bot.core.market import DAY_MS, Symbol
from bot.errors import DataError, NotRunningError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.candle_arrays import CandleArrays


def given_series(files: Sequence[str], until_ms: int | None) -> dict[str, CandleArrays]:
    """Candles by symbol out of files ``SYMBOL=FILE``, those before a moment.

    Raises:
        DataError: A file is absent, malformed or empty; UsageError: two files of one symbol.
    """
    from bot.candles.names import parse_tape
    from bot.cli.candle_input import read_candle_file
    from bot.errors import UsageError

    series: dict[str, CandleArrays] = {}
    for symbol, path in map(parse_tape, files):
        if symbol in series:
            raise UsageError(f"--candles: there are two files of {symbol}")
        candles = read_candle_file(Path(path))
        series[symbol] = candles if until_ms is None else candles.between(0, until_ms)
    return series


def own_series(
    settings: Any, since_ms: int, until_ms: int, *, offline: bool, say: Callable[[str], None]
) -> dict[str, CandleArrays]:
    """Candles of the settings' symbols: the store's, after a download of what it lacks, and the journal's.

    A download that fails is told and gone on without: what is there may be enough.

    Raises:
        DataError: Nothing is known of a symbol.
    """
    from bot.candles.store import CandleStore

    store = CandleStore(settings.candles_dir)
    if not offline:
        try:
            asyncio.run(_download(settings, store, since_ms, until_ms, say))
        except TransientError as fault:
            say(f"the exchange does not answer ({fault}); going on with the candles at hand")
    return {
        symbol: _merged(store.read(settings.exchange.id, symbol, since_ms, until_ms), kept, symbol)
        for symbol, kept in _journaled(settings, since_ms, until_ms).items()
    }


async def _download(
    settings: Any, store: Any, since_ms: int, until_ms: int, say: Callable[[str], None]
) -> None:
    """Fetch what the store lacks, symbol by symbol."""
    from bot.candles.download import download
    from bot.exchange_client import open_exchange
    from bot.reply_guard import guard_candles

    chosen = settings.exchange
    async with open_exchange(
        chosen.id,
        connect_to=chosen.address,
        ca_file=chosen.ca_file,
        rate_limited=not chosen.simulated,
    ) as exchange:
        guard_candles(exchange)
        for symbol in chosen.symbols:
            outcome = await download(exchange, store, symbol, since_ms, until_ms, now_ms=until_ms)
            say(f"{outcome.fetched:,} candles of {symbol} fetched, {outcome.stored:,} at hand")


def _journaled(settings: Any, since_ms: int, until_ms: int) -> dict[Symbol, CandleArrays]:
    """What the daemon has seen itself; nothing where it never ran."""
    from bot.candles.columns import from_candles
    from bot.journal.reader import JournalReader

    try:
        reader = JournalReader(settings.journal_path)
    except NotRunningError:
        return {symbol: from_candles([]) for symbol in settings.exchange.symbols}
    try:
        return {
            symbol: from_candles(reader.candles(symbol, since_ms, until_ms))
            for symbol in settings.exchange.symbols
        }
    finally:
        reader.close()


def _merged(stored: CandleArrays, journaled: CandleArrays, symbol: Symbol) -> CandleArrays:
    """The store's candles, and the journal's where the store has none."""
    from models.candle_arrays import CandleArrays

    further = ~np.isin(journaled.ts, stored.ts)
    names = ("ts", "open", "high", "low", "close", "volume")
    columns = [np.concatenate([getattr(stored, n), getattr(journaled, n)[further]]) for n in names]
    order = np.argsort(columns[0], kind="stable")
    merged = CandleArrays(*(column[order] for column in columns))
    if not len(merged):
        raise DataError(
            f"nothing is known of {symbol}: fetch its candles with `bot data download --symbol {symbol}`, or give "
            "--candles"
        )
    return merged


def span_ms(train_days: int, weeks: int, now_ms: int) -> tuple[int, int]:
    """[since, until) of the candles that a retraining looks at, with some days for the features' warm-up."""
    return now_ms - (train_days + 7 * weeks + 2) * DAY_MS, now_ms
