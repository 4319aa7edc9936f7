"""Predictions candle by candle and for a whole series."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bot.candles.store import read_candles
from bot.core.market import Candle
from bot.errors import DataError, ModelError
from bot.inference import OnnxPredictor, predict_series
from models.calibration import Calibration
from models.candle_arrays import CandleArrays
from models.conformal import ConformalInterval
from models.features import feature_set
from models.scaling import fit_scaler
from models.volatility import VolatilityModel
from tests.random_candles import random_candles
from tests.shared_data import candle_file
from tests.tiny_model import write_tiny_model

MINUTE_MS = 60_000


def as_candles(symbol: str, arrays: CandleArrays) -> list[Candle]:
    """The rows as the core's candles."""
    columns = (arrays.ts, arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
    return [Candle(symbol, *row) for row in zip(*(column.tolist() for column in columns), strict=True)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact of the default feature set, with a measured error of its return scale."""
    spread = VolatilityModel(15, (-4.0, 0.3, 0.2, 0.1, 0.05, -0.05, 0.02, 0.01), 1.1, 0.9)
    return write_tiny_model(
        tmp_path,
        extra={
            "calibration.json": Calibration(1.5, 1000, 0.5, 0.125).to_json(),
            "volatility.json": spread.to_json(),
            "conformal.json": ConformalInterval(0.9, 1.5, 500).to_json(),
        },
    )


def streamed(folder: Path, symbol: str, arrays: CandleArrays) -> list[tuple[float | None, ...]]:
    """(open time, expected return, probability, raw, uncertainty, volatility), candle by candle."""
    predictor = OnnxPredictor.load(folder)
    found: list[tuple[float | None, ...]] = []
    for number, candle in enumerate(as_candles(symbol, arrays)):
        if number % 7 == 0:
            predictor.rehearse()  # whenever, and however often: no number knows of it
        predictor.observe(candle)
        for prediction in predictor.predict([symbol]):
            assert prediction.probability_up is not None
            assert prediction.raw is not None
            found.append(
                (
                    prediction.closed_at_ms - MINUTE_MS,
                    prediction.expected_return,
                    prediction.probability_up,
                    prediction.raw,
                    prediction.uncertainty,
                    prediction.volatility,
                )
            )
    return found


def batch(folder: Path, symbol: str, arrays: CandleArrays) -> list[tuple[float | None, ...]]:
    """The same, for the whole series at once."""
    series = predict_series(folder, symbol, arrays)
    columns = (
        series.ts,
        series.expected_return,
        series.probability_up,
        series.raw,
        series.uncertainty,
        series.volatility,
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [tuple(None if value != value else value for value in row) for row in rows]  # noqa: PLR0124


def test_a_series_equals_the_stream_over_a_real_outage(folder: Path) -> None:
    """Over real candles with an exchange outage, both ways give the same minutes and the same numbers."""
    whole = read_candles(candle_file("binance-BTCUSDT-1m-2023-01-01_2025-03-31.parquet"))
    hole = int(np.flatnonzero(np.diff(whole.ts) != MINUTE_MS)[0]) + 1
    arrays = whole.rows(hole - 700, hole + 700)
    found = batch(folder, "BTC/USDT", arrays)
    assert len(found) == 2 * (700 - 299)
    assert found == streamed(folder, "BTC/USDT", arrays)
    assert len({row[1] for row in found}) > 100


def test_a_min_max_series_equals_the_stream(tmp_path: Path) -> None:
    """The price-level recipe, decoded through its scaler, is the same both ways."""
    arrays = random_candles(600, seed=3)
    features = feature_set("minmax-close-v1")
    table = features.compute(arrays)
    scaler = fit_scaler("minmax", features.columns, table.matrix[table.valid])
    folder = write_tiny_model(
        tmp_path, features="minmax-close-v1", target="next_close", horizon=1, scaler=scaler
    )
    found = batch(folder, "X/Y", arrays)
    assert len(found) > 200
    assert found == streamed(folder, "X/Y", arrays)


def test_a_warm_start_changes_no_prediction(folder: Path) -> None:
    """A predictor warmed with its history minutes goes on exactly where an uninterrupted one would be."""
    arrays = random_candles(1500, seed=5)
    expected = {row[0]: row for row in batch(folder, "X/Y", arrays)}
    for cut in (900, 1111, 1380):
        predictor = OnnxPredictor.load(folder)
        candles = as_candles("X/Y", arrays)
        predictor.warm("X/Y", candles[cut - predictor.history_minutes : cut])
        for candle in candles[cut : cut + 5]:
            predictor.observe(candle)
            (prediction,) = predictor.predict(["X/Y"])
            row = expected[candle.opened_at_ms]
            assert (prediction.expected_return, prediction.probability_up, prediction.raw) == row[1:4]
            assert (prediction.uncertainty, prediction.volatility) == row[4:]


def test_symbols_are_predicted_together_in_order_of_name(folder: Path) -> None:
    """One call gives each ready symbol once, sorted, with the numbers that it has alone; others are left out."""
    predictor = OnnxPredictor.load(folder)
    alone = {}
    for seed, symbol in enumerate(("C/X", "A/X", "B/X")):
        candles = as_candles(symbol, random_candles(400, seed=seed))
        predictor.warm(symbol, candles)
        alone[symbol] = predictor.predict([symbol])[0]
    predictor.warm("D/X", as_candles("D/X", random_candles(200, seed=9)))
    together = predictor.predict(["D/X", "C/X", "B/X", "A/X", "unseen"])
    assert together == [alone["A/X"], alone["B/X"], alone["C/X"]]


def test_a_gap_empties_the_window(folder: Path) -> None:
    """After a missing minute nothing is predicted until the history is whole again."""
    predictor = OnnxPredictor.load(folder)
    candles = as_candles("X/Y", random_candles(800, seed=1))
    predictor.warm("X/Y", candles[:400])
    assert predictor.predict(["X/Y"])
    ready = []
    for candle in candles[401:]:
        predictor.observe(candle)
        ready.append(bool(predictor.predict(["X/Y"])))
    assert ready.index(True) == 299
    assert all(ready[299:])


def test_an_older_candle_is_refused(folder: Path) -> None:
    """A candle that is not newer than the last one raises and names its symbol."""
    predictor = OnnxPredictor.load(folder)
    candles = as_candles("X/Y", random_candles(3, seed=1))
    predictor.observe(candles[1])
    with pytest.raises(DataError, match="X/Y"):
        predictor.observe(candles[1])


def test_a_window_unlike_the_training_gets_no_forecast(tmp_path: Path) -> None:
    """More than 1 % of a window beyond the fitted range: no prediction, counted, in the stream as in the series."""
    arrays = random_candles(600, seed=2)
    features = feature_set("scalping-v1")
    rows = features.compute(arrays).matrix
    scaler = fit_scaler("standard", features.columns, rows[300:400])
    folder = write_tiny_model(tmp_path, scaler=scaler)
    outside = ((rows < scaler.low) | (rows > scaler.high)).sum(axis=1)
    expected = [
        int(arrays.ts[end]) for end in range(299, 600) if outside[end - 59 : end + 1].sum() <= 60 * 20 / 100
    ]
    assert 0 < len(expected) < 301
    series = predict_series(folder, "X/Y", arrays)
    assert series.ts.tolist() == expected
    predictor = OnnxPredictor.load(folder)
    given = []
    for candle in as_candles("X/Y", arrays):
        predictor.observe(candle)
        given += [found.closed_at_ms - 60_000 for found in predictor.predict(["X/Y"])]
    assert given == expected
    count = predictor.inputs["X/Y"]
    assert (count.windows, count.abstained) == (301, series.abstained) == (301, 301 - len(expected))
    assert count.outside == outside[299:].sum()
    assert count.window_outside == outside[-60:].sum()


def test_numbers_are_rounded(folder: Path) -> None:
    """Every number leaves rounded to 1e-6, so that decisions cannot hang on a processor's last digits."""
    series = predict_series(folder, "X/Y", random_candles(400, seed=4))
    for column in (
        series.expected_return,
        series.probability_up,
        series.raw,
        series.uncertainty,
        series.volatility,
    ):
        assert len(column) > 50
        assert (column == np.round(column, 6)).all()


def test_the_uncertainty_is_the_error_of_the_scale_times_the_decoded_return(
    folder: Path, tmp_path: Path
) -> None:
    """A quarter of the expected return, where the error is a quarter of the scale; none where it was not measured."""
    arrays = random_candles(400, seed=4)
    series = predict_series(folder, "X/Y", arrays)
    np.testing.assert_allclose(series.uncertainty, np.abs(series.expected_return) / 4, atol=1e-6)
    assert series.uncertainty.max() > 1e-4
    older = write_tiny_model(tmp_path / "older")
    assert np.isnan(predict_series(older, "X/Y", arrays).uncertainty).all()
    assert np.isnan(predict_series(older, "X/Y", arrays).volatility).all()
    assert {row[4:] for row in streamed(older, "X/Y", arrays)} == {(None, None)}


def test_a_network_that_says_volatility_is_heard_alike_both_ways(tmp_path: Path) -> None:
    """Its second output is the volatility where calibration says so, in the stream as in the series; else the regression."""
    spread = VolatilityModel(15, (-4.0, 0.3, 0.2, 0.1, 0.05, -0.05, 0.02, 0.01), 1.1, 0.9)
    arrays = random_candles(400, seed=4)
    heard = {}
    for scale in (None, 1.0, 2.0):
        folder = write_tiny_model(
            tmp_path / str(scale),
            target="return_and_volatility",
            outputs=("forecast", "log_volatility"),
            extra={
                "calibration.json": Calibration(1.5, 1000, 0.5, 0.125, scale).to_json(),
                "volatility.json": spread.to_json(),
            },
        )
        found = heard[scale] = batch(folder, "X/Y", arrays)
        assert found == streamed(folder, "X/Y", arrays)
    plain, once, twice = (np.array([row[5] for row in heard[scale]], np.float64) for scale in heard)
    np.testing.assert_allclose(twice, 2.0 * once, atol=2e-6)
    assert len(set(once.tolist())) > 20
    assert (plain != once).all()
    assert [row[:5] for row in heard[None]] == [row[:5] for row in heard[1.0]]


def test_a_series_says_where_returns_are_meant_to_lie(folder: Path) -> None:
    """The ends are the expected return ± the interval's quantile times the expected volatility, rounded."""
    series = predict_series(folder, "X/Y", random_candles(400, seed=4))
    np.testing.assert_allclose(series.return_high - series.return_low, 3.0 * series.volatility, atol=4e-6)
    np.testing.assert_allclose(
        (series.return_high + series.return_low) / 2, series.expected_return, atol=2e-6
    )
    assert (series.return_low == np.round(series.return_low, 6)).all()


def test_an_altered_artifact_is_refused(folder: Path) -> None:
    """Loading verifies the passport first: one flipped bit of the graph is refused by name."""
    path = folder / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx was altered"):
        OnnxPredictor.load(folder)


def test_inference_stays_light(folder: Path) -> None:
    """Loading and predicting imports no TensorFlow, Keras, pandas, scikit-learn or pyarrow."""
    program = (
        "import sys, pathlib\n"
        "from bot.inference import OnnxPredictor\n"
        "from tests.random_candles import random_candles\n"
        "from bot.core.market import Candle\n"
        f"predictor = OnnxPredictor.load(pathlib.Path({str(folder)!r}))\n"
        "a = random_candles(400, seed=1)\n"
        "rows = zip(*(c.tolist() for c in (a.ts, a.open, a.high, a.low, a.close, a.volume)))\n"
        "predictor.warm('X/Y', [Candle('X/Y', *row) for row in rows])\n"
        "assert predictor.predict(['X/Y'])\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn', 'pyarrow', 'onnx', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_newest_rows_are_those_that_the_model_reads(folder: Path) -> None:
    """One for each symbol that was ever seen, finite once its window is whole, and in the order asked for."""
    predictor = OnnxPredictor.load(folder)
    assert predictor.newest_rows(["A/Y"]) == []
    for symbol, seed in (("A/Y", 1), ("B/Y", 2)):
        arrays = random_candles(600, seed=seed)
        columns = (arrays.ts, arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
        predictor.warm(
            symbol, [Candle(symbol, *row) for row in zip(*(c.tolist() for c in columns), strict=True)]
        )
    first, second = predictor.newest_rows(["B/Y", "A/Y", "C/Y"])
    assert len(first) == predictor.row_values
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()
    assert predictor.newest_rows(["A/Y"])[0].tolist() == second.tolist() != first.tolist()
