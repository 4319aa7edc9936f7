"""Targets, and the way from a model's output back to a return."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ModelError
from models.features import feature_set
from models.scaling import fit_scaler
from models.targets import NextClose, ScaledReturn, forward_log_return, make_target
from tests.random_candles import random_candles


def test_a_label_needs_every_minute_up_to_it() -> None:
    """Labels are the log return over the horizon, NaN at the end of the series and across a gap."""
    arrays = random_candles(100, seed=1, gaps=(50,))
    found = forward_log_return(arrays, 15)
    for index in (0, 34, 50, 84):
        assert found[index] == pytest.approx(math.log(arrays.close[index + 15] / arrays.close[index]))
    assert np.isnan(found[35:50]).all()
    assert np.isnan(found[85:]).all()
    assert np.isfinite(found).sum() == 35 + 35
    assert np.isnan(forward_log_return(arrays.rows(0, 10), 15)).all()


@pytest.mark.parametrize(
    ("kind", "horizon", "tag"), [("scaled_return", 15, "scalping-v1"), ("next_close", 1, "minmax-close-v1")]
)
def test_decoding_the_label_gives_the_return(kind: str, horizon: int, tag: str) -> None:
    """A model that says exactly the label expects exactly the return that comes."""
    arrays = random_candles(600, seed=2)
    features = feature_set(tag)
    table = features.compute(arrays)
    scaler = fit_scaler("minmax", features.columns, table.matrix[table.valid][:200])
    target = make_target(kind, horizon)
    label = target.encode(arrays, table.volatility, scaler)
    known = np.isfinite(label)
    assert known.sum() > 300
    decoded = target.decode(label[known], arrays.close[known], table.volatility[known], scaler)
    np.testing.assert_allclose(decoded, forward_log_return(arrays, horizon)[known], rtol=1e-9, atol=1e-12)


def test_a_change_in_scaled_space_is_not_a_price_change() -> None:
    """Min-max outputs go through the scaler: +0.01 of a range of 1,000 around 30,000 is 3.3 bps, not 1 %."""
    scaler = fit_scaler("minmax", ("close",), np.array([[29_500.0], [30_500.0]]))
    close = np.array([30_000.0])
    expected = NextClose(1).decode(np.array([0.51]), close, np.array([1e-4]), scaler)
    assert expected[0] == pytest.approx(math.log(30_010 / 30_000))


@given(raw=st.floats(-1e6, 1e6), close=st.floats(1e-6, 1e6), volatility=st.floats(1e-6, 0.1))
def test_no_output_decodes_to_nonsense(raw: float, close: float, volatility: float) -> None:
    """Whatever a model says, a forecast is a number between -1 and 1, a price below zero included."""
    scaler = fit_scaler("minmax", ("close",), np.array([[100.0], [200.0]]))
    for target in (ScaledReturn(15), NextClose(1)):
        (found,) = target.decode(np.array([raw]), np.array([close]), np.array([volatility]), scaler)
        assert -1.0 <= found <= 1.0


def test_an_unknown_target_is_refused() -> None:
    """A name that this program does not know is a model error."""
    with pytest.raises(ModelError, match="triple_barrier"):
        make_target("triple_barrier", 15)
