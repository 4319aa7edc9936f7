"""A walk-forward summed up: rows by retraining, shares of the time, and one sentence that is true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.core.engine_config import NO_MODEL, NO_PREDICTION
from bot.core.market import MINUTE_MS
from bot.core.position import Trade
from bot.retraining.served import Served, ServedRun
from bot.retraining.served_steps import Judged
from bot.retraining.served_succession import Event, Piece, Turn
from bot.retraining.served_summary import engine_turns, walk_summary
from bot.retraining.served_words import ModelWords, Words
from tests.served_walk import SINCE_MS, SYMBOL, TERMS, UNTIL_MS, walk_plan


def words(who: str) -> ModelWords:
    """Words that gain nothing."""
    ts = np.array([SINCE_MS], np.int64)
    one = Words(
        ts,
        {"probability_up": np.array([0.5])},
        ts,
        np.array([0.01]),
        np.ones(1, bool),
        np.zeros((0, 1), np.float32),
    )
    return ModelWords(who, 1, 0.5, {SYMBOL: one})


def trade(entry_ms: int, pnl: float) -> Trade:
    """A trade that was entered then."""
    return Trade(SYMBOL, "long", entry_ms, 0.0, 0, 0.0, 0.0, 0.0, 0.0, pnl, "")


def judged(who: str, *objections: str) -> Judged:
    """A verdict."""
    return Judged(who, "recipe", not objections, objections, None, {})


def served(
    *,
    gated: bool = True,
    objections: tuple[str, ...] = (),
    pieces: tuple[Piece, ...] = (),
    turns=(),
    events=(),
) -> Served:
    """Two retrainings of two models."""
    plan = walk_plan(Path("unused"), gated=gated)
    first, second = plan.runs
    runs = (
        ServedRun(first, "one", judged("one", *objections) if gated else None, words("one")),
        ServedRun(second, "two", judged("two", *objections) if gated else None, words("two")),
    )
    return Served(plan, runs, tuple(events), pieces, tuple(turns), 2, 2)


def test_a_gate_that_refuses_everything_is_a_flat_line_and_a_sentence():
    """Nobody served, all minutes are without a model, and the row says why in one sentence."""
    found = walk_summary(served(objections=("too few weeks", "no trades", "a slope")), [], TERMS)
    assert found["sentence"] == "the gate refused all 2 models: nobody served, and nothing was traded"
    assert found["gate"] == "on"
    row = found["retrainings"][0]
    assert row["refused_because"] == "too few weeks (and 2 other tests)"
    assert (row["promoted"], row["served_from"], row["served_minutes"], row["trades"]) == (False, None, 0, 0)
    assert (row["champion_before"], row["champion_after"]) == ("no-trade", "no-trade")
    totals = found["totals"]
    assert totals["no_model_share"] == 1.0
    assert totals["no_model_minutes"] == totals["minutes"] == (UNTIL_MS - SINCE_MS) // MINUTE_MS


def test_minutes_trades_and_profit_belong_to_who_served():
    """A trade belongs to the model on whose forecast it was entered: the fill comes one open later."""
    half = SINCE_MS + 600 * MINUTE_MS
    pieces = (
        Piece(SINCE_MS - 60 * MINUTE_MS, half, words("one")),
        Piece(half, half + 100 * MINUTE_MS, words("two")),
    )
    trades = [trade(half, 5.0), trade(half + MINUTE_MS, -2.0), trade(half + 100 * MINUTE_MS, 1.0)]
    event = Event(half, "rolled_back", "one", "it fell; two serves")
    found = walk_summary(served(pieces=pieces, events=(event,)), trades, TERMS)
    one, two = found["retrainings"]
    assert (one["served_minutes"], one["trades"], one["pnl"]) == (600, 1, 5.0)
    assert (two["served_minutes"], two["trades"], two["pnl"]) == (100, 2, -1.0)
    assert found["totals"]["proven_minutes"] == 700
    assert found["totals"]["rolled_back"] == 1
    shares = [found["totals"][name] for name in ("proven_share", "unproven_share", "no_model_share")]
    assert sum(shares) == pytest.approx(1.0)
    assert found["sentence"].startswith("the gate promoted 2 of 2 models; 2 served in ")
    assert found["events"][0]["why"] == "it fell; two serves"


def test_ungated_is_said_loudly_and_counts_as_unproven():
    """No verdict is claimed, and every served minute is one of an unproven model."""
    piece = Piece(SINCE_MS, UNTIL_MS, words("one"))
    found = walk_summary(served(gated=False, pieces=(piece,)), [], TERMS)
    assert found["sentence"].startswith("UNGATED")
    assert "unproven" in found["sentence"]
    assert found["gate"] == "off"
    assert found["totals"]["unproven_share"] == 1.0
    assert found["totals"]["proven_minutes"] == 0
    assert found["retrainings"][0]["promoted"] is None


def test_the_engine_begins_without_a_model_or_with_who_serves_at_the_start():
    """Of what was told before the first minute the last word counts; later turns follow in order."""
    assert [(turn.after_ms, turn.absent) for turn in engine_turns(served())] == [(SINCE_MS, NO_MODEL)]
    early = Turn(SINCE_MS - 5 * MINUTE_MS, "one")
    at_start = Turn(SINCE_MS, "one", 0.5, "log_loss_doubted")
    late = Turn(SINCE_MS + MINUTE_MS, None, empties=True)
    found = engine_turns(served(turns=(early, late)))
    assert [(turn.after_ms, turn.absent, turn.empties) for turn in found] == [
        (SINCE_MS + MINUTE_MS, NO_MODEL, True)
    ]
    assert engine_turns(served(turns=(early, at_start)))[0].size == 0.5


def test_a_change_from_model_to_model_is_nothing_to_tell():
    """Only what changes the reason, the size or what is held is told; a word that came before is not said again."""
    models = tuple(
        Turn(SINCE_MS + place * MINUTE_MS, name) for place, name in enumerate(("one", "two", "one"))
    )
    assert engine_turns(served(turns=models)) == ()
    cut = Turn(SINCE_MS + 9 * MINUTE_MS, "one", 0.5, "losses_drifted")
    whole = Turn(SINCE_MS + 12 * MINUTE_MS, "two")
    found = engine_turns(served(turns=(*models, cut, replace(cut, after_ms=cut.after_ms + MINUTE_MS), whole)))
    assert [(turn.after_ms - SINCE_MS, turn.size) for turn in found] == [
        (9 * MINUTE_MS, 0.5),
        (12 * MINUTE_MS, 1.0),
    ]
    assert NO_PREDICTION in {turn.absent for turn in found}
