"""The LightGBM baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot.errors import ModelError
from models.boosting import Boosting, fit_boosting
from models.dataset import Dataset, prepare
from models.recipe import load_recipe
from tests.planted import planted_candles
from tests.random_candles import random_candles

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def planted() -> Dataset:
    """A market with something to find in it."""
    return prepare(load_recipe("scalping"), {"X/Y": planted_candles(12_000, seed=1)})


@pytest.fixture(scope="module")
def fitted(planted: Dataset) -> Boosting:
    """Trees of it."""
    return fit_boosting(planted.rows, planted.slices, horizon=15)


def test_it_finds_what_is_planted(planted: Dataset, fitted: Boosting) -> None:
    """Out of sample most directions are right, and expected returns go with those that came."""
    rows = planted.rows
    ends = rows.ends_within(planted.slices.test)
    score = fitted.score(rows.scaled[ends])
    right = (fitted.probability(score) > 0.5) == (rows.future_return[ends] > 0)
    assert right.mean() > 0.6
    expected = fitted.expected_return(score, rows.volatility[ends])
    assert np.corrcoef(expected, rows.future_return[ends])[0, 1] > 0.2
    assert 0.3 < fitted.calibration.return_scale <= 1.0
    assert fitted.rounds >= 5


def test_the_same_rows_give_the_same_trees(planted: Dataset, fitted: Boosting) -> None:
    """A second fit says the same to the bit; another seed does not."""
    again = fit_boosting(planted.rows, planted.slices, horizon=15)
    rows = planted.rows.scaled[planted.rows.ends]
    np.testing.assert_array_equal(again.score(rows), fitted.score(rows))
    other = fit_boosting(planted.rows, planted.slices, horizon=15, seed=1)
    assert not np.array_equal(other.score(rows), fitted.score(rows))


def test_later_slices_do_not_reach_into_the_trees(planted: Dataset, fitted: Boosting) -> None:
    """Other returns in calibrate and test slices leave trees and their number as they are."""
    rows = planted.rows
    changed = rows.future_return.copy()
    changed[rows.ts >= planted.slices.early_stop[1]] *= -1.0
    other = fit_boosting(replace(rows, future_return=changed), planted.slices, horizon=15)
    assert other.rounds == fitted.rounds
    np.testing.assert_array_equal(other.score(rows.scaled[rows.ends]), fitted.score(rows.scaled[rows.ends]))
    assert other.calibration.slope == 0.0


def test_noise_is_worth_next_to_nothing() -> None:
    """Where there is nothing to find, probabilities stay near one half."""
    data = prepare(load_recipe("scalping"), {"X/Y": random_candles(12_000, seed=1)})
    found = fit_boosting(data.rows, data.slices, horizon=15)
    ends = data.rows.ends_within(data.slices.test)
    probability = found.probability(found.score(data.rows.scaled[ends]))
    assert np.abs(probability - 0.5).mean() < 0.05


def test_a_market_that_only_rises_teaches_nothing(planted: Dataset) -> None:
    """A slice without a single fall is refused."""
    rising = replace(planted.rows, future_return=np.abs(planted.rows.future_return))
    with pytest.raises(ModelError, match="only rises"):
        fit_boosting(rising, planted.slices, horizon=15)
