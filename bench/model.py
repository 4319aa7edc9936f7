"""The model that is measured: the default recipe's network and features with seeded, untrained weights.

What an inference costs depends on the shape of a network, not on what it knows; so nothing is trained. The head
is scaled so that forecasts are large enough to trade on now and then. ``python -m bench.model ROOT`` makes it in
a process of its own, since only that needs TensorFlow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from bench.market import synthetic_candles
from bench.processes import BenchError, run_python
from models.calibration import Calibration
from models.features import feature_set
from models.hashing import canonical_json, sha256
from models.passport import ModelPassport
from models.recipe import Recipe, load_recipe
from models.recipe_sections import StackedLstmSection
from models.registry import list_models, make_model_id, resolve, write_artifact
from models.scaling import fit_scaler
from models.windows import gather, window_ends

RECIPE = "scalping"
CREATED_AT_MS = 1_700_000_000_000
SEED = 7


def ensure_model(root: Path) -> Path:
    """The folder of the model under ``root``, made now if there is none."""
    if not list_models(root):
        run_python(["-m", "bench.model", str(root)], seconds=180.0)
    return resolve(root, "latest")


def write_untrained_model(root: Path) -> Path:
    """Build the network, export it, store it; returns its folder."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    from models.architectures import build
    from models.export import export_onnx, keras_bytes

    recipe = load_recipe(RECIPE)
    features = feature_set(recipe.features)
    candles = synthetic_candles(3 * 1440)
    table = features.compute(candles)
    scaler = fit_scaler(
        recipe.scaler.kind, features.columns, table.matrix[table.valid], clip=recipe.scaler.clip
    )
    ends = window_ends(candles.ts, table.valid, recipe.window)[::8]
    windows = gather(scaler.transform_table(table.matrix), ends, recipe.window)
    keras.utils.set_random_seed(SEED)
    section = recipe.architecture
    if not isinstance(section, StackedLstmSection):
        raise BenchError("the bench measures a stacked LSTM")
    model = build(section, recipe.window, windows.shape[2]).trained
    deviation = float(np.std(model.predict(windows, batch_size=256, verbose=0)))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / deviation, bias])
    graph, _ = export_onnx(model, windows)
    name = make_model_id(recipe.name, CREATED_AT_MS, sha256(graph))
    files = {
        "model.onnx": graph,
        "model.keras": keras_bytes(model),
        "scaler.json": scaler.to_json(),
        "calibration.json": Calibration(1.0, 1000).to_json(),
        "recipe.json": recipe.to_json(),
        "metrics.json": canonical_json({}),
    }
    return write_artifact(root, _passport(name, recipe, features.columns, scaler.digest()), files)


def _passport(name: str, recipe: Recipe, columns: tuple[str, ...], scaler_digest: str) -> ModelPassport:
    return ModelPassport(
        model_id=name,
        recipe=recipe.name,
        created_at_ms=CREATED_AT_MS,
        features=recipe.features,
        columns=columns,
        window=recipe.window,
        horizon_minutes=recipe.target.horizon,
        target=recipe.target.kind,
        symbols=(),
        ranges={},
        seed=SEED,
        hashes={"scaler": scaler_digest},
        versions={},
    )


if __name__ == "__main__":
    write_untrained_model(Path(sys.argv[1]))
