"""An exchange's markets as ccxt describes them: which can be fed, and their trading rules. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from bot.core.market import Instrument, InstrumentKind, Symbol, kind_of
from bot.errors import ConfigError
from bot.exchange_client import Exchange

DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE = 2, 3, 4
"""ccxt's ``precisionMode``."""


def check_exchange(exchange: Exchange) -> None:
    """Refuse an exchange that cannot stream and fetch one-minute candles; raises ConfigError."""
    for feature in ("watchOHLCV", "fetchOHLCV"):
        if not exchange.has.get(feature):
            raise ConfigError(
                f"exchange {exchange.id!r} has no {feature} in ccxt: its candles cannot be had; take another exchange"
            )
    if "1m" not in (exchange.timeframes or {}):
        raise ConfigError(f"exchange {exchange.id!r} has no one-minute candles; take another exchange")


def check_symbols(exchange_id: str, markets: Mapping[str, Any], symbols: Sequence[Symbol]) -> None:
    """Refuse symbols that cannot be traded together on this exchange; raises ConfigError naming the first.

    Each must be listed, active, and spot or a linear perpetual; all of one kind, since a subscription of
    ccxt is of one kind.
    """
    if not symbols:
        raise ConfigError("symbols: none is given; name at least one in exchange.symbols")
    for symbol in symbols:
        market = markets.get(symbol)
        if market is None:
            raise ConfigError(f"symbol {symbol!r} is not listed on {exchange_id}{_near(symbol, markets)}")
        if market.get("active") is False:
            raise ConfigError(
                f"symbol {symbol!r} is listed on {exchange_id}, but not traded now; leave it out of exchange.symbols"
            )
        if not (market.get("spot") or (market.get("swap") and market.get("linear"))):
            raise ConfigError(
                f"symbol {symbol!r} is neither spot nor a linear perpetual: {market.get('type')}"
            )
    if len(set(symbols)) < len(symbols):
        raise ConfigError(f"symbols: one is given twice: {', '.join(symbols)}")
    kinds = {kind_of(symbol) for symbol in symbols}
    if len(kinds) > 1:
        raise ConfigError(
            f"symbols: spot and perpetuals cannot share one feed: {', '.join(symbols)}; run a bot for each kind"
        )


def instrument_of(market: Mapping[str, Any], precision_mode: int) -> Instrument:
    """The trading rules in a ccxt market; raises ConfigError where they are missing or of a form not met yet.

    Steps come from ``precision``, least amounts from ``limits`` (the lot step and 0 where there are none). A market that
    counts in contracts tells both in contracts; the rules are in base units.
    """
    symbol = market["symbol"]
    kind = InstrumentKind.SPOT if market.get("spot") else InstrumentKind.PERPETUAL
    contract = float(market.get("contractSize") or 1.0) if kind is InstrumentKind.PERPETUAL else 1.0
    if not 0 < contract < float("inf"):
        raise ConfigError(f"symbol {symbol!r}: one contract is {contract} units")
    step = _product(_step(symbol, market, "amount", precision_mode), contract)
    least = _least(market, "amount")
    return Instrument(
        symbol=symbol,
        kind=kind,
        tick_size=_step(symbol, market, "price", precision_mode),
        lot_step=step,
        min_quantity=_product(least, contract) if least else step,
        min_notional=_least(market, "cost") or 0.0,
    )


def _step(symbol: Symbol, market: Mapping[str, Any], of: str, precision_mode: int) -> float:
    value = (market.get("precision") or {}).get(of)
    if value is None or precision_mode == SIGNIFICANT_DIGITS:
        raise ConfigError(f"symbol {symbol!r}: the exchange tells no step of its {of}")
    step = 10.0 ** -int(value) if precision_mode == DECIMAL_PLACES else float(value)
    if not 0 < step < float("inf"):
        raise ConfigError(f"symbol {symbol!r}: the step of its {of} is {value}")
    return step


def _least(market: Mapping[str, Any], of: str) -> float | None:
    value = ((market.get("limits") or {}).get(of) or {}).get("min")
    return None if value is None else float(value)


def _product(amount: float, contract: float) -> float:
    """The decimal that one would write: 0.01 contracts of 0.01 are 0.0001."""
    return float(Decimal(repr(amount)) * Decimal(repr(contract)))


def _near(symbol: Symbol, markets: Mapping[str, Any]) -> str:
    """A hint at what may have been meant."""
    base = symbol.split("/")[0]
    names = difflib.get_close_matches(symbol, list(markets), n=3, cutoff=0.6)
    names = names or sorted(name for name in markets if name.startswith(f"{base}/"))[:3]
    return f"; did you mean {' or '.join(names)}?" if names else ""
