"""The LSTM that reads the window both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.architectures import build
from models.recipe_sections import BidirectionalSection
from tests.onnx_graph import onnx_outputs, some_windows

pytestmark = pytest.mark.training


def test_the_path_network_has_its_weights() -> None:
    """Ten columns, 128 and 64 units each way and 30 steps: 142,336 + 164,352 + 3,870 weights."""
    section = BidirectionalSection(kind="bidirectional", units=[128, 64], dropout=0.2)
    model = build(section, 60, 10, outputs=30).trained
    # Each direction is an LSTM; the second layer and the output read both directions' units.
    first, second = 2 * 4 * 128 * (10 + 128 + 1), 2 * 4 * 64 * (2 * 128 + 64 + 1)
    assert [layer.count_params() for layer in model.layers] == [first, 0, second, 0, 30 * (2 * 64 + 1)]
    assert model.count_params() == 142_336 + 164_352 + 3_870
    assert model.output_shape == (None, 30)


@pytest.mark.parametrize("rolling", [False, True])
def test_its_graph_says_what_keras_says(tmp_path: Path, rolling: bool) -> None:
    """The exported graph's path agrees with Keras to 1e-5, with and without the rolling scaler."""
    section = BidirectionalSection(kind="bidirectional", units=[8, 4], dropout=0.2)
    model = build(section, 12, 5, outputs=6, rolling=rolling).served
    windows = some_windows(64, 12, 5)
    if rolling:
        windows[:, :, 2] = 0.7  # a constant column
    expected = model.predict(windows, verbose=0)
    (actual,) = onnx_outputs(model, windows, tmp_path)
    assert actual.shape == (64, 6)
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
