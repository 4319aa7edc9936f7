"""Models whose inside is known, made without TensorFlow: one reads one column, one attends, one says a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.candle_arrays import CandleArrays
from models.hashing import canonical_json
from models.inspection import Inspection, InspectionWishes, inspect_artifact
from models.logit_graph import logit_graph
from models.registry import read_verified, write_artifact
from tests.tiny_model import WINDOW, write_tiny_model

WIDTH = 20
READ = 1
"""The column that ``one_column_model`` reads: ``return_5``, which planted candles take back."""

HISTORY = {
    "epochs": {
        "loss": [0.9, 0.7, 0.6],
        "val_loss": [0.8, 0.75, 0.77],
        "mae": [0.5, 0.4, 0.3],
        "val_mae": [0.5, 0.45, 0.46],
        "learning_rate": [0.001, 0.001, 0.0005],
    },
    "best_epoch": 2,
}


def one_column_model(root: Path, *, ranges: dict[str, list[int]] | None = None) -> Path:
    """A model that forecasts against the last five minutes' return and reads nothing else; with a history."""
    weights = np.zeros(WIDTH)
    weights[READ] = -1.0
    extra = {
        "model.onnx": logit_graph(weights, 0.0, WINDOW, WIDTH),
        "training_history.json": canonical_json(HISTORY),
    }
    return _with(write_tiny_model(root / "raw", extra=extra), root, ranges=ranges or {})


def attentive_model(root: Path, *, spoilt: bool = False) -> Path:
    """A model of one column whose attention is the softmax of another column's sequence."""
    return _with(
        write_tiny_model(root / "raw", extra={"model.onnx": _attentive_graph(spoilt=spoilt)}), root, ranges={}
    )


def path_model(root: Path, *, horizon: int = 30) -> Path:
    """A model that says a path: column j of its output is (j + 1) / 100 standardized returns, always."""
    graph = _constant_path_graph(horizon)
    folder = write_tiny_model(root / "raw", target="path", horizon=horizon, extra={"model.onnx": graph})
    outputs = tuple(f"step_{step}" for step in range(1, horizon + 1))
    return _with(folder, root, ranges={}, outputs=outputs)


def _with(
    folder: Path, root: Path, *, ranges: dict[str, list[int]], outputs: tuple[str, ...] = ("forecast",)
) -> Path:
    """The same artifact with another passport."""
    document, contents = read_verified(folder)
    return write_artifact(root, replace(document, ranges=ranges, outputs=outputs), contents)


def _attentive_graph(*, spoilt: bool) -> bytes:
    """float32 [n, 60, 20] -> forecast [n, 1], attention [n, 60]."""
    constants = [
        numpy_helper.from_array(np.array(READ, np.int64), "read"),
        numpy_helper.from_array(np.array(0, np.int64), "looked"),
        numpy_helper.from_array(np.array([WINDOW - 1], np.int64), "newest"),
        numpy_helper.from_array(np.array([2.0 if spoilt else 1.0], np.float32), "factor"),
    ]
    nodes = [
        helper.make_node("Gather", ["window", "read"], ["column"], axis=2),
        helper.make_node("Gather", ["column", "newest"], ["forecast"], axis=1),
        helper.make_node("Gather", ["window", "looked"], ["scores"], axis=2),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=1),
        helper.make_node("Mul", ["weights", "factor"], ["attention"]),
    ]
    outputs = [
        helper.make_tensor_value_info("forecast", TensorProto.FLOAT, ["n", 1]),
        helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["n", WINDOW]),
    ]
    return _graph(nodes, outputs, constants)


def _constant_path_graph(horizon: int) -> bytes:
    """float32 [n, 60, 20] -> forecast [n, horizon]."""
    path = np.arange(1, horizon + 1, dtype=np.float32)[None] / 100.0
    constants = [
        numpy_helper.from_array(np.array([0, 0], np.int64), "first"),
        numpy_helper.from_array(np.array([1, 1], np.int64), "second"),
        numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
        numpy_helper.from_array(np.array([2], np.int64), "last"),
        numpy_helper.from_array(np.zeros(1, np.float32), "nothing"),
        numpy_helper.from_array(path, "path"),
    ]
    nodes = [
        helper.make_node("Slice", ["window", "first", "second", "axes"], ["one"]),
        helper.make_node("Squeeze", ["one", "last"], ["flat"]),
        helper.make_node("Mul", ["flat", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "path"], ["forecast"]),
    ]
    outputs = [helper.make_tensor_value_info("forecast", TensorProto.FLOAT, ["n", horizon])]
    return _graph(nodes, outputs, constants)


def whole_inspection(folder: Path, candles: Mapping[str, CandleArrays]) -> Inspection:
    """An inspection with everything: attention, and the training curves of another model."""
    wishes = InspectionWishes(windows=50, repeats=2)
    curves = inspect_artifact(one_column_model(folder / "a"), candles, wishes).curves
    return replace(inspect_artifact(attentive_model(folder / "b"), candles, wishes), curves=curves)


def _graph(
    nodes: list[onnx.NodeProto], outputs: list[onnx.ValueInfoProto], constants: list[onnx.TensorProto]
) -> bytes:
    inputs = [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["n", WINDOW, WIDTH])]
    model = helper.make_model(
        helper.make_graph(nodes, "known", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 9
    content: bytes = model.SerializeToString()
    return content
