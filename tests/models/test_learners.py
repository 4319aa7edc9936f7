"""Every recipe that comes with the bot, from candles to the forecasts that trade, in small."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from bot.core.market import Candle
from bot.inference import OnnxPredictor, predict_series
from models.forecaster import load_forecaster
from models.recipe import load_recipe
from models.registry import read_verified
from models.training import train
from tests.planted import planted_candles

pytestmark = pytest.mark.training

SMALL = {
    "attention-multitask": ["architecture.units=8", "architecture.heads=2", "architecture.head_units=[4]"],
    "deep-price": ["architecture.units=[8, 8]", "architecture.dense=[4]"],
    "direction": ["architecture.units=[8, 8]", "architecture.dense=[4]"],
    "ensemble": ["architecture.memory_minutes=240"],
    "forest": ["architecture.trees=5"],
    "minmax-close": ["architecture.units=[8]", "scaler.kind=standard"],
    "multi-step": ["architecture.units=[8]", "target.horizon=5"],
    "scalping": ["architecture.units=[8]", "scaler.kind=rolling"],
}


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_trains_and_serves_the_same_numbers_to_stream_and_series(name: str, tmp_path: Path) -> None:
    """A recipe trains, is stored whole, and forecasts candle by candle what it forecasts for a series at once."""
    arrays = planted_candles(5000, seed=3)
    ticks = itertools.count()
    network = [] if name == "forest" else ["training.batch_size=64"]
    trained = train(
        load_recipe(name, [*SMALL[name], *network, "training.stride=10"]),
        {"X/Y": arrays},
        tmp_path,
        created_at_ms=1_700_000_000_000,
        monotonic_ns=lambda: next(ticks) * 1_000_000,
        max_epochs=1,
    )
    passport, files = read_verified(trained.folder)
    assert trained.history["onnx_largest_difference"] <= 1e-5
    assert passport.model_id in files["model_card.md"].decode()

    series = predict_series(trained.folder, "X/Y", arrays.rows(0, 3200))
    predictor = OnnxPredictor.load(trained.folder)
    columns = (arrays.ts, arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
    candles = [Candle("X/Y", *row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    predictor.warm("X/Y", candles[:3000])
    said = {}
    for candle in candles[3000:3200]:
        predictor.observe(candle)
        for found in predictor.predict(["X/Y"]):
            said[candle.opened_at_ms] = (found.expected_return, found.probability_up)
    later = series.ts >= candles[3000].opened_at_ms
    expected = zip(series.expected_return[later], series.probability_up[later], strict=True)
    assert said == dict(zip(series.ts[later].tolist(), expected, strict=True))
    assert len(said) > 150
    if name == "attention-multitask":
        windows = np.zeros((3, passport.window, len(passport.columns)), np.float32)
        weights = load_forecaster(trained.folder).attend(windows)
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-5)


def test_every_recipe_is_tried_here() -> None:
    """No recipe comes with the bot that the test above does not train."""
    from models.recipe import recipe_names

    assert sorted(SMALL) == recipe_names()
