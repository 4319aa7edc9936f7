"""The day in a few figures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.position import Trade
from bot.daemon.summary import HOUR_MS, DailySummary
from bot.ports import BatchRecord, InterimRecord
from tests.core_builders import MIDNIGHT, PERPETUAL, at
from tests.daemon_harness import Silent

SNAPSHOT = {"account": {"positions": [[PERPETUAL, -2.0, 100.0, 0]]}, "risk": {"state": "trading"}}


def batch(closed_at_ms: int, equity: float = 100.0, *pnls: float) -> BatchRecord:
    """A minute in which trades ended."""
    trades = [Trade(PERPETUAL, "long", at(0), 100.0, at(1), 101.0, 1.0, 0.08, 0.0, pnl, "x") for pnl in pnls]
    return BatchRecord(closed_at_ms, closed_at_ms, (), (), (), (), trades, (), equity, 0.0, 0.0, SNAPSHOT)


def test_it_tells_what_the_day_brought() -> None:
    """Trades of minutes and of what lay between, the change of equity, positions, and how often the log warned."""
    log = Silent()
    summary = DailySummary(log, 6)
    summary.on_batch(batch(MIDNIGHT + 5 * HOUR_MS, 100.0, 2.0))
    summary.on_line("order.unknown", "warning", {})
    summary.on_line("order.filled", "info", {})
    later = batch(MIDNIGHT, 0.0, -0.5)
    summary.on_interim(InterimRecord(MIDNIGHT, (), (), later.trades, (), SNAPSHOT))
    assert log.lines == []
    summary.on_batch(batch(MIDNIGHT + 6 * HOUR_MS, 110.0))
    assert log.lines == [
        (
            "summary.daily",
            {
                "hours": 1.0,
                "equity": 110.0,
                "change": 0.1,
                "trades": 2,
                "won": 1,
                "pnl": 1.5,
                "fees": 0.16,
                "positions": [f"{PERPETUAL} -2"],
                "state": "trading",
                "minutes": 2,
                "warnings": 1,
                "errors": 0,
            },
        )
    ]
    summary.on_batch(batch(MIDNIGHT + 30 * HOUR_MS, 121.0))
    fields = log.lines[1][1]
    assert (fields["hours"], fields["change"], fields["trades"], fields["minutes"]) == (24.0, 0.1, 0, 1)


@given(st.integers(0, 23), st.lists(st.integers(1, 3_000), min_size=1, max_size=60))
def test_it_comes_once_a_day_whatever_is_missing(hour: int, steps: list[int]) -> None:
    """One for each day that ended while minutes were decided, at its first minute; none for a day without any."""
    log = Silent()
    summary = DailySummary(log, hour)
    days, now_ms = [], MIDNIGHT
    for step in steps:
        now_ms += step * MINUTE_MS
        summary.on_batch(batch(now_ms))
        days.append((now_ms - hour * HOUR_MS) // DAY_MS)
    assert len(log.lines) == len(set(days)) - 1
    counted = sum(fields["minutes"] for _, fields in log.lines)
    assert counted <= len(steps)
