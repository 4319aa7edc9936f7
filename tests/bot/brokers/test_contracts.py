"""Contracts and base units."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.brokers.contracts import base_units, contract_size, contracts_of

SIZES = st.sampled_from([0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0])


@given(size=SIZES, lots=st.integers(1, 10**9), places=st.integers(0, 4))
def test_there_and_back_is_exact(size: float, lots: int, places: int) -> None:
    """Contracts as they are written become the base units that one would write, and those the same contracts."""
    market = {"contractSize": size}
    contracts = float(Decimal(lots).scaleb(-places))
    quantity = base_units(market, contracts)
    assert Decimal(repr(quantity)) == Decimal(repr(contracts)) * Decimal(repr(size))
    assert contracts_of(market, quantity) == contracts


def test_what_floats_would_spoil() -> None:
    """1.23 contracts of 0.01 are 0.0123, not what two floats give."""
    market = {"contractSize": 0.01}
    assert (base_units(market, 1.1), contracts_of(market, 0.07)) == (0.011, 7.0)
    assert (1.1 * 0.01, 0.07 / 0.01) != (0.011, 7.0)


@pytest.mark.parametrize("market", [{}, {"contractSize": None}, {"contractSize": 1.0}])
def test_a_market_in_base_units_changes_nothing(market: dict[str, float | None]) -> None:
    """Where a contract is one unit, or there is none, a number stays as it is."""
    assert contract_size(market) == 1.0
    assert base_units(market, 0.1 + 0.2) == contracts_of(market, 0.1 + 0.2) == 0.1 + 0.2
