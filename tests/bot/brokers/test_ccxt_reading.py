"""Histories read whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.brokers.ccxt_reading import fundings, holdings, trade_rows
from bot.errors import DataError
from bot.simexchange.config import Market
from tests.offline_exchange import COINS, NOW_MS, PERPETUAL, SPOT, USDM, offline

WINDOW_MS = 1_000
SMALL = replace(USDM, page=4, trades_window_ms=WINDOW_MS)


class Book:
    """Answers as the exchange does: oldest first from a time on, no more than asked for, one stretch at a time."""

    def __init__(self, times: list[int]) -> None:
        self.rows: list[Any] = [{"id": str(n), "timestamp": at_ms} for n, at_ms in enumerate(sorted(times))]
        self.asked = 0
        self.markets = offline(Market.USDM).markets

    async def fetch_my_trades(self, symbol: str, _: None, limit: int, params: dict[str, int]) -> list[Any]:
        """A page."""
        assert symbol == PERPETUAL
        self.asked += 1
        since = params["startTime"]
        until = params.get("until", since + 2 * WINDOW_MS)
        return [row for row in self.rows if since <= row["timestamp"] <= until][:limit]

    async def fetch_funding_history(self, _: None, __: None, limit: int, params: dict[str, int]) -> list[Any]:
        """A page of payments."""
        since = params["startTime"]
        until = params.get("until", since + 2 * WINDOW_MS)
        return [row for row in self.rows if since <= row["timestamp"] <= until][:limit]


def read(book: Any, since: int, now: int) -> list[Any]:
    """All trades."""
    return asyncio.run(trade_rows(book, SMALL, PERPETUAL, since, now))


@given(
    times=st.lists(st.integers(0, 5_000), max_size=60).filter(
        lambda times: all(times.count(at) < SMALL.page for at in times)
    ),
    since=st.integers(0, 5_000),
)
def test_every_row_is_found_once(times: list[int], since: int) -> None:
    """However the rows lie over pages and stretches, each at or after the time is read once, and in order."""
    book = Book(times)
    rows = read(book, since, 5_000)
    assert rows == [row for row in book.rows if row["timestamp"] >= since]


def test_more_in_one_millisecond_than_in_a_page_is_not_half_read() -> None:
    """Where a page ends in the millisecond in which it began, what lies beyond cannot be read, and that is said."""
    with pytest.raises(DataError, match="in one millisecond"):
        read(Book([7] * 9), 0, 10)


@pytest.mark.parametrize(
    "row", [None, {}, {"id": "1"}, {"timestamp": 5}, {"id": "1", "timestamp": None}, "<"]
)
def test_a_row_without_time_or_id_spoils_the_answer(row: Any) -> None:
    """Nothing is given of an answer of which one row cannot be read."""
    book = Book([1, 2])
    book.rows.append(row)

    async def whole(*_: Any) -> list[Any]:
        return book.rows

    book.fetch_my_trades = whole  # type: ignore[method-assign,assignment]
    with pytest.raises(DataError):
        read(book, 0, 10)


def test_payments_are_those_of_the_symbols_since_their_times() -> None:
    """Payments of other symbols, and from before a symbol's own time, are left out."""
    book = Book([])
    common = {"code": "USDT", "amount": 0.5}
    book.rows = [
        {"symbol": PERPETUAL, "id": "1", "timestamp": 100, **common},
        {"symbol": PERPETUAL, "id": "2", "timestamp": 200, **common},
        {"symbol": "ETH/USDT:USDT", "id": "2", "timestamp": 200, **common},
        {"symbol": "BNB/USDT:USDT", "id": "4", "timestamp": 250, **common},
    ]
    since = {PERPETUAL: 150, "ETH/USDT:USDT": 50}
    paid = asyncio.run(fundings(book, SMALL, since, 300))
    assert [(one.symbol, one.payment_id, one.paid) for one in paid] == [
        (PERPETUAL, "2", -0.5),
        ("ETH/USDT:USDT", "2", -0.5),
    ]
    assert asyncio.run(fundings(book, COINS, {SPOT: 0}, 300)) == []
    assert asyncio.run(fundings(book, SMALL, {}, 300)) == []


class Owner:
    """An account that holds what it is told to."""

    def __init__(self, balance: Any, positions: Any = ()) -> None:
        self.balance, self.positions = balance, positions
        self.safe_market = offline(Market.USDM).safe_market

    async def fetch_balance(self) -> Any:
        """Money."""
        return self.balance

    async def fapiPrivateV3GetPositionRisk(self, _: Any) -> Any:  # noqa: N802 - ccxt's name
        """Contracts."""
        return self.positions


def test_holdings_of_a_broken_answer_are_none() -> None:
    """Balances of another form, a number that is none, and two positions of one symbol are refused."""
    asset = {"asset": "USDT", "walletBalance": "12.5"}
    held = {"symbol": "BTCUSDT", "positionAmt": "-0.5", "entryPrice": "99.0", "positionSide": "BOTH"}
    flat = {**held, "symbol": "ETHUSDT", "positionAmt": "0", "positionSide": "LONG"}
    good = {"info": {"assets": [asset]}}
    owned = asyncio.run(holdings(Owner(good, [held, flat]), USDM, [PERPETUAL], "USDT"))
    assert (owned.positions, owned.entry_prices, owned.wallet) == ({PERPETUAL: -0.5}, {PERPETUAL: 99.0}, 12.5)
    for owner in (
        Owner({"info": "<html>"}, []),
        Owner({"info": {"assets": [None]}}, []),
        Owner({"info": {"assets": [{**asset, "walletBalance": "NaN"}]}}, []),
        Owner({"info": {"assets": [{**asset, "walletBalance": None}]}}, []),
        Owner(good, [held, held]),
        Owner(good, [{**held, "positionSide": "SHORT"}]),
        Owner(good, [{**held, "positionAmt": "NaN"}]),
        Owner(good, [{**held, "entryPrice": None}]),
        Owner(good, [None]),
        Owner(good, None),
    ):
        with pytest.raises(DataError):
            asyncio.run(holdings(owner, USDM, [PERPETUAL], "USDT"))
    assert NOW_MS
