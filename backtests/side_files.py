"""What a backtest may be told in files beside candles and predictions: funding rates and trading rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bot.candles.names import checked_symbol, symbol_of
from bot.core.market import MINUTE_MS, Instrument, InstrumentKind, Symbol, default_instrument, kind_of
from bot.core.matching import FundingRates
from bot.errors import ConfigError, DataError
from models.candle_arrays import CandleArrays

_RULE_FIELDS = tuple(field.name for field in fields(Instrument) if field.name not in {"symbol", "kind"})


def read_funding(
    texts: Iterable[str], candles: Mapping[Symbol, CandleArrays], constant: float
) -> tuple[FundingRates, list[str]]:
    """Funding rates out of Parquet files with columns ``ts`` (int64, ms) and ``funding_rate`` (per payment).

    Args:
        texts: ``SYMBOL=PATH``, or a path whose name tells the symbol (``binanceusdm-BTCUSDT-funding-…``), or any
            path when one perpetual is traded.
        candles: Of the symbols that are traded.
        constant: Rate per 8 hours for perpetuals without a file.

    Returns:
        The rates, their times cut to the minute, and warnings about candles outside of a file's time.

    Raises:
        DataError: A file is refused, or belongs to no perpetual that is traded.
    """
    tables: dict[Symbol, dict[int, float]] = {}
    warnings: list[str] = []
    perpetuals = [symbol for symbol in candles if kind_of(symbol) is InstrumentKind.PERPETUAL]
    for text in texts:
        symbol, path = _whose(text, perpetuals)
        tables.setdefault(symbol, {}).update(_rates(path))
    for symbol, table in tables.items():
        ts = candles[symbol].ts
        outside = int(((ts < min(table) - 8 * 60 * MINUTE_MS) | (ts > max(table) + 8 * 60 * MINUTE_MS)).sum())
        if outside:
            warnings.append(
                f"{outside} of {len(ts)} candles of {symbol} lie outside of its funding file: none is paid there"
            )
    return FundingRates(constant, tables), warnings


def _whose(text: str, perpetuals: Sequence[Symbol]) -> tuple[Symbol, Path]:
    name, equals, rest = text.partition("=")
    if equals and "/" in name and ":" in name:
        symbol, path = checked_symbol(name), Path(rest)
    elif len(perpetuals) == 1:
        symbol, path = perpetuals[0], Path(text)
    else:
        path = Path(text)
        symbol = symbol_of(path.with_name(path.name.replace("-funding-", "-1m-")))
    if symbol not in perpetuals:
        raise DataError(f"{path}: funding of {symbol}, which is no perpetual that is traded here")
    return symbol, path


def _rates(path: Path) -> dict[int, float]:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: it is not a whole Parquet file ({reason})") from error
    for name, wanted in (("ts", pa.int64()), ("funding_rate", pa.float64())):
        if name not in table.column_names:
            raise DataError(f"{path}: column {name} is missing")
        if table[name].type != wanted:
            raise DataError(f"{path}: column {name} is {table[name].type}, and must be {wanted}")
        if table[name].null_count:
            raise DataError(f"{path}: column {name} is empty in {table[name].null_count} rows")
    rates = table["funding_rate"].to_numpy()
    bad = ~(np.abs(rates) < 0.1)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{path}: funding_rate is {rates[row]} in row {row} (counted from 0), and must be a fraction"
        )
    if not len(rates):
        raise DataError(f"{path}: it holds no rates")
    minutes = table["ts"].to_numpy() // MINUTE_MS * MINUTE_MS
    return dict(zip(minutes.tolist(), rates.tolist(), strict=True))


def instruments_of(
    candles: Mapping[Symbol, CandleArrays], rules_file: Path | None = None
) -> dict[Symbol, Instrument]:
    """The trading rules of each symbol: from a file, else ``default_instrument`` at the first close.

    Args:
        candles: Of the symbols that are traded.
        rules_file: JSON: by symbol ``tick_size``, ``lot_step``, ``min_quantity`` and ``min_notional``; symbols
            that are not traded are ignored.

    Raises:
        ConfigError: The file can't be read, or a field is unknown, missing or not a positive number.
    """
    told = {} if rules_file is None else _read_rules(rules_file)
    return {
        symbol: _instrument(rules_file, symbol, told[symbol])
        if symbol in told
        else default_instrument(symbol, price=float(arrays.close[0]))
        for symbol, arrays in candles.items()
    }


def _read_rules(path: Path) -> dict[str, Any]:
    try:
        told = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: the rules can't be read ({error.strerror})") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}: it is not JSON ({error})") from error
    if not isinstance(told, dict):
        raise ConfigError(f"{path}: the rules must be an object: symbol to fields")
    return told


def _instrument(path: Path | None, symbol: Symbol, told: Any) -> Instrument:
    if not isinstance(told, dict) or set(told) != set(_RULE_FIELDS):
        raise ConfigError(f"{path}: the rules of {symbol} must have exactly {', '.join(_RULE_FIELDS)}")
    for name, value in told.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value < float("inf"):
            raise ConfigError(f"{path}: {name} of {symbol} must be a positive number, and is {value!r}")
    return Instrument(symbol, kind_of(symbol), **{name: float(told[name]) for name in _RULE_FIELDS})
