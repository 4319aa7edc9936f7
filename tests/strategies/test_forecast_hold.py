"""The baseline strategy: in on a forecast that pays, out when its time is over, and deaf in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests import fast_driver
from backtests.inputs import PredictionColumns
from backtests.run import run_backtest
from backtests.session import Session
from bot.core.market import MINUTE_MS, Candle
from bot.core.position import Position
from bot.core.prediction import Prediction
from bot.core.signal import Direction, MarketView
from bot.errors import ConfigError
from strategies import HOLD_SETS, ForecastHold, HoldParameters, strategy_factory
from tests.random_market import NO_LIMITS, PERPETUALS, random_input

SYMBOL = PERPETUALS[0]
COST = 0.0011
OPENED_MS = 600_000


def made(**changes: float) -> ForecastHold:
    """The strategy with some values changed."""
    return ForecastHold(SYMBOL, HoldParameters.of("default", changes))


def view(
    expected: float,
    *,
    held: float = 0.0,
    minutes: int = 0,
    horizon: int = 15,
    doubt: float | None = None,
    can_short: bool = True,
) -> MarketView:
    """What it sees at the close so many minutes after a fill."""
    candle = Candle(SYMBOL, OPENED_MS + (minutes - 1) * MINUTE_MS, 1.0, 1.0, 1.0, 1.0, 1.0)
    forecast = Prediction(SYMBOL, candle.closed_at_ms, "m", horizon, expected, None, doubt, None, None)
    position = Position(SYMBOL, held, 1.0, OPENED_MS if held else 0)
    return MarketView(SYMBOL, candle, forecast, position, can_short, COST)


@given(st.floats(-0.05, 0.05))
def test_it_enters_where_the_forecast_pays_its_costs(expected: float):
    """Above the round trip and the margin it goes with the sign; at or below it stays flat."""
    signal = made().decide(view(expected))
    if abs(expected) <= COST + 0.0001:
        assert signal[:3] == (Direction.FLAT, 0.0, "forecast_too_small")
    else:
        assert signal.direction is (Direction.LONG if expected > 0 else Direction.SHORT)


def test_a_threshold_above_the_costs_counts():
    """The larger of threshold and costs is what must be exceeded."""
    assert made(threshold=0.01).decide(view(0.009)).reason == "forecast_too_small"
    assert made(threshold=0.01).decide(view(0.011)).reason == "forecast_up"


def test_doubt_is_taken_off_where_it_is_asked_for():
    """With a confidence the lower bound must pay; a doubt that is no number is doubted; by default none is taken off."""
    assert made().decide(view(0.002, doubt=0.005)).reason == "forecast_up"
    assert made(edge_confidence=1.0).decide(view(0.002, doubt=0.001)).reason == "edge_uncertain"
    assert made(edge_confidence=1.0).decide(view(0.002, doubt=float("nan"))).reason == "edge_uncertain"
    assert made(edge_confidence=1.0).decide(view(0.002)).reason == "forecast_up"


def test_spot_is_not_sold_short():
    """Where a symbol cannot be sold short a falling forecast opens nothing."""
    assert made().decide(view(-0.01, can_short=False)).reason == "cannot_short"


@pytest.mark.parametrize(("hold", "horizon", "over"), [(0, 15, 15), (0, 5, 5), (7, 15, 7)])
@pytest.mark.parametrize("held", [1.0, -1.0])
def test_it_leaves_when_the_time_of_the_forecast_is_over(hold: int, horizon: int, over: int, held: float):
    """It holds whatever is forecast meanwhile, for the horizon that it entered on or the minutes told."""
    strategy = made(hold_minutes=hold)
    strategy.decide(view(0.01 * held, horizon=horizon))
    kept = Direction.LONG if held > 0 else Direction.SHORT
    before = strategy.decide(view(-0.05 * held, held=held, minutes=over - 1, horizon=60))
    after = strategy.decide(view(0.05 * held, held=held, minutes=over, horizon=60))
    assert before[:3] == (kept, 1.0, "holding")
    assert after[:3] == (Direction.FLAT, 0.0, "held_long_enough")


def test_a_restart_changes_nothing():
    """What it entered on goes through a snapshot; that of another strategy falls back to the forecast at hand."""
    first, second, third = made(), made(), made()
    first.decide(view(0.01, horizon=5))
    second.restore(first.snapshot())
    third.restore({"rsi": {}, "macd": {}})
    assert second.decide(view(0.0, held=1.0, minutes=5, horizon=60)).reason == "held_long_enough"
    assert third.decide(view(0.0, held=1.0, minutes=5, horizon=60)).reason == "holding"


def test_trades_last_as_long_as_the_forecasts_speak_of():
    """In the engine an unprotected-by-price trade begins at the next open and ends so many minutes later."""
    data = random_input(5, count=3000, gaps=False, limits=NO_LIMITS)
    ts = data.candles[SYMBOL].ts
    forecasts = np.random.default_rng(3).normal(0, 0.004, len(ts))
    held = {"stop_loss": 0.9, "take_profit": 0.9}
    changed = type(data)(
        data.candles,
        {SYMBOL: PredictionColumns(ts, forecasts, "random", 12)},
        data.config,
        strategy_factory("forecast_hold", overrides=held),
    )
    trades = run_backtest(changed).trades
    assert len(trades) > 100
    assert {trade.exit_at_ms - trade.entry_at_ms for trade in trades} == {12 * MINUTE_MS}
    assert {trade.exit_reason for trade in trades} == {"held_long_enough"}
    for trade in trades:
        told = forecasts[np.searchsorted(ts, trade.entry_at_ms) - 1]
        assert (told > 0) == (trade.direction == "long")


@given(st.integers(0, 10_000), st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_what_it_says_beforehand_is_what_it_decides(seed: int, minutes: int):
    """A driver that passes over calm minutes trades as one that asks on every candle, to the last digit."""
    data = random_input(seed, symbols=PERPETUALS[:2], count=400, limits=NO_LIMITS)
    factory = strategy_factory("forecast_hold", overrides={"hold_minutes": minutes, "threshold": 0.006})
    data = replace(data, make_strategy=factory)
    passed, asked = Session(data), Session(data)
    fast_driver.drive(passed)
    fast_driver.drive_plainly(asked)
    first, second = passed.result("fast"), asked.result("plain")
    assert first.trades == second.trades
    assert first.hold_reasons == second.hold_reasons
    assert first.equity.equity.tolist() == second.equity.equity.tolist()
    assert passed.engine.snapshot() == asked.engine.snapshot()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stop_loss": 0}, "forecast_hold.stop_loss must lie between 0 and 1"),
        ({"take_profit": 1.5}, "forecast_hold.take_profit must lie between 0 and 1"),
        ({"hold_minutes": -1}, "forecast_hold.hold_minutes must not be negative"),
        ({"hold_minutes": 1.5}, "forecast_hold.hold_minutes must be a whole number"),
        ({"holding_minutes": 3}, "did you mean hold_minutes"),
        ({"threshold": "much"}, "forecast_hold.threshold must be a number"),
    ],
)
def test_parameters_out_of_range_are_refused(values: dict[str, object], words: str):
    """The sentence begins with the strategy's own name."""
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")):
        HoldParameters.of("default", values)


def test_its_only_set_is_the_default():
    """A set of the other strategy is refused, with those that there are."""
    assert tuple(HOLD_SETS) == ("default",)
    with pytest.raises(ConfigError, match="forecast_hold has no parameter set 'aggressive': use default"):
        strategy_factory("forecast_hold:aggressive")
