"""Figures of days by points, against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from backtests.sweep_table import best_of
from models.sharpe import sharpe_ratio
from tests.sweep_tables import table_of

RETURNS = np.random.default_rng(5).normal(0.001, 0.01, size=(60, 4))


def test_sums_over_any_days_are_those_of_the_days_alone():
    """Return, Sharpe ratio, trades and expectancy of a random choice of days equal those computed point by point."""
    table = table_of(RETURNS)
    chosen = np.random.default_rng(1).random(RETURNS.shape) < 0.4
    sums = table.summed(chosen)
    for place in range(len(table)):
        kept = RETURNS[chosen[:, place], place]
        assert sums.days[place] == len(kept)
        assert sums.total_return[place] == pytest.approx(np.prod(1 + kept) - 1)
        assert sums.sharpe[place] == pytest.approx(sharpe_ratio(kept))
        assert sums.trades[place] == 10 * len(kept)
        assert sums.expectancy_bps[place] == pytest.approx(kept.sum() * 1e5 / (10 * len(kept)))
        assert sums.figures(place)["win_rate"] == pytest.approx((kept > 0).mean())


def test_no_days_and_no_trades_have_no_worth():
    """Nothing chosen, nothing traded or too little traded: NaN, which no choice takes."""
    table = table_of(RETURNS)
    nothing = table.summed(np.zeros(RETURNS.shape, dtype=bool))
    assert np.isnan(nothing.worth("sharpe", 1)).all()
    assert nothing.sharpe.tolist() == [0.0] * 4
    assert nothing.figures(0)["expectancy_bps"] is None
    idle = table_of(np.zeros((12, 2)), trades=0)
    assert np.isnan(idle.summed(idle.everywhere()).worth("return", 0)).all()
    whole = table.summed(table.everywhere())
    assert np.isnan(whole.worth("sharpe", 601)).all()
    assert not np.isnan(whole.worth("sharpe", 600)).any()


def test_returns_that_never_vary_have_no_sharpe_ratio():
    """A constant return shows no risk to divide by: 0, whatever rounding leaves of its deviation."""
    table = table_of(np.full((12, 1), 0.1))
    assert table.summed(table.everywhere()).sharpe.tolist() == [0.0]


@pytest.mark.parametrize(("objective", "name"), [("sharpe", "sharpe"), ("return", "total_return"), ("expectancy", "expectancy_bps")])  # fmt: skip
def test_each_objective_looks_at_its_figure(objective, name):
    """The worth of a point is the figure that the objective is named after."""
    table = table_of(RETURNS)
    sums = table.summed(table.everywhere())
    np.testing.assert_array_equal(sums.worth(objective, 1), getattr(sums, name))


def test_the_best_is_the_first_of_equals_among_those_allowed():
    """NaN never wins, and what is not among the candidates does not either."""
    worth = np.array([np.nan, 2.0, 3.0, 3.0])
    assert best_of(worth, range(4)) == 2
    assert best_of(worth, [3, 2]) == 3
    assert best_of(worth, [0, 1]) == 1
    assert best_of(worth, [0]) is None
    assert best_of(worth, []) is None


def test_the_worst_drawdown_is_that_of_the_blocks_asked_for():
    """Falls are within a block: the greatest of some."""
    table = table_of(RETURNS)
    assert table.worst_drawdown([0, 2]).tolist() == [0.03] * 4
