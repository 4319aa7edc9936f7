"""Best bids and asks, and the funding rates to come, of many symbols with one request. Nothing is asked twice.

Both are of this moment: an answer that comes late, or after a second try, is about another one.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence
from typing import Any

from bot.core.market import InstrumentKind, Quote, Symbol, kind_of
from bot.errors import BotError, ConfigError, DataError
from bot.exchange_client import Exchange, mapped

FUNDING_HOURS = 8
"""What a rate is brought to; and how often is paid where the exchange tells nothing else."""


async def best_quotes(exchange: Exchange, symbols: Sequence[Symbol]) -> dict[Symbol, Quote]:
    """The best bid and ask of each symbol that has both, asked now.

    Raises:
        ConfigError: The exchange has no such question. TransientError, DataError: As ``bot.exchange_client.mapped`` decides.
    """
    method = next((name for name in ("fetchBidsAsks", "fetchTickers") if exchange.has.get(name)), None)
    if method is None:
        raise ConfigError(f"{exchange.id} tells no bids and asks of many symbols at once")
    ask = exchange.fetch_bids_asks if method == "fetchBidsAsks" else exchange.fetch_tickers
    rows = await _rows(ask(list(symbols)), "bids and asks")
    quotes = {symbol: _quote(rows.get(symbol)) for symbol in symbols}
    return {symbol: quote for symbol, quote in quotes.items() if quote is not None}


async def coming_funding_rates(exchange: Exchange, symbols: Sequence[Symbol]) -> dict[Symbol, float]:
    """The rate that each perpetual pays next, brought to 8 hours, asked now; empty on spot.

    Raises:
        ConfigError: The exchange has no such question. TransientError, DataError: As ``bot.exchange_client.mapped`` decides.
    """
    wanted = [symbol for symbol in symbols if kind_of(symbol) is InstrumentKind.PERPETUAL]
    if not wanted:
        return {}
    if not exchange.has.get("fetchFundingRates"):
        raise ConfigError(f"{exchange.id} tells no funding rates of many symbols at once")
    rows = await _rows(exchange.fetch_funding_rates(wanted), "funding rates")
    told = rows
    if exchange.has.get("fetchFundingIntervals"):  # then the rates come without it
        told = await _rows(exchange.fetch_funding_intervals(wanted), "funding intervals")
    rates = {}
    for symbol in wanted:
        rate = _number((rows.get(symbol) or {}).get("fundingRate"))
        if rate is not None:
            rates[symbol] = rate * FUNDING_HOURS / _hours((told.get(symbol) or {}).get("interval"), symbol)
    return rates


async def _rows(request: Awaitable[Any], name: str) -> dict[Symbol, Any]:
    """The structures of an answer, by symbol; raises errors of ours only."""
    try:
        answer = await request
    except BotError:
        raise
    except Exception as error:
        raise mapped(error) from error
    if not isinstance(answer, dict) or not all(isinstance(row, dict) for row in answer.values()):
        raise DataError(f"the exchange was asked for {name} and answered with something else")
    return answer


def _quote(row: Any) -> Quote | None:
    """Both prices; None where one is missing, or where they can't be of one moment."""
    bid, ask = (_number((row or {}).get(name)) for name in ("bid", "ask"))
    return Quote(bid, ask) if bid is not None and ask is not None and 0 < bid <= ask else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _hours(interval: Any, symbol: Symbol) -> int:
    if interval is None:
        return FUNDING_HOURS
    digits = str(interval).removesuffix("h")
    if not (str(interval).endswith("h") and digits.isdecimal() and int(digits)):
        raise DataError(f"{symbol}: funding is said to be paid every {interval!r}")
    return int(digits)
