"""Intervals that hold as often as they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ModelError
from models.conformal import (
    LEAST_SAMPLES,
    ConformalInterval,
    conformal_from_json,
    fit_conformal,
    measure_conformal,
)

MINUTE_MS = 60_000


def sample(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected returns, volatilities, and Student-t returns as wide as those."""
    rng = np.random.default_rng(seed)
    volatility = 1e-3 * np.exp(rng.normal(size=count))
    expected = 2e-4 * rng.normal(size=count)
    return expected, volatility, expected + volatility * rng.standard_t(3, count)


def test_the_quantile_is_the_one_of_the_finite_sample_guarantee() -> None:
    """Of 199 residuals 1 to 199 at 90 % it is the 180th: ceil(200 · 0.9)."""
    residuals = np.random.default_rng(1).permutation(np.arange(1.0, 200.0))
    found = fit_conformal(np.zeros(199), np.ones(199), residuals)
    assert found == ConformalInterval(0.9, 180.0, 199)


def test_intervals_hold_what_they_say_whatever_the_distribution() -> None:
    """On fresh heavy-tailed returns 90 % lie within on average over 300 repetitions, and as many in calm as in wild times."""
    held, calm, wild = [], [], []
    for seed in range(300):
        interval = fit_conformal(*sample(400, seed))
        assert interval is not None
        expected, volatility, came = sample(400, seed + 1000)
        ts = np.arange(400, dtype=np.int64) * MINUTE_MS
        found = measure_conformal(interval, ts, expected, volatility, came, horizon=15)
        assert found is not None
        held.append(found["coverage"]["value"])
        calm.append(found["coverage_calm"])
        wild.append(found["coverage_wild"])
    for shares in (held, calm, wild):
        assert np.mean(shares) == pytest.approx(0.9, abs=0.01)


@given(seed=st.integers(0, 1000), level=st.floats(0.5, 0.98))
@settings(deadline=None, max_examples=50)
def test_at_least_the_level_of_its_own_slice_lies_within(seed: int, level: float) -> None:
    """The interval holds at least its level of the residuals that made it, and is centred on the forecast."""
    expected, volatility, came = sample(300, seed)
    interval = fit_conformal(expected, volatility, came, level=level)
    assert interval is not None
    low, high = interval.bounds(expected, volatility)
    # The residual that is the quantile lies on a bound, to within rounding.
    assert ((came >= low - 1e-12) & (came <= high + 1e-12)).mean() >= level
    np.testing.assert_allclose((low + high) / 2, expected, atol=1e-15)


def test_figures_on_unseen_candles() -> None:
    """Share within with its bootstrap interval, mean width in basis points; moments without volatility are left out."""
    count = 2000
    rng = np.random.default_rng(3)
    came = 1e-3 * rng.normal(size=count)
    volatility = np.full(count, 1e-3)
    volatility[:100] = np.nan
    ts = np.arange(count, dtype=np.int64) * MINUTE_MS
    found = measure_conformal(
        ConformalInterval(0.9, 1.0, 500), ts, np.zeros(count), volatility, came, horizon=15
    )
    assert found is not None
    assert found["rows"] == 1900
    assert found["coverage"]["value"] == np.mean(np.abs(came[100:]) <= 1e-3)
    assert found["coverage"]["low"] < found["coverage"]["value"] < found["coverage"]["high"]
    assert found["mean_width_bps"] == pytest.approx(20.0)
    none = np.full(count, np.nan)
    assert measure_conformal(ConformalInterval(0.9, 1.0, 500), ts, none, none, came, horizon=15) is None


def test_too_little_makes_no_interval() -> None:
    """Few residuals, unknown volatilities, or a level that the sample cannot hold give none."""
    expected, volatility, came = sample(LEAST_SAMPLES - 1, 5)
    assert fit_conformal(expected, volatility, came) is None
    expected, volatility, came = sample(500, 5)
    assert fit_conformal(expected, np.full(500, np.nan), came) is None
    assert fit_conformal(expected, volatility, came, level=0.999) is None


@pytest.mark.parametrize(
    "changes",
    [{"level": 0.0}, {"level": 1.0}, {"quantile": 0.0}, {"quantile": float("nan")}, {"samples": "x"}],
)
def test_a_damaged_file_is_refused(changes: dict[str, object]) -> None:
    """What is no usable interval is refused by the file's name; what was written reads back."""
    interval = ConformalInterval(0.9, 1.7, 500)
    assert conformal_from_json(interval.to_json()) == interval
    for content in (json.dumps(json.loads(interval.to_json()) | changes).encode(), b"{}", b"[]", b"\xff"):
        with pytest.raises(ModelError, match=r"conformal\.json"):
            conformal_from_json(content)
