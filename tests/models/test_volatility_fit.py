"""Fitting and measuring the volatility forecast."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.candle_arrays import CandleArrays
from models.dataset import RowTable, build_rows, compute_tables
from models.features import feature_set
from models.scaling import fit_scaler
from models.targets import make_target
from models.volatility_fit import (
    compare_shapes,
    fit_volatility,
    future_variance,
    levelled,
    measure_volatility,
    qlike,
)
from tests.random_candles import START_MS

MINUTE_MS = 60_000
HORIZON = 15


def market(
    count: int, *, seed: int, persistence: float = 0.98, season: float = 0.6, bounce: float = 0.0
) -> CandleArrays:
    """Log volatility follows its past and the time of day; ``bounce`` adds noise that each minute takes back."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(count)
    wave = np.zeros(count)
    for index in range(1, count):
        wave[index] = persistence * wave[index - 1] + 0.15 * rng.normal()
    scale = 5e-4 * np.exp(wave + season * np.sin(2 * np.pi * minutes / 1440))
    close = 100.0 * np.exp(np.cumsum(scale * rng.normal(size=count)) + bounce * rng.normal(size=count))
    return CandleArrays(
        START_MS + minutes * MINUTE_MS, close, close * 1.0001, close * 0.9999, close, np.ones(count)
    )


def rows_of(*series: CandleArrays) -> RowTable:
    """A row table with windows of one row."""
    named = {f"S{number}/X": candles for number, candles in enumerate(series)}
    features = feature_set("scalping-v1")
    tables = compute_tables(features, named)
    scaler = fit_scaler("standard", features.columns, np.random.default_rng(1).normal(size=(9, 20)))
    return build_rows(named, tables, scaler, make_target("scaled_return", HORIZON), 1)


def halves(count: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first two thirds and the rest, an hour apart."""
    cut = START_MS + count * 2 // 3 * MINUTE_MS
    return (START_MS, cut), (cut + 60 * MINUTE_MS, START_MS + count * MINUTE_MS)


def test_volatility_that_can_be_foretold_is() -> None:
    """Where it follows its past and the hour, the model beats the last hours' volatility, and its level is right."""
    rows = rows_of(market(20_000, seed=5))
    train, test = halves(20_000)
    model = fit_volatility(rows, train, horizon=HORIZON)
    assert model is not None
    found = measure_volatility(model, rows, train, test)
    assert found is not None
    assert found["qlike"]["model"] < found["qlike"]["naive"]
    assert found["qlike_gain"]["low"] > 0.0
    assert found["r2_log_variance"]["model"] > found["r2_log_variance"]["naive"] > 0.0
    assert found["r2_gain"]["low"] > 0.0
    assert found["standardized_variance"] == pytest.approx(1.0, abs=0.2)
    assert found["rows"] == len(rows.ends_within(test))


def test_volatility_that_never_changes_gains_nothing_to_speak_of() -> None:
    """Where all minutes are alike, R² of the model is about nil, and so is its gain in QLIKE."""
    rows = rows_of(market(20_000, seed=2, persistence=0.0, season=0.0))
    train, test = halves(20_000)
    model = fit_volatility(rows, train, horizon=HORIZON)
    assert model is not None
    found = measure_volatility(model, rows, train, test)
    assert found is not None
    assert abs(found["r2_log_variance"]["model"]) < 0.02
    assert abs(found["qlike_gain"]["value"]) < 0.02


def test_the_fit_looks_at_its_slice_only() -> None:
    """Altered candles after the slice and the horizon leave every coefficient as it is."""
    candles = market(6000, seed=3)
    changed = candles.close.copy()
    changed[4100:] = 100.0 * np.exp(np.cumsum(np.random.default_rng(9).normal(size=1900) * 1e-2))
    other = CandleArrays(candles.ts, changed, changed * 1.001, changed * 0.999, changed, candles.volume)
    bounds = (START_MS, START_MS + 4000 * MINUTE_MS)
    one = fit_volatility(rows_of(candles), bounds, horizon=HORIZON)
    assert one is not None
    assert one == fit_volatility(rows_of(other), bounds, horizon=HORIZON)


def test_moves_that_are_taken_back_count_less_for_the_horizon() -> None:
    """A bounce blows up the variance of minutes, not that of a quarter of an hour: the return share falls below one."""
    train, _ = halves(12_000)
    quiet = fit_volatility(rows_of(market(12_000, seed=4)), train, horizon=HORIZON)
    bounced = fit_volatility(rows_of(market(12_000, seed=4, bounce=1e-3)), train, horizon=HORIZON)
    assert quiet is not None
    assert bounced is not None
    assert quiet.return_share == pytest.approx(1.0, abs=0.2)
    assert bounced.return_share < 0.5


def test_the_future_variance_is_that_of_the_minutes_ahead_of_each_symbol() -> None:
    """By hand for rows of both symbols; at least the floor."""
    rows = rows_of(market(700, seed=5), market(700, seed=6))
    ends = rows.ends[np.isfinite(rows.future_return[rows.ends])][[0, 100, 500]]
    moves = np.diff(np.log(rows.close))
    wanted = [np.mean(moves[end : end + HORIZON] ** 2) for end in ends]
    np.testing.assert_allclose(future_variance(rows, ends, HORIZON), wanted, rtol=1e-9)


def test_qlike_is_least_at_the_truth() -> None:
    """It is 0 for an exact forecast and grows both ways, more for one that is too small."""
    truth = np.full(3, 2.0)
    exact, small, large = qlike(truth, np.array([2.0, 1.0, 4.0]))
    assert exact == 0.0
    assert small == pytest.approx(2.0 - math.log(2.0) - 1.0)
    assert small > large > 0.0


def test_shapes_are_compared_with_levels_from_before() -> None:
    """A forecast that is right but for its level loses nothing by it, and gains over one that knows nothing."""
    rng = np.random.default_rng(8)
    truth = [np.exp(rng.normal(size=2000)) for _ in range(2)]
    came = [one * rng.chisquare(15, 2000) / 15 for one in truth]
    flat = [np.ones(2000)] * 2
    ts = np.arange(2000, dtype=np.int64) * MINUTE_MS
    found = compare_shapes(ts, came, [one * 7.0 for one in truth], flat, horizon=HORIZON)
    assert found["qlike"] == pytest.approx(float(np.mean(qlike(came[1], truth[1]))), abs=0.01)
    assert found["qlike_gain"]["low"] > 0.0
    assert found["qlike_gain"]["value"] == pytest.approx(found["qlike_regression"] - found["qlike"])


def test_the_best_level_is_the_one_of_the_ratios() -> None:
    """No other level of the same shape has a lower loss."""
    came, shape = np.array([1.0, 2.0, 8.0]), np.array([1.0, 1.0, 2.0])
    best = float(np.mean(qlike(came, levelled(came, shape))))
    assert all(
        best <= float(np.mean(qlike(came, levelled(came, shape) * by))) for by in (0.9, 0.99, 1.01, 1.1)
    )


def test_too_few_rows_fit_and_measure_nothing() -> None:
    """A slice of two hours gives no model; an empty test slice gives no figures."""
    rows = rows_of(market(3000, seed=7))
    assert fit_volatility(rows, (START_MS, START_MS + 360 * MINUTE_MS), horizon=HORIZON) is None
    train = (START_MS, START_MS + 2000 * MINUTE_MS)
    model = fit_volatility(rows, train, horizon=HORIZON)
    assert model is not None
    assert measure_volatility(model, rows, train, (0, 1)) is None
