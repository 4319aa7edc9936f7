"""Volatility and interval of a new model: fitted, measured, written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.assessment import forecasts_at
from models.conformal import ConformalInterval
from models.dataset import Dataset, build_rows, compute_tables
from models.forecaster import Forecaster, load_forecaster
from models.range_report import fit_ranges, range_files, range_report
from models.volatility_fit import future_variance
from models.windows import purged_slices
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model


def trained(folder: Path, count: int, **model: Any) -> tuple[Forecaster, Dataset]:
    """A model without ranges, and the rows and slices of a random market."""
    forecaster = load_forecaster(write_tiny_model(folder, output_scale=0.01, **model))
    series = {"A/X": random_candles(count, seed=1), "B/X": random_candles(count, seed=2)}
    tables = compute_tables(forecaster.features, series)
    rows = build_rows(series, tables, forecaster.scaler, forecaster.target, 60)
    slices = purged_slices(rows.ts[rows.ends], (0.6, 0.1, 0.15, 0.15), horizon=15, embargo=60)
    return forecaster, Dataset(rows, np.empty((len(rows.ts), 0), np.float32), forecaster.scaler, slices)


def test_a_model_gets_both_and_they_are_stored_and_read_back(tmp_path: Path) -> None:
    """Volatility and interval are fitted, measured on the test slice, and the same after a load from their files."""
    forecaster, data = trained(tmp_path, 6000)
    fit_ranges(forecaster, data)
    ends = data.rows.ends_within(data.slices.test)
    report = range_report(forecaster, data, forecasts_at(forecaster, data.rows, ends))
    assert report["volatility"]["rows"] == report["conformal"]["rows"] == len(ends)
    assert report["conformal"]["coverage"]["value"] == pytest.approx(0.9, abs=0.06)
    files = range_files(forecaster)
    assert sorted(files) == ["conformal.json", "volatility.json"]
    again = load_forecaster(write_tiny_model(tmp_path / "again", extra=files))
    assert (again.volatility, again.interval) == (forecaster.volatility, forecaster.interval)


def test_neither_sees_the_test_slice(tmp_path: Path) -> None:
    """Altered closes of the test slice leave both as they are."""
    forecaster, data = trained(tmp_path, 5000)
    fit_ranges(forecaster, data)
    before = forecaster.volatility, forecaster.interval
    later = data.rows.ts >= data.slices.test[0]
    data.rows.close[later] *= np.exp(np.random.default_rng(5).normal(size=later.sum()))
    data.rows.future_return[later] = 0.5
    fit_ranges(forecaster, data)
    assert (forecaster.volatility, forecaster.interval) == before


def test_a_slice_that_is_too_short_leaves_none(tmp_path: Path) -> None:
    """Too few rows make neither, and the report says so."""
    forecaster, data = trained(tmp_path, 5000)
    data.rows.future_return[data.rows.ts < data.slices.train[1]] = np.nan
    fit_ranges(forecaster, data)
    assert forecaster.volatility is None
    assert forecaster.interval is None
    ends = data.rows.ends_within(data.slices.test)
    said = forecasts_at(forecaster, data.rows, ends)
    assert range_report(forecaster, data, said) == {"volatility": None, "conformal": None}
    assert range_files(forecaster) == {}


def test_a_networks_own_volatility_is_used_only_if_it_is_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wild guess loses to the regression and is not heard; what says what comes is, at the right level."""
    outputs = ("forecast", "log_volatility")
    forecaster, data = trained(tmp_path, 5000, target="return_and_volatility", outputs=outputs)
    rows, ends = data.rows, data.rows.ends_within(data.slices.test)
    wild = 5.0 * np.sin(np.arange(len(rows.ts)) * 12.9898)
    came = np.full(len(rows.ts), 0.0)
    known = rows.ends[np.isfinite(rows.future_return[rows.ends])]
    came[known] = 0.5 * np.log(future_variance(rows, known, 15) / rows.volatility[known] ** 2)
    for column, served in ((wild, False), (came - 1.0, True)):

        def infer(scaled: Any, at: Any, column: Any = column, **_: Any) -> Any:
            return np.column_stack([np.zeros(len(at)), column[at]])

        monkeypatch.setattr(forecaster, "infer_series", infer)
        fit_ranges(forecaster, data)
        said = forecasts_at(forecaster, rows, ends)
        report = range_report(forecaster, data, said)
        assert report["volatility"]["network"]["served"] is served
        assert (report["volatility"]["network"]["qlike_gain"]["value"] > 0.0) is served
        assert (forecaster.calibration.volatility_scale is not None) is served
    standardized = rows.future_return[ends] / said.volatility
    assert np.mean(standardized**2) == pytest.approx(1.0, abs=0.3)


def test_without_an_interval_there_are_no_bounds(tmp_path: Path) -> None:
    """A model of an older version says no bounds; one with an interval says forecast ± quantile · volatility."""
    older = load_forecaster(write_tiny_model(tmp_path / "older"))
    low, high = older.bounds(np.array([0.001]), np.array([0.002]))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    files = {"conformal.json": ConformalInterval(0.9, 1.5, 200).to_json()}
    low, high = load_forecaster(write_tiny_model(tmp_path, extra=files)).bounds(
        np.array([0.001]), np.array([0.002])
    )
    assert (low[0], high[0]) == pytest.approx((-0.002, 0.004))
