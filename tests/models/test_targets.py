"""Targets, and the way from a model's output back to a return."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ModelError
from models.candle_arrays import CandleArrays
from models.features import feature_set
from models.scaling import fit_scaler
from models.targets import (
    TARGETS,
    Decoded,
    NextClose,
    Path,
    ReturnAndVolatility,
    TrendAndDirection,
    TripleBarrier,
    forward_log_return,
    make_target,
)
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
    ("kind", "horizon", "tag"),
    [
        ("scaled_return", 15, "scalping-v1"),
        ("return_and_volatility", 15, "scalping-v1"),
        ("log_return", 5, "deep-price-v1"),
        ("path", 30, "scalping-v1"),
        ("next_close", 1, "minmax-close-v1"),
    ],
)
def test_decoding_the_label_gives_the_return(kind: str, horizon: int, tag: str) -> None:
    """A model that says exactly the label expects exactly the return that comes."""
    arrays = random_candles(600, seed=2)
    features = feature_set(tag)
    table = features.compute(arrays)
    scaler = fit_scaler("minmax", features.columns, table.matrix[table.valid][:200])
    target = make_target(kind, horizon)
    label = target.encode(arrays, table.volatility, scaler)
    assert label.shape == (600, len(target.outputs))
    known = np.isfinite(label).all(axis=1)
    assert known.sum() > 300
    decoded = target.decode(label[known], arrays.close[known], table.volatility[known], scaler)
    np.testing.assert_allclose(
        decoded.expected_return, forward_log_return(arrays, horizon)[known], rtol=1e-9, atol=1e-12
    )


def test_a_change_in_scaled_space_is_not_a_price_change() -> None:
    """Min-max outputs go through the scaler: +0.01 of a range of 1,000 around 30,000 is 3.3 bps, not 1 %."""
    scaler = fit_scaler("minmax", ("close",), np.array([[29_500.0], [30_500.0]]))
    close = np.array([30_000.0])
    expected = NextClose(1).decode(np.array([[0.51]]), close, np.array([1e-4]), scaler)
    assert expected.expected_return[0] == pytest.approx(math.log(30_010 / 30_000))


@given(raw=st.floats(-1e6, 1e6), close=st.floats(1e-6, 1e6), volatility=st.floats(1e-6, 0.1))
def test_no_output_decodes_to_nonsense(raw: float, close: float, volatility: float) -> None:
    """Whatever a model says, a forecast is a number between -1 and 1, a price below zero included."""
    scaler = fit_scaler("minmax", ("close",), np.array([[100.0], [200.0]]))
    for kind in TARGETS:
        target = make_target(kind, 15, {"second_horizon": 60})
        raws = np.full((1, len(target.outputs)), raw)
        found = target.decode(raws, np.array([close]), np.array([volatility]), scaler)
        assert -1.0 <= found.expected_return[0] <= 1.0
        assert np.isfinite(found.score[0])


@pytest.mark.parametrize("kind", ["direction", "trend_score", "trend_and_direction"])
def test_the_sign_of_a_label_is_the_sign_of_the_move(kind: str) -> None:
    """A label decodes to a return of the sign that came, and ties are no direction."""
    arrays = random_candles(600, seed=4)
    volatility = np.full(600, 1e-3)
    scaler = fit_scaler("standard", ("close",), arrays.close[:, None])
    target = make_target(kind, 15, {"second_horizon": 60})
    label = target.encode(arrays, volatility, scaler)
    moves = forward_log_return(arrays, 15)
    known = np.isfinite(label).all(axis=1) & (moves != 0.0)
    assert known.sum() > 400
    said = label[known]
    if kind == "trend_and_direction":
        said = np.column_stack(
            [said[:, 0], -said[:, 1], said[:, 1] - 0.5, said[:, 2], -said[:, 3], said[:, 3]]
        )
    found: Decoded = target.decode(said, arrays.close[known], volatility[known], scaler)
    np.testing.assert_array_equal(np.sign(found.expected_return), np.sign(moves[known]))


def test_the_second_label_is_the_realized_volatility() -> None:
    """Decoded, it is the root mean square of the returns that came, times the root of the horizon; a gap has no label."""
    arrays = random_candles(400, seed=6, gaps=(300,))
    target = ReturnAndVolatility(15)
    scaler = fit_scaler("standard", ("close",), arrays.close[:, None])
    volatility = np.full(400, 1e-3)
    label = target.encode(arrays, volatility, scaler)
    assert np.isnan(label[285:300]).all()
    assert np.isfinite(label[:285]).all()
    moves = np.diff(np.log(arrays.close))
    wanted = [math.sqrt(np.mean(moves[row : row + 15] ** 2) * 15) for row in range(285)]
    np.testing.assert_allclose(target.volatility_of(label[:285], volatility[:285]), wanted, rtol=1e-9)


@given(raw=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), volatility=st.floats(1e-6, 0.1))
def test_a_volatility_of_a_network_is_bounded_and_the_same_alone_as_in_a_batch(
    raw: list[float], volatility: float
) -> None:
    """Whatever it says, it stays within a factor of e³ of the causal one, to the bit whatever it is batched with."""
    table = np.column_stack([np.zeros(len(raw)), raw])
    target = ReturnAndVolatility(15)
    together = target.volatility_of(table, np.full(len(raw), volatility))
    unit = volatility * math.sqrt(15)
    assert ((together >= unit * math.exp(-3.0001)) & (together <= unit * math.exp(3.0001))).all()
    alone = [target.volatility_of(table[[row]], np.array([volatility]))[0] for row in range(len(raw))]
    np.testing.assert_array_equal(together, alone)


def test_two_horizons_need_the_longer_future() -> None:
    """A label at two horizons is known only when the longer one is."""
    arrays = random_candles(200, seed=5)
    target = TrendAndDirection(15, 60)
    scaler = fit_scaler("standard", ("close",), arrays.close[:, None])
    label = target.encode(arrays, np.full(200, 1e-3), scaler)
    assert np.isfinite(label[:140]).all()
    assert np.isnan(label[140:]).all()
    assert target.reach == 60


def test_the_first_barrier_touched_decides() -> None:
    """Up before down is 1, down before up is -1, neither or both in one candle is 0."""
    close = np.full(8, 100.0)
    high, low = close.copy(), close.copy()
    high[2], low[3] = 103.0, 97.0  # from candle 0 and 1: up first; from 2: down
    high[6], low[6] = 103.0, 97.0  # from 4 and 5: both at once
    ts = np.arange(8, dtype=np.int64) * 60_000
    arrays = CandleArrays(ts, close, high, low, close, np.ones(8))
    scaler = fit_scaler("standard", ("close",), close[:, None])
    label = TripleBarrier(2, 1.0).encode(arrays, np.full(8, 0.02 / math.sqrt(2)), scaler)[:, 0]
    np.testing.assert_array_equal(label, [1.0, 1.0, -1.0, 0.0, 0.0, 0.0, np.nan, np.nan])


def test_a_path_is_told_step_by_step() -> None:
    """The path of labels is the path of log returns that came."""
    arrays = random_candles(100, seed=6)
    volatility = np.full(100, 1e-3)
    scaler = fit_scaler("standard", ("close",), arrays.close[:, None])
    target = Path(5)
    label = target.encode(arrays, volatility, scaler)
    path = target.log_path(label[:95], volatility[:95])
    np.testing.assert_allclose(path[10], np.log(arrays.close[11:16] / arrays.close[10]))


def test_an_unknown_target_is_refused() -> None:
    """A name that this program does not know is a model error."""
    with pytest.raises(ModelError, match="moon"):
        make_target("moon", 15)
