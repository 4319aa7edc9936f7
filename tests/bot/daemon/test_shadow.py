"""A challenger beside the champion."""

from __future__ import annotations

import math

import pytest

from bot.daemon.serving import Serving
from bot.daemon.shadow import Shadow, ShadowCount, ShadowRules
from tests.core_builders import PERPETUAL, at, candle
from tests.scripted_predictor import Scripted, ticks

HOUR = 60


def shadow(predictor: Scripted, hours: float = 2.0) -> Shadow:
    """A shadow of one symbol that begins at midnight; slow is above 50 ms."""
    return Shadow(Serving(predictor, True), ShadowRules(hours, 50.0), 1, ShadowCount("model", at(0)))


def run(one: Shadow, minutes: int, *, first: int = 0, slow_ms: float = 0.0) -> None:
    """Show it so many minutes."""
    for minute in range(first, first + minutes):
        one.step([candle(minute)], ticks(slow_ms))


def test_it_is_judged_after_its_hours_and_not_before() -> None:
    """Until the last minute of its time there is no verdict; then nothing speaks against it."""
    one = shadow(Scripted())
    run(one, 2 * HOUR)
    assert one.verdict(at(2 * HOUR) - 1) is None
    assert one.verdict(at(2 * HOUR)) == ()
    assert one.count.to_json() == {
        "model_id": "model",
        "since_ms": at(0),
        "due": 120,
        "given": 120,
        "slow": 0,
        "worst_ms": 0.0,
    }


@pytest.mark.parametrize(("silent", "refused"), [(6, False), (7, True)])
def test_at_least_ninety_five_of_a_hundred_forecasts_must_come(silent: int, *, refused: bool) -> None:
    """Six of 120 minutes without a forecast pass, seven do not."""
    predictor = Scripted()
    one = shadow(predictor)
    run(one, 2 * HOUR - silent)
    predictor.says = None
    run(one, silent, first=2 * HOUR - silent)
    verdict = one.verdict(at(2 * HOUR))
    assert verdict is not None
    assert bool(verdict) is refused
    assert all("95%" in objection for objection in verdict)


@pytest.mark.parametrize("says", [math.nan, math.inf, RuntimeError("the graph broke")])
def test_a_fault_refuses_it_at_once(says: float | Exception) -> None:
    """A number that is none and an exception end its time, and it says nothing any more."""
    predictor = Scripted()
    one = shadow(predictor)
    run(one, 10)
    predictor.says = says
    run(one, 1, first=10)
    (objection,) = one.verdict(at(11)) or ()
    assert "not finite" in objection or "the graph broke" in objection
    predictor.says = 0.001
    assert one.step([candle(11)], ticks()) == []


def test_three_slow_forecasts_in_a_row_refuse_it() -> None:
    """Two do not, nor do any number that do not follow each other."""
    one = shadow(Scripted())
    run(one, 2, slow_ms=60.0)
    run(one, 1, first=2)
    run(one, 2, first=3, slow_ms=60.0)
    assert one.verdict(at(5)) is None
    assert one.count.worst_ms == pytest.approx(60.0)
    run(one, 1, first=5, slow_ms=60.0)
    assert one.verdict(at(6)) == ("3 forecasts in a row took longer than 50 ms",)


def test_a_time_without_candles_is_no_proof() -> None:
    """With candles in less than half of its minutes it waits, and is refused in the end."""
    one = shadow(Scripted())
    run(one, 50)
    assert one.verdict(at(2 * HOUR)) is None
    assert one.verdict(at(5 * HOUR)) == ("only 50 forecasts were due in 5 hours",)


def test_without_hours_one_forecast_is_enough() -> None:
    """A shadow of no time is judged after its first minute."""
    one = shadow(Scripted(), hours=0.0)
    assert one.verdict(at(0)) is None
    run(one, 1)
    assert one.verdict(at(1)) == ()
    assert one.step([candle(1, symbol=PERPETUAL)], ticks())[0].closed_at_ms == at(2)
