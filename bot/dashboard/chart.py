"""One symbol on a chart: candles with their gaps, forecasts, entries and exits, and where the protection lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from bot.core.market import MINUTE_MS
from bot.core.position import Trade
from bot.dashboard.contracts import NotFoundError
from bot.dashboard.orders import leg_word, open_orders
from bot.dashboard.overview import forecast, positions
from bot.journal.pages import PAGE, PageMinute, PageReader

MOST_MINUTES: Final = 4320
"""Three days."""

NOT_DUE: Final = frozenset({"warming_up"})
"""Reasons of a decision without a forecast that nobody abstained from."""


class Stretch(NamedTuple):
    """The part of a chart: minutes with since_ms <= open time < until_ms."""

    symbol: str
    since_ms: int
    until_ms: int


def chart(reader: PageReader, symbol: str, minutes: int, until_ms: int | None) -> dict[str, Any]:
    """The whole answer of ``/api/candles``, JSON values.

    Args:
        reader: Of the journal.
        symbol: The market.
        minutes: How far back.
        until_ms: Close of the last minute; None the newest.

    Raises:
        NotFoundError: The journal has no candle of this symbol.
    """
    newest_ms = reader.newest_candle_ms(symbol)
    if newest_ms is None:
        raise NotFoundError(f"the journal has no candle of {symbol}")
    end_ms = newest_ms + MINUTE_MS if until_ms is None else min(until_ms, newest_ms + MINUTE_MS)
    part = Stretch(symbol, end_ms - minutes * MINUTE_MS, end_ms)
    rows = reader.candle_rows(*part)
    forecasts: list[dict[str, Any]] = []
    fills: list[Mapping[str, Any]] = []
    for page in decided(reader, part):
        for minute in page:
            forecasts += forecasts_of(minute, symbol)
            fills += fills_of(minute.reports, symbol)
    between = reader.interims_between(part.since_ms, part.until_ms + 1)
    fills += [fill for interim in between for fill in fills_of(interim["reports"], symbol)]
    legs = reader.legs_of([fill["client_order_id"] for fill in fills])
    closed = reader.trades_between(symbol, part.since_ms, part.until_ms + 1)
    return {
        "symbol": symbol,
        "candles": [candle(row) for row in rows],
        "forecasts": forecasts,
        "marks": marks(fills, legs, closed),
        "levels": levels(reader.snapshot() or {}, symbol),
        "gaps": gaps([row[0] for row in rows]),
    }


def decided(reader: PageReader, part: Stretch) -> Iterator[list[PageMinute]]:
    """The minutes of a stretch, oldest first, page by page: between two pages the journal's log may begin anew."""
    after_ms = part.since_ms
    while page := reader.minutes_after(after_ms, part.until_ms, PAGE):
        yield page
        after_ms = page[-1].closed_at_ms


def candle(row: Sequence[Any]) -> dict[str, Any]:
    """A candle by names."""
    names = ("opened_at_ms", "open", "high", "low", "close", "volume", "source")
    return dict(zip(names, row, strict=True))


def forecasts_of(minute: PageMinute, symbol: str) -> Iterator[dict[str, Any]]:
    """What was said of a symbol in a minute; that nothing was said, where something was due."""
    for row in minute.decisions:
        if row["symbol"] != symbol or (row["prediction"] is None and row["hold_reason"] in NOT_DUE):
            continue
        made = forecast(row["prediction"])
        nothing = {"expected_return": None, "probability_up": None, "horizon_minutes": None}
        told = made or nothing
        yield {
            "closed_at_ms": minute.closed_at_ms,
            "expected_return": told["expected_return"],
            "probability_up": told["probability_up"],
            "horizon_minutes": told["horizon_minutes"],
            "abstained": made is None,
        }


def fills_of(reports: Iterable[Mapping[str, Any]], symbol: str) -> Iterator[Mapping[str, Any]]:
    """The executions of a symbol among what a broker reported."""
    return (report for report in reports if report["kind"] == "fill" and report["symbol"] == symbol)


def marks(
    fills: Iterable[Mapping[str, Any]], legs: Mapping[str, str], closed: Iterable[Trade]
) -> list[dict[str, Any]]:
    """Entries and exits in order of time; the one that ended a trade has its net result."""
    results: dict[int, float] = {}
    for trade in closed:
        results[trade.exit_at_ms] = results.get(trade.exit_at_ms, 0.0) + trade.pnl
    rows = []
    for fill in sorted(fills, key=lambda one: (one["filled_at_ms"], one["trade_id"])):
        kind = leg_word(legs.get(fill["client_order_id"], "unknown"))
        ends = kind != "entry"
        rows.append(
            {
                "at_ms": fill["filled_at_ms"],
                "kind": kind,
                "side": fill["side"],
                "price": fill["price"],
                "quantity": fill["quantity"],
                "client_order_id": fill["client_order_id"],
                "pnl": results.get(fill["filled_at_ms"]) if ends else None,
            }
        )
    return rows


def levels(snapshot: Mapping[str, Any], symbol: str) -> list[dict[str, Any]]:
    """Where the protection of what is held lies now."""
    held = positions(snapshot.get("account", {}), open_orders(snapshot))
    return [
        {
            "symbol": symbol,
            "stop": row["stop"],
            "take_profit": row["take_profit"],
            "entry_price": row["entry_price"],
            "since_ms": row["entry_at_ms"],
        }
        for row in held
        if row["symbol"] == symbol
    ]


def gaps(opened_ms: Sequence[int]) -> list[dict[str, int]]:
    """Missing minutes between candles: open time of the first that is missing, and of the next that is there."""
    return [
        {"from_ms": before + MINUTE_MS, "to_ms": after}
        for before, after in pairwise(opened_ms)
        if after - before > MINUTE_MS
    ]
