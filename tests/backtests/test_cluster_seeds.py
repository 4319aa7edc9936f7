"""Seeds of a real training in processes of their own: the model is that of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backtests.cluster import Where
from backtests.cluster_seeds import spread_seeds
from bot.cli import main
from bot.errors import ModelError
from models.recipe import load_recipe
from models.registry import read_verified
from models.seed_shipping import seeds_elsewhere
from models.training import TrainedModel, train
from tests.random_candles import random_candles

pytestmark = pytest.mark.training


def fit_forest(folder: Path, **options: Any) -> TrainedModel:
    """Two seeds of a small forest on noise: what a process costs, and not the fitting."""
    recipe = load_recipe(
        "forest", ["architecture.trees=8", "training.stride=8", "training.seed=5", "training.seeds=2"]
    )
    series = {"X/Y": random_candles(5000, seed=1)}
    return train(recipe, series, folder, created_at_ms=1_700_000_000_000, monotonic_ns=lambda: 0, **options)


def test_seeds_of_other_processes_are_the_seeds_of_one(tmp_path: Path) -> None:
    """The graph is that of one process to the byte, and the report has each seed; nothing unfinished is left."""
    here = fit_forest(tmp_path / "here")
    there = fit_forest(tmp_path / "there", elsewhere=seeds_elsewhere(spread_seeds(Where(jobs=2))))
    assert sorted(there.report["seeds"]["each"]) == ["5", "6"]
    assert there.report["seeds"] == here.report["seeds"]
    graphs = [(one.folder / "model.onnx").read_bytes() for one in (here, there)]
    assert graphs[0] == graphs[1]
    read_verified(there.folder)
    assert not (tmp_path / "there" / ".unfinished").exists()


def test_a_seed_that_fails_is_the_runs_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process raised comes out as it was raised there."""
    monkeypatch.setattr("backtests.cluster_seeds.fit_one", _diverges)
    with pytest.raises(ModelError, match="diverged"):
        fit_forest(tmp_path, elsewhere=seeds_elsewhere(spread_seeds(Where(jobs=1))))


def _diverges(ground: object, recipe: object) -> None:
    raise ModelError("training diverged: the validation loss never was a number")


def test_one_seed_is_no_work_for_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--ray without --seeds is refused before candles are read."""
    words = ["train", "--candles", str(tmp_path / "none.parquet"), "--ray", "local", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "--ray goes with --seeds N" in capsys.readouterr().err
