"""The table of leverage and maintenance margin."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.leverage import brackets, largest_notional, maintenance_ratio


def test_brackets_follow_one_another() -> None:
    """Each begins where the one before ends, allows less leverage, and the margin has no step at its edge."""
    table = brackets()
    assert table[0]["notionalFloor"] == 0
    for left, right in itertools.pairwise(table):
        edge = left["notionalCap"]
        assert right["notionalFloor"] == edge
        assert right["initialLeverage"] < left["initialLeverage"]
        assert (
            edge * left["maintMarginRatio"] - left["cum"] == edge * right["maintMarginRatio"] - right["cum"]
        )


@given(st.integers(1, 125), st.floats(0, 1e9))
def test_what_may_be_held_at_a_leverage_allows_it(leverage: int, notional: float) -> None:
    """A notional below the largest of a leverage lies in a bracket that has it; its ratio is that bracket's."""
    if notional > largest_notional(leverage):
        return
    row = next(row for row in brackets() if notional <= row["notionalCap"])
    assert row["initialLeverage"] >= leverage
    assert maintenance_ratio(notional) == row["maintMarginRatio"]
