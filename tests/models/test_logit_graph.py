"""A logistic regression and a constant as graphs."""

from __future__ import annotations

import numpy as np
import pytest

from bot.errors import ModelError
from models.forecaster import check_graph, open_session
from models.logit_graph import base_rate_score, constant_graph, logit_graph
from models.score_slope import SCORE_SLOPE

WINDOW, FEATURES = 60, 7


def windows(count: int) -> np.ndarray:
    """Normal windows."""
    return np.random.default_rng(4).normal(size=(count, WINDOW, FEATURES)).astype(np.float32)


def run(graph: bytes, given: np.ndarray) -> np.ndarray:
    """The graph's forecasts, after the check of a loaded artifact."""
    session = open_session(graph, threads=1, name="a graph")
    check_graph(session, (WINDOW, FEATURES), 1, "a graph")
    return np.asarray(session.run(None, {"window": given})[0])


def test_the_score_gives_back_the_probability() -> None:
    """The logistic curve of slope 1.702 over the score is the regression's own P(up), from the last row alone."""
    rng = np.random.default_rng(1)
    weights, given = rng.normal(size=FEATURES), windows(400)
    found = run(logit_graph(weights, -0.3, WINDOW, FEATURES), given)
    assert found.dtype == np.float32
    assert found.shape == (400, 1)
    log_odds = given[:, -1].astype(np.float64) @ weights - 0.3
    np.testing.assert_allclose(found[:, 0] * SCORE_SLOPE, log_odds, rtol=1e-6, atol=1e-6)


def test_alone_or_in_a_batch_is_the_same_to_the_bit() -> None:
    """The size of a batch changes no digit."""
    graph = logit_graph(np.random.default_rng(2).normal(size=FEATURES), 0.1, WINDOW, FEATURES)
    given = windows(200)
    session = open_session(graph, threads=2, name="a graph")
    alone = [session.run(None, {"window": given[at : at + 1]})[0] for at in range(200)]
    np.testing.assert_array_equal(np.concatenate(alone), run(graph, given))


@pytest.mark.parametrize("count", [1, 2, 257])
def test_a_constant_whatever_the_window(count: int) -> None:
    """One number a window, the same for all."""
    found = run(constant_graph(-0.125, WINDOW, FEATURES), windows(count))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.full((count, 1), -0.125, np.float32))


@pytest.mark.parametrize("rate", [0.02, 0.4876, 0.5, 0.97])
def test_the_base_rate_comes_back(rate: float) -> None:
    """The logistic curve over its score is the base rate."""
    score = run(constant_graph(base_rate_score(rate), WINDOW, FEATURES), windows(1))[0, 0]
    assert 1.0 / (1.0 + np.exp(-SCORE_SLOPE * score)) == pytest.approx(rate, abs=1e-7)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_base_rate_that_is_none(rate: float) -> None:
    """Certainty and what is no share have no score."""
    with pytest.raises(ModelError, match="base rate"):
        base_rate_score(rate)


def test_weights_that_do_not_fit() -> None:
    """Too few weights, one that is not a number, and a constant that is none are refused."""
    with pytest.raises(ModelError, match="no weights"):
        logit_graph(np.zeros(FEATURES - 1), 0.0, WINDOW, FEATURES)
    with pytest.raises(ModelError, match="finite"):
        logit_graph(np.full(FEATURES, np.nan), 0.0, WINDOW, FEATURES)
    with pytest.raises(ModelError, match="finite"):
        logit_graph(np.zeros(FEATURES), float("inf"), WINDOW, FEATURES)
    with pytest.raises(ModelError, match="finite"):
        constant_graph(float("nan"), WINDOW, FEATURES)
