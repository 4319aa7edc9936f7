"""The LightGBM baseline."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bot.errors import ConfigError, ModelError
from models.boosting import Boosting, boosting_from_json, fit_boosting
from models.dataset import Dataset, prepare
from models.hashing import canonical_json
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


def test_stored_trees_say_the_same(planted: Dataset, fitted: Boosting) -> None:
    """What is read back scores every row to the bit as what was written, and writes the same bytes."""
    again = boosting_from_json(fitted.to_json(), planted.rows.scaled.shape[1])
    rows = planted.rows.scaled[planted.rows.ends_within(planted.slices.test)]
    np.testing.assert_array_equal(again.score(rows), fitted.score(rows))
    assert again.calibration == fitted.calibration
    assert (again.rounds, again.horizon) == (fitted.rounds, fitted.horizon)
    assert again.to_json() == fitted.to_json()


def test_trees_that_are_none_are_refused(planted: Dataset, fitted: Boosting) -> None:
    """Missing fields, a text that is cut off, more rounds than trees and another number of features raise."""
    width = planted.rows.scaled.shape[1]
    document = json.loads(fitted.to_json())
    wrong = [
        b"x",
        b"{}",
        b"[]",
        canonical_json(document | {"trees": document["trees"][:2000]}),
        canonical_json(document | {"trees": "end of trees"}),
        canonical_json(document | {"rounds": 10_000}),
        canonical_json(document | {"calibration": {"slope": -1}}),
    ]
    for content in wrong:
        with pytest.raises(ModelError):
            boosting_from_json(content, width)
    with pytest.raises(ModelError, match=r"boosting\.json does not hold boosted trees of this model"):
        boosting_from_json(fitted.to_json(), width + 1)


def test_without_lightgbm_it_is_said_how_to_get_it(fitted: Boosting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the daemon's libraries are installed, the trees cannot be read, and the sentence names the extra."""
    import importlib.util

    content = fitted.to_json()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"lightgbm.*\[train\]"):
        boosting_from_json(content, 20)
