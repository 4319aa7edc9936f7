"""LSTM layers one upon the other, dropout after each, one linear output."""

from __future__ import annotations

from typing import Any

from models.recipe import ArchitectureSection


def build_stacked_lstm(section: ArchitectureSection, window: int, features: int) -> Any:
    """All layers but the last hand on the whole sequence; with 6 features, [64, 32] has 30,625 weights."""
    import keras

    layers: list[Any] = [keras.Input(shape=(window, features), name="window")]
    for number, units in enumerate(section.units, start=1):
        layers.append(keras.layers.LSTM(units, return_sequences=number < len(section.units)))
        layers.append(keras.layers.Dropout(section.dropout))
    layers.append(keras.layers.Dense(1, name="forecast"))
    return keras.Sequential(layers, name="stacked_lstm")
