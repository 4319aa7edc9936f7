"""Contracts and base units: an exchange counts in the one, the bot in the other. Pure, and exact to the last digit.

Both numbers are taken for the decimals that they are written as, so that a product of theirs is the decimal that one
would write: 1.23 contracts of 0.01 are 0.0123, where floats would give 0.012300000000000002.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def contract_size(market: Mapping[str, Any]) -> float:
    """Base units of one contract; 1 on spot."""
    size = market.get("contractSize")
    return 1.0 if size is None else float(size)


def contracts_of(market: Mapping[str, Any], quantity: float) -> float:
    """A quantity of base units in what the market counts in."""
    size = contract_size(market)
    return quantity if size == 1.0 else float(_exact(quantity) / _exact(size))


def base_units(market: Mapping[str, Any], amount: float) -> float:
    """What the market counts in, as base units."""
    size = contract_size(market)
    return amount if size == 1.0 else float(_exact(amount) * _exact(size))


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
