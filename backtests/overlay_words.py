"""What differs between two rows, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from bot.core.orders import Leg

CLOSE: Final = 1e-9
"""Relative difference of two figures that count as equal: the order of a sum changes its last digits."""

Row: TypeAlias = Mapping[str, Any]


class Pair(NamedTuple):
    """The same thing in the backtest and in the run; None where it is not there."""

    backtest: Row | None
    recorded: Row | None


def same(one: Any, two: Any, *, exact: bool) -> bool:
    """Whether two JSON values are equal; unless exactly, figures may differ in their last digits."""
    if one == two:
        return True
    if exact or one is None or two is None:
        return False
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(same(one[key], two[key], exact=exact) for key in one)
    numbers = isinstance(one, int | float) and isinstance(two, int | float)
    return numbers and math.isclose(one, two, rel_tol=CLOSE, abs_tol=CLOSE)


def what_differs(kind: str, pair: Pair) -> str:
    """In a word; see ``Difference.what``."""
    one, two = pair
    if one is None or two is None:
        return "extra" if one is None else "missing"
    if kind == "decision":
        return _what_of_decision(one, two)
    for name, word in (("side", "quantity"), ("quantity", "quantity"), ("price", "price"), ("fee", "price")):
        if name in one and not same(one[name], two[name], exact=False):
            return word
    return "minute" if one.get("minute_ms") != two.get("minute_ms") else "value"


def _what_of_decision(one: Row, two: Row) -> str:
    if one["prediction"] != two["prediction"]:
        return "forecast"
    names = [[[order[0], order[1], *order[3:5]] for order in row["approved"]] for row in (one, two)]
    if names[0] != names[1]:
        return "order"
    return "size" if one["approved"] != two["approved"] else "reason"


_LEGS: Final = {leg.value: leg.name.lower().replace("_", " ") for leg in Leg}


def sentence(kind: str, ref: str, pair: Pair) -> str:
    """What differs, in words: who it is of, and both sides of it."""
    one, two = pair
    if kind == "decision" and one is not None and two is not None:
        did, done = action_words(one), action_words(two)
        if did != done:
            return f"decision {ref}: the backtest {did}, the record {done}"
    if kind == "fill" and (one is None or two is None):
        filled, other = ("record", "backtest") if one is None else ("backtest", "record")
        return f"order {ref}: the {filled} fills {_shown(one or two)}, the {other} does not"
    name, left, right = first_field(one, two)
    what = "order" if kind == "fill" else kind
    return f"{what} {ref}: {name} is {left} in the backtest and {right} in the record"


def action_words(row: Row) -> str:
    """What a decision did: the orders that it sent, or why it sent none."""
    orders = [f"{order[1]} {order[2]:.12g} ({leg_words(order[4])})" for order in row["approved"]]
    return f"sends {', '.join(orders)}" if orders else f"holds ({row['hold_reason']})"


def leg_words(letter: str) -> str:
    """What an order is for, by its letter."""
    return _LEGS.get(letter, letter)


def first_field(one: Any, two: Any, path: str = "") -> tuple[str, str, str]:
    """Path of the first value in which two JSON values differ, and both in words."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in dict.fromkeys((*one, *two)):
            if not same(one.get(key), two.get(key), exact=isinstance(one.get(key), bool)):
                return first_field(one.get(key), two.get(key), f"{path}.{key}" if path else str(key))
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for place, (left, right) in enumerate(zip(one, two, strict=True)):
            if left != right:
                return first_field(left, right, f"{path}[{place}]")
    return path or "it", _shown(one), _shown(two)


def _shown(value: Any) -> str:
    if value is None:
        return "not there"
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, Mapping):
        if "price" in value:
            return f"{value['side']} {value['quantity']:.12g} at {value['price']:.12g}"
        return "there"
    return "nothing" if value == [] else str(value)
