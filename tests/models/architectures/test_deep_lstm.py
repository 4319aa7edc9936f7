"""The LSTM with a pyramid of dense layers."""

from __future__ import annotations

import pytest

from models.architectures import build
from models.recipe_sections import DeepLstmSection

pytestmark = pytest.mark.training


def test_the_price_network_has_its_weights() -> None:
    """32 columns, LSTM 128 twice, dense 64 and 32: each layer has the weights of its formula, dropout after each LSTM."""
    section = DeepLstmSection(kind="deep_lstm", units=[128, 128], dropout=0.2, dense=[64, 32])
    model = build(section, 10, 32).trained
    # An LSTM has four gates of units x (inputs + units + one bias); a dense layer units x (inputs + one bias).
    first, second = 4 * 128 * (32 + 128 + 1), 4 * 128 * (128 + 128 + 1)
    assert [layer.count_params() for layer in model.layers] == [
        first, 0, second, 0, 64 * (128 + 1), 32 * (64 + 1), 32 + 1,
    ]  # fmt: skip
    assert model.count_params() == 82_432 + 131_584 + 8_256 + 2_080 + 33
    assert [type(layer).__name__ for layer in model.layers] == [
        "LSTM", "Dropout", "LSTM", "Dropout", "Dense", "Dense", "Dense",
    ]  # fmt: skip
    assert [layer.activation.__name__ for layer in model.layers[4:]] == ["relu", "relu", "linear"]


def test_the_direction_network_has_its_weights() -> None:
    """Four columns, LSTM 50 twice, dense 25 and a sigmoid: 11,000 + 20,200 + 1,275 + 26 weights."""
    section = DeepLstmSection(kind="deep_lstm", units=[50, 50], dropout=0.2, dense=[25])
    model = build(section, 60, 4, activation="sigmoid").trained
    assert model.count_params() == 4 * 50 * (4 + 50 + 1) + 4 * 50 * (50 + 50 + 1) + 25 * (50 + 1) + 25 + 1
    assert model.count_params() == 11_000 + 20_200 + 1_275 + 26
    assert [layer.activation.__name__ for layer in model.layers[4:]] == ["relu", "sigmoid"]
