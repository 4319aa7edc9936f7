"""The audit of many, and its report."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bot.audits.causality import Answer, Rows
from bot.audits.causality_probe import ProbePlan
from bot.audits.causality_run import UserPipeline, audit, default_market, describe
from bot.audits.causality_trading import MOVED, StrategyPipeline
from bot.errors import ConfigError, DataError
from strategies import strategy_factory
from tests.leaky_pipelines import PlainPipeline, small_market
from tests.planted_leaks import CentredFilter

PLAN = ProbePlan(moments=2, seed=1, stream_minutes=60)
MARKET = small_market(1)


def test_a_report_holds_every_subject_and_every_finding():
    """One clean and one leaking pipeline: the report has failed, and JSON says where."""
    leaking = CentredFilter(3)
    leaking.name = "leaking"
    report = audit([PlainPipeline(1), leaking], MARKET, PLAN)
    document = json.loads(json.dumps(report.as_json()))
    assert {check["subject"] for check in document["checks"]} == {"clean 1", "leaking"}
    assert document["passed"] is False
    first = next(check["finding"] for check in document["checks"] if not check["passed"])
    assert first["column"] == "centred_mean"
    assert first["minute"].endswith("Z")
    assert first["altered_after"] > first["minute"][:10]
    assert {check.subject for check in report.failed} == {"leaking"}


def test_a_clean_report_has_passed():
    """Nothing failed, and what was compared is counted."""
    document = audit([PlainPipeline(2)], MARKET, PLAN).as_json()
    assert document["passed"] is True
    assert all(check["values"] > 0 and check["finding"] is None for check in document["checks"])


def test_strategies_are_asked_about_dates_and_told_how_much_they_did():
    """The check of dates can be left out; the note says how many orders there were."""
    market = {symbol: candles.rows(0, 400) for symbol, candles in default_market(3, days=5).items()}
    strategy = StrategyPipeline("default", strategy_factory("lstm_scalping"), 3)
    whole = audit([strategy], market, PLAN)
    assert MOVED in {check.compared for check in whole.checks}
    assert all("order" in check.note for check in whole.checks if check.stage == "decisions")
    assert MOVED not in {check.compared for check in audit([strategy], market, PLAN, dates=False).checks}


def test_progress_counts_subjects():
    """A bar hears how many subjects are done and what is being asked."""
    told: list[tuple[int, str]] = []
    audit(
        [PlainPipeline(1), PlainPipeline(2)],
        MARKET,
        PLAN,
        on_step=lambda done, step: told.append((done, step)),
    )
    assert {done for done, _ in told} == {0, 1}
    assert told[0][1].startswith("clean 1: ")


def test_the_default_market_is_the_same_for_a_seed_and_has_gaps():
    """Two symbols, some minutes missing."""
    one, two, other = default_market(1, days=5), default_market(1, days=5), default_market(2, days=5)
    assert list(one) == ["BTC/USDT:USDT", "ETH/USDT:USDT"]
    for symbol, candles in one.items():
        assert np.array_equal(candles.close, two[symbol].close)
        assert not np.array_equal(candles.close[:100], other[symbol].close[:100])
        assert (np.diff(candles.ts) > 60_000).any()
    assert describe(one)["candles"] == sum(map(len, one.values()))
    with pytest.raises(DataError):
        describe({})


class _Broken:
    def __init__(self, said=None, fault=None):
        self._said, self._fault = said, fault

    def answer(self, market):
        if self._fault is not None:
            raise self._fault
        return self._said


def test_what_a_users_pipeline_raises_is_one_sentence_that_names_it():
    """Errors of a user's code become ours with the cause kept; errors that are ours pass as they are."""
    broken = UserPipeline("mine:make", _Broken(fault=KeyError("close")))
    with pytest.raises(DataError, match=r"mine:make failed in answer: KeyError") as caught:
        broken.answer({})
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(ConfigError, match="own words"):
        UserPipeline("mine:make", _Broken(fault=ConfigError("own words"))).answer({})
    with pytest.raises(DataError, match="not dict"):
        UserPipeline("mine:make", _Broken(said={})).answer({})


def test_a_users_stream_is_found_where_there_is_one():
    """A pipeline without ``stream`` is audited without it, one with it is streamed."""
    candles = MARKET["AAA/USDT"]
    said = Answer([Rows("features", "AAA/USDT", candles.ts, ("close",), candles.close[:, None])])
    assert not hasattr(UserPipeline("a:b", _Broken(said=said)), "stream")
    streaming = UserPipeline("a:b", PlainPipeline(1))
    report = audit([streaming], MARKET, PLAN)
    assert not report.failed
    assert any("stream" in check.compared for check in report.checks)
