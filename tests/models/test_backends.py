"""The recipes on the other backends of Keras; TensorFlow trains them in ``test_every_recipe``.

``BACKENDS=all`` takes every recipe: each network is compiled anew, so that three of them stand for all otherwise.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from models.recipe import recipe_names

pytestmark = pytest.mark.training

USUAL = ("attention-multitask", "minmax-close", "scalping")
"""The default recipe, the documents', and the one with attention and several heads."""

STEP = textwrap.dedent("""
    import itertools, json, sys
    from pathlib import Path
    from bot.inference import predict_series
    from models.recipe import load_recipe
    from models.training import train
    from tests.planted import planted_candles

    names, whole, folder = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    from models.dataset import prepare
    from models.fitting import fit
    import keras

    candles = planted_candles(3000, seed=3)
    ticks = itertools.count()
    losses = {}
    for name in names:
        recipe = load_recipe(name, ["training.batch_size=8", "training.max_epochs=1", "training.stride=1"])
        data = prepare(recipe, {"X/Y": candles})
        keep = len(data.learnable(data.slices.train)) // 4
        recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"stride": keep})})
        stop = data.slices.early_stop
        short = (stop[0], stop[0] + 64 * 60_000)
        object.__setattr__(data.slices, "early_stop", short)
        outcome = fit(recipe, data, seconds=lambda: float(next(ticks)), deadline=1e9, on_progress=lambda _: None)
        losses[name] = [outcome.history["loss"][0], outcome.history["val_loss"][0], outcome.model.count_params()]
    small = ["architecture.units=[4]", "training.stride=20", "training.batch_size=32"]
    trained = train(
        load_recipe(whole, small), {"X/Y": candles}, folder, created_at_ms=1_700_000_000_000,
        monotonic_ns=lambda: next(ticks), max_epochs=1,
    )
    said = predict_series(trained.folder, "X/Y", candles.rows(0, 900))
    print(json.dumps({
        "backend": keras.backend.backend(), "losses": losses, "predictions": len(said.ts),
        "difference": trained.history["onnx_largest_difference"],
        "tensorflow": json.loads((trained.folder / "passport.json").read_bytes())["versions"]["keras-backend"],
    }))
""")


def networks() -> list[str]:
    """Recipes that are one network; a forest is none, an ensemble's network is that of scalping."""
    names = [name for name in recipe_names() if name not in {"forest", "ensemble"}]
    return names if os.environ.get("BACKENDS") == "all" else [name for name in names if name in USUAL]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_each_network_takes_a_step_and_is_served(backend: str, tmp_path: Path) -> None:
    """Every recipe's network learns a step in full size, and a model trained there is exported and forecasts."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", STEP, json.dumps(networks()), "scalping", str(tmp_path)],
        env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert found["backend"] == found["tensorflow"] == backend
    assert sorted(found["losses"]) == networks()
    for name, (loss, validation, parameters) in found["losses"].items():
        assert 0.0 < loss < 1e3, name
        assert 0.0 < validation < 1e3, name
        assert parameters > 1000
    assert found["losses"]["minmax-close"][2] == 30_625
    assert found["difference"] <= 1e-5
    assert found["predictions"] > 300
