"""The log lines of a batch."""

from __future__ import annotations

from bot.core.orders import Canceled, Fill, Funding, Rejected, Side, Unknown
from bot.core.position import Trade
from bot.core.risk import StateChange
from bot.core.state import TradingState
from bot.daemon.telling import tell_batch, tell_interim
from bot.ports import BatchRecord, InterimRecord
from tests.core_builders import PERPETUAL, at, candle
from tests.daemon_harness import Silent


def test_everything_that_moves_money_or_state_has_a_line() -> None:
    """Fills, fundings, cancels, rejects, unknowns, trades, halts and missing symbols are all told."""
    reports = (
        Fill("t", "o", PERPETUAL, Side.BUY, 1.0, 100.0, 0.04, "USDT", at(0)),
        Funding(PERPETUAL, 0.0001, 100.0, at(0)),
        Canceled("o", PERPETUAL, at(0), "no candle followed the decision"),
        Rejected("o", PERPETUAL, at(0), "nothing to reduce"),
        Unknown("o", PERPETUAL, at(0), "timeout"),
    )
    trade = Trade(PERPETUAL, "long", at(0), 100.0, at(1), 101.0, 1.0, 0.08, 0.0, 0.92, "take_profit")
    changes = [
        StateChange(TradingState.TRADING, TradingState.HALTED, "drawdown_limit", at(1)),
        StateChange(TradingState.REDUCING, TradingState.TRADING, "new_day", at(1)),
    ]
    record = BatchRecord(at(1), at(1), (candle(0),), ("stream",), reports, (), (trade,), changes, 1, 1, 0, {})
    log = Silent()
    tell_batch(log, ("ETH/USDT:USDT",), record, 250)
    told = [event for event, _ in log.lines]
    assert told == [
        "candle.missing",
        "candle.closed",
        "order.filled",
        "funding.paid",
        "order.canceled",
        "order.rejected",
        "order.unknown",
        "trade.closed",
        "risk.halted",
        "risk.state_changed",
    ]


def test_a_funding_that_the_exchange_booked_is_told_with_what_was_paid() -> None:
    """Where the rate is not known none is told, least of all one of nothing; a rate of our own count is."""
    booked = Funding(PERPETUAL, 0.0, 0.0, at(0), -0.25)
    counted = Funding(PERPETUAL, 0.0001, 100.0, at(0))
    record = InterimRecord(at(0), (booked, counted), (), (), (), {})
    log = Silent()
    tell_interim(log, record)
    assert log.lines == [
        ("funding.paid", {"symbol": PERPETUAL, "paid": -0.25, "paid_at_ms": at(0)}),
        ("funding.paid", {"symbol": PERPETUAL, "rate": 0.0001, "paid_at_ms": at(0)}),
    ]
