"""The stacked LSTM."""

from __future__ import annotations

import pytest

from models.architectures import build
from models.recipe_sections import StackedLstmSection

pytestmark = pytest.mark.training


def test_the_classic_network_has_its_weights() -> None:
    """With six columns the classic network has 18,176 + 12,416 + 33 = 30,625 weights, dropout after each LSTM."""
    section = StackedLstmSection(kind="stacked_lstm", units=[64, 32], dropout=0.2)
    model = build(section, 60, 6).trained
    assert model.count_params() == 30_625
    assert [type(layer).__name__ for layer in model.layers] == ["LSTM", "Dropout", "LSTM", "Dropout", "Dense"]
    assert [layer.count_params() for layer in model.layers] == [18_176, 0, 12_416, 0, 33]
    assert model.output_shape == (None, 1)
    assert all(layer.rate == 0.2 for layer in model.layers if type(layer).__name__ == "Dropout")


def test_the_rolling_scaler_has_no_weights() -> None:
    """Standardizing each window by itself adds a layer, but nothing that is learnt."""
    section = StackedLstmSection(kind="stacked_lstm", units=[64, 32], dropout=0.2)
    model = build(section, 60, 6, rolling=True).trained
    assert model.layers[0].name == "rolling"
    assert model.count_params() == 30_625
