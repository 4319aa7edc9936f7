"""The layer that standardizes each window by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.architectures import build
from models.architectures.rolling import rolling_class
from models.recipe_sections import StackedLstmSection
from tests.onnx_graph import onnx_outputs, some_windows

pytestmark = pytest.mark.training


def standardized(windows: np.ndarray) -> np.ndarray:
    """The same by numpy in 64 bits."""
    wide = windows.astype(np.float64)
    result: np.ndarray = (wide - wide.mean(axis=1, keepdims=True)) / wide.std(axis=1, keepdims=True)
    return result


@pytest.mark.parametrize(
    ("scale", "offset"), [(1.0, 0.0), (1e-5, 3e-4), (1e-8, 0.0), (40.0, 60_000.0), (1e6, -1e8)]
)
def test_windows_come_out_as_numpy_says(scale: float, offset: float) -> None:
    """Whatever a column's unit, from tiny returns to large prices, it becomes (x - mean) / deviation of its window."""
    windows = (some_windows(20, 60, 4) * scale + offset).astype(np.float32)
    said = np.asarray(rolling_class()()(windows))
    np.testing.assert_allclose(said, standardized(windows), atol=2e-5)


@pytest.mark.parametrize("level", [0.0, 0.1, -3e-7, 61_234.567, 1e8])
def test_a_constant_column_is_zero(level: float) -> None:
    """A column that does not move in a window is 0 there, whatever its level, and leaves the others alone."""
    windows = some_windows(3, 61, 2)
    expected = standardized(windows)
    windows[1, :, 0] = level
    said = np.asarray(rolling_class()()(windows))
    assert not said[1, :, 0].any()
    expected[1, :, 0] = 0.0
    np.testing.assert_allclose(said, expected, atol=2e-5)


def test_windows_do_not_know_each_other() -> None:
    """A window comes out the same alone as in a batch with a wild one."""
    windows = some_windows(2, 10, 3)
    windows[1] *= 1e4
    layer = rolling_class()()
    np.testing.assert_allclose(np.asarray(layer(windows))[:1], np.asarray(layer(windows[:1])), atol=1e-6)


def test_it_is_one_class_and_survives_storage(tmp_path: Path) -> None:
    """The class is made once, and a stored network with it is read back and exported with the same outputs."""
    import keras

    assert rolling_class() is rolling_class()
    section = StackedLstmSection(kind="stacked_lstm", units=[4], dropout=0.0)
    model = build(section, 10, 3, rolling=True).trained
    windows = some_windows(8, 10, 3) * 50.0 + 1000.0
    expected = model.predict(windows, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.get_layer("rolling"), rolling_class())
    np.testing.assert_allclose(again.predict(windows, verbose=0), expected, atol=1e-6)
    (graph,) = onnx_outputs(model, windows, tmp_path)
    np.testing.assert_allclose(graph, expected, rtol=0, atol=1e-5)
