"""Numbers to the bit: Python's own rounding to decimals, and the core's steps of price and quantity, compiled.

Python rounds a float to decimals correctly: as if its exact binary value were written out, cut half to even, and read
back. numba's ``round`` multiplies, rounds and divides, which is off by one digit now and then. Here the product with
the power of ten is taken exactly, as the sum of two floats (T. J. Dekker, A floating-point technique for extending the
available precision, 1971), so that the cut is right; the quotient of two whole numbers below 2^53 is right by itself.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from backtests.kernel_compile import compiled, from_core
from bot.core import guards, market, risk

_POWERS: Final = tuple(10.0**digits for digits in range(19))
_WHOLE: Final = 9007199254740992.0
"""2^53: from here on every float is whole, and a number that has so many units of its last decimal is on them."""

_SPLIT: Final = 134217729.0
"""2^27 + 1: cuts a float into two halves whose products are exact."""


@compiled
def exact_round(number: float, digits: int | None = None) -> float:
    """``round(number, digits)`` as Python makes it, for 0 to 18 digits; without digits, as a float.

    From 2^53 units of the last decimal on, neighbours are farther apart than that decimal: nothing is cut.
    """
    if digits is None:
        return float(np.rint(number))
    scale = _POWERS[digits]
    product = number * scale
    if not abs(product) < _WHOLE:
        return number
    whole = np.rint(product)
    beside = product - whole
    if abs(beside) == 0.5:  # only here the error of the product can matter
        missing = _product_error(number, scale, product)
        if beside > 0 and missing > 0:
            whole += 1.0
        elif beside < 0 and missing < 0:
            whole -= 1.0
    return float(whole / scale)


@compiled
def _product_error(one: float, two: float, product: float) -> float:
    """What a rounded product lacks of the exact one, after Dekker; no overflow below 2^53 times 10^18."""
    carried = _SPLIT * one
    one_high = carried - (carried - one)
    one_low = one - one_high
    carried = _SPLIT * two
    two_high = carried - (carried - two)
    two_low = two - two_high
    return one_low * two_low - (((product - one_high * two_high) - one_low * two_high) - one_high * two_low)


_on_step = from_core(market.on_step, round=exact_round)
protects = from_core(risk._protects)  # noqa: SLF001  # compiled as it stands: one source
trade_risk_room = from_core(guards.trade_risk_room)


@compiled
def cut_quantity(quantity: float, lot_step: float, decimals: int) -> float:
    """``Instrument.cut_quantity``."""
    steps = quantity / lot_step
    return _on_step(steps, np.floor(steps), lot_step, decimals)


@compiled
def round_price(price: float, tick_size: float, decimals: int) -> float:
    """``Instrument.round_price``."""
    steps = price / tick_size
    return _on_step(steps, np.rint(steps), tick_size, decimals)


@compiled
def floor_price(price: float, tick_size: float, decimals: int) -> float:
    """``Instrument.floor_price``."""
    steps = price / tick_size
    return _on_step(steps, np.floor(steps), tick_size, decimals)


@compiled
def ceil_price(price: float, tick_size: float, decimals: int) -> float:
    """``Instrument.ceil_price``."""
    steps = price / tick_size
    return _on_step(steps, np.ceil(steps), tick_size, decimals)


@compiled
def least(one: float, two: float) -> float:
    """``min`` as Python takes it: the first, unless the second is smaller."""
    return two if two < one else one  # noqa: FURB136  # numba's min takes NaN otherwise


@compiled
def most(one: float, two: float) -> float:
    """``max`` as Python takes it: the first, unless the second is larger."""
    return two if two > one else one  # noqa: FURB136  # the same
