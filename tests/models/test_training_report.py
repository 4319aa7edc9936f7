"""What a training run says of its model, and the trial that it is. With the forest, which needs no network."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bot.errors import ModelError
from models.assessment import evaluate_artifact
from models.forecast_trades import TradingCosts
from models.recipe import load_recipe
from models.registry import read_verified
from models.training import TrainedModel, train
from models.trials import LEDGER_FILE, Ledger, read_trials
from tests.planted import planted_candles

pytestmark = pytest.mark.training

SERIES = {"X/Y": planted_candles(24_000, seed=1)}


def run(root: Path, created_at_ms: int, **options: Any) -> TrainedModel:
    """A small forest of a market with a planted edge."""
    ticks = itertools.count()
    return train(
        load_recipe("forest", ["architecture.trees=10", "architecture.max_depth=6"]),
        SERIES,
        root,
        created_at_ms=created_at_ms,
        monotonic_ns=lambda: next(ticks) * 1_000_000,
        costs=TradingCosts(0.0005),
        **options,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def trained(root: Path) -> TrainedModel:
    """The first model in it."""
    return run(root, 1_700_000_000_000)


def test_the_report_has_every_baseline_and_counts_costs(trained: TrainedModel) -> None:
    """Persistence to LightGBM stand beside the model, trades are counted, and the verdict names the best of them."""
    report = trained.report
    assert set(report["forecasts"]) == {
        "model", "persistence", "base_rate", "last_return_sign", "logistic_regression", "lightgbm",
    }  # fmt: skip
    assert report["missing_baselines"] == {}
    assert report["forecasts"]["model"]["expectancy"]["trades"] > 0
    assert report["verdict"]["best_baseline"] in {"logistic_regression", "lightgbm"}
    assert report["costs"]["round_trip_bps"] == pytest.approx(5.0)
    _, contents = read_verified(trained.folder)
    assert "boosting.json" in contents
    card = contents["model_card.md"].decode()
    assert card.endswith(f"## Verdict\n\n{report['verdict']['sentence']}\n")
    assert "| LightGBM |" in card
    assert pq.read_table(trained.folder / "predictions.parquet").num_rows == report["samples"]


def test_a_training_is_a_trial_and_its_evaluation_no_other(root: Path, trained: TrainedModel) -> None:
    """The training's line is there; evaluating it on the same slice is an access, and the figures are the same."""
    (line,) = read_trials(root)
    assert (line.kind, line.note, line.at_ms) == ("training", trained.model_id, 1_700_000_000_000)
    assert line.gain_millinats == trained.report["forecasts"]["model"]["log_loss_gain_millinats"]
    found = evaluate_artifact(
        trained.folder, SERIES, costs=TradingCosts(0.0005), ledger=Ledger(root, 1_700_000_000_001)
    )
    assert found["trials"] == {"trials": 1, "accesses": 1, "confidence": 0.95}
    for part in ("forecasts", "verdict", "diebold_mariano"):
        assert found[part] == trained.report[part]
    assert read_trials(root)[1].subject == line.subject


def test_another_seed_is_another_trial(root: Path, trained: TrainedModel) -> None:
    """A second training on the same minutes is judged as one of two; its seeds' figures have the same baselines."""
    assert trained.report["trials"]["trials"] == 1
    second = run(root, 1_700_000_600_000, seed=7, seeds=2)
    assert second.report["trials"]["trials"] == 2
    assert second.report["verdict"]["confidence"] == pytest.approx(0.95**0.5)
    assert sorted(second.report["seeds"]["each"]) == ["7", "8"]
    assert json.loads((second.folder / "metrics.json").read_bytes()) == second.report


def test_a_damaged_ledger_stops_a_training_before_it_begins(tmp_path: Path) -> None:
    """Nothing is learnt, and nothing is stored, where the look could not be written down."""
    (tmp_path / LEDGER_FILE).write_text("x\n")
    with pytest.raises(ModelError, match="line 1 is no trial"):
        run(tmp_path, 1_700_000_000_000)
    assert [entry.name for entry in tmp_path.iterdir()] == [LEDGER_FILE]
