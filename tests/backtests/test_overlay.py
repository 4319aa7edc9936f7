"""A run laid over its backtest: causes, money, words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.overlay import (
    CAUSES,
    MONEY,
    UNEXPLAINED,
    Comparison,
    Difference,
    Overlay,
    Step,
    explain,
    left_over,
    money_of,
    slippage_of,
)
from tests.core_builders import MIDNIGHT

STEPS = ("backtest", "late_candle", "operator", "restart")
KEYS = [("fill", f"o{number}") for number in range(8)]
EQUITY = st.floats(1.0, 1e6)


def fill(price: float = 100.0, **changes: Any) -> dict[str, Any]:
    """An order that filled."""
    return {
        "client_order_id": "o",
        "symbol": "BTC/USDT:USDT",
        "side": "buy",
        "quantity": 1.0,
        "price": price,
        "fee": 0.04,
        "minute_ms": MIDNIGHT,
        **changes,
    }


def decision(**changes: Any) -> dict[str, Any]:
    """A decision as it is stored."""
    return {
        "decision_id": "BTC@2024-01-01T00:01Z",
        "closed_at_ms": MIDNIGHT + 60_000,
        "prediction": None,
        "signal": None,
        "approved": [],
        "refused": [],
        "hold_reason": "no_prediction",
        **changes,
    }


@given(
    equities=st.lists(EQUITY, min_size=len(STEPS), max_size=len(STEPS)),
    recorded=EQUITY,
    again=st.sampled_from(STEPS[1:]),
)
def test_the_money_of_all_causes_is_the_whole_difference(
    equities: list[float], recorded: float, again: str
) -> None:
    """Whatever the steps are worth, and whatever is left, it adds up; a cause that comes twice has the sum of both."""
    steps = [Step(cause, equity, frozenset()) for cause, equity in zip(STEPS, equities, strict=True)]
    steps.append(Step(again, recorded / 2, frozenset()))
    worth = money_of(steps, recorded)
    assert math.fsum(worth.values()) == pytest.approx(recorded - equities[0], abs=2 * MONEY)


@given(st.lists(st.sets(st.sampled_from(KEYS)), min_size=len(STEPS), max_size=len(STEPS)))
def test_every_difference_has_the_cause_whose_return_ended_it_for_good(differing: list[set[Any]]) -> None:
    """A row that differs to the end is unexplained; else its cause is the step after the last in which it differed."""
    first = Comparison()
    first.moves(
        {key: fill() for key in KEYS}, {key: fill(101.0 if key in differing[0] else 100.0) for key in KEYS}
    )
    steps = [Step(cause, 1.0, frozenset(keys)) for cause, keys in zip(STEPS, differing, strict=True)]
    found = {("fill", one.ref): one.cause for one in explain(first, steps)}
    assert set(found) == differing[0]
    for key, cause in found.items():
        last = max(place for place, keys in enumerate(differing) if key in keys)
        expected = UNEXPLAINED if last == len(STEPS) - 1 else STEPS[last + 1]
        assert cause == expected


def test_what_only_the_last_step_has_is_unexplained() -> None:
    """A row that the backtest had right and the full replay has wrong is a divergence; one that is known is told once."""
    last = Comparison()
    last.moves({KEYS[0]: fill(), KEYS[1]: fill()}, {KEYS[0]: fill(101.0), KEYS[1]: fill(102.0)})
    known = [Difference("fill", "price", "o1", MIDNIGHT, UNEXPLAINED, None, None)]
    [one] = left_over(last, known)
    assert (one.ref, one.cause) == ("o0", UNEXPLAINED)


@pytest.mark.parametrize(
    ("backtest", "recorded", "what", "sentence"),
    [
        (fill(), fill(100.5), "price", "price is 100 in the backtest and 100.5 in the record"),
        (fill(), fill(fee=0.05), "price", "fee is 0.04"),
        (fill(), fill(quantity=0.5), "quantity", "quantity is 1 in the backtest and 0.5"),
        (fill(), fill(minute_ms=MIDNIGHT + 60_000), "minute", "minute_ms is"),
        (fill(), None, "missing", "order o0: the backtest fills buy 1 at 100, the record does not"),
        (None, fill(), "extra", "order o0: the record fills buy 1 at 100, the backtest does not"),
    ],
)
def test_a_fill_that_differs_says_in_what(
    backtest: dict[str, Any] | None, recorded: dict[str, Any] | None, what: str, sentence: str
) -> None:
    """The word and the sentence name the first field that differs, and both values."""
    laid = Comparison()
    laid.moves(
        {} if recorded is None else {KEYS[0]: recorded}, {} if backtest is None else {KEYS[0]: backtest}
    )
    [one] = explain(
        laid, [Step("backtest", 1.0, frozenset(laid.differing)), Step("operator", 1.0, frozenset())]
    )
    assert one.what == what
    assert sentence in one.sentence()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"prediction": {"model_id": "m"}}, "forecast"),
        ({"approved": [["id", "buy", 1.0, "market", "e"]], "hold_reason": None}, "order"),
        ({"hold_reason": "late_candle"}, "reason"),
    ],
)
def test_a_decision_that_differs_says_in_what(changes: dict[str, Any], what: str) -> None:
    """Another forecast, another order, or another reason for none."""
    laid = Comparison()
    laid.decisions([decision(**changes)], [decision()])
    [one] = left_over(laid, [])
    assert (one.kind, one.what, one.at_ms) == ("decision", what, MIDNIGHT + 60_000)


def test_the_same_order_in_another_size_is_no_other_order() -> None:
    """After the first difference every size differs a little: that is told apart from another wish."""
    laid = Comparison()
    row = {"hold_reason": None}
    laid.decisions(
        [decision(approved=[["id", "buy", 1.0, "market", "e"]], **row)],
        [decision(approved=[["id", "buy", 1.1, "market", "e"]], **row)],
    )
    assert left_over(laid, [])[0].what == "size"


def test_figures_may_differ_in_their_last_digits_and_decisions_may_not() -> None:
    """A sum in another order is the same fill; a decision is compared exactly, but a NaN is what JSON makes of it."""
    laid = Comparison()
    laid.moves({KEYS[0]: fill(0.1 + 0.2)}, {KEYS[0]: fill(0.3)})
    assert not laid.differing
    said = {"expected_return": None}
    laid.decisions([decision(prediction=said)], [decision(prediction={"expected_return": math.nan})])
    assert not laid.differing
    laid.decisions([decision(prediction={"x": 0.1 + 0.2})], [decision(prediction={"x": 0.3})])
    assert len(laid.differing) == 1
    assert laid.counts == {"fill": 1, "decision": 2}


def test_slippage_is_worse_above_zero_whichever_side() -> None:
    """Bought dearer and sold cheaper are both worse; mean, median and worst are those of all orders."""
    found = slippage_of([(1, 100.0, 100.1), (-1, 100.0, 99.9), (1, 100.0, 99.8), (1, 100.0, 100.0)])
    assert found is not None
    assert found.count == 4
    assert found.bps == pytest.approx((10.0, 10.0, -20.0, 0.0))
    assert (found.mean_bps, found.median_bps, found.worst_bps) == pytest.approx((0.0, 5.0, 10.0))
    assert slippage_of([]) is None


def test_json_lists_first_what_nobody_explained() -> None:
    """Of many differences a short list has the unexplained; causes without a part are left out."""
    rows = [
        Difference("fill", "price", f"o{n}", MIDNIGHT + n, "operator", fill(), fill(101.0)) for n in range(5)
    ]
    odd = Difference("fill", "price", "odd", MIDNIGHT + 9, UNEXPLAINED, fill(), fill(102.0))
    found = Overlay(
        {"fill": 6}, (*rows, odd), {"operator": -1.0, "restart": 0.0, UNEXPLAINED: -0.5}, 100.0, 98.5
    )
    told = found.to_json(2)
    assert [one["ref"] for one in told["listed"]] == ["odd", "o0"]
    assert list(told["by_cause"]) == ["operator", UNEXPLAINED]
    assert told["by_cause"]["operator"] == {
        "means": CAUSES["operator"],
        "differences": {"fill": 5},
        "money": -1.0,
    }
    assert (told["differences"], told["unexplained"], told["money_difference"]) == (6, 1, -1.5)
    assert "102" in told["first_unexplained"]
