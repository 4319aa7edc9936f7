"""Names of symbols in files and folders, and back.

A symbol's unified ccxt name (``BTC/USDT:USDT``) cannot be a file name. Candle files are named
``EXCHANGE-BASEQUOTE-1m-ANYTHING.parquet``, the store's folders ``BASE_QUOTE`` or ``BASE_QUOTE_SETTLE``.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

from bot.core.market import Symbol
from bot.errors import DataError

QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "USD", "BTC", "ETH", "BNB", "EUR")
"""Quote currencies that a run-together name such as BTCUSDT may end in; the first that fits counts."""

PERPETUAL_EXCHANGES = frozenset({"binanceusdm", "krakenfutures", "simusdm"})
"""Exchanges all of whose linear markets are contracts, so that the file name need not say so; ``simusdm`` is
the simulated market."""

HOW_TO_NAME = (
    "name it EXCHANGE-BASEQUOTE-1m-ANYTHING.parquet, such as binanceusdm-BTCUSDT-1m-2024.parquet, "
    "or write SYMBOL=PATH, such as BTC/USDT:USDT=candles.parquet"
)

_SYMBOL = re.compile(r"[^\s/:=a-z]+/[^\s/:=a-z]+(:[^\s/:=a-z]+)?")
_FILE = re.compile(r"(?P<exchange>[a-z][a-z0-9]*)-(?P<name>[A-Z0-9_]+)-1m\b.*")
_MONTH = re.compile(r"\d{4}-\d{2}")


def checked_symbol(text: str) -> Symbol:
    """Return a unified name as it is, or raise DataError for anything else."""
    if not _SYMBOL.fullmatch(text):
        raise DataError(
            f"{text!r} is no symbol: write it as ccxt does, BTC/USDT for spot, BTC/USDT:USDT for a perpetual"
        )
    return text


def symbol_of(path: Path, override: Symbol | None = None) -> Symbol:
    """Tell a candle file's symbol by its name.

    Args:
        path: A file named ``EXCHANGE-BASEQUOTE-1m-…`` (``binanceusdm-BTCUSDT-1m-2024.parquet`` is
            ``BTC/USDT:USDT``, ``binance-BTCUSDT-…`` and ``okx-BTCUSDT-…`` are ``BTC/USDT``), or a month of the
            store. ``BASE_QUOTE`` and ``BASE_QUOTE_SETTLE`` are understood too.
        override: The symbol where the user has given it; the name is not looked at then.

    Raises:
        DataError: The name follows no known pattern; the sentence says how to name it.
    """
    if override is not None:
        return checked_symbol(override)
    if _MONTH.fullmatch(path.stem) and "_" in path.parent.name:
        return symbol_of_folder(path.parent.name)
    found = _FILE.fullmatch(path.stem)
    symbol = _split(found["exchange"], found["name"]) if found else None
    if symbol is None:
        raise DataError(f"{path}: the file name does not tell the symbol; {HOW_TO_NAME}")
    return symbol


def exchange_of(path: Path) -> str | None:
    """Tell a candle file's exchange by its name, or None where the name does not say."""
    found = _FILE.fullmatch(path.stem)
    return found["exchange"] if found else None


def parse_tape(text: str) -> tuple[Symbol, Path]:
    """Read what a user writes for a candle file: ``PATH``, or ``SYMBOL=PATH`` when the name does not tell.

    Raises:
        DataError: Neither the text nor the file's name tells the symbol.
    """
    symbol, equals, path = text.partition("=")
    if equals and _SYMBOL.fullmatch(symbol):
        return symbol, Path(path)
    return symbol_of(Path(text)), Path(text)


def folder_of(symbol: Symbol) -> str:
    """Name the store's folder of a symbol; ``symbol_of_folder`` reads it back."""
    parts = re.split("[/:]", checked_symbol(symbol))
    return "_".join(quote(part, safe="").replace("_", "%5F") for part in parts)


def symbol_of_folder(name: str) -> Symbol:
    """Read a folder's name back into the symbol; DataError for a folder that the store did not make."""
    parts = [unquote(part) for part in name.split("_")]
    symbol = "/".join(parts[:2]) + (f":{parts[2]}" if len(parts) == 3 else "")
    if len(parts) not in {2, 3} or not _SYMBOL.fullmatch(symbol):
        raise DataError(f"folder {name!r} is not named after a symbol (BTC_USDT or BTC_USDT_USDT)")
    return symbol


def _split(exchange: str, name: str) -> Symbol | None:
    """Split BASEQUOTE (or BASE_QUOTE, BASE_QUOTE_SETTLE) and add the settlement of a perpetual."""
    if "_" in name:
        parts = name.split("_")
    else:
        quote_currency = next((q for q in QUOTES if name.endswith(q) and name != q), None)
        if quote_currency is None:
            return None
        parts = [name.removesuffix(quote_currency), quote_currency]
    if len(parts) == 2 and exchange in PERPETUAL_EXCHANGES:
        parts.append(parts[1])
    if len(parts) not in {2, 3} or not all(parts):
        return None
    return "/".join(parts[:2]) + (f":{parts[2]}" if len(parts) == 3 else "")
