"""What must be so before anything is traded: markets, keys, and how the account pays its fees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.brokers.ccxt_habits import VenueHabits
from bot.brokers.ccxt_outcomes import Meaning, outcome_of, told
from bot.core.market import InstrumentKind, Symbol, kind_of, quote_of
from bot.errors import BotError, ConfigError, DataError, TransientError
from bot.exchange_client import Exchange, mapped


def check_symbols(habits: VenueHabits, symbols: Sequence[Symbol], exchange_id: str) -> None:
    """Refuse symbols that cannot share one account here; raises ConfigError."""
    if not symbols:
        raise ConfigError("symbols: none is given; name at least one in exchange.symbols")
    for symbol in symbols:
        if kind_of(symbol) is not habits.kind:
            raise ConfigError(
                f"symbol {symbol!r}: {exchange_id} is traded in {habits.kind.value} markets only"
            )
    if len({quote_of(symbol) for symbol in symbols}) > 1:
        raise ConfigError(f"symbols: one account has one quote currency, not those of {', '.join(symbols)}")


def check_markets(exchange: Exchange, habits: VenueHabits, symbols: Sequence[Symbol]) -> None:
    """Refuse markets that are not listed, or do not take the orders that are sent; raises ConfigError."""
    for symbol in symbols:
        market = (exchange.markets or {}).get(symbol)
        if market is None:
            raise ConfigError(f"symbol {symbol!r} is not listed on {exchange.id}")
        missing = habits.order_types - set(market["info"].get("orderTypes") or ())
        if missing:
            raise ConfigError(f"symbol {symbol!r} takes no orders of type {', '.join(sorted(missing))}")
        if habits.kind is InstrumentKind.PERPETUAL and not market.get("linear"):
            raise ConfigError(
                f"symbol {symbol!r} is no linear perpetual; only those and spot are traded, such as BTC/USDT:USDT"
            )
        if float(market["info"].get("ctMult") or 1) != 1:
            raise ConfigError(
                f"symbol {symbol!r}: a contract with a multiplier is not supported; leave it out of exchange.symbols"
            )


async def check_fees(exchange: Exchange, habits: VenueHabits) -> None:
    """Refuse an account that pays fees in a coin of its own, whose price no ledger of ours knows; raises ConfigError."""
    switch = habits.fee_switch
    if switch is None:
        return
    answer: Any = await getattr(exchange, switch.method)()
    burns = answer.get(switch.field) if isinstance(answer, dict) else None
    if not isinstance(burns, bool):
        raise DataError(f"whether fees are paid in {switch.coin} was answered with {answer!r:.100}")
    if burns:
        raise ConfigError(
            f"the account pays fees in {switch.coin}: switch that off at the exchange, so that fees are in quote currency"
        )


def opening_error(error: BaseException, habits: VenueHabits) -> BotError:
    """What went wrong at the start as one of ours: refused is a wrong setting, anything else may mend."""
    if isinstance(error, BotError):
        return error
    if outcome_of(error, habits).meaning in {Meaning.REFUSED, Meaning.CLOCK}:
        return ConfigError(f"the exchange refuses the account: {told(error)}")
    kind = type(mapped(error))
    return (kind if kind in {ConfigError, DataError} else TransientError)(told(error))
