"""Comparing an export with the model that it came from."""

from __future__ import annotations

import numpy as np
import pytest

from bot.errors import ModelError
from models.export import compare, export_onnx


def test_a_difference_beyond_the_limit_is_refused() -> None:
    """Outputs 1e-5 apart pass, a little more does not, and NaN never does."""
    zero = np.zeros((4, 1), np.float32)
    assert compare(zero, zero + np.float32(9e-6)) == pytest.approx(9e-6, rel=1e-3)
    for wrong in (zero + np.float32(1.2e-5), np.full((4, 1), np.nan, np.float32)):
        with pytest.raises(ModelError, match="it is not stored"):
            compare(zero, wrong)


def test_too_few_windows_prove_nothing() -> None:
    """An export is refused without at least 256 windows to compare on."""
    with pytest.raises(ModelError, match="256"):
        export_onnx(None, np.zeros((255, 60, 20), np.float32))


@pytest.mark.training
def test_a_wrong_graph_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the converter makes a graph that says something else, the export is refused."""
    import keras

    from models import export
    from tests.tiny_model import tiny_graph

    model = keras.Sequential([keras.Input((60, 20)), keras.layers.LSTM(2), keras.layers.Dense(1)])
    windows = np.random.default_rng(1).normal(size=(256, 60, 20)).astype(np.float32)
    monkeypatch.setattr(export, "_convert", lambda _: tiny_graph(20))
    with pytest.raises(ModelError, match="differs from the Keras model"):
        export_onnx(model, windows)
