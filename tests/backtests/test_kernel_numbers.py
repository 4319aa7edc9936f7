"""The kernel's numbers are Python's and the core's, to the bit."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from backtests.kernel_numbers import (
    ceil_price,
    cut_quantity,
    exact_round,
    floor_price,
    least,
    most,
    round_price,
)
from bot.core.market import Instrument, InstrumentKind, decimals_of
from bot.core.position import held_after

DIGITS = st.integers(0, 18)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
STEPS = st.sampled_from([1.0, 0.5, 0.25, 0.1, 0.05, 0.01, 1e-3, 2.5e-4, 1e-5, 1e-8, 1e-12, 5.0, 10.0, 100.0])


def bits(number: float) -> bytes:
    """A float as it is stored: tells -0.0 from 0.0."""
    return struct.pack("d", number)


@given(FINITE, DIGITS)
@example(0.5, 0)
@example(-1e-14, 12)
@example(2.675, 2)
@example(9007.199254740993, 12)
@settings(max_examples=1000, deadline=None)
def test_any_number_is_rounded_as_python_rounds_it(number: float, digits: int) -> None:
    """``round(x, n)`` for every float and 0 to 18 decimals."""
    assert bits(exact_round(number, digits)) == bits(round(number, digits))


@given(st.integers(-(2**53), 2**53), st.integers(0, 40), DIGITS)
@settings(max_examples=1000, deadline=None)
def test_ties_and_their_neighbours_are_rounded_as_python_rounds_them(
    numerator: int, shift: int, digits: int
) -> None:
    """Binary fractions lie exactly between two decimals, and the floats beside them nearly: where others go wrong."""
    number = numerator / 2.0**shift
    for near in (number, math.nextafter(number, math.inf), math.nextafter(number, -math.inf)):
        assert bits(exact_round(near, digits)) == bits(round(near, digits))


@given(st.integers(1, 10**15), st.integers(0, 15), DIGITS)
@settings(max_examples=500, deadline=None)
def test_decimals_are_rounded_as_python_rounds_them(units: int, places: int, digits: int) -> None:
    """Prices and quantities as exchanges write them, sums of them included."""
    number = units / 10.0**places
    for near in (number, number + 10.0**-places, number * 1.1):
        assert bits(exact_round(near, digits)) == bits(round(near, digits))


def test_many_numbers_of_every_size_are_rounded_alike() -> None:
    """A hundred thousand random bit patterns and products of prices."""
    rng = np.random.default_rng(5)
    patterns = rng.integers(0, 2**63, 40_000).view(np.float64)
    sizes = rng.normal(0, 1, 60_000) * 10.0 ** rng.integers(-14, 12, 60_000)
    digits = rng.integers(0, 19, 100_000).tolist()
    for number, places in zip([*patterns.tolist(), *sizes.tolist()], digits, strict=True):
        if math.isfinite(number):
            assert bits(exact_round(number, places)) == bits(round(number, places)), (number, places)


@given(st.floats(1e-12, 1e12), STEPS)
@settings(max_examples=500, deadline=None)
def test_steps_of_price_and_quantity_are_those_of_the_instrument(value: float, step: float) -> None:
    """Cut, nearest, down and up give the very float that the core gives, on and beside a step."""
    rules = Instrument("X/Y", InstrumentKind.SPOT, step, step, step, 1.0)
    decimals = decimals_of(step)
    for near in (value, round(value / step) * step, math.nextafter(round(value / step) * step, 0.0)):
        assert bits(cut_quantity(near, step, decimals)) == bits(rules.cut_quantity(near))
        assert bits(round_price(near, step, decimals)) == bits(rules.round_price(near))
        assert bits(floor_price(near, step, decimals)) == bits(rules.floor_price(near))
        assert bits(ceil_price(near, step, decimals)) == bits(rules.ceil_price(near))


@given(st.floats(1e-9, 1e9), STEPS)
@settings(max_examples=500, deadline=None)
def test_what_is_on_a_lot_step_stays_as_it_is_in_the_books(value: float, step: float) -> None:
    """The core rounds what is held to 12 decimals; a quantity on a step of at most 12 is not changed by it.

    This is why the kernel books quantities as they are.
    """
    quantity = Instrument("X/Y", InstrumentKind.SPOT, step, step, step, 1.0).cut_quantity(value)
    assert held_after(0.0, quantity) == quantity
    assert held_after(0.0, -quantity) == -quantity
    assert held_after(quantity, -quantity) == 0.0


@pytest.mark.parametrize("one", [0.0, -0.0, 1.0, math.nan, math.inf])
@pytest.mark.parametrize("two", [0.0, -0.0, 1.0, math.nan, math.inf])
def test_least_and_most_are_python_s(one: float, two: float) -> None:
    """``min`` and ``max`` with all their ways with NaN and signed zeros."""
    assert bits(least(one, two)) == bits(min(one, two))
    assert bits(most(one, two)) == bits(max(one, two))
