"""Tests of steps, instruments and candle rules."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.market import (
    DAY_MS,
    MINUTE_MS,
    Candle,
    InstrumentKind,
    candle_fault,
    default_instrument,
    kind_of,
    quote_of,
)
from tests.core_builders import PERPETUAL, SPOT, candle, instrument

STEPS = [0.1, 0.001, 1e-8, 0.25, 5.0, 10.0, 1.0, 0.5, 1e-5, 100.0, 1e-12, 1e-18]
steps = st.sampled_from(STEPS)


def on_step(value: float, step: float) -> bool:
    """Whether a float is exactly the float that a decimal multiple of the step is parsed to."""
    count = round(value / step)
    return value == float(count * Decimal(repr(step)))


@given(step=steps, count=st.floats(0, 1e9))
@settings(deadline=None)
def test_a_cut_quantity_is_on_the_step_and_never_up(step: float, count: float) -> None:
    """Cutting gives a decimal multiple of the step, less than one step below and not above but by rounding."""
    quantity = count * step
    cut = instrument(lot_step=step).cut_quantity(quantity)
    assert on_step(cut, step)
    assert cut <= quantity * (1 + 1.1e-12) + 1.1e-12 * step
    assert quantity - cut < step * (1 + 1e-9)


@given(step=steps, count=st.floats(0, 1e9))
@settings(deadline=None)
def test_cutting_and_rounding_twice_change_nothing_more(step: float, count: float) -> None:
    """Both are idempotent, and a price is rounded to the nearest tick."""
    rules = instrument(lot_step=step, tick_size=step)
    cut, price = rules.cut_quantity(count * step), rules.round_price(count * step)
    assert rules.cut_quantity(cut) == cut
    assert rules.round_price(price) == price
    assert on_step(price, step)
    assert abs(price - count * step) <= step * (0.5 + 1e-6)


@given(step=steps, count=st.integers(0, 10**9))
@settings(deadline=None)
def test_a_quantity_on_the_step_stays(step: float, count: int) -> None:
    """What an exchange writes as a decimal multiple of the step is not cut by a whole step."""
    quantity = float(count * Decimal(repr(step)))
    assert instrument(lot_step=step).cut_quantity(quantity) == quantity


@pytest.mark.parametrize(
    ("step", "value", "cut"),
    [
        (0.1, 0.3 - 0.1, 0.2),  # 0.19999999999999998
        (0.001, 0.0029999, 0.002),
        (1e-8, 10.999999999, 10.99999999),
        (1.0, 1_000_000_000.7, 1_000_000_000.0),
        (0.25, 0.99, 0.75),
        (5.0, 14.99, 10.0),
        (10.0, 9.99, 0.0),
    ],
)
def test_examples_of_cutting(step: float, value: float, cut: float) -> None:
    """Noise in the last digits does not lose a step; a large count of steps is not rounded up."""
    assert instrument(lot_step=step).cut_quantity(value) == cut


@given(price=st.floats(1e-6, 1e6))
@settings(deadline=None)
def test_default_rules_are_powers_of_ten_near_the_price(price: float) -> None:
    """The tick lies between 1e-6 and 1e-5 of the price, and one lot costs at most one quote unit or is one."""
    rules = default_instrument(PERPETUAL, price=price)
    assert 0.99e-6 * price <= rules.tick_size <= 1.01e-5 * price
    assert rules.lot_step <= 1.0
    assert rules.lot_step * price <= 1.01
    assert rules.min_quantity == rules.lot_step
    for step in (rules.tick_size, rules.lot_step):
        assert math.isclose(math.log10(step), round(math.log10(step)), abs_tol=1e-9)


def test_names_tell_kind_and_quote() -> None:
    """A colon marks a contract; the quote stands between slash and colon."""
    assert kind_of(PERPETUAL) is InstrumentKind.PERPETUAL
    assert kind_of(SPOT) is InstrumentKind.SPOT
    assert (quote_of("BTC/USDC:USDC"), quote_of("ETH/EUR")) == ("USDC", "EUR")


def test_a_candle_closes_a_minute_after_it_opened() -> None:
    """closed_at_ms is the next bar's open time."""
    assert candle(5).closed_at_ms == candle(6).opened_at_ms
    assert DAY_MS == 1440 * MINUTE_MS


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"volume": 0.0}, None),
        ({"opened_at_ms": 60_001}, "ts is not on a whole minute"),
        ({"open": math.nan}, "open is not a finite number"),
        ({"high": math.inf}, "high is not a finite number"),
        ({"volume": math.nan}, "volume is not a finite number"),
        ({"low": 0.0}, "low is not positive"),
        ({"low": -1.0}, "low is not positive"),
        ({"high": 98.0}, "high is below low"),
        ({"open": 98.9}, "open is outside low..high"),
        ({"open": 102.1}, "open is outside low..high"),
        ({"close": 98.9}, "close is outside low..high"),
        ({"close": 102.1}, "close is outside low..high"),
        ({"volume": -0.1}, "volume is negative"),
    ],
)
def test_every_fault_of_a_candle_is_named(changes: dict[str, Any], fault: str | None) -> None:
    """A sound candle has none; each broken rule has its sentence."""
    sound = Candle(PERPETUAL, 0, 100.0, 102.0, 99.0, 101.0, 3.0)
    assert candle_fault(sound._replace(**changes)) == fault
