"""LSTM layers one upon the other, dropout after each, one dense layer."""

from __future__ import annotations

from models.architectures.network import Interface, Network
from models.architectures.rolling import input_layers
from models.recipe_sections import StackedLstmSection


def build_stacked_lstm(section: StackedLstmSection, interface: Interface) -> Network:
    """All layers but the last hand on the whole sequence; with 6 features, [64, 32] has 30,625 weights."""
    import keras

    layers = input_layers(interface)
    for number, units in enumerate(section.units, start=1):
        layers.append(keras.layers.LSTM(units, return_sequences=number < len(section.units)))
        layers.append(keras.layers.Dropout(section.dropout))
    layers.append(keras.layers.Dense(interface.outputs, activation=interface.activation, name="forecast"))
    model = keras.Sequential(layers, name="stacked_lstm")
    return Network(model, model)
