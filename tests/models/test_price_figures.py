"""Figures of the price level, never without persistence beside them."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecast_sample import Sample
from models.price_figures import legacy, price_level


def sample(count: int, symbols: int = 1) -> Sample:
    """Random walks of some symbols, a thousandfold apart in price."""
    rng = np.random.default_rng(4)
    symbol = np.repeat(np.arange(symbols, dtype=np.int16), count)
    close = np.concatenate(
        [1000.0**k * np.exp(np.cumsum(rng.normal(size=count) * 5e-4)) for k in range(symbols)]
    )
    ts = np.tile(np.arange(count, dtype=np.int64) * 60_000, symbols)
    return Sample(ts, symbol, close, rng.normal(size=len(close)) * 1e-3, np.zeros(len(close)), 15)


def test_persistence_stands_beside_the_level() -> None:
    """Expecting no change is persistence, to the last digit; a perfect forecast has no error."""
    moments = sample(2000)
    still = price_level(moments, np.zeros(2000))
    assert still["r2_model"] == still["r2_persistence"]
    assert still["rmse_share_model"] == still["rmse_share_persistence"] == pytest.approx(1e-3, rel=0.1)
    perfect = price_level(moments, moments.realized)
    assert perfect["r2_model"] == 1.0
    assert perfect["rmse_share_model"] == 0.0


def test_the_distance_between_prices_is_no_fit() -> None:
    """Two symbols a thousandfold apart have the R² of their own levels, not of the gap between them."""
    moments = sample(2000, symbols=2)
    expected = np.random.default_rng(1).normal(size=4000) * 0.05
    assert price_level(moments, expected)["r2_model"] < 0.0


def test_a_level_that_never_moves_has_no_r2() -> None:
    """Nothing to explain is not a perfect fit."""
    moments = Sample(
        np.arange(3) * 60_000, np.zeros(3, np.int16), np.full(3, 5.0), np.zeros(3), np.zeros(3), 1
    )
    assert price_level(moments, np.zeros(3))["r2_model"] is None


def test_the_seeds_accuracy_skips_gaps_and_is_labelled() -> None:
    """Differences over a gap or between symbols are none of it; where there is none, neither is the figure."""
    moments = sample(3, symbols=2)
    found = legacy(moments, moments.realized)
    assert found["label"].startswith("legacy")
    assert found["direction_accuracy"] == 1.0
    apart = Sample(moments.ts * 2, moments.symbol, moments.close, moments.realized, moments.last_return, 15)
    assert legacy(apart, moments.realized)["direction_accuracy"] is None
