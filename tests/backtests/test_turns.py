"""What an engine is told between two minutes: it holds from the minute it is meant for on, whoever drives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backtests.run import run_backtest
from backtests.turns import EngineTurn
from bot.core.engine_config import NO_MODEL, NO_PREDICTION
from bot.core.market import MINUTE_MS
from tests.random_market import PERPETUALS, START_MS, random_input

DATA = random_input(11, symbols=PERPETUALS[:2], count=600, gaps=False)
TURN_MS = START_MS + 300 * MINUTE_MS


def decided(data, engine: str = "fast"):
    """The run, and every decision by the close of its minute."""
    outcomes: list[Any] = []
    result = run_backtest(data, engine=engine, sink=outcomes.extend)
    return result, [decision for _, decisions in outcomes for decision in decisions]


def without_predictions_from(data, at_ms: int):
    """Nobody predicts from a moment on."""
    cut = {
        symbol: replace(
            columns,
            **{
                name: None if getattr(columns, name) is None else getattr(columns, name)[columns.ts < at_ms]
                for name in ("ts", "expected_return", "probability_up", "raw", "uncertainty", "volatility")
            },
        )
        for symbol, columns in data.predictions.items()
    }
    return replace(data, predictions=cut)


@pytest.mark.parametrize("engine", ["fast", "backtrader"])
def test_entries_stop_with_the_minute_after(engine):
    """A size of 0 allows no entry on candles that open then or later, and says why; before it nothing is changed."""
    turn = EngineTurn(TURN_MS, size=0.0, size_reason="doubt_lasted")
    plain, before = decided(DATA, engine)
    cut, after = decided(replace(DATA, turns=(turn,)), engine)
    assert [one for one in after if one.closed_at_ms <= TURN_MS] == [
        one for one in before if one.closed_at_ms <= TURN_MS
    ]
    assert any(one.hold_reason == "doubt_lasted" for one in after)
    assert any(trade.entry_at_ms > TURN_MS + MINUTE_MS for trade in plain.trades)
    assert not any(trade.entry_at_ms > TURN_MS for trade in cut.trades)


@pytest.mark.parametrize("engine", ["fast", "backtrader"])
def test_nobody_follows_and_what_is_held_is_closed(engine):
    """With a turn that empties, the next open closes every position; the reason is then that there is no model."""
    quiet = without_predictions_from(DATA, TURN_MS)
    held, _ = decided(quiet, engine)
    turn = EngineTurn(TURN_MS, absent=NO_MODEL, empties=True)
    emptied, after = decided(replace(quiet, turns=(turn,)), engine)
    late = [trade for trade in held.trades if trade.exit_at_ms > TURN_MS + MINUTE_MS]
    assert late or held.account.has_positions, "nothing was held: the case shows nothing"
    assert all(trade.exit_at_ms <= TURN_MS + MINUTE_MS for trade in emptied.trades)
    assert not emptied.account.has_positions
    reasons = {one.hold_reason for one in after if one.closed_at_ms > TURN_MS + 2 * MINUTE_MS}
    assert reasons == {NO_MODEL}


def test_engines_agree_on_turns():
    """Fast and backtrader make the same decisions and trades where entries are halved, stopped and allowed again."""
    turns = tuple(
        EngineTurn(START_MS + place * 97 * MINUTE_MS, size=size, size_reason="" if size == 1.0 else "cut")
        for place, size in enumerate((1.0, 0.5, 0.0, 1.0, 0.5))
    )
    data = replace(DATA, turns=turns)
    (one, first), (other, second) = decided(data), decided(data, "backtrader")
    assert first == second
    assert one.trades == other.trades
    assert one.trades != run_backtest(DATA).trades


def test_a_turn_that_says_nothing_new_changes_nothing():
    """The default turn at the start is how an engine begins."""
    plain, before = decided(DATA)
    told, after = decided(replace(DATA, turns=(EngineTurn(START_MS),)))
    assert (after, told.trades) == (before, plain.trades)
    assert EngineTurn(0).absent == NO_PREDICTION
