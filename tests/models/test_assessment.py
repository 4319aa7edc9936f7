"""From a stored model and candles to a report, and a line in the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.errors import ModelError, StorageError
from models.assessment import evaluate_artifact, tried_digest
from models.baselines import Baselines
from models.calibration import Calibration
from models.forecast_trades import TradingCosts
from models.hashing import data_digest
from models.registry import read_verified
from models.trials import LEDGER_FILE, Ledger, Record, Trial, read_trials, record_trial
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model

SERIES = {"A/X": random_candles(2000, seed=1)}
BASELINES = Baselines(0.5, np.full(20, 0.01), 0.0, Calibration(1.5, 100, 0.5, 0.1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with baselines, in a folder of models."""
    return write_tiny_model(tmp_path / "models", extra={"baselines.json": BASELINES.to_json()})


def test_every_look_is_in_the_ledger_before_it_is_returned(folder: Path) -> None:
    """The line names recipe, candles, minutes and gain; the second look at the same is an access and no trial."""
    ledger = Ledger(folder.parent, 77)
    first = evaluate_artifact(folder, SERIES, costs=TradingCosts(0.001), ledger=ledger)
    second = evaluate_artifact(folder, SERIES, costs=TradingCosts(0.001), ledger=ledger)
    assert first["trials"] == Record(1, 0).as_json()
    assert second["trials"] == Record(1, 1).as_json()
    lines = read_trials(folder.parent)
    passport, _ = read_verified(folder)
    model = first["forecasts"]["model"]
    assert lines[0] == lines[1]
    assert lines[0] == Trial(
        "evaluation",
        77,
        "tiny",
        tried_digest(passport),
        data_digest(SERIES),
        first["from_ms"],
        first["until_ms"] + 60_000,
        model["log_loss_gain_millinats"],
        model["expectancy"]["daily_sharpe"],
        folder.name,
    )


def test_what_was_tried_before_asks_for_more(folder: Path) -> None:
    """Nine other recipes on overlapping minutes make it ten trials; those on other minutes do not count."""
    report = evaluate_artifact(folder, SERIES)
    since, until = report["from_ms"], report["until_ms"] + 60_000
    for number in range(9):
        record_trial(folder.parent, Trial("sweep", 1, "other", str(number), "d", until - 60_000, until + 1))
    record_trial(folder.parent, Trial("sweep", 1, "other", "x", "d", 0, since))
    again = evaluate_artifact(folder, SERIES, ledger=Ledger(folder.parent, 1))
    assert again["trials"]["trials"] == 10
    assert again["verdict"]["confidence"] == pytest.approx(0.95 ** (1 / 10))
    assert again["forecasts"] == report["forecasts"]


def test_without_a_ledger_nothing_is_written(folder: Path) -> None:
    """A look whose caller keeps no ledger leaves none."""
    report = evaluate_artifact(folder, SERIES)
    assert not (folder.parent / LEDGER_FILE).exists()
    assert report["missing_baselines"] == {"lightgbm": "none is stored with this model"}
    assert set(report["forecasts"]) == {
        "model", "persistence", "base_rate", "last_return_sign", "logistic_regression",
    }  # fmt: skip
    json.dumps(report, allow_nan=False)


def test_a_look_that_cannot_be_written_down_is_not_shown(folder: Path) -> None:
    """A damaged ledger or a refusing disk ends the evaluation."""
    path = folder.parent / LEDGER_FILE
    path.write_text("damaged\n")
    with pytest.raises(ModelError, match="line 1 is no trial"):
        evaluate_artifact(folder, SERIES, ledger=Ledger(folder.parent, 1))
    path.unlink()
    away = folder.parent / "file"
    away.write_text("")
    with pytest.raises((ModelError, StorageError)):
        evaluate_artifact(folder, SERIES, ledger=Ledger(away, 1))
