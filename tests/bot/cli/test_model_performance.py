"""``bot models performance``."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from bot.cli import main
from bot.core.market import MINUTE_MS
from bot.core.performance import LiveForecast, Matured
from bot.journal.journal import SqliteJournal
from bot.journal.performance import WatchState
from models.hashing import canonical_json
from tests.core_builders import at
from tests.tiny_model import write_tiny_model

OFFLINE = {"log_loss_gain_millinats": 0.5, "log_loss_gain_interval": [0.1, 0.9], "direction_accuracy": 0.51}


@pytest.fixture
def state(tmp_path: Path) -> tuple[Path, str]:
    """A state folder with a model that predicted for two days, right three times of five, and what its watch said."""
    folder = write_tiny_model(tmp_path / "models")
    rng = random.Random(1)
    rows = []
    for minute in range(2880):
        up = rng.random() < 0.5
        said = 0.55 if up == (rng.random() < 0.6) else 0.45
        row = LiveForecast(
            folder.name, "BTC/USDT", at(minute), "champion", 1, said, (said - 0.5) / 100, 0.5, 100.0
        )
        realized = None if minute % 100 == 0 else 0.001 if up else -0.001
        rows.append(Matured(row, realized, row.due_ms))
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    report = {"report": {"reasons": ["losses_drifted"], "detail": ""}}
    journal.store_performance([row.forecast for row in rows], rows, WatchState(folder.name, at(2880), report))
    journal.store_performance([rows[-1].forecast._replace(closed_at_ms=at(2880))], [])
    journal.close()
    return tmp_path, folder.name


def test_live_figures_are_those_of_the_offline_code(
    state: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts, gain, accuracy and slope of what came, each with an interval; a gap in the horizon is counted apart."""
    folder, model = state
    assert main(["models", "performance", "--state-dir", str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["model_id"], shown["forecasts"], shown["unknown"]) == (model, 2880, 29)
    assert shown["roles"] == {"champion": 2880}
    live = shown["live"]
    right = live["direction_accuracy"]
    gain = right * math.log(0.55 / 0.5) + (1 - right) * math.log(0.45 / 0.5)
    assert live["log_loss_gain_millinats"] == pytest.approx(gain * 1000)
    assert live["direction_interval"][0] < right < live["direction_interval"][1]
    assert live["probability_slope_interval"][0] < live["probability_slope"]
    assert (shown["until_ms"] - shown["from_ms"]) == 2879 * MINUTE_MS
    assert shown["watch"]["reasons"] == ["losses_drifted"]
    assert shown["offline"] is None  # the tiny model's metrics are empty


def test_the_table_shows_live_beside_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the name champion or by id, and only the last days where asked."""
    folder = write_tiny_model(
        tmp_path / "models", seed=8, extra={"metrics.json": canonical_json({"forecasts": {"model": OFFLINE}})}
    )
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    for minute in (0, 2000):
        row = LiveForecast(folder.name, "BTC/USDT", at(minute), "shadow", 15, 0.6, 0.001, 0.5, 100.0)
        journal.store_performance([row], [Matured(row, 0.01, row.due_ms)])
    journal.close()
    words = ["models", "performance", "latest", "--state-dir", str(tmp_path)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "2 live forecasts" in text
    assert "+0.500 (+0.100 … +0.900)" in text
    assert main([*words, "--days", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["forecasts"], shown["roles"]) == (1, {"shadow": 1})
    assert shown["offline"] == OFFLINE


def test_without_forecasts_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No journal, no forecasts, none of this model: a sentence each, with its exit code."""
    words = ["models", "performance", "--state-dir", str(tmp_path)]
    assert main(words) == 3
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    assert main(words) == 3
    assert "no model has predicted live" in capsys.readouterr().err
    row = LiveForecast("gone", "BTC/USDT", at(0), "champion", 15, 0.6, 0.001, 0.5, 100.0)
    journal.store_performance([row], [])
    assert main(words) == 5
    assert "come to its horizon" in capsys.readouterr().err
    journal.store_performance([], [Matured(row, None, at(99))])
    journal.close()
    assert main([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["live"], shown["offline"], shown["unknown"]) == (None, None, 1)
    assert main([*words]) == 0


def test_a_damaged_model_is_refused(state: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its offline figures are not shown as if they were its own."""
    folder, model = state
    (folder / "models" / model / "metrics.json").write_text("{}")
    assert main(["models", "performance", "--state-dir", str(folder)]) == 6
    assert "altered" in capsys.readouterr().err
