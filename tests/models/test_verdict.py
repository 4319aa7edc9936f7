"""The sentence at the end of a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.figures import Figure
from models.trials import Record
from models.verdict import LEAST_GAIN, Case, NetOfCosts, days_enough, judge


def case(gain: Figure | None, *, moves: int = 5000, blocks: float = 50.0, trials: int = 1) -> Case:
    """A sample of ten days with LightGBM as its best baseline."""
    return Case("lightgbm", gain, moves, blocks, 10.0, Record(trials))


@pytest.mark.parametrize(
    ("gain", "moves", "blocks", "edge", "begins"),
    [
        (Figure(1.0, 0.2, 1.8), 5000, 50, "shown", "Edge shown: "),
        (Figure(1.0, -0.2, 2.2), 5000, 50, "not_enough_data", "Not enough data: the gain over the best"),
        (Figure(0.01, -0.05, 0.07), 5000, 50, "not_shown", "No edge shown: the gain"),
        (Figure(-0.4, -1.2, 0.4), 5000, 50, "not_shown", "No edge shown: the gain"),
        (
            Figure(-1.0, -2.2, -0.2),
            5000,
            50,
            "not_shown",
            "No edge shown: worse than the best baseline, LightGBM",
        ),
        (Figure(1.0, 0.2, 1.8), 999, 50, "not_enough_data", "Not enough data: 999 moves"),
        (Figure(1.0, 0.2, 1.8), 5000, 19, "not_enough_data", "Not enough data: 5,000 moves"),
        (Figure(1.0, None, None), 5000, 50, "not_enough_data", "Not enough data"),
        (None, 5000, 50, "not_enough_data", "Not enough data"),
    ],
)
def test_only_an_interval_above_zero_is_an_edge(
    gain: Figure | None, moves: int, blocks: float, edge: str, begins: str
) -> None:
    """An edge needs enough data and a gain whose whole interval is above zero; a gain that could be one needs days."""
    found = judge(case(gain, moves=moves, blocks=blocks))
    assert found["edge"] == edge
    assert found["sentence"].startswith(begins)
    assert found["sentence"].endswith("Costs are not counted.")
    assert (found["days_enough"] is not None) == (edge == "not_enough_data")


@given(
    value=st.floats(-5, 5), below=st.floats(0.01, 5), above=st.floats(0.01, 5), trials=st.integers(1, 10_000)
)
def test_more_trials_never_make_an_edge(value: float, below: float, above: float, trials: int) -> None:
    """What many trials show, one would have shown; and many never need fewer days."""
    gain = Figure(value, value - below, value + above)
    alone, among = judge(case(gain)), judge(case(gain, trials=trials))
    assert among["edge"] != "shown" or alone["edge"] == "shown"
    assert among["gain_interval"][0] <= alone["gain_interval"][0] + 1e-12
    assert among["gain_interval"][1] >= alone["gain_interval"][1] - 1e-12
    assert (days_enough(case(gain, trials=trials)) or 0.0) >= (days_enough(case(gain)) or 0.0)


def test_many_trials_take_an_edge_back() -> None:
    """A gain that one trial would show is not shown by the best of a hundred, and the sentence says why."""
    found = judge(case(Figure(1.0, 0.2, 1.8), trials=100))
    assert found["edge"] == "not_enough_data"
    assert "100 trials on these minutes" in found["sentence"]
    assert found["confidence"] == pytest.approx(0.95 ** (1 / 100))


def test_the_days_are_enough_for_four_of_five() -> None:
    """Samples of as many days as were said show a gain of that size in about eight of ten draws."""
    error, gain = 0.9, 0.5
    known = case(Figure(gain, gain - 1.96 * error, gain + 1.96 * error))
    days = days_enough(known)
    assert days is not None
    longer = error * np.sqrt(known.days / days)
    draws = np.random.default_rng(1).normal(gain, longer, 20_000)
    assert np.mean(draws - 1.96 * longer > 0.0) == pytest.approx(0.8, abs=0.01)


def test_a_gain_below_interest_is_asked_for_at_the_least_interesting_size() -> None:
    """A tiny observed gain does not ask for a hundred years: days are those for the least gain that interests."""
    tiny = days_enough(case(Figure(0.001, -0.5, 0.502)))
    least = days_enough(case(Figure(LEAST_GAIN, LEAST_GAIN - 0.501, LEAST_GAIN + 0.501)))
    assert tiny == pytest.approx(least)


def test_a_short_sample_is_told_how_long_it_must_be() -> None:
    """Below the least that can be judged on, the days are at least those that give 20 stretches and 1,000 moves."""
    assert days_enough(case(None, moves=500, blocks=10.0)) == pytest.approx(20.0)
    assert days_enough(case(None, moves=100, blocks=40.0)) == pytest.approx(100.0)
    assert days_enough(replace(case(None, moves=0), days=0.0)) is None
    assert days_enough(case(Figure(-3.0, -9.0, 3.0), moves=500, blocks=10.0)) == pytest.approx(20.0)
    assert "At least 20 days" in judge(case(None, moves=500, blocks=10.0))["sentence"]


@pytest.mark.parametrize(
    ("gain", "net", "state", "words"),
    [
        (
            1.0,
            NetOfCosts(400, Figure(3.0, 1.0, 5.0)),
            "shown",
            "After costs too: +3.0 bps a trade over 400 trades",
        ),
        (
            1.0,
            NetOfCosts(400, Figure(-3.0, -5.0, -1.0)),
            "not_shown",
            "An edge in log loss, but none shown after costs: -3.0 bps a trade",
        ),
        (1.0, NetOfCosts(0, None), "not_shown", "but none after costs: no forecast is large enough to pay"),
        (
            1.0,
            NetOfCosts(3, Figure(9.0, None, None)),
            "not_enough_data",
            "+9.0 bps a trade over 3 trades, too few",
        ),
        (
            -1.0,
            NetOfCosts(1, Figure(9.0, None, None)),
            "not_enough_data",
            "Net of costs: +9.0 bps a trade over 1 trade,",
        ),
        (-1.0, NetOfCosts(0, None), "not_shown", "Net of costs: no forecast is large enough"),
    ],
)
def test_what_is_left_after_costs_is_said_by_itself(
    gain: float, net: NetOfCosts, state: str, words: str
) -> None:
    """An edge in log loss is one thing and an edge after costs another; a few trades show nothing."""
    found = judge(replace(case(Figure(gain, gain - 0.5, gain + 0.5)), net=net))
    assert found["net"] == state
    assert words in found["sentence"]
