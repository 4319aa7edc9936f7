"""From a configuration to the market that it describes."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from bot.errors import ConfigError
from bot.simexchange.bars import MINUTE_MS
from bot.simexchange.config import Market, SimConfig
from bot.simexchange.exchange_info import list_symbol, symbol_id
from bot.simexchange.market import VisibleMarket
from bot.simexchange.okx_listing import list_swap
from bot.simexchange.source import BarSource
from bot.simexchange.synthetic import DEFAULT_SYMBOLS, ORIGIN_MS, SyntheticSource
from bot.simexchange.tape import TapeSource, join_tapes, read_funding, read_tape
from models.candle_arrays import CandleArrays

TAPE_NAME = re.compile(r"(?P<exchange>[a-z0-9]+)-(?P<symbol>[A-Z0-9]+)-(1m|funding)(-.*)?\.parquet")
"""Names of tapes and of funding files: ``binanceusdm-BTCUSDT-1m-2023-01-01_2023-12-31.parquet``."""

_SPAN = re.compile(r"\+(?P<number>\d+(\.\d+)?)(?P<unit>[mhd])")
_UNIT_MS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": 1440 * MINUTE_MS}


def build_market(config: SimConfig) -> VisibleMarket:
    """Read the tapes or set up the synthetic market; raises ConfigError or DataError that name what is wrong."""
    market = config.market or _market_of(config.tapes)
    names: dict[str, str] = {}
    source: BarSource
    if config.tapes:
        parts: dict[str, list[tuple[Path, CandleArrays]]] = {}
        wanted = {symbol_id(name) for name in config.symbols}
        for given in config.tapes:
            name, path = _named(given)
            if not wanted or symbol_id(name) in wanted:
                names.setdefault(symbol_id(name), name)
                parts.setdefault(symbol_id(name), []).append((path, read_tape(path)))
        missing = sorted(wanted - set(parts))
        if missing:
            raise ConfigError(f"symbols: no tape of {', '.join(missing)}")
        source = TapeSource({symbol: join_tapes(files) for symbol, files in parts.items()})
    else:
        chosen = config.symbols or DEFAULT_SYMBOLS
        names = {symbol_id(name): name for name in chosen}
        source = SyntheticSource(tuple(names), config.seed)
    prices = {symbol: _reference_price(source, symbol) for symbol in source.symbols}
    listings = {
        symbol: list_swap(names[symbol], price)
        if market is Market.OKX
        else list_symbol(names[symbol], market, price)
        for symbol, price in prices.items()
    }
    return VisibleMarket(source, listings, market, _funding(config.funding))


def start_time(config: SimConfig, source: BarSource) -> int:
    """Where the clock starts, a whole minute; raises ConfigError if it lies outside the market."""
    text = config.start_at
    if text is None:
        start = source.start_ms if config.tapes else ORIGIN_MS + config.history_days * _UNIT_MS["d"]
    elif span := _SPAN.fullmatch(text):
        start = source.start_ms + int(float(span["number"]) * _UNIT_MS[span["unit"]])
    elif text.isdigit():
        start = int(text)
    else:
        start = _iso(text)
    start -= start % MINUTE_MS
    if start < source.start_ms or (source.end_ms is not None and start >= source.end_ms):
        end = "" if source.end_ms is None else _utc(source.end_ms)
        raise ConfigError(
            f"start_at: {text} is {_utc(start)}, outside the market, {_utc(source.start_ms)} to {end}"
        )
    return start


def _reference_price(source: BarSource, symbol: str) -> float:
    """The symbol's first close."""
    since, width = source.start_ms, 1440 * MINUTE_MS
    while True:
        bars = source.between(symbol, since, since + width)
        if len(bars):
            return float(bars.close[0])
        since += width


def _market_of(tapes: tuple[str, ...]) -> Market:
    """The market that the names of the tapes tell."""
    kinds = set()
    for given in tapes:
        match = TAPE_NAME.fullmatch(Path(given.rpartition("=")[2]).name)
        contract = ":" in given.rpartition("=")[0]
        usdm = contract or (match is not None and match["exchange"].endswith("usdm"))
        if match is not None and match["exchange"] == "okx":
            kinds.add(Market.OKX)
        else:
            kinds.add(Market.USDM if usdm else Market.SPOT)
    if len(kinds) > 1:
        raise ConfigError("tapes: they are not all of one market; choose with --market")
    return kinds.pop() if kinds else Market.USDM


def _named(given: str) -> tuple[str, Path]:
    """A file and the symbol that it is of, by ``SYMBOL=path`` or by its name."""
    name, _, text = given.rpartition("=")
    path = Path(text)
    if name:
        return name, path
    match = TAPE_NAME.fullmatch(path.name)
    if match is None:
        raise ConfigError(
            f"{path}: its symbol is not in its name (exchange-SYMBOL-1m-….parquet): give SYMBOL=PATH"
        )
    return match["symbol"], path


def _funding(files: tuple[str, ...]) -> dict[str, dict[int, float]]:
    rates: dict[str, dict[int, float]] = {}
    for given in files:
        name, path = _named(given)
        rates.setdefault(symbol_id(name), {}).update(read_funding(path))
    return rates


def _utc(at_ms: int) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC):%Y-%m-%dT%H:%MZ}"
    except (ValueError, OverflowError, OSError):
        return str(at_ms)  # beyond the years that a date can name


def _iso(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"start_at: {text!r} is neither +Nd, nor milliseconds, nor an ISO time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return int(moment.timestamp() * 1000)
