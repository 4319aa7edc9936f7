"""Choose, then trade: what a fold may look at, and what is pooled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.sweep_folds import Rule, choose, inside_of, stability, walk
from bot.core.market import DAY_MS, MINUTE_MS
from tests.sweep_tables import table_of

RULE = Rule(objective="sharpe", least_trades=20, lookback_minutes=60, horizon_minutes=15)
RETURNS = np.random.default_rng(7).normal(0.0, 0.01, size=(36, 5))
EVERY = [list(range(5))] * 5


@settings(max_examples=40, deadline=None)
@given(held=st.floats(1.0, 20_000.0), fold=st.integers(1, 5), lookback=st.integers(1, 3000))
def test_in_sample_ends_an_embargo_before_the_test(held, fold, lookback):
    """No day in sample shares a minute with the embargo before the out-of-sample part, nor lies after it."""
    table = table_of(RETURNS, held_minutes=held)
    rule = replace(RULE, lookback_minutes=lookback)
    days, embargo = inside_of(table, fold, rule)
    longest = max(lookback, 15, int(held))
    assert embargo.tolist() == [longest] * 5
    ends = (table.days + 1) * DAY_MS
    allowed = ends + longest * MINUTE_MS <= table.blocks[fold].since_ms
    np.testing.assert_array_equal(days, np.repeat(allowed[:, None], 5, axis=1))


def test_a_holding_out_of_sample_moves_no_embargo():
    """The longest trade counts where it was seen in sample: a later one changes nothing that is chosen on."""
    table = table_of(RETURNS)
    late = table.held_minutes.copy()
    late[30:] = 5000.0
    np.testing.assert_array_equal(
        inside_of(table, 5, RULE)[0], inside_of(replace(table, held_minutes=late), 5, RULE)[0]
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    fold=st.integers(1, 5),
    objective=st.sampled_from(["sharpe", "return", "expectancy"]),
)
def test_what_comes_later_changes_no_choice(seed, fold, objective):
    """Whatever the days from the out-of-sample part on are, the same point is chosen."""
    rule = replace(RULE, objective=objective)
    rng = np.random.default_rng(seed)
    other = RETURNS.copy()
    other[fold * 6 :] = rng.normal(0.0, 0.05, size=other[fold * 6 :].shape)
    before, after = table_of(RETURNS), table_of(other)
    first, second = (choose(table, fold, rule, range(5)) for table in (before, after))
    assert first.chosen == second.chosen
    np.testing.assert_array_equal(first.worth, second.worth)


def test_the_pooled_days_are_those_of_each_choice():
    """The walk's returns, trades and gains are taken from the chosen column of each block, in order."""
    table = table_of(RETURNS)
    walked = walk(table, RULE, EVERY)
    picked = [fold.chosen for fold in walked.folds]
    assert len(picked) == 5
    assert None not in picked
    expected = np.concatenate([RETURNS[6 * (n + 1) : 6 * (n + 2), place] for n, place in enumerate(picked)])
    np.testing.assert_array_equal(walked.returns, expected)
    assert walked.trades.sum() == 300
    np.testing.assert_allclose(walked.gain_bps, expected * 1e5)
    np.testing.assert_array_equal(walked.days, table.days[6:])


def test_a_fold_chooses_among_its_candidates_only():
    """A point that was found by looking at later days is not chosen, however good it looks."""
    good = RETURNS.copy()
    good[:, 3] = 0.02 + 0.001 * np.arange(36) % 0.003
    table = table_of(good)
    allowed = [[0, 1], [0, 1], [0, 1, 2, 3], [0, 1], [0]]
    picked = [fold.chosen for fold in walk(table, RULE, allowed).folds]
    assert picked[2] == 3
    assert all(place in among for place, among in zip(picked, allowed, strict=True))


def test_where_nothing_traded_enough_nothing_is_chosen_nor_earned():
    """Too few trades in sample: no choice, and days of no return and no trade."""
    table = table_of(RETURNS, trades=1)
    walked = walk(table, replace(RULE, least_trades=12), EVERY)
    assert [fold.chosen is None for fold in walked.folds] == [True, True, False, False, False]
    assert walked.returns[:12].tolist() == [0.0] * 12
    assert walked.trades[:12].sum() == 0
    assert walked.folds[0].embargo_minutes == 60


def test_stability_counts_agreement():
    """Different points, the share of the most common one, and how much of the range the choices span."""
    table = table_of(RETURNS)
    folds = walk(table, RULE, EVERY).folds
    forced = tuple(replace(fold, chosen=place) for fold, place in zip(folds, [1, 1, 3, 1, None], strict=True))
    found = stability(table, forced)
    assert (found["folds"], found["chosen"], found["distinct"]) == (5, 4, 2)
    assert found["most_common_share"] == 0.75
    assert found["parameters"]["x"]["values"] == ["1", "1", "3", "1", None]
    assert found["parameters"]["x"]["range_share"] == pytest.approx(0.5)
    none = tuple(replace(fold, chosen=None) for fold in folds)
    assert stability(table, none)["most_common_share"] is None
    words = replace(table, points=tuple({"x": word} for word in "abcde"))
    assert stability(words, forced)["parameters"]["x"]["range_share"] is None
