"""What models and baselines say on candles that they were not made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.errors import DataError
from bot.inference import forecast_series
from models.dataset import build_rows, compute_tables
from models.forecaster import Forecaster, load_forecaster
from models.out_of_sample import covers, fit_references, look_ahead, slices_of
from tests.planted import planted_candles
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model

SIZE = 9000


@pytest.fixture
def forecaster(tmp_path: Path) -> Forecaster:
    """A small model."""
    return load_forecaster(write_tiny_model(tmp_path))


def test_a_model_says_what_it_says_live(forecaster: Forecaster) -> None:
    """From a moment on, forecasts are those of the whole series, to the rounding of inference."""
    series = {"B/X": random_candles(3000, seed=1, gaps=(2300,)), "A/X": random_candles(3000, seed=2)}
    since = int(series["A/X"].ts[2000])
    moments, said = look_ahead(forecaster, series, since)
    assert moments.symbols == ("A/X", "B/X")
    assert moments.given.all()
    for number, symbol in enumerate(moments.symbols):
        whole = forecast_series(forecaster, symbol, series[symbol])
        kept = whole.ts >= since
        chosen = moments.symbol == number
        np.testing.assert_array_equal(moments.ts[chosen], whole.ts[kept])
        assert said.expected is not None
        assert said.probability is not None
        np.testing.assert_allclose(said.expected[chosen], whole.expected_return[kept], atol=1e-6)
        np.testing.assert_allclose(said.probability[chosen], whole.probability_up[kept], atol=1e-6)


def test_windows_unlike_the_training_are_not_given(tmp_path: Path) -> None:
    """Where inference abstains the mask says so, minute by minute."""
    arrays = random_candles(3000, seed=3)
    scaler = load_forecaster(write_tiny_model(tmp_path / "free")).scaler
    width = len(scaler.columns)
    narrow = replace(scaler, low=np.full(width, -3.0), high=np.full(width, 3.0))
    tight = load_forecaster(write_tiny_model(tmp_path / "tight", scaler=narrow))
    since = int(arrays.ts[1500])
    moments, _ = look_ahead(tight, {"A/X": arrays}, since)
    whole = forecast_series(tight, "A/X", arrays)
    assert 0 < moments.given.sum() < len(moments)
    np.testing.assert_array_equal(moments.ts[moments.given], whole.ts[whole.ts >= since])


def test_candles_without_a_window_are_refused(forecaster: Forecaster) -> None:
    """A stretch that ends before the moment holds nothing to compare."""
    arrays = random_candles(3000, seed=1)
    with pytest.raises(DataError, match="no whole window"):
        look_ahead(forecaster, {"A/X": arrays}, int(arrays.ts[-1]) + 60_000)


@pytest.mark.training
def test_baselines_know_a_planted_edge(forecaster: Forecaster) -> None:
    """Fitted on the first part, logistic regression and LightGBM are right on the second; the others are not."""
    series = {"A/X": planted_candles(12_000, seed=1)}
    cut = int(series["A/X"].ts[SIZE])
    before = {"A/X": series["A/X"].rows(0, SIZE)}
    ticks = iter(range(100))
    references = fit_references(forecaster, before, seconds=lambda: float(next(ticks)))
    assert references.seconds == {"logistic_regression": 1.0, "lightgbm": 1.0}
    moments, _ = look_ahead(forecaster, series, cut)
    known = np.isfinite(moments.realized) & (moments.realized != 0.0)
    said = {one.name: one for one in references.outlooks(moments)}
    right = {
        name: float((np.sign(one.direction) == np.sign(moments.realized))[known].mean())
        for name, one in said.items()
    }
    assert min(right["logistic_regression"], right["lightgbm"]) > 0.6
    assert right["base_rate"] < 0.6
    assert said["last_return_sign"].probability is None
    persistence = said["persistence"]
    assert persistence.probability is not None
    assert (persistence.probability == 0.5).all()
    for name in ("logistic_regression", "lightgbm"):
        expected = said[name].expected
        assert expected is not None
        assert np.corrcoef(expected[known], moments.realized[known])[0, 1] > 0.2


def test_a_models_own_slices_are_used_where_the_candles_cover_them(forecaster: Forecaster) -> None:
    """The baselines learn from the very slice of the model; from new ones only where its candles are not there."""
    arrays = random_candles(SIZE, seed=1)
    rows = build_rows(
        {"A/X": arrays},
        compute_tables(forecaster.features, {"A/X": arrays}),
        forecaster.scaler,
        forecaster.target,
        60,
    )
    new = slices_of(forecaster, rows)
    assert new.train[0] == int(rows.ts[rows.ends[0]])
    assert new.train[1] < new.early_stop[0] < new.calibrate[0] < new.test[0]
    ranges = {name: list(bounds) for name, bounds in new.as_dict().items()}
    ranges["train"][1] -= 3_600_000
    known = Forecaster(
        replace(forecaster.passport, ranges=ranges),
        forecaster.scaler,
        forecaster.calibration,
        forecaster._session,
    )
    assert slices_of(known, rows).as_dict() == ranges
    later = {name: [first + 86_400_000, last + 86_400_000] for name, (first, last) in ranges.items()}
    assert not covers({**later, "calibrate": [0, int(arrays.ts[-1]) + 86_400_000]}, rows)
