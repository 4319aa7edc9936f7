"""Every planted leak is caught where it is, and clean pipelines raise no alarm."""

from __future__ import annotations

import pytest

from bot.audits.causality import Answer, Rows
from bot.audits.causality_probe import FUTURE, ProbePlan, probe
from bot.errors import DataError
from tests.leaky_pipelines import PlainPipeline, small_market
from tests.planted_leaks import LEAKS, NoEmbargo, PlantedLeak, WritesIntoCandles

MARKET = small_market(1)
PLAN = ProbePlan(moments=2, seed=1, stream_minutes=60)
ASKED_FOR = (
    "scaler fitted on all rows",
    "centred filter",
    "shuffled split",
    "unclosed bar",
    "threshold tuned on test",
    "label overlap without purge",
    "future-filled gap",
    "bidirectional over the whole series",
    "target in features",
    "resampling that looks ahead",
    "early stopping on test",
    "survivorship by symbol list",
)


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_every_planted_leak_is_caught(leak: PlantedLeak) -> None:
    """The audit finds the leak at its own stage, by the comparison made for it, and its sentence names it."""
    found = [check for check in probe(leak.make(3), MARKET, PLAN) if check.finding is not None]
    caught = [check for check in found if check.stage == leak.stage and leak.compared in check.compared]
    assert caught, [(check.stage, check.finding) for check in found]
    assert any(leak.words in str(check.finding) for check in caught), caught


def test_the_leaks_that_were_asked_for_are_there() -> None:
    """At least the twelve leaks of the requirement are planted."""
    assert set(ASKED_FOR) <= {leak.name for leak in LEAKS}


@pytest.mark.parametrize("seed", range(50))
def test_a_clean_pipeline_raises_no_alarm(seed: int) -> None:
    """Fifty honest pipelines of other features, windows, splits, scalers and models pass every comparison."""
    checks = probe(
        PlainPipeline(seed), small_market(seed % 7), ProbePlan(moments=2, seed=seed, stream_minutes=60)
    )
    assert [check.finding for check in checks if check.finding is not None] == []
    assert {"features", "labels", "scaler", "model", "threshold", "predictions", "decisions"} <= {
        check.stage for check in checks if check.compared == FUTURE and check.values
    }


def test_the_cause_comes_before_what_follows_from_it() -> None:
    """The first finding of a report is where the leak is, not where it shows as well."""
    for leak in LEAKS:
        if leak.name in {
            "scaler fitted on all rows",
            "target in features",
            "early stopping on test",
            "no embargo",
        }:
            first = next(check for check in probe(leak.make(3), MARKET, PLAN) if check.finding is not None)
            assert first.stage == leak.stage


def test_what_a_pipeline_writes_into_its_candles_harms_nobody() -> None:
    """Every question is asked with candles of its own."""
    assert all(check.finding is None for check in probe(WritesIntoCandles(3), MARKET, PLAN))


def test_the_same_seed_asks_the_same_questions() -> None:
    """The report of a seed is repeatable, to the sentence."""
    first, second = (probe(LEAKS[0].make(3), MARKET, PLAN) for _ in range(2))
    assert [str(check) for check in first] == [str(check) for check in second]
    other = probe(LEAKS[0].make(3), MARKET, ProbePlan(moments=2, seed=2, stream_minutes=60))
    assert [str(check) for check in first] != [str(check) for check in other]


def test_a_market_without_candles_and_a_stage_named_twice_are_refused() -> None:
    """Neither could be compared with anything."""

    class Twice:
        name = "twice"

        def answer(self, market):
            symbol, candles = next(iter(market.items()))
            rows = Rows("features", symbol, candles.ts, ("close",), candles.close[:, None])
            return Answer([rows, rows])

    with pytest.raises(DataError, match="at least one symbol"):
        probe(PlainPipeline(1), {})
    with pytest.raises(DataError, match="twice"):
        probe(Twice(), MARKET, PLAN)


def test_each_question_is_told() -> None:
    """A progress bar hears of every question, with the name of who is asked."""
    told: list[str] = []
    probe(NoEmbargo(3), MARKET, PLAN, told.append)
    assert len(told) > 10
    assert all(step.startswith("clean 3: ") for step in told)
