"""The questions that an explanation asks a journal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.core.market import MINUTE_MS
from bot.errors import NotRunningError
from bot.journal.explain import ExplainReader
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS
from tests.journal_rig import Life, live_through

MINUTES = 300
"""More than a page of them."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ExplainReader:
    """The journal of a bot that traded two symbols."""
    folder = asyncio.run(live_through(tmp_path_factory.mktemp("asked"), [Life(MINUTES)], minutes=MINUTES))
    return ExplainReader(folder / "journal.sqlite")


def test_minutes_come_page_by_page_in_both_directions(reader: ExplainReader) -> None:
    """Every minute once, oldest or newest first, within bounds that are included."""
    times = [minute.closed_at_ms for minute in reader.minutes()]
    assert times == [MIDNIGHT + minute * MINUTE_MS for minute in range(1, MINUTES + 1)]
    assert [minute.closed_at_ms for minute in reader.minutes(newest_first=True)] == times[::-1]
    assert [minute.closed_at_ms for minute in reader.minutes(times[3], times[5])] == times[3:6]
    assert [row["symbol"] for row in next(reader.minutes()).decisions] == list(SYMBOLS)


def test_symbols_are_those_that_have_candles(reader: ExplainReader) -> None:
    """By name, each once."""
    assert reader.symbols() == sorted(SYMBOLS)


def test_what_was_held_follows_from_the_executions(reader: ExplainReader) -> None:
    """Nothing before the first, the entry's quantity with its sign within a trade, nothing after it."""
    for trade in reader.trades()[-10:]:
        assert reader.held_before(trade.symbol, trade.entry_at_ms) == 0.0
        sign = 1 if trade.direction == "long" else -1
        if trade.entry_at_ms + 1 < trade.exit_at_ms:
            assert reader.held_before(trade.symbol, trade.entry_at_ms + 1) == sign * trade.quantity
        assert reader.trade_over(trade.symbol, trade.entry_at_ms, trade.entry_at_ms) == trade
        opened_ms = reader.decided_of_fill(trade.symbol, trade.entry_at_ms, entry=True)
        assert opened_ms is not None
        assert opened_ms <= trade.entry_at_ms
    assert reader.trade_over(SYMBOLS[0], 0, 1) is None
    assert reader.decided_of_fill(SYMBOLS[0], 1, entry=True) is None
    assert reader.equity_at(MIDNIGHT + MINUTE_MS) == 10_000.0
    assert reader.equity_at(1) is None


def test_orders_of_an_entry_begin_alike(reader: ExplainReader) -> None:
    """Entry, stop and target of one decision, and no order of another."""
    entry = next(
        order
        for minute in reader.minutes()
        for row in minute.decisions
        for order in row["approved"]
        if order[4] == "e"
    )
    found = reader.orders_like(entry[0][:-1])
    assert [order["client_order_id"][:-1] for order in found] == [entry[0][:-1]] * 3
    assert sorted(order["leg"] for order in found) == ["e", "s", "t"]
    assert reader.fills_of([]) == []
    assert {fill["client_order_id"] for fill in reader.fills_of([entry[0]])} == {entry[0]}


def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    """The same sentence as everywhere."""
    with pytest.raises(NotRunningError, match="make run"):
        ExplainReader(tmp_path / "journal.sqlite")
