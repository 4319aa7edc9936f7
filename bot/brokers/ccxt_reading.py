"""Histories and holdings read whole: every page, every row checked, or nothing at all.

Pages overlap by their last millisecond and rows are told apart by their ids, so that a page that ends within a
millisecond loses none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.brokers.ccxt_habits import VenueHabits
from bot.brokers.ccxt_rows import finite, funding_seen, rows_of
from bot.brokers.contracts import base_units
from bot.core.market import Symbol
from bot.core.venue import FundingSeen
from bot.errors import DataError
from bot.exchange_client import Exchange


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an account owns.

    Attributes:
        positions: Signed base units by symbol, none that is flat.
        wallet: Quote currency.
        entry_prices: Of positions, where the exchange tells them.
    """

    positions: dict[Symbol, float]
    wallet: float
    entry_prices: dict[Symbol, float] = field(default_factory=dict)


async def trade_rows(
    exchange: Exchange, habits: VenueHabits, symbol: Symbol, since_ms: int, now_ms: int
) -> list[Any]:
    """Trade structures of a symbol at or after a time, in order of time and number."""

    async def page(stretch: dict[str, int]) -> Any:
        return await exchange.fetch_my_trades(symbol, None, habits.page, stretch)

    name = f"executions of {symbol}"
    if habits.trades_since is not None:
        rows = await habits.trades_since(exchange, symbol, since_ms, now_ms)
        return _whole(rows, name, lambda row: (row["id"],))
    return await _paged(page, habits, since_ms, now_ms, name, lambda row: (row["id"],))


async def fundings(
    exchange: Exchange, habits: VenueHabits, since_ms: dict[Symbol, int], now_ms: int
) -> list[FundingSeen]:
    """Funding payments of these symbols, each at or after its time, in order of time."""
    if not habits.funding or not since_ms:
        return []

    async def page(stretch: dict[str, int]) -> Any:
        return await exchange.fetch_funding_history(None, None, habits.page, stretch)

    name = "funding payments"
    oldest_ms = min(since_ms.values())
    if habits.fundings_since is not None:
        told = await habits.fundings_since(exchange, oldest_ms, now_ms)
        rows = _whole(told, name, _payment)
    else:
        rows = await _paged(page, habits, oldest_ms, now_ms, name, _payment)
    seen = [funding_seen(exchange, row) for row in rows if row["symbol"] in since_ms]
    return [payment for payment in seen if payment.paid_at_ms >= since_ms[payment.symbol]]


async def holdings(
    exchange: Exchange, habits: VenueHabits, symbols: Sequence[Symbol], quote: str
) -> Holdings:
    """What is owned now; of spot only the base currencies of these symbols count as positions."""
    balance = await exchange.fetch_balance()
    try:
        wallet = finite(habits.wallet(balance, quote), f"the balance of {quote}")
        if habits.positions_method is None:
            owned = {symbol: habits.wallet(balance, symbol.split("/")[0]) for symbol in symbols}
            held = {symbol: finite(amount, f"what is owned of {symbol}") for symbol, amount in owned.items()}
            return Holdings({symbol: amount for symbol, amount in held.items() if amount}, wallet)
        answer = await getattr(exchange, habits.positions_method)(dict(habits.positions_asked))
        rows = rows_of(answer["data"] if habits.checked_reply else answer, "positions")
        return _held(exchange, [habits.position(row) for row in rows], wallet)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"what is held cannot be read: {error!r}") from error


def _held(exchange: Exchange, rows: list[tuple[str, float, float]], wallet: float) -> Holdings:
    positions: dict[Symbol, float] = {}
    entry_prices: dict[Symbol, float] = {}
    for market_id, contracts, entry_price in rows:
        if not finite(contracts, f"what is held of {market_id}"):
            continue
        market = exchange.safe_market(market_id, None, None, "contract")
        symbol: Symbol = market["symbol"]
        if symbol in positions:
            raise DataError(f"{symbol} has two positions")
        positions[symbol] = base_units(market, contracts)
        entry_prices[symbol] = finite(entry_price, f"the entry price of {symbol}")
    return Holdings(positions, wallet, entry_prices)


def _payment(row: Any) -> Hashable:
    return row["symbol"], row["id"]


def _whole(rows: list[Any], name: str, key: Callable[[Any], Hashable]) -> list[Any]:
    """Rows each once, in order of time and number; raises DataError for one without time or id."""
    for row in rows:
        _check(row, name)
    found = {key(row): row for row in rows}
    return sorted(found.values(), key=lambda row: (row["timestamp"], _order(row["id"])))


async def _paged(
    page: Callable[[dict[str, int]], Awaitable[Any]],
    habits: VenueHabits,
    since_ms: int,
    now_ms: int,
    name: str,
    key: Callable[[Any], Hashable],
) -> list[Any]:
    """All rows from a time on; raises DataError for one without time or id."""
    found: dict[Hashable, Any] = {}
    start_ms = max(since_ms, 0)
    while True:
        last = start_ms + habits.trades_window_ms > now_ms
        stretch = {habits.since: start_ms}
        if not last:
            stretch["until"] = start_ms + habits.trades_window_ms
        rows = rows_of(await page(stretch), name)
        for row in rows:
            _check(row, name)
        known = len(found)
        found.update({key(row): row for row in rows})
        if len(rows) >= habits.page:
            newest_ms = max(row["timestamp"] for row in rows)
            if len(found) == known or newest_ms <= start_ms:
                raise DataError(f"{name}: {len(rows)} and more in one millisecond cannot be read")
            start_ms = newest_ms
        elif last:
            return sorted(found.values(), key=lambda row: (row["timestamp"], _order(row["id"])))
        else:
            start_ms += habits.trades_window_ms


def _check(row: Any, name: str) -> None:
    if not isinstance(row, dict) or not isinstance(row.get("timestamp"), int) or not row.get("id"):
        raise DataError(f"{name}: a row has no time or no id")


def _order(number: str) -> tuple[int, str]:
    """Numbers in order of size, other ids as they are spelled."""
    return (int(number), "") if number.isdecimal() else (0, number)
