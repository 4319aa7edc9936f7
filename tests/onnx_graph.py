"""A Keras model's ONNX graph, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


def onnx_outputs(model: Any, windows: np.ndarray, folder: Path) -> list[np.ndarray]:
    """What the exported graph says of the windows, output by output."""
    model(windows[:1])  # the export traces a model that has been called
    path = folder / "model.onnx"
    model.export(str(path), format="onnx", verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, {session.get_inputs()[0].name: windows})]


def some_windows(count: int, window: int, features: int, *, seed: int = 1) -> np.ndarray:
    """Standard normal windows, float32."""
    return np.random.default_rng(seed).normal(size=(count, window, features)).astype(np.float32)
