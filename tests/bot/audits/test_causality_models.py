"""The shipped ways from candles to forecasts pass the audit, and a cheat in any of them does not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import bot.audits.causality_models as audited
from bot.audits.causality import Answer, Market
from bot.audits.causality_models import FeaturePipeline, RecipePipeline, StoredModel, TrainedRecipe
from bot.audits.causality_probe import FUTURE, STREAMED, ProbePlan, probe
from bot.audits.causality_run import default_market
from bot.inference import forecast_series
from models.dataset import prepare
from models.features import FEATURE_SETS, FeatureSet
from models.forecaster import load_forecaster
from models.recipe import load_recipe, recipe_names
from models.scaling import fit_scaler
from models.training import train
from tests.tiny_model import write_tiny_model

MARKET = default_market(2, days=5)
SHORT = {symbol: candles.rows(0, 2400) for symbol, candles in MARKET.items()}
ONE = {"BTC/USDT:USDT": MARKET["BTC/USDT:USDT"]}
PLAN = ProbePlan(moments=2, seed=2, stream_minutes=900)


def findings(checks):
    """What was found, in words."""
    return [
        f"{check.stage}, {check.compared}: {check.finding}" for check in checks if check.finding is not None
    ]


@pytest.mark.parametrize("tag", sorted(FEATURE_SETS))
def test_every_feature_set_is_causal_and_streams_as_it_is(tag):
    """A prefix, another future and a stream give each column of each shipped set what the whole gave."""
    checks = probe(FeaturePipeline(FEATURE_SETS[tag]), SHORT, PLAN)
    assert findings(checks) == []
    assert any(check.compared == STREAMED and check.values > 1000 for check in checks)


def test_a_feature_set_that_looks_ahead_is_caught():
    """A kernel that shifts one column by a minute is named with that column."""
    honest = FEATURE_SETS["scalping-v1"]

    def kernel(candles, keep):
        rows, volatility = honest.kernel(candles, keep)
        rows[0] = np.append(rows[0][1:], rows[0][-1])
        return rows, volatility

    found = findings(probe(FeaturePipeline(FeatureSet("ahead", 1, honest.columns, kernel)), SHORT, PLAN))
    assert any("return_1 " in sentence for sentence in found)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_prepares_its_fit_causally(name):
    """Rows, windows, labels, scaler and baselines of each shipped recipe follow from their own slice and its reach."""
    recipe = load_recipe(name)
    checks = probe(RecipePipeline(recipe), MARKET, PLAN)
    assert findings(checks) == []
    stages = {check.stage for check in checks if check.compared == FUTURE and check.values}
    assert stages == {"rows", "inputs", "labels", "slices", "scaler", "baselines"}


def test_a_scaler_that_sees_the_test_slice_is_caught(monkeypatch):
    """The very audit that passes the recipes catches them once their scaler is fitted on all rows."""
    honest = prepare

    def cheating(recipe, market):
        data = honest(recipe, market)
        table = data.rows.scaled[np.isfinite(data.rows.scaled).all(axis=1)].astype(np.float64)
        return replace(data, scaler=fit_scaler("standard", data.scaler.columns, table))

    monkeypatch.setattr(audited, "prepare", cheating)
    found = findings(probe(RecipePipeline(load_recipe("scalping")), MARKET, PLAN))
    assert any(sentence.startswith("scaler, ") for sentence in found)


def test_slices_without_embargo_are_caught(monkeypatch):
    """The split of a recipe is judged by the rows that are used, not by what it says of itself."""
    honest = prepare

    def cheating(recipe, market):
        data = honest(recipe, market)
        slices = data.slices
        grown = replace(slices, train=(slices.train[0], slices.early_stop[0]))
        return replace(data, slices=grown)

    monkeypatch.setattr(audited, "prepare", cheating)
    found = findings(probe(RecipePipeline(load_recipe("scalping")), MARKET, PLAN))
    assert any("train is not purged" in sentence for sentence in found)


@pytest.mark.parametrize("tag", ["scalping-v1", "direction-v1"])
def test_a_stored_model_forecasts_the_same_in_batch_and_stream(tag, tmp_path):
    """Forecasts follow from the candles before them, and ``OnnxPredictor`` says what the batch says."""
    model = StoredModel(load_forecaster(write_tiny_model(tmp_path, features=tag)))
    checks = probe(model, {symbol: candles.rows(0, 1500) for symbol, candles in SHORT.items()}, PLAN)
    assert findings(checks) == []
    assert any(check.compared == STREAMED and check.values > 500 for check in checks)


def test_a_trained_forest_learns_from_nothing_later(tmp_path):
    """Scaler, baselines, graph and calibration that ``bot train`` stores keep every byte when later candles change."""
    recipe = load_recipe("forest", ["architecture.trees=6", "architecture.min_leaf=50"])
    ticks = itertools.count()
    checks = probe(
        TrainedRecipe(recipe, lambda: next(ticks)), ONE, ProbePlan(moments=1, seed=2, stream_minutes=500)
    )
    assert findings(checks) == []
    stages = {check.stage for check in checks if check.compared == FUTURE and check.values}
    assert stages >= {
        "scaler.json",
        "baselines.json",
        "model.onnx",
        "calibration.json",
        "recipe.json",
        "predictions",
    }
    assert "metrics.json" not in stages


def test_a_forest_that_is_fitted_on_the_test_slice_is_caught(monkeypatch):
    """The bytes of the graph change when only test candles do, and the audit says so."""
    honest = train

    def cheating(recipe, market, out, **options):
        split = recipe.split.model_copy(
            update={"train": 0.84, "early_stop": 0.05, "calibrate": 0.05, "test": 0.06}
        )
        return honest(recipe.model_copy(update={"split": split}), market, out, **options)

    monkeypatch.setattr(audited, "train", cheating)
    recipe = load_recipe("forest", ["architecture.trees=4", "architecture.min_leaf=50"])
    ticks = itertools.count()
    found = findings(probe(TrainedRecipe(recipe, lambda: next(ticks)), ONE, ProbePlan(1, 2, 400)))
    assert any(sentence.startswith("model.onnx, ") for sentence in found)
    assert any(sentence.startswith("scaler.json, ") for sentence in found)


def test_a_stored_model_that_smooths_both_ways_is_caught(tmp_path, monkeypatch):
    """A forecast that is averaged with the next one is found in prefix, future and stream."""
    honest = forecast_series

    def cheating(forecaster, symbol, candles, *, batch):
        said = honest(forecaster, symbol, candles, batch=batch)
        after = np.append(said.expected_return[1:], 0.0)
        return replace(said, expected_return=(said.expected_return + after) / 2.0)

    monkeypatch.setattr(audited, "forecast_series", cheating)
    model = StoredModel(load_forecaster(write_tiny_model(tmp_path)))
    found = findings(probe(model, {symbol: candles.rows(0, 1500) for symbol, candles in SHORT.items()}, PLAN))
    assert {sentence.split(",")[1].split()[0] for sentence in found} >= {"candles", "stream"}


def test_an_answer_is_what_the_protocol_says():
    """The shipped pipelines give answers of the audit's own type, with rows for every symbol."""
    answer: Answer = FeaturePipeline(FEATURE_SETS["scalping-v1"]).answer(SHORT)
    market: Market = SHORT
    assert sorted(rows.symbol for rows in answer.rows) == sorted(market)
