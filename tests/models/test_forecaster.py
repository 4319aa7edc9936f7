"""A verified artifact, ready to forecast."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bot.errors import ModelError
from models.features import feature_set
from models.forecaster import check_graph, load_forecaster, open_session
from models.hashing import sha256
from models.passport import FILE_NAME, read_passport
from models.scaling import fit_scaler
from tests.tiny_model import tiny_graph, write_tiny_model

WIDTH = len(feature_set("scalping-v1").columns)


def test_one_window_equals_the_same_in_a_batch(tmp_path: Path) -> None:
    """The output of a window does not depend on what it is batched with, nor on the number of threads."""
    folder = write_tiny_model(tmp_path)
    windows = np.random.default_rng(1).normal(size=(300, 60, WIDTH)).astype(np.float32)
    together = load_forecaster(folder, threads=2).infer(windows)
    alone = load_forecaster(folder, threads=1)
    np.testing.assert_array_equal([alone.infer(window[None])[0] for window in windows], together)


def test_series_are_inferred_in_batches_of_any_size(tmp_path: Path) -> None:
    """Gathering in batches gives each end's own window, whatever the size of a batch."""
    forecaster = load_forecaster(write_tiny_model(tmp_path))
    table = np.random.default_rng(2).normal(size=(400, WIDTH)).astype(np.float32)
    ends = np.array([59, 70, 71, 200, 399], np.int64)
    expected = [forecaster.infer(table[end - 59 : end + 1][None])[0] for end in ends]
    for batch in (1, 2, 256):
        np.testing.assert_array_equal(forecaster.infer_series(table, ends, batch=batch), expected)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    """An artifact with a NaN weight, its passport in order, is refused when it is loaded."""
    weights = np.zeros((1, 32, WIDTH))
    weights[0, 3, 5] = np.nan
    folder = write_tiny_model(tmp_path, weights=weights)
    with pytest.raises(ModelError, match=r"model\.onnx .*weights are damaged"):
        load_forecaster(folder)


def test_a_graph_of_another_shape_is_refused() -> None:
    """A graph for other columns, or with an output of another shape, is refused."""
    session = open_session(tiny_graph(6), threads=1, name="graph")
    with pytest.raises(ModelError, match=r"takes windows of \[60, 6\], the passport says \[60, 20\]"):
        check_graph(session, (60, 20), 1, "graph")
    nodes = [helper.make_node("Flatten", ["window"], ["forecast"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "flat",
        [value("window", TensorProto.FLOAT, ["n", 60, 20])],
        [value("forecast", TensorProto.FLOAT, ["n", 1200])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    with pytest.raises(ModelError, match=r"gives .* numbers a window, the passport says 1"):
        check_graph(open_session(model.SerializeToString(), threads=1, name="graph"), (60, 20), 1, "graph")


def test_bytes_that_are_no_graph_are_refused() -> None:
    """What onnxruntime cannot read is a ModelError, not an exception of onnxruntime's."""
    with pytest.raises(ModelError, match="graph cannot be loaded"):
        open_session(b"not a graph", threads=1, name="graph")


def test_another_scaler_is_refused(tmp_path: Path) -> None:
    """A scaler that is not the one of the passport's hash is refused, even where its file's hash fits."""
    folder = shutil.copytree(write_tiny_model(tmp_path / "a"), tmp_path / "b")
    columns = feature_set("scalping-v1").columns
    other = fit_scaler("standard", columns, np.random.default_rng(1).normal(size=(5, WIDTH))).to_json()
    (folder / "scaler.json").write_bytes(other)
    passport = read_passport((folder / FILE_NAME).read_bytes(), "here")
    passport.files["scaler.json"] = sha256(other)
    (folder / FILE_NAME).write_bytes(passport.to_json())
    with pytest.raises(ModelError, match=r"scaler\.json is not the scaler"):
        load_forecaster(folder)
