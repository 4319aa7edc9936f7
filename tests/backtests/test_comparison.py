"""Paired differences: their interval is found, widened for many, and says nothing where nothing can be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.comparison import (
    FIGURES,
    Difference,
    VariantRun,
    best_words,
    compare_runs,
    difference_of,
    run_variant,
    sentence_of,
    thinned,
)
from backtests.metrics import figures_of
from backtests.run import run_backtest
from bot.core.market import DAY_MS
from bot.errors import DataError
from tests.random_market import random_input


def made(returns: np.ndarray, first_day: int = 0) -> VariantRun:
    """A run of which the days matter alone."""
    days = (first_day + np.arange(len(returns))) * DAY_MS
    nothing = np.zeros(1)
    return VariantRun(dict.fromkeys(FIGURES), {}, [], days, returns, days[:1], nothing)


def sure(found: Difference) -> tuple[float, float]:
    """The wide bounds, which are there."""
    assert found.sure_low_bps is not None
    assert found.sure_high_bps is not None
    return found.sure_low_bps, found.sure_high_bps


def market(days: int = 200, seed: int = 5) -> np.ndarray:
    """Daily returns of a wild market."""
    return np.random.default_rng(seed).normal(0, 0.03, days)


def test_a_small_edge_shows_in_the_differences():
    """5 bps a day drown in a market of 3 % a day, and are told from 0 when the same days are compared."""
    base = market()
    noise = np.random.default_rng(6).normal(0, 0.0005, len(base))
    runs = {"base": made(base), "edge": made(base + 0.0005 + noise), "twin": made(base + noise)}
    found = compare_runs(runs, "base", trials=3)
    assert found.differences["edge"].mean_bps == pytest.approx(5.0, abs=1.0)
    assert found.differences["edge"].excludes_zero is True
    assert found.differences["twin"].excludes_zero is False
    assert found.superiority.consistent < 0.05
    assert "edge: better than base by" in sentence_of("edge", found)
    assert sentence_of("twin", found) == "twin: not told from base by these days."
    assert "The best of 2 variants beats base" in best_words(found)


def test_the_baseline_may_be_any():
    """Held against the better one, the other is worse by as much."""
    base = market()
    runs = {"base": made(base), "edge": made(base + 0.0005)}
    found = compare_runs(runs, "edge", trials=2)
    assert found.differences["base"].mean_bps == pytest.approx(-5.0)
    assert "base: worse than edge by 5.0 bps a day" in sentence_of("base", found)
    assert "is not shown to beat edge" in best_words(found)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 500), st.integers(0, 1000))
def test_more_trials_make_wider_intervals(trials: int, seed: int):
    """The interval of one comparison is the plain one; of many it holds it, and the more the wider."""
    days, gains = np.arange(40) * DAY_MS, np.random.default_rng(seed).normal(0, 0.001, 40)
    alone, many, more = (difference_of(days, gains, count) for count in (1, trials, trials + 1))
    assert sure(alone) == pytest.approx((alone.low_bps, alone.high_bps))
    assert sure(more)[0] <= sure(many)[0] <= sure(alone)[0] + 1e-9
    assert sure(more)[1] >= sure(many)[1] >= sure(alone)[1] - 1e-9


def test_the_ledgers_trials_count_and_the_baseline_does_not():
    """As many comparisons as trials less the baseline; at least as many as are compared here."""
    runs = {name: made(market(seed=seed)) for seed, name in enumerate("abc")}
    assert compare_runs(runs, "a", trials=3).comparisons == 2
    assert compare_runs(runs, "a", trials=11).comparisons == 10


def test_days_that_are_too_few_say_so():
    """Below two weeks there is a mean, no interval, and a sentence."""
    runs = {"a": made(market(13)), "b": made(market(13, seed=1))}
    found = compare_runs(runs, "a", trials=2)
    assert found.differences["b"].excludes_zero is None
    assert found.differences["b"].low_bps is None
    assert "too few days to tell it from a (at least 14 are needed)" in sentence_of("b", found)


def test_the_same_days_are_no_difference():
    """A variant that changes nothing is said to be the same."""
    found = compare_runs({"a": made(market()), "b": made(market())}, "a", trials=2)
    assert sentence_of("b", found) == "b: every day as a."


def test_other_days_are_refused():
    """Runs that do not cover the same days cannot be paired."""
    with pytest.raises(DataError, match="b has other days than a"):
        compare_runs({"a": made(market()), "b": made(market(), first_day=1)}, "a", trials=2)


def test_a_variant_is_run_as_a_backtest_is():
    """Its figures are those of the run by itself, its curve ends where the equity did."""
    data = random_input(3, count=3000)
    run, result = run_variant({"x": data}, "x"), run_backtest(data)
    values = figures_of(result, data).values
    assert run.figures == {name: values[name] for name in FIGURES}
    assert run.curve[-1] == result.equity.equity[-1]
    assert np.prod(1 + run.returns) == pytest.approx(values["final_equity"] / data.config.starting_cash)
    assert len(run.days) == len(run.returns) == values["days"]


@given(st.integers(1, 100_000))
def test_a_curve_is_thinned_to_its_first_and_last_point(count: int):
    """At most so many points, in order, the last among them."""
    kept = thinned(count)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) <= min(count, 2001)
    assert (np.diff(kept) > 0).all()


def test_no_share_of_resamples_is_no_zero():
    """A p-value below what so many resamples can tell is not called 0."""
    base = market()
    found = compare_runs({"a": made(base), "b": made(base + 0.001 + market(seed=9) / 1000)}, "a", trials=2)
    surely = replace(found, superiority=found.superiority._replace(consistent=0.0))
    assert "p < 0.001 that" in best_words(surely)
