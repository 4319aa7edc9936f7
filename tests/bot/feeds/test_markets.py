"""Tests of reading trading rules from ccxt's markets."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bot.core.market import Instrument, InstrumentKind
from bot.errors import ConfigError
from bot.feeds.markets import DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE, check_symbols, instrument_of

SWAP: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "type": "swap",
    "spot": False,
    "swap": True,
    "linear": True,
    "active": True,
    "contractSize": 1.0,
    "precision": {"price": 0.1, "amount": 0.001},
    "limits": {"amount": {"min": 0.002, "max": 1000}, "cost": {"min": 100.0}},
}
SPOT = {**SWAP, "symbol": "BTC/USDT", "type": "spot", "spot": True, "swap": False, "linear": None}
MARKETS = {
    "BTC/USDT:USDT": SWAP,
    "BTC/USDT": SPOT,
    "OLD/USDT:USDT": {**SWAP, "active": False},
    "BTC/USD:BTC": {**SWAP, "linear": False},
}


def test_steps_and_least_amounts_are_read() -> None:
    """Tick, lot step, least quantity and notional come from precision and limits."""
    kind = InstrumentKind.PERPETUAL
    assert instrument_of(SWAP, TICK_SIZE) == Instrument("BTC/USDT:USDT", kind, 0.1, 0.001, 0.002, 100.0)
    bare = {**SPOT, "limits": {"amount": {"min": None}}, "precision": {"price": 2, "amount": 3}}
    spot = instrument_of(bare, DECIMAL_PLACES)
    assert spot == Instrument("BTC/USDT", InstrumentKind.SPOT, 0.01, 0.001, 0.001, 0.0)


def test_a_market_in_contracts_is_told_in_base_units() -> None:
    """Steps and least quantities of contracts become base units, as the decimals that one would write."""
    counted = {"contractSize": 0.01, "precision": {"price": 0.1, "amount": 0.03}}
    limits = {"limits": {"amount": {"min": 0.07}, "cost": {"min": None}}}
    rules = instrument_of({**SWAP, **counted, **limits}, TICK_SIZE)
    assert rules == Instrument("BTC/USDT:USDT", InstrumentKind.PERPETUAL, 0.1, 0.0003, 0.0007, 0.0)


@pytest.mark.parametrize(
    ("changes", "mode", "says"),
    [
        ({"contractSize": -0.01}, TICK_SIZE, "one contract is -0.01"),
        ({"precision": {"price": None, "amount": 1}}, TICK_SIZE, "no step of its price"),
        ({"precision": {"price": 0.1, "amount": 0}}, TICK_SIZE, "step of its amount is 0"),
        ({}, SIGNIFICANT_DIGITS, "no step"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(changes: dict[str, Any], mode: int, says: str) -> None:
    """A contract of no size, and a step that is missing or no step, are refused by name."""
    with pytest.raises(ConfigError, match=f"BTC/USDT:USDT.*{says}"):
        instrument_of({**copy.deepcopy(SWAP), **changes}, mode)


@pytest.mark.parametrize(
    ("symbols", "says"),
    [
        ((), "none is given"),
        (("BTC/USTD:USDT",), "'BTC/USTD:USDT' is not listed on x; did you mean BTC/USDT:USDT"),
        (("BTC/JPY",), "is not listed on x; did you mean"),
        (("OLD/USDT:USDT",), "'OLD/USDT:USDT' is listed on x, but not traded"),
        (("BTC/USD:BTC",), "neither spot nor a linear perpetual"),
        (("BTC/USDT", "BTC/USDT"), "given twice"),
        (("BTC/USDT", "BTC/USDT:USDT"), "cannot share one feed"),
    ],
)
def test_symbols_that_cannot_be_fed_are_refused(symbols: tuple[str, ...], says: str) -> None:
    """The sentence names the symbol and what is wrong with it."""
    with pytest.raises(ConfigError, match=says):
        check_symbols("x", MARKETS, symbols)


def test_good_symbols_pass() -> None:
    """Listed, active symbols of one kind are let through."""
    check_symbols("x", MARKETS, ["BTC/USDT:USDT"])
    check_symbols("x", MARKETS, ["BTC/USDT"])
