"""The card says what is known of a model, and says so where nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.model_card import model_card
from models.passport import ModelPassport
from models.registry import read_verified
from tests.tiny_model import write_tiny_model

DAY = 86_400_000
REPORT: dict[str, Any] = {
    "samples": 2905,
    "ties": 3,
    "block_minutes": 240,
    "from_ms": 1_700_006_400_000,
    "until_ms": 1_700_006_400_000 + DAY,
    "share_up": 0.4775,
    "base_rate_train": 0.5029,
    "forecasts": {
        "persistence": {"direction_accuracy": None, "mae_bps": 29.5},
        "model": {
            "direction_accuracy": 0.6124,
            "direction_interval": [0.549, 0.676],
            "direction_samples": 2902,
            "log_loss_gain_millinats": 40.0,
            "log_loss_gain_interval": [-3.0, 91.5],
            "mae_bps": 27.9,
            "calibration_slope": 0.752,
            "brier": 0.25,
            "odd_score": 0.5,
            "theil_u": 0.99,
            "theil_u_interval": [0.98, 1.01],
            "expectancy": {
                "trades": 1200,
                "gross_bps": 9.5,
                "at_1x": {"net_bps": -1.5, "net_interval": [-3.0, 0.25]},
                "at_2x": {"net_bps": -12.5, "net_interval": None},
                "daily_sharpe": 0.05,
                "deflated_sharpe": 0.6,
                "days_to_prove": None,
            },
        },
        "logistic_regression": {"direction_accuracy": 0.6317, "log_loss_gain_millinats": 41.43},
    },
    "costs": {"round_trip_bps": 11.0},
    "diebold_mariano": {
        "persistence": {"loss": "log_loss_millinats", "mean": 1.25, "statistic": 1.5, "p_value": 0.13},
        "last_return_sign": None,
    },
    "trials": {"trials": 3, "accesses": 7, "confidence": 0.95 ** (1 / 3)},
    "missing_baselines": {"lightgbm": "none is stored with this model"},
    "price_level": {"r2_model": 0.9829, "r2_persistence": 0.9819},
    "legacy": {"direction_accuracy": 0.5107, "direction_accuracy_persistence": 0.5141},
    "calibration": {"slope": 1.5, "samples": 1000},
    "reliability": [{"said": 0.4, "came": 0.45, "count": 12}],
    "seeds": {
        "each": {"1": {"direction_accuracy": 0.61}, "2": {"direction_accuracy": 0.59}},
        "spread": {
            "direction_accuracy": {"mean": 0.6, "deviation": 0.0141, "lowest": 0.59, "highest": 0.61},
        },
    },
    "verdict": {"edge": "not_shown", "sentence": "No edge shown: it includes none."},
}
HISTORY: dict[str, Any] = {
    "epochs": {"loss": [0.6, 0.5], "val_loss": [0.7, 0.6]},
    "best_epoch": 2,
    "stopped_because": "max_epochs",
    "train_windows": 12345,
}
RECIPE = {
    "name": "tiny",
    "description": "A\nsmall | one.",
    "target": {"kind": "scaled_return", "barrier": None},
}


@pytest.fixture(scope="module")
def passport(tmp_path_factory: pytest.TempPathFactory) -> ModelPassport:
    """The passport of a stored model, with slices and versions."""
    found, _ = read_verified(write_tiny_model(tmp_path_factory.mktemp("models")))
    ranges = {"test": [2 * DAY, 3 * DAY], "train": [0, 2 * DAY]}
    return replace(found, ranges=ranges, versions={"keras": "3.15.0"})


def test_the_card_says_all_that_is_known(passport: ModelPassport) -> None:
    """Range, symbols, target, metrics with intervals beside baselines, calibration, seeds, hashes and versions."""
    card = model_card(passport, RECIPE, REPORT, HISTORY)
    for line in (
        f"# {passport.model_id}",
        "- **No edge shown: it includes none.**",
        "| train | 1970-01-01 00:00 | 1970-01-03 00:00 | 2.0 |",
        "|  | model | persistence | logistic regression |",
        "| right direction | 61.24% [54.90%, 67.60%] | – | 63.17% |",
        "| log-loss gain over the base rate, millinats | 40 [-3, 91.5] | – | 41.43 |",
        "| Brier score | 0.25 | – | – |",
        "| odd score | 0.5 | – | – |",
        "| Theil's U of returns | 0.99 [0.98, 1.01] | – | – |",
        "| model | 1,200 | 9.5 | -1.5 [-3, 0.25] | -12.5 | 0.05 | 0.6 | – |",
        "| persistence | log loss millinats | 1.25 | 1.5 | 0.13 |",
        "lightgbm is not among the baselines: none is stored with this model.",
        "| R² of the price level | 0.9829 | 0.9819 |",
        "| slope | 1.5 |",
        "| 0.4 | 0.45 | 12 |",
        "Seeds: 1, 2. The model forecasts the mean of what they forecast; each by itself:",
        "| direction accuracy | 0.6 | 0.0141 | 0.59 | 0.61 |",
        "| epochs run | 2 |",
        "| `target.kind` | scaled_return |",
        f"| SHA-256 of the scaler | `{passport.hashes['scaler']}` |",
        "| version of keras | 3.15.0 |",
        "| train windows | 12,345 |",
        "A small | one.",
    ):
        assert line in card.splitlines(), line
    assert "one-minute candles of BTC/USDT" in card.replace("One", "one")
    assert "logistic regression had the higher log-loss gain (+41.43 against +40.00" in card
    assert "one seed" not in card
    assert "samples |" not in card.partition("## Calibration")[0]
    assert "barrier" not in card
    assert "this one included: 3; earlier looks at them: 7. The verdict asks for 98.3 %." in card
    assert "Fees, spread and slippage are counted" in card
    assert card.endswith("## Verdict\n\nNo edge shown: it includes none.\n")


def test_the_slices_stand_in_order_of_time(passport: ModelPassport) -> None:
    """Train comes before test, whatever the order in the passport."""
    card = model_card(passport, {}, {}, {})
    assert card.index("| train |") < card.index("| test |")


def test_what_is_missing_is_said(passport: ModelPassport) -> None:
    """Without report, recipe and history the card says that nothing was judged and names the one seed."""
    card = model_card(replace(passport, ranges={}, versions={}, hashes={}), {}, {}, {})
    assert card.endswith("## Verdict\n\nIt was not judged: no test figures are stored with it.\n")
    assert "Costs were not counted" in card
    assert "No test figures are stored" in card
    assert "No slices are recorded" in card
    assert f"one seed ({passport.seed})" in card
    assert "None" not in card
    assert "nan" not in card


@given(dropped=st.sets(st.sampled_from(sorted(REPORT))), emptied=st.sets(st.sampled_from(sorted(HISTORY))))
def test_any_part_may_be_missing(passport: ModelPassport, dropped: set[str], emptied: set[str]) -> None:
    """Leaving out any fields still gives a card whose tables have the same number of cells in every row."""
    report = {key: value for key, value in REPORT.items() if key not in dropped}
    history = {key: value for key, value in HISTORY.items() if key not in emptied}
    card = model_card(passport, RECIPE, report, history)
    assert card.endswith("\n")
    for block in card.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) <= 1


def test_a_bar_cannot_break_a_table(passport: ModelPassport, tmp_path: Path) -> None:
    """Bars and line breaks of a recipe's text stay inside their cell."""
    card = model_card(passport, {"note": "a|b\nc"}, {}, {})
    assert "| `note` | a\\|b c |" in card
