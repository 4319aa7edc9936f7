"""A small model artifact made without TensorFlow: an LSTM of eight units with seeded weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.calibration import Calibration
from models.features import feature_set
from models.graph_merge import merge_columns
from models.hashing import canonical_json
from models.passport import ModelPassport
from models.registry import make_model_id, write_artifact
from models.scaling import Scaler, fit_scaler

WINDOW = 60


def write_tiny_model(
    root: Path,
    *,
    features: str = "scalping-v1",
    target: str = "scaled_return",
    horizon: int = 15,
    scaler: Scaler | None = None,
    seed: int = 7,
    created_at_ms: int = 1_700_000_000_000,
    output_scale: float = 0.5,
    weights: np.ndarray | None = None,
    recipe: str = "tiny",
    extra: Mapping[str, bytes] | None = None,
    outputs: tuple[str, ...] = ("forecast",),
) -> Path:
    """Write an artifact that ``load_forecaster`` takes and return its folder.

    More outputs are more networks of other seeds. Without a scaler the features pass as they are (which suits ``scalping-v1``, made of numbers near one).
    """
    tag = feature_set(features)
    width = len(tag.columns)
    if scaler is None:
        rows = np.array([[-1.0] * width, [1.0] * width])
        # As if training had seen everything: a window beyond its range would get no forecast.
        low, high = np.full(width, -1e12), np.full(width, 1e12)
        scaler = replace(fit_scaler("standard", tag.columns, rows, clip=8.0), low=low, high=high)
    graph = tiny_graph(width, seed=seed, output_scale=output_scale, weights=weights)
    if len(outputs) > 1:
        further = (
            tiny_graph(width, seed=seed + place, output_scale=output_scale)
            for place in range(1, len(outputs))
        )
        graph = merge_columns([graph, *further])
    recipe_json = canonical_json({"name": recipe})
    passport = ModelPassport(
        model_id=make_model_id(recipe, created_at_ms, f"{seed:06x}"),
        recipe=recipe,
        created_at_ms=created_at_ms,
        features=features,
        columns=tag.columns,
        window=WINDOW,
        horizon_minutes=horizon,
        target=target,
        outputs=outputs,
        symbols=("BTC/USDT",),
        ranges={},
        seed=seed,
        hashes={"scaler": scaler.digest()},
        versions={},
    )
    files = {
        "model.onnx": graph,
        "scaler.json": scaler.to_json(),
        "calibration.json": Calibration(1.5, 1000).to_json(),
        "recipe.json": recipe_json,
        "metrics.json": canonical_json({}),
        **(extra or {}),
    }
    return write_artifact(root, passport, files)


def tiny_graph(
    width: int, *, seed: int = 7, output_scale: float = 0.5, weights: np.ndarray | None = None, units: int = 8
) -> bytes:
    """An ONNX graph float32 [n, 60, width] -> [n, 1] with one LSTM layer."""
    rng = np.random.default_rng(seed)

    def constant(name: str, *shape: int, scale: float) -> onnx.TensorProto:
        return numpy_helper.from_array((rng.normal(size=shape) * scale).astype(np.float32), name)

    kernel = constant("kernel", 1, 4 * units, width, scale=0.3)
    if weights is not None:
        kernel = numpy_helper.from_array(weights.astype(np.float32), "kernel")
    initializers = [
        kernel,
        constant("recurrent", 1, 4 * units, units, scale=0.3),
        constant("head", units, 1, scale=output_scale),
        numpy_helper.from_array(np.zeros(1, np.float32), "bias"),
        numpy_helper.from_array(np.array([0], np.int64), "axis"),
    ]
    nodes = [
        helper.make_node("Transpose", ["window"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "kernel", "recurrent"], ["", "state"], hidden_size=units),
        helper.make_node("Squeeze", ["state", "axis"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head", "bias"], ["forecast"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["n", WINDOW, width])],
        [helper.make_tensor_value_info("forecast", TensorProto.FLOAT, ["n", 1])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    content: bytes = model.SerializeToString()
    return content
