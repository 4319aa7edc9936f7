"""Passing over calm minutes changes nothing: the fast drive leaves what deciding on every candle leaves, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests import fast_driver
from backtests.inputs import BacktestInput, PredictionColumns, rounded
from backtests.results import BacktestResult, MinuteOutcome
from backtests.run import run_backtest
from backtests.session import Session
from backtests.turns import EngineTurn
from bot.core.calm_engine import CalmEngine
from bot.core.costs import Costs, FundingRates
from bot.core.entry import EntryRule, EntryStyle
from bot.core.liquidation import MarginRule
from bot.core.orders import Protection
from bot.core.risk import RiskLimits
from bot.core.signal import Direction, MarketView, Signal
from bot.core.sizing import SizingRule
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from strategies import strategy_factory
from tests.random_market import PERPETUALS, SPOTS, START_MS, random_input


def quiet_input(seed: int, *, loud: float = 0.03, share: float = 0.8, **words: Any) -> BacktestInput:
    """A random market on which few forecasts are worth a trade, and some minutes have none."""
    data = random_input(seed, **words)
    rng = np.random.default_rng([seed, 2])
    predictions = {}
    for symbol, arrays in data.candles.items():
        ts = arrays.ts[rng.random(len(arrays)) < share]
        size = np.where(rng.random(len(ts)) < loud, 0.006, 0.0004)
        doubt = np.where(rng.random(len(ts)) < 0.3, rounded(rng.uniform(0, 0.003, len(ts))), np.nan)
        wide = np.where(rng.random(len(ts)) < 0.8, rounded(rng.uniform(0.0005, 0.006, len(ts))), np.nan)
        expected = rounded(rng.normal(0, 1, len(ts)) * size)
        predictions[symbol] = PredictionColumns(ts, expected, "quiet", 15, uncertainty=doubt, volatility=wide)
    return replace(data, predictions=predictions)


def drive_with(
    drive: Any, data: BacktestInput, *, sink: bool
) -> tuple[BacktestResult, list[MinuteOutcome], Session]:
    """What a drive leaves: result, outcomes where a sink listens, and the session."""
    outcomes: list[MinuteOutcome] = []
    session = Session(data, sink=outcomes.extend if sink else None)
    drive(session)
    return session.result("fast"), outcomes, session


def assert_same(data: BacktestInput) -> BacktestResult:
    """The drive leaves the same as the plain one, with and without a sink; returns its result."""
    plain, plain_outcomes, before = drive_with(fast_driver.drive_plainly, data, sink=True)
    for sink in (True, False):
        found, outcomes, session = drive_with(fast_driver.drive, data, sink=sink)
        if sink:
            assert [(list(r), list(d)) for r, d in outcomes] == [
                (list(r), list(d)) for r, d in plain_outcomes
            ]
        assert (found.trades, found.fills, found.fundings) == (plain.trades, plain.fills, plain.fundings)
        for name in ("ts", "equity", "cash", "exposure"):
            np.testing.assert_array_equal(getattr(found.equity, name), getattr(plain.equity, name))
        assert found.hold_reasons == plain.hold_reasons
        assert (found.candle_count, found.state_changes) == (plain.candle_count, plain.state_changes)
        assert session.engine.snapshot() == before.engine.snapshot()
        for symbol in data.symbols:
            assert session.engine.window(symbol).candles == before.engine.window(symbol).candles
    return found


PARAMETERS: tuple[dict[str, Any], ...] = (
    {},
    {"require_macd": True, "max_holding_minutes": 7},
    {"exit_on_reversal": False, "max_holding_minutes": 30, "edge_confidence": 0.0},
    {"stop_volatility": 2.0, "threshold": 0.002},
)


@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 3),
    spot=st.booleans(),
    loud=st.sampled_from([0.0, 0.02, 0.2]),
    share=st.sampled_from([0.1, 0.9, 1.0]),
    gaps=st.booleans(),
    daily_loss=st.sampled_from([0.005, 0.02, 1.0]),
    drawdown=st.sampled_from([0.03, 1.0]),
    maker=st.booleans(),
    parameters=st.sampled_from(PARAMETERS),
)
@settings(max_examples=40, deadline=None)
def test_every_number_is_that_of_the_plain_drive(
    seed, width, spot, loud, share, gaps, daily_loss, drawdown, maker, parameters
):
    """Whatever the market, the limits, the entries and the parameters: trades, decisions, equity and state are the same."""
    symbols = (SPOTS if spot else PERPETUALS)[:width]
    funding = FundingRates(0.001, {symbols[0]: {START_MS + 60_000 * k: 0.0005 for k in range(0, 900, 37)}})
    data = quiet_input(
        seed,
        loud=loud,
        share=share,
        symbols=symbols,
        count=500,
        gaps=gaps,
        limits=RiskLimits(max_daily_loss_fraction=daily_loss, max_drawdown_fraction=drawdown),
        funding=funding,
        entry=EntryRule(EntryStyle.MAKER, 3, taker_fallback=seed % 2 == 0) if maker else None,
        sizing=SizingRule(0.9, target_volatility=0.002 if seed % 3 == 0 else None),
        **parameters,
    )
    assert_same(data)


def test_most_minutes_are_passed_over(monkeypatch: pytest.MonkeyPatch):
    """On a quiet market nearly no candle is decided on one by one, though it trades, pays funding and sees new days."""
    decided = []
    decide = CalmEngine.decide

    def counted(*given: Any) -> Any:
        decided.append(1)
        return decide(*given)

    monkeypatch.setattr(CalmEngine, "decide", counted)
    rates = FundingRates(0.0, {PERPETUALS[0]: {START_MS + 60_000 * k: 0.0005 for k in range(0, 4000, 37)}})
    data = quiet_input(4, count=4000, gaps=False, loud=0.01, share=1.0, funding=rates)
    session = Session(data)
    fast_driver.drive(session)
    result = session.result("fast")
    assert len(decided) < 0.15 * result.candle_count
    monkeypatch.undo()
    assert_same(data)
    assert len(result.trades) > 10
    assert result.fundings


@pytest.mark.parametrize(
    "costs",
    [
        Costs(latency_ms=90_000),
        Costs(spread=SpreadRule(), impact=ImpactRule(), participation_cap=0.5),
        Costs(margin=MarginRule(leverage=50.0)),
    ],
)
def test_costs_that_are_not_plain_meet_every_candle(costs: Costs):
    """With latency, impact or liquidation the exchange is asked in each minute, and nothing changes either."""
    data = quiet_input(5, count=1500, symbols=PERPETUALS[:2], sizing=SizingRule(0.9))
    assert assert_same(replace(data, config=replace(data.config, costs=costs))).trades


class Sleepy:
    """A strategy of a user's own that can say nothing beforehand."""

    protection = Protection(0.01, 0.02)

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.seen = 0

    def observe(self, candle: Any) -> None:
        self.seen += 1

    def forget(self) -> None:
        self.seen = 0

    def decide(self, view: MarketView) -> Signal:
        wish = Direction.LONG if self.seen % 50 < 20 else Direction.FLAT
        return Signal(wish, 1.0, "seen")

    def snapshot(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


def test_a_strategy_that_foresees_nothing_is_asked_on_every_candle():
    """Without ``calm`` every candle is decided on, and all is as the plain drive leaves it."""
    data = replace(quiet_input(6, count=800), make_strategy=Sleepy)
    assert not Session(data).engine.is_foreseeable
    assert assert_same(data).trades


def test_a_forecast_that_is_no_number_is_refused_as_ever():
    """One infinite forecast among quiet ones is held back as not finite, by both drives."""
    data = quiet_input(7, count=300, gaps=False)
    columns = data.predictions[PERPETUALS[0]]
    expected = columns.expected_return.copy()
    expected[100] = np.inf
    broken = replace(data, predictions={PERPETUALS[0]: replace(columns, expected_return=expected)})
    assert assert_same(broken).hold_reasons["prediction_not_finite"] == 1


def test_what_is_told_between_minutes_is_heard():
    """A run with turns is driven candle by candle: its entries are cut from that minute on."""
    data = quiet_input(8, count=900, gaps=False, loud=0.2, share=1.0)
    turn = EngineTurn(int(data.candles[PERPETUALS[0]].ts[500]), size=0.0, size_reason="doubted")
    result = run_backtest(replace(data, turns=(turn,)))
    assert result.hold_reasons["doubted"] > 0


def test_progress_counts_minutes_that_are_passed_over():
    """Without a sink, too, the progress ends at the number of minutes."""
    data = quiet_input(9, count=3000)
    told: list[int] = []
    run_backtest(data, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == data.minute_count()
    assert len(told) > 3


@pytest.mark.parametrize("name", ["lstm_scalping:aggressive", "lstm_scalping:conservative", "forecast_hold"])
def test_every_strategy_of_ours_is_the_same_either_way(name: str):
    """Each strategy that comes with the bot leaves the same in both drives."""
    data = quiet_input(10, count=1500, symbols=PERPETUALS[:2], loud=0.1)
    assert_same(replace(data, make_strategy=strategy_factory(name)))
