"""From Keras to ONNX, and the proof that both say the same."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.forecaster import check_graph, open_session
from models.graph_parts import canonical

LARGEST_DIFFERENCE = 1e-5
LEAST_WINDOWS = 256


def export_onnx(model: Any, windows: npt.NDArray[np.float32]) -> tuple[bytes, float]:
    """Export a Keras model and compare the graph's outputs with the model's.

    Args:
        model: A ``keras.Model`` from windows to [n, columns], and to attention weights if it has any.
        windows: At least 256 real, scaled windows float32 [n, window, f].

    Returns:
        The graph's bytes, and the largest absolute difference found.

    Raises:
        ModelError: The outputs differ by more than 1e-5, are not finite, or there are too few windows.
    """
    if len(windows) < LEAST_WINDOWS:
        raise ModelError(f"an export is compared on at least {LEAST_WINDOWS} windows, not on {len(windows)}")
    said = model.predict(windows, batch_size=256, verbose=0)  # also builds what the export traces
    expected = [np.asarray(part) for part in (said if isinstance(said, list | tuple) else [said])]
    graph = _convert(model)
    session = open_session(graph, threads=1, name="the exported graph")
    check_graph(session, (windows.shape[1], windows.shape[2]), expected[0].shape[1], "the exported graph")
    actual: Any = session.run(None, {session.get_inputs()[0].name: windows})
    return graph, max(compare(one, other) for one, other in zip(expected, actual, strict=True))


def compare(expected: npt.NDArray[np.float32], actual: npt.NDArray[np.float32]) -> float:
    """The largest absolute difference; ModelError when it is too large or not a number."""
    difference = float(np.max(np.abs(expected.astype(np.float64) - actual.astype(np.float64))))
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"the ONNX graph differs from the Keras model by {difference:.2g}, more than {LARGEST_DIFFERENCE:g}: "
            "it is not stored"
        )
    return difference


def keras_bytes(model: Any) -> bytes:
    """The ``.keras`` file of a model."""
    with tempfile.TemporaryDirectory(prefix="bot-export-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _convert(model: Any) -> bytes:
    """The model's forward pass as an ONNX graph, by TensorFlow whatever backend trained it."""
    import keras

    if keras.backend.backend() == "tensorflow":
        return traced_graph(model)
    with tempfile.TemporaryDirectory(prefix="bot-export-") as folder:
        source, target = Path(folder) / "model.keras", Path(folder) / "model.onnx"
        model.save(source)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "models.export_process", str(source), str(target)],
            env=os.environ | {"KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ModelError(f"the model could not be exported by TensorFlow: {_last_line(done.stderr)}")
        return target.read_bytes()


def _last_line(text: str) -> str:
    """The end of a program's complaint, which says what it was."""
    return text.strip().rpartition("\n")[2]


def traced_graph(model: Any) -> bytes:
    """A model that TensorFlow runs as an ONNX graph."""
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # what was never called cannot be traced
    with tempfile.TemporaryDirectory(prefix="bot-export-") as folder:
        path = Path(folder) / "model.onnx"
        # tf2onnx and TensorFlow chat on both streams; what matters is compared afterwards.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.export(str(path), format="onnx", verbose=False)
        return canonical(path.read_bytes())
