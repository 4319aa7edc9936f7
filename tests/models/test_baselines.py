"""Baselines that are fitted with a model."""

from __future__ import annotations

import numpy as np
import pytest

from bot.errors import ModelError
from models.baselines import Baselines, baselines_from_json, fit_baselines
from models.calibration import Calibration
from models.dataset import prepare
from models.recipe import load_recipe
from models.score_slope import SCORE_SLOPE
from tests.planted import planted_candles
from tests.random_candles import random_candles


@pytest.mark.training
def test_logistic_regression_finds_what_is_planted() -> None:
    """Where the next quarter of an hour follows the last one, the regression beats the base rate out of sample."""
    data = prepare(load_recipe("scalping"), {"X/Y": planted_candles(12_000, seed=1)})
    found = fit_baselines(data)
    ends = data.rows.ends_within(data.slices.test)
    probability = found.logistic(data.rows.scaled, ends)
    right = (probability > 0.5) == (data.rows.future_return[ends] > 0)
    assert right.mean() > 0.6
    assert 0.4 < found.base_rate < 0.6
    again = baselines_from_json(found.to_json(), data.rows.scaled.shape[1])
    np.testing.assert_array_equal(again.logistic(data.rows.scaled, ends), probability)


@pytest.mark.training
def test_a_market_that_only_rises_teaches_nothing() -> None:
    """A train slice without a single fall is refused."""
    arrays = random_candles(5000, seed=1)
    arrays.close[:] = 100.0 + np.arange(5000)
    arrays.open[:], arrays.high[:], arrays.low[:] = arrays.close, arrays.close + 1, arrays.close - 1
    with pytest.raises(ModelError, match="only rises"):
        fit_baselines(prepare(load_recipe("scalping"), {"X/Y": arrays}))


@pytest.mark.parametrize("content", [b"{}", b"x", b'{"base_rate": 0.5, "weights": [1], "intercept": 0}'])
def test_a_document_that_is_none_is_refused(content: bytes) -> None:
    """Missing fields and another number of features raise."""
    with pytest.raises(ModelError, match=r"baselines\.json"):
        baselines_from_json(content, 2)


def test_how_much_to_believe_is_stored_and_older_files_have_none() -> None:
    """Expected returns are the score in units of volatility, cut by the stored scale; without one there are none."""
    weights = np.array([0.5, -0.25])
    plain = Baselines(0.5, weights, 0.1)
    assert baselines_from_json(plain.to_json(), 2).calibration is None
    rows = np.array([[1.0, 2.0], [0.0, 0.0]], np.float32)
    score = plain.score(rows)
    np.testing.assert_allclose(score, np.array([0.1, 0.1]) / SCORE_SLOPE)
    volatility = np.array([1e-3, 2e-3])
    assert plain.expected_return(score, volatility, 16) is None
    believed = baselines_from_json(
        Baselines(0.5, weights, 0.1, Calibration(1.5, 100, 0.25, 0.1)).to_json(), 2
    )
    found = believed.expected_return(score, volatility, 16)
    assert found is not None
    np.testing.assert_allclose(found, score * volatility * 4 * 0.25)
    assert believed.calibration == Calibration(1.5, 100, 0.25, 0.1)
