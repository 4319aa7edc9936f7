"""Every recipe that comes with the bot, from real candles to the forecasts that trade, in small."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.candles.store import read_candles
from bot.core.market import Candle
from bot.inference import OnnxPredictor, predict_series
from models.baselines import FILE_NAME as BASELINES_FILE
from models.baselines import baselines_from_json
from models.candle_arrays import CandleArrays
from models.combination import FILE_NAME as COMBINATION_FILE
from models.features import feature_set
from models.forecaster import Forecaster, load_forecaster
from models.forest import fit_forest
from models.logit_graph import base_rate_score
from models.recipe import load_recipe, recipe_names
from models.recipe_sections import EnsembleSection
from models.registry import REQUIRED_FILES, read_verified
from models.score_slope import SCORE_SLOPE
from models.targets import make_target
from models.training import TrainedModel, train
from models.windows import gather
from tests.planted import planted_candles
from tests.shared_data import SHARED

pytestmark = pytest.mark.training

REAL = SHARED / "candles" / "binance-ETHUSDT-1m-2023-01-01_2023-01-28.parquet"
MINUTES, WARM, LIVE = 5000, 3000, 200
SMALL = {
    "attention-multitask": [
        "architecture.units=8",
        "architecture.layers=1",
        "architecture.heads=2",
        "architecture.head_units=[4]",
    ],
    "deep-price": ["architecture.units=[8, 8]", "architecture.dense=[4]"],
    "direction": ["architecture.units=[8]", "architecture.dense=[4]"],
    "ensemble": [
        "architecture.memory_minutes=240",
        "architecture.members=" + "[{name: base_rate, architecture: {kind: base_rate}},"
        " {name: logit, architecture: {kind: logit}},"
        " {name: forest, architecture: {kind: forest, trees: 5, max_depth: 8, min_leaf: 5, max_features: 0.4}},"
        " {name: lstm, wild_weight: 2.0, architecture: {kind: stacked_lstm, units: [8], dropout: 0.2}}]",
    ],
    "forest": ["architecture.trees=5", "architecture.min_leaf=5"],
    "minmax-close": ["architecture.units=[8]"],
    "multi-step": ["architecture.units=[8]", "target.horizon=5"],
    "return-volatility": ["architecture.units=[8]"],
    "scalping": ["architecture.units=[8]", "scaler.kind=rolling"],
}
"""What makes a recipe quick to train; all else is the recipe's, but for one that also tries the rolling scaler."""

SERVE = """
import json, sys
from pathlib import Path
import numpy as np
from bot.inference import forecast_series
from models.candle_arrays import CandleArrays
from models.forecaster import load_forecaster

given = np.load(sys.argv[2])
forecaster = load_forecaster(Path(sys.argv[1]))
windows = given["windows"]
names = ("ts", "open", "high", "low", "close", "volume")
series = forecast_series(forecaster, "X/Y", CandleArrays(*(given[name] for name in names)))
print(json.dumps({
    "raw": forecaster.infer(windows).tolist(),
    "attention": forecaster.attend(windows).tolist() if forecaster.has_attention else None,
    "series": [series.ts.tolist(), series.expected_return.tolist(), series.probability_up.tolist()],
    "heavy": sorted({"tensorflow", "keras", "sklearn", "pandas"} & set(sys.modules)),
}))
"""


@pytest.fixture(scope="module")
def arrays() -> CandleArrays:
    """Some days of real candles; where they are not at hand, of a market that is made up."""
    return read_candles(REAL).rows(0, MINUTES) if REAL.exists() else planted_candles(MINUTES, seed=3)


def trained_small(name: str, arrays: CandleArrays, root: Path) -> TrainedModel:
    """The recipe's model after a few steps."""
    ticks = itertools.count()
    network = [] if name == "forest" else ["training.batch_size=64"]
    return train(
        load_recipe(name, [*SMALL[name], *network, "training.stride=10"]),
        {"X/Y": arrays},
        root,
        created_at_ms=1_700_000_000_000,
        monotonic_ns=lambda: next(ticks) * 1_000_000,
        max_epochs=1,
    )


def real_windows(forecaster: Forecaster, arrays: CandleArrays) -> np.ndarray:
    """Scaled windows of the whole series, float32 [k, window, f]."""
    table = forecaster.features.compute(arrays)
    ends = forecaster.ends(arrays, table)
    scaled = forecaster.scaler.transform_table(table.matrix)
    return gather(scaled, ends[::17], forecaster.passport.window)


def in_a_fresh_process(folder: Path, windows: np.ndarray, arrays: CandleArrays) -> dict[str, Any]:
    """What another Python says of the windows and of the series."""
    given = folder.parent / "given.npz"
    np.savez(given, windows=windows, **asdict(arrays))
    words = [sys.executable, "-P", "-c", SERVE, str(folder), str(given)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def keras_outputs(path: Path, windows: np.ndarray) -> list[np.ndarray]:
    """What the stored network says, output by output."""
    import keras

    from models.architectures import register_layers

    register_layers()
    said = keras.models.load_model(path, compile=False).predict(windows, verbose=0)
    return said if isinstance(said, list) else [said]


def members_said(folder: Path, windows: np.ndarray, forests: list[Any]) -> dict[str, np.ndarray]:
    """What an ensemble's members say by themselves, [k] by name."""
    baselines = baselines_from_json((folder / BASELINES_FILE).read_bytes(), windows.shape[2])
    rows = windows[:, -1].astype(np.float64)
    (forest,) = forests
    return {
        "base_rate": np.full(len(rows), base_rate_score(baselines.base_rate)),
        "logit": (rows @ baselines.weights + baselines.intercept) / SCORE_SLOPE,
        "forest": forest.predict(windows[:, -1]),
        "lstm": keras_outputs(folder / "lstm.keras", windows)[0][:, 0],
    }


def check_served(
    name: str, folder: Path, served: dict[str, Any], windows: np.ndarray, forests: list[Any]
) -> None:
    """Compare what the fresh process served with what was learnt, to 1e-5."""
    raw = np.array(served["raw"])
    constant = np.flatnonzero(raw.std(axis=0) == 0.0).tolist()
    assert constant == ([0] if name == "ensemble" else [])  # its base rate
    if name == "ensemble":
        members = members_said(folder, windows, forests)
        names = read_verified(folder)[0].outputs
        assert set(names) == set(members)
        np.testing.assert_allclose(raw, np.column_stack([members[one] for one in names]), rtol=0, atol=1e-5)
        return
    if name == "forest":
        (forest,) = forests
        np.testing.assert_allclose(raw[:, 0], forest.predict(windows[:, -1]), rtol=0, atol=1e-5)
        return
    said = keras_outputs(folder / "model.keras", windows)
    np.testing.assert_allclose(raw, said[0], rtol=0, atol=1e-5)
    assert (served["attention"] is not None) == (len(said) > 1) == (name == "attention-multitask")
    if len(said) > 1:
        np.testing.assert_allclose(served["attention"], said[1], rtol=0, atol=1e-5)
        np.testing.assert_allclose(np.sum(served["attention"], axis=1), 1.0, atol=1e-5)


def streamed(folder: Path, arrays: CandleArrays) -> dict[int, tuple[float, float | None]]:
    """(expected return, P(up)) candle by candle, by open time, after a warm start."""
    predictor = OnnxPredictor.load(folder)
    columns = (arrays.ts, arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
    candles = [Candle("X/Y", *row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    predictor.warm("X/Y", candles[:WARM])
    said = {}
    for candle in candles[WARM : WARM + LIVE]:
        predictor.observe(candle)
        for found in predictor.predict(["X/Y"]):
            said[candle.opened_at_ms] = (found.expected_return, found.probability_up)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_is_served_as_it_was_learnt(
    name: str, arrays: CandleArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe trains on real candles and is stored whole; a fresh process without TensorFlow loads it and forecasts.

    There it agrees with Keras (a forest with scikit-learn, an ensemble member by member) to 1e-5, and forecasts a
    series to the bit as this process does candle by candle.
    """
    forests: list[Any] = []

    def keeping(*args: Any, **options: Any) -> Any:
        forests.append(fit_forest(*args, **options))
        return forests[-1]

    monkeypatch.setattr("models.learners.fit_forest", keeping)
    trained = trained_small(name, arrays, tmp_path)
    passport, files = read_verified(trained.folder)
    assert trained.history["onnx_largest_difference"] <= 1e-5
    assert passport.model_id in files["model_card.md"].decode()
    assert set(REQUIRED_FILES) <= set(files)
    assert (COMBINATION_FILE in files) == (name == "ensemble")

    windows = real_windows(load_forecaster(trained.folder), arrays)
    assert len(windows) > 200
    past = arrays.rows(0, WARM + LIVE)
    served = in_a_fresh_process(trained.folder, windows, past)
    assert served["heavy"] == []
    check_served(name, trained.folder, served, windows, forests)

    series = predict_series(trained.folder, "X/Y", past)
    assert served["series"] == [
        series.ts.tolist(),
        series.expected_return.tolist(),
        series.probability_up.tolist(),
    ]
    later = series.ts >= arrays.ts[WARM]
    expected = zip(series.expected_return[later], series.probability_up[later], strict=True)
    said = streamed(trained.folder, arrays)
    assert said == dict(zip(series.ts[later].tolist(), expected, strict=True))
    assert len(said) > 0.75 * LIVE


def lstm(inputs: int, units: int) -> int:
    """Weights of an LSTM layer: four gates, each with a kernel, a recurrent kernel and a bias."""
    return 4 * units * (inputs + units + 1)


def dense(*sizes: int) -> int:
    """Weights of dense layers one after the other."""
    return sum(units * (inputs + 1) for inputs, units in itertools.pairwise(sizes))


def attention_multitask(columns: int) -> int:
    """Two bidirectional layers and a projection, four parts of attention, and a head for each of two horizons."""
    encoder = 2 * lstm(columns, 128) + 2 * lstm(256, 128) + dense(256, 128)
    return encoder + 4 * dense(128, 128) + 2 * (dense(128, 64, 32) + dense(32, 1) + dense(32, 2))


FULL_SIZE = {
    "attention-multitask": attention_multitask(20),
    "deep-price": lstm(32, 128) + lstm(128, 128) + dense(128, 64, 32, 1),
    "direction": lstm(9, 50) + lstm(50, 50) + dense(50, 25, 1),
    "ensemble": lstm(20, 64) + lstm(64, 32) + dense(32, 1),
    "minmax-close": 30_625,
    "multi-step": 2 * lstm(20, 128) + 2 * lstm(256, 64) + dense(128, 30),
    "return-volatility": lstm(20, 64) + lstm(64, 32) + dense(32, 2),
    "scalping": lstm(20, 64) + lstm(64, 32) + dense(32, 1),
}
"""Weights of each recipe's network by the layers that its source document names; one document states the sum."""


@pytest.mark.parametrize("name", FULL_SIZE)
def test_a_recipe_as_shipped_has_the_weights_of_its_document(name: str) -> None:
    """Untrained and at full size, each network has as many weights as its document's layers have."""
    from models.architectures import build

    recipe = load_recipe(name)
    section: Any = recipe.architecture
    if isinstance(section, EnsembleSection):
        (section,) = (one.architecture for one in section.members if one.name == "lstm")
    target = make_target(recipe.target.kind, recipe.target.horizon, recipe.target.options)
    network = build(
        section,
        recipe.window,
        len(feature_set(recipe.features).columns),
        outputs=len(target.outputs),
        activation=target.activation,
        rolling=recipe.scaler.kind == "rolling",
    )
    assert network.trained.count_params() == FULL_SIZE[name]
    assert network.served.count_params() == FULL_SIZE[name]
    if name == "minmax-close":
        assert [layer.count_params() for layer in network.trained.layers] == [18_176, 0, 12_416, 0, 33]


def test_every_recipe_is_tried_here() -> None:
    """No recipe comes with the bot that the tests above leave out; the forest alone has no network."""
    assert sorted(SMALL) == recipe_names()
    assert sorted({*FULL_SIZE, "forest"}) == recipe_names()
