"""Candles for a command: out of a Parquet or CSV file, or out of the candle store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bot.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.candle_arrays import CandleArrays

DEFAULT_EXCHANGE = "binanceusdm"
_TEXT_SUFFIXES = frozenset({".csv", ".gz", ".tsv", ".txt", ".zip"})
_NAMED_IN_SENTENCE = 3


def read_candle_file(path: Path) -> CandleArrays:
    """Read a file of candles and refuse it unless every row is sound.

    ``.csv``, ``.tsv``, ``.txt``, ``.gz`` and ``.zip`` are read as text in the forms of ``bot.candles.rawrows``, rows in
    any order; every other file as Parquet in the columns of the store.

    Raises:
        DataError: The file is absent or malformed, or has a bad row; names the file and the rows.
    """
    from bot.candles.columns import first_fault
    from bot.candles.importing import judge
    from bot.candles.rawrows import read_raw
    from bot.candles.store import read_candles

    if path.suffix.lower() not in _TEXT_SUFFIXES:
        return read_candles(path)
    raw = read_raw(path)
    bad_rows, good = judge(raw)
    if bad_rows:
        named = ", ".join(
            f"{raw.counted_in} {row.number}: {row.reason}" for row in bad_rows[:_NAMED_IN_SENTENCE]
        )
        more = len(bad_rows) - _NAMED_IN_SENTENCE
        raise DataError(
            f"{path}: {len(bad_rows)} bad row{'s' if len(bad_rows) != 1 else ''} ({named}"
            f"{f', and {more} more' if more > 0 else ''}); nothing was read"
        )
    if not len(good):
        raise DataError(f"{path}: it holds no candles")
    fault = first_fault(good)
    if fault:
        raise DataError(f"{path}: {fault}")
    return good


def stored_series(
    symbols: Sequence[str],
    exchange: str | None,
    store: Path | None,
    since_ms: int | None,
    until_ms: int | None,
) -> dict[str, CandleArrays]:
    """Candles by symbol out of the store; standard error says what is missing at the ends and how to get it.

    Args:
        symbols: Unified names.
        exchange: ccxt id; None is ``DEFAULT_EXCHANGE``.
        store: Folder of the store; None is the default one.
        since_ms: Start, ms UTC; None is the first candle stored.
        until_ms: End, not included; None is the last.

    Raises:
        DataError: Nothing of a symbol is stored for that time; the sentence says how to download it.
        UsageError: The end is not after the start.
    """
    from bot.candles.columns import LATEST_TS
    from bot.candles.store import CandleStore
    from bot.cli.data import default_store_root
    from bot.core.market import MINUTE_MS
    from bot.errors import UsageError

    if since_ms is not None and until_ms is not None and until_ms <= since_ms:
        raise UsageError("--to is not after --from")
    source = CandleStore(store or default_store_root())
    chosen = exchange or DEFAULT_EXCHANGE
    found: dict[str, CandleArrays] = {}
    for symbol in dict.fromkeys(symbols):
        arrays = source.read(chosen, symbol, since_ms or 0, LATEST_TS if until_ms is None else until_ms)
        how = _download(chosen, symbol, store, since_ms, until_ms)
        if not len(arrays):
            raise DataError(
                f"{symbol} of {chosen}: the store {source.root} holds no candles of that time; fetch them with: {how}"
            )
        first, end = int(arrays.ts[0]), int(arrays.ts[-1]) + MINUTE_MS
        if (since_ms is not None and first > since_ms) or (until_ms is not None and end < until_ms):
            typer.echo(_partly(symbol, chosen, first, end, how), err=True)
        found[symbol] = arrays
    return found


def _partly(symbol: str, exchange: str, first_ms: int, end_ms: int, how: str) -> str:
    """Say that less is stored than was asked for."""
    from bot.cli.data_tables import time_words

    return (
        f"{symbol} of {exchange}: only {time_words(first_ms)} to {time_words(end_ms)} is stored; "
        f"fetch the rest with: {how}"
    )


def _download(
    exchange: str, symbol: str, store: Path | None, since_ms: int | None, until_ms: int | None
) -> str:
    """The command that fetches the candles."""
    import shlex

    from bot.candles.columns import iso_utc

    words = ["bot", "data", "download", "--exchange", exchange, "--symbol", symbol]
    words += ["--from", "DATE" if since_ms is None else iso_utc(since_ms)]
    words += [] if until_ms is None else ["--to", iso_utc(until_ms)]
    words += [] if store is None else ["--store", str(store)]
    return shlex.join(words)
