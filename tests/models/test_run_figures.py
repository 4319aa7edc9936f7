"""The flat tables that a run is written down as."""

from __future__ import annotations

import math
from typing import Any

from models.recipe import load_recipe
from models.run_figures import (
    epoch_metrics,
    epochs_of,
    history_figures,
    plain_name,
    recipe_parameters,
    report_figures,
    stop_reason,
)


def fit(*losses: float, why: str = "max_epochs") -> dict[str, Any]:
    """The history of one fit."""
    return {"epochs": {"loss": list(losses)}, "best_epoch": len(losses), "stopped_because": why}


def test_every_field_of_a_recipe_is_a_parameter() -> None:
    """Fields have dotted names; texts are themselves, all else is JSON."""
    found = recipe_parameters(load_recipe("scalping", ["training.learning_rate=0.002"]))
    assert found["name"] == "scalping"
    assert found["target.horizon"] == "15"
    assert found["training.learning_rate"] == "0.002"
    assert found["architecture.units"] == "[64, 32]"
    assert found["training.cosine"] == "null"


def test_members_go_by_their_names() -> None:
    """A member of an ensemble is found by its name, not by its place."""
    found = recipe_parameters(load_recipe("ensemble"))
    recipe = load_recipe("ensemble")
    names = [member.name for member in recipe.architecture.members]  # type: ignore[union-attr]
    for name in names:
        assert found[f"architecture.members.{name}.name"] == name


def test_an_epochs_metrics_bear_their_part() -> None:
    """The part is a prefix without spaces; what is no finite number is left out."""
    metrics = {"loss": 0.5, "val_loss": math.nan, "mae": math.inf}
    assert epoch_metrics("", metrics) == {"loss": 0.5}
    assert epoch_metrics("seed 42 lstm", metrics) == {"seed-42-lstm.loss": 0.5}
    assert plain_name("a/../b c") == "a-b-c"


def test_a_reports_figures_are_flat() -> None:
    """Every forecaster's figures are there, intervals by their ends; None, NaN, texts and flags are not."""
    report = {
        "model_id": "x",
        "samples": 10,
        "verdict": {"edge": "shown", "sentence": "Edge."},
        "forecasts": {
            "model": {"log_loss": 0.69, "log_loss_gain_interval": [-1.0, 2.0], "mae_bps": None},
            "base_rate": {"log_loss": math.nan, "direction_accuracy": 0.5, "direction_interval": None},
        },
        "in_sample": False,
    }
    assert report_figures(report) == {
        "test.samples": 10.0,
        "test.model.log_loss": 0.69,
        "test.model.log_loss_gain_interval.low": -1.0,
        "test.model.log_loss_gain_interval.high": 2.0,
        "test.base_rate.direction_accuracy": 0.5,
    }


def test_a_historys_figures_are_flat() -> None:
    """What stands beside the epochs becomes figures, the epochs themselves do not."""
    history = {"members": {"lstm": fit(3.0, 2.0)}, "seconds": 4.5}
    assert history_figures(history) == {"training.members.lstm.best_epoch": 2.0, "training.seconds": 4.5}


def test_epochs_are_found_by_the_part_that_progress_tells() -> None:
    """One fit has no part; a member has its name, a seed its number, and a member of a seed both."""
    assert epochs_of(fit(1.0), 42) == {"": {"loss": [1.0]}}
    assert epochs_of({"members": {"a": fit(1.0), "forest": {"train_windows": 5}}}, 42) == {
        "a": {"loss": [1.0]}
    }
    seeds = fit(1.0) | {"seeds": {"43": fit(2.0)}}
    assert epochs_of(seeds, 42) == {"seed 42": {"loss": [1.0]}, "seed 43": {"loss": [2.0]}}
    both = {"members": {"a": fit(1.0)}, "seeds": {"43": {"members": {"a": fit(2.0)}}}}
    assert epochs_of(both, 42) == {"seed 42 a": {"loss": [1.0]}, "seed 43 a": {"loss": [2.0]}}


def test_why_fits_ended_is_said_in_one_line() -> None:
    """One word where all agree or the user ended them, a word for each where they differ, nothing for a forest."""
    assert stop_reason(fit(1.0, why="time"), 1) == "time"
    agreed = {"members": {"a": fit(1.0), "b": fit(1.0)}}
    assert stop_reason(agreed, 1) == "max_epochs"
    differing = {"members": {"a": fit(1.0, why="time"), "b": fit(1.0)}}
    assert stop_reason(differing, 1) == "a: time, b: max_epochs"
    assert stop_reason(differing | {"stopped_because": "interrupted"}, 1) == "interrupted"
    assert stop_reason({"train_windows": 5}, 1) == ""
