"""Tests of how much is bought."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.core.sizing import SizingRule, entry_quantity
from tests.core_builders import instrument


def sized(**changes: float) -> float:
    """Twenty percent of 10,000 at a price of 100, with some things changed."""
    chosen = {"equity": 10_000.0, "strength": 1.0, "price": 100.0, "room": 1e9, **changes}
    return entry_quantity(SizingRule(0.2), instrument=instrument(), **chosen)


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({}, 20.0),
        ({"strength": 0.5}, 10.0),
        ({"strength": 7.0}, 20.0),
        ({"strength": -1.0}, 0.0),
        ({"room": 500.0}, 5.0),
        ({"room": 0.0}, 0.0),
        ({"room": 0.05}, 0.0),
        ({"equity": -5.0}, 0.0),
        ({"price": 0.0}, 0.0),
        ({"price": 333.0}, 6.006),
        ({"strength": math.nan}, 0.0),
        ({"room": math.nan}, 0.0),
        ({"equity": math.nan}, 0.0),
    ],
)
def test_examples(changes: dict[str, float], quantity: float) -> None:
    """Strength is clamped, room cuts, lots are whole, and nothing sensible gives nothing."""
    assert sized(**changes) == quantity


@pytest.mark.parametrize(
    ("volatility", "quantity"),
    [
        (0.0, 20.0),
        (0.001, 20.0),
        (0.002, 20.0),
        (0.004, 10.0),
        (0.008, 5.0),
        (math.inf, 0.0),
        (math.nan, 0.0),
        (None, 0.0),
    ],
)
def test_a_target_makes_positions_smaller_where_more_is_expected_to_move(
    volatility: float | None, quantity: float
) -> None:
    """Full size up to the target, then in inverse proportion; nothing where the volatility is not known."""
    rule = SizingRule(0.2, target_volatility=0.002)
    found = entry_quantity(
        rule, equity=1e4, strength=1.0, price=100.0, room=1e9, instrument=instrument(), volatility=volatility
    )
    assert found == quantity


@pytest.mark.parametrize("volatility", [None, 0.0, 1.0, math.nan])
def test_without_a_target_volatility_changes_nothing(volatility: float | None) -> None:
    """The default rule gives the same whatever is expected."""
    assert SizingRule().share(volatility) == 1.0


@given(
    equity=st.floats(-1e6, 1e9),
    strength=st.floats(-1, 3),
    price=st.floats(1e-4, 1e6),
    room=st.floats(0, 1e9),
    digits=st.integers(0, 8),
)
@settings(deadline=None)
def test_a_size_is_never_beyond_room_or_fraction(
    equity: float, strength: float, price: float, room: float, digits: int
) -> None:
    """Whatever the numbers: not negative, on the lot step, within the room and the fraction of equity."""
    rules = instrument(lot_step=10.0**-digits)
    # Beyond 1e12 lots a float no longer tells one lot from the next.
    assume(room / price < 1e12 * rules.lot_step)
    quantity = entry_quantity(
        SizingRule(0.2), equity=equity, strength=strength, price=price, room=room, instrument=rules
    )
    assert quantity >= 0
    assert rules.cut_quantity(quantity) == quantity
    slack = 1 + 2e-12
    assert quantity * price <= (room + price * rules.lot_step * 1.1e-12) * slack
    assert quantity * price <= (max(0.2 * equity, 0.0) + price * rules.lot_step * 1.1e-12) * slack
