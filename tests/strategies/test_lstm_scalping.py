"""Tests of the default strategy: when it enters, when it leaves, what it is called, and its parameters."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.candle_run import CandleRun
from bot.core.orders import Protection
from bot.core.position import Position
from bot.core.signal import Direction, MarketView, Signal
from bot.errors import ConfigError
from strategies.lstm_scalping import PARAMETER_SETS, LstmScalping, ScalpingParameters
from tests.core_builders import PERPETUAL, SPOT, at, candle, predicted

RISING = [100.0 + 0.01 * number + 0.001 * number**2 - (0.4 if number % 3 else 0.0) for number in range(40)]
FALLING = [200.0 - close for close in RISING]
CALM = [100.0] * 40


def strategy(closes: list[float], **overrides: Any) -> LstmScalping:
    """The default parameters with some changed, after these closes."""
    made = LstmScalping(PERPETUAL, ScalpingParameters.of("default", overrides))
    for number, close in enumerate(closes):
        made.observe(candle(number, close))
    return made


def view(
    expected: float,
    held: float = 0.0,
    *,
    cost: float = 0.0,
    can_short: bool = True,
    opened: int = 30,
    unsure: float | None = None,
    moves: float | None = None,
) -> MarketView:
    """What it sees on candle 40."""
    said = predicted(41, expected)._replace(uncertainty=unsure, volatility=moves)
    position = Position(PERPETUAL, held, 100.0, at(opened)) if held else Position(PERPETUAL)
    return MarketView(PERPETUAL, candle(40), said, position, can_short, cost)


def said(made: LstmScalping, seen: MarketView) -> tuple[str, str]:
    """Direction and reason."""
    signal = made.decide(seen)
    assert signal.strength == (0.0 if signal.direction is Direction.FLAT else 1.0)
    return signal.direction.value, signal.reason


@pytest.mark.parametrize(
    ("closes", "overrides", "seen", "answer"),
    [
        (RISING, {}, view(0.01), ("long", "forecast_up")),
        (FALLING, {}, view(-0.01), ("short", "forecast_down")),
        (RISING, {}, view(0.0), ("flat", "forecast_too_small")),
        (RISING, {}, view(0.0004), ("flat", "forecast_too_small")),
        (FALLING, {}, view(-0.0004), ("flat", "forecast_too_small")),
        (RISING, {}, view(0.001, unsure=0.0006), ("flat", "edge_uncertain")),
        (FALLING, {}, view(-0.001, unsure=0.0006), ("flat", "edge_uncertain")),
        (RISING, {}, view(0.001, unsure=float("nan")), ("flat", "edge_uncertain")),
        (RISING, {}, view(0.0004, unsure=0.0006), ("flat", "forecast_too_small")),
        (RISING, {}, view(0.001, unsure=0.0004), ("long", "forecast_up")),
        (RISING, {"edge_confidence": 0.0}, view(0.001, unsure=0.01), ("long", "forecast_up")),
        (RISING, {"edge_confidence": 2.0}, view(0.001, unsure=0.0003), ("flat", "edge_uncertain")),
        (CALM, {}, view(-0.0005, 1.0, unsure=0.01), ("long", "holding")),
        (CALM, {}, view(-0.000501, 1.0, unsure=0.01), ("flat", "prediction_reversed")),
        (RISING, {}, view(-0.01), ("flat", "macd_disagrees")),
        (FALLING, {}, view(0.01), ("flat", "macd_disagrees")),
        (CALM, {}, view(0.01), ("flat", "macd_disagrees")),
        (CALM, {}, view(-0.01), ("flat", "macd_disagrees")),
        (CALM, {"require_macd": False}, view(0.01), ("long", "forecast_up")),
        (CALM, {"require_macd": False}, view(-0.01), ("short", "forecast_down")),
        (CALM, {"require_macd": False, "rsi_overbought": 50.0}, view(0.01), ("flat", "rsi_overbought")),
        (CALM, {"require_macd": False, "rsi_oversold": 50.0}, view(-0.01), ("flat", "rsi_oversold")),
        (RISING, {"rsi_overbought": 40.0}, view(0.01), ("flat", "rsi_overbought")),
        (FALLING, {"rsi_oversold": 60.0}, view(-0.01), ("flat", "rsi_oversold")),
        (RISING[:25], {}, view(0.01), ("flat", "indicators_warming_up")),
        (RISING[:25], {}, view(-0.01), ("flat", "indicators_warming_up")),
        (FALLING, {}, view(-0.01, can_short=False), ("flat", "cannot_short")),
        (RISING, {}, view(0.01, can_short=False), ("long", "forecast_up")),
        (CALM, {}, view(0.01, 1.0), ("long", "holding")),
        (CALM, {}, view(-0.0005, 1.0), ("long", "holding")),
        (CALM, {}, view(-0.000501, 1.0), ("flat", "prediction_reversed")),
        (CALM, {}, view(0.0005, -1.0), ("short", "holding")),
        (CALM, {}, view(0.000501, -1.0), ("flat", "prediction_reversed")),
        (CALM, {"exit_on_reversal": False}, view(-0.5, 1.0), ("long", "holding")),
        (CALM, {"max_holding_minutes": 11}, view(0.01, 1.0), ("flat", "held_long_enough")),
        (CALM, {"max_holding_minutes": 12}, view(0.01, 1.0), ("long", "holding")),
        (CALM, {"max_holding_minutes": 11}, view(-0.01, 1.0), ("flat", "prediction_reversed")),
    ],
)
def test_every_reason_it_gives(
    closes: list[float], overrides: dict[str, Any], seen: MarketView, answer: tuple[str, str]
) -> None:
    """One example of each word, at the edge of its condition where there is one."""
    assert said(strategy(closes, **overrides), seen) == answer


@pytest.mark.parametrize(
    ("expected", "cost", "enters"),
    [
        (0.0005, 0.0, False),
        (0.000501, 0.0, True),
        (0.0012, 0.0011, False),
        (0.001201, 0.0011, True),
        (0.0006, 0.0004, True),
        (0.00045, 0.0001, False),
    ],
)
def test_a_forecast_must_beat_the_threshold_and_pay_the_costs(
    expected: float, cost: float, enters: bool
) -> None:
    """More than the larger of threshold (5 bps) and round trip plus margin (1 bp), long and short alike."""
    for sign, direction in ((1, "long"), (-1, "short")):
        made = strategy(RISING if sign > 0 else FALLING)
        wanted, _ = said(made, view(sign * expected, cost=cost))
        assert (wanted == direction) == enters


@given(
    expected=st.floats(-0.01, 0.01),
    unsure=st.floats(0.0, 0.01),
    cost=st.floats(0.0, 0.003),
    name=st.sampled_from(sorted(PARAMETER_SETS)),
)
@settings(deadline=None)
def test_it_enters_only_where_the_lower_bound_of_the_edge_pays(
    expected: float, unsure: float, cost: float, name: str
) -> None:
    """Whatever it enters on exceeds threshold and costs after its doubt is taken off, and no doubt means no less."""
    parameters = ScalpingParameters.of(
        name, {"require_macd": False, "rsi_overbought": 100.0, "rsi_oversold": 0.0}
    )
    made = LstmScalping(PERPETUAL, parameters)
    for number, close in enumerate(RISING):
        made.observe(candle(number, close))
    needed = max(parameters.threshold, cost + parameters.cost_margin)
    reason = made.decide(view(expected, cost=cost, unsure=unsure)).reason
    certain = made.decide(view(expected, cost=cost)).reason
    pays = abs(expected) - parameters.edge_confidence * unsure > needed
    if pays:
        assert reason == certain == ("forecast_up" if expected > 0 else "forecast_down")
    elif abs(expected) > needed:
        assert (reason, certain) == ("edge_uncertain", "forecast_up" if expected > 0 else "forecast_down")
    else:
        assert reason == certain == "forecast_too_small"


def test_the_parameter_sets_are_the_source_systems() -> None:
    """Threshold, stop and target in percent, and RSI 70/30 for all."""
    percent = {
        name: tuple(round(100 * value, 6) for value in (each.threshold, each.stop_loss, each.take_profit))
        for name, each in PARAMETER_SETS.items()
    }
    assert percent == {
        "default": (0.05, 0.5, 1.0),
        "aggressive": (0.02, 0.3, 0.6),
        "conservative": (0.1, 1.0, 2.0),
    }
    assert {(each.rsi_overbought, each.rsi_oversold) for each in PARAMETER_SETS.values()} == {(70.0, 30.0)}
    assert PARAMETER_SETS["default"] == ScalpingParameters()


def test_the_sets_ask_for_more_evidence_the_more_careful_they_are() -> None:
    """One-sided bounds of 69, 84 and 95 %."""
    asked = {name: each.edge_confidence for name, each in PARAMETER_SETS.items()}
    assert asked == {"aggressive": 0.5, "default": 1.0, "conservative": 1.645}


def test_protection_comes_from_the_parameters() -> None:
    """Stop and target distances are what the engine protects an entry with."""
    made = LstmScalping(SPOT, ScalpingParameters.of("conservative", {"take_profit": 0.03}))
    assert made.protection == Protection(0.010, 0.03)


@pytest.mark.parametrize(
    ("overrides", "seen", "distances"),
    [
        ({"stop_volatility": 2.0}, view(0.01, moves=0.003), (0.006, 0.012)),
        ({"stop_volatility": 2.0, "take_profit": 0.005}, view(0.01, moves=0.003), (0.006, 0.006)),
        ({"stop_volatility": 2.0}, view(0.01, moves=0.0), (0.0001, 0.0002)),
        ({"stop_volatility": 2.0}, view(0.01, moves=0.0001, cost=0.0011), (0.0011, 0.0022)),
        ({"stop_volatility": 2.0}, view(0.01, moves=0.9), (0.25, 0.5)),
    ],
)
def test_a_stop_by_volatility_keeps_the_ratio_of_its_target(
    overrides: dict[str, Any], seen: MarketView, distances: tuple[float, float]
) -> None:
    """So many forecast deviations away, never within the round trip's cost, never beyond half of the price."""
    signal = strategy(RISING, **overrides).decide(seen)
    assert signal.reason == "forecast_up"
    assert signal.protection == pytest.approx(distances)


def test_a_stop_by_volatility_needs_one_to_enter_and_none_to_leave() -> None:
    """Without a finite forecast of it there is no entry; a hold and a way out go on, and off means off."""
    made = strategy(RISING, stop_volatility=2.0)
    for unknown in (None, float("nan"), float("inf")):
        assert said(made, view(0.01, moves=unknown)) == ("flat", "volatility_unknown")
    assert said(made, view(0.0001)) == ("flat", "forecast_too_small")
    assert said(made, view(0.01, 1.0)) == ("long", "holding")
    assert said(made, view(-0.01, 1.0)) == ("flat", "prediction_reversed")
    assert strategy(RISING).decide(view(0.01, moves=0.003)).protection is None


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("reckless", {}, "reckless"),
        ("default", {"treshold": 0.1}, "treshold"),
        ("default", {"threshold": -0.1}, "threshold"),
        ("default", {"cost_margin": -1e-9}, "cost_margin"),
        ("default", {"edge_confidence": -0.1}, "edge_confidence"),
        ("default", {"threshold": "much"}, "threshold"),
        ("default", {"threshold": None}, "threshold"),
        ("default", {"threshold": [0.1]}, "threshold"),
        ("default", {"threshold": True}, "threshold"),
        ("default", {"threshold": "nan"}, "threshold"),
        ("default", {"threshold": float("inf")}, "threshold"),
        ("default", {"threshold": 10**400}, "threshold"),
        ("default", {"max_holding_minutes": 1.5}, "max_holding_minutes"),
        ("default", {"max_holding_minutes": -1}, "max_holding_minutes"),
        ("default", {"require_macd": 1}, "require_macd"),
        ("default", {"require_macd": "maybe"}, "require_macd"),
        ("default", {"stop_volatility": -1.0}, "stop_volatility"),
        ("default", {"stop_loss": 0.0}, "stop_loss"),
        ("default", {"stop_loss": 1.0}, "stop_loss"),
        ("default", {"take_profit": 0.0}, "take_profit"),
        ("default", {"rsi_oversold": 70.0}, "rsi_oversold"),
        ("default", {"rsi_overbought": 101.0}, "rsi_overbought"),
        ("default", {"rsi_overbought": float("nan")}, "rsi_overbought"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_by_name(
    name: str, overrides: dict[str, Any], words: str
) -> None:
    """Unknown, negative, not a number, not finite, not whole, out of range: one sentence that names it."""
    with pytest.raises(ConfigError, match=words):
        ScalpingParameters.of(name, overrides)


def test_overrides_are_taken_in_the_type_of_the_parameter() -> None:
    """Words of a command line and numbers of a file give the same parameters."""
    words = {"threshold": "0.001", "max_holding_minutes": "30", "require_macd": "False", "stop_loss": "1e-2"}
    values = {"threshold": 0.001, "max_holding_minutes": 30.0, "require_macd": False, "stop_loss": 0.01}
    made = ScalpingParameters.of("aggressive", words)
    assert made == ScalpingParameters.of("aggressive", values)
    assert (made.threshold, made.max_holding_minutes, made.require_macd) == (0.001, 30, False)
    assert made.take_profit == 0.006
    types = {field.name: type(getattr(made, field.name)) for field in fields(made)}
    assert types == {field.name: type(getattr(ScalpingParameters(), field.name)) for field in fields(made)}


closes_of = st.lists(st.floats(90.0, 110.0), max_size=60)


@given(before=closes_of, after=closes_of, expected=st.floats(-0.01, 0.01))
@settings(deadline=None)
def test_a_snapshot_goes_on_exactly(before: list[float], after: list[float], expected: float) -> None:
    """Restored from JSON after any candle, every later signal and state are the same."""
    one, two = strategy(before), strategy([])
    two.restore(json.loads(json.dumps(one.snapshot())))
    for number, close in enumerate(after):
        for each in (one, two):
            each.observe(candle(100 + number, close))
        assert one.snapshot() == two.snapshot()
        assert one.decide(view(expected)) == two.decide(view(expected))


def test_forgetting_starts_the_indicators_over() -> None:
    """After a gap it is as new: no entry until they have seen enough again."""
    made = strategy(RISING)
    made.forget()
    assert made.snapshot() == strategy([]).snapshot()
    assert made.decide(view(0.01)) == Signal(Direction.FLAT, 0.0, "indicators_warming_up")


@given(
    expected=st.floats(-0.01, 0.01),
    held=st.sampled_from([-1.0, 0.0, 1.0]),
    closes=st.sampled_from([RISING, FALLING, CALM]),
    unsure=st.sampled_from([None, 0.0, 0.004, float("nan")]),
    reverses=st.booleans(),
    minutes=st.sampled_from([0, 5, 20]),
    opened=st.integers(20, 40),
    cost=st.sampled_from([0.0, 0.0011]),
)
@settings(deadline=None)
def test_what_it_calls_calm_is_what_it_decides(
    expected: float,
    held: float,
    closes: list[float],
    unsure: float | None,
    reverses: bool,
    minutes: int,
    opened: int,
    cost: float,
) -> None:
    """A forecast within the bounds, in time, gets the signal that was foreseen, whatever the candles and its doubt."""
    made = strategy(closes, exit_on_reversal=reverses, max_holding_minutes=minutes)
    seen = view(expected, held, cost=cost, opened=opened, unsure=unsure)
    calm = made.calm(seen.position, cost)
    if calm.least <= expected <= calm.most and (
        calm.until_ms is None or seen.candle.closed_at_ms < calm.until_ms
    ):
        assert made.decide(seen) == calm.signal
    else:
        assert made.decide(seen) != calm.signal


def test_many_candles_at_once_are_the_same_as_one_by_one() -> None:
    """``observe_all`` leaves the indicators that as many observations leave."""
    one = LstmScalping(PERPETUAL, ScalpingParameters())
    one.observe_all(CandleRun.of([candle(number, close) for number, close in enumerate(RISING)]))
    assert one.snapshot() == strategy(RISING).snapshot()
