"""A replay of a record decides as the run did that was recorded, and says when it can't follow."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.replay_driver import RecordedBatch, batch_from_line, batch_to_line, record, replay
from backtests.results import MinuteOutcome
from backtests.run import run_backtest
from bot.core.limits import MarketFacts
from bot.core.orders import Fill
from bot.errors import DifferenceError
from tests.random_market import NO_LIMITS, PERPETUALS, random_input


@given(seed=st.integers(0, 5000), width=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_a_replay_repeats_the_run(seed: int, width: int):
    """Fed with what went into the engine, written as lines and read back, a new engine leaves the same behind."""
    data = random_input(seed, symbols=PERPETUALS[:width], count=300)
    outcomes: list[MinuteOutcome] = []
    again: list[MinuteOutcome] = []
    run = run_backtest(data, sink=outcomes.extend)
    records = map(batch_from_line, map(batch_to_line, record(data)))
    result = replay(records, data.config, data.make_strategy, sink=again.extend)
    assert result.trades == run.trades
    assert result.fills == run.fills
    assert [(list(r), list(d)) for r, d in again] == [(list(r), list(d)) for r, d in outcomes]
    assert result.equity.equity.tolist() == run.equity.equity.tolist()


def test_a_batch_survives_its_line_exactly():
    """Candles, reports of every kind and predictions come back from a line as they went in."""
    batches = list(record(random_input(3, symbols=PERPETUALS, count=500)))
    assert {type(report).__name__ for batch in batches for report in batch.reports} >= {
        "Accepted",
        "Canceled",
        "Fill",
        "Funding",
    }
    assert [batch_from_line(batch_to_line(batch)) for batch in batches] == batches


def test_a_late_decision_is_repeated_as_late():
    """The recorded time decides: a batch that was decided too late holds again."""
    data = random_input(3, count=200)
    late = [replace(batch, now_ms=batch.now_ms + 10_000_000) for batch in record(data) if not batch.reports]
    reasons = replay(late[:60], data.config, data.make_strategy).hold_reasons
    assert reasons["late_candle"] > 10


def test_a_record_of_other_decisions_can_not_be_followed():
    """A fill of an order that this engine never sent ends the replay with a sentence, after what came before."""
    data = random_input(3, count=400)
    batches = list(record(data))
    place = next(
        place for place, batch in enumerate(batches) if any(isinstance(r, Fill) for r in batch.reports)
    )
    batches[place - 1] = replace(batches[place - 1], predictions=())
    seen: list[MinuteOutcome] = []
    with pytest.raises(DifferenceError, match="can't follow the record"):
        replay(batches, data.config, data.make_strategy, sink=seen.extend)
    assert len(seen) == place


def test_why_nothing_was_predicted_survives_the_record() -> None:
    """A line says why a minute had no prediction; one of before holds the usual reason."""
    batch = RecordedBatch((), (), (), 0, "no_model")
    assert batch_from_line(batch_to_line(batch)) == batch
    old = orjson.dumps({"candles": [], "reports": [], "predictions": [], "now_ms": 0})
    assert batch_from_line(old).absent == "no_prediction"


def test_what_was_known_of_a_market_is_replayed() -> None:
    """A wide spread refuses its entry in the replay too; a line of before knows of none."""
    data = random_input(3, count=400, limits=replace(NO_LIMITS, max_spread_bps=3.0))
    batches = list(record(data))
    place = next(
        place for place, batch in enumerate(batches) if any(isinstance(r, Fill) for r in batch.reports)
    )
    symbol = data.symbols[0]
    wide = replace(batches[place - 1], facts=(MarketFacts(symbol, 5.0),))
    assert batch_from_line(batch_to_line(wide)) == wide
    old = orjson.dumps({"candles": [], "reports": [], "predictions": [], "now_ms": 0})
    assert batch_from_line(old).facts == ()
    seen: list[MinuteOutcome] = []
    replay([*batches[: place - 1], wide], data.config, data.make_strategy, sink=seen.extend)
    assert [decision.hold_reason for decision in seen[-1][1]] == ["refused_spread_too_wide"]
