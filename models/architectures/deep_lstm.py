"""LSTM layers, dropout after each, then a pyramid of dense layers."""

from __future__ import annotations

from models.architectures.network import Interface, Network
from models.architectures.rolling import input_layers
from models.recipe_sections import DeepLstmSection


def build_deep_lstm(section: DeepLstmSection, interface: Interface) -> Network:
    """The last LSTM's last state goes through a ReLU layer of each number in ``dense`` to the output."""
    import keras

    layers = input_layers(interface)
    for number, units in enumerate(section.units, start=1):
        layers.append(keras.layers.LSTM(units, return_sequences=number < len(section.units)))
        layers.append(keras.layers.Dropout(section.dropout))
    layers.extend(keras.layers.Dense(units, activation="relu") for units in section.dense)
    layers.append(keras.layers.Dense(interface.outputs, activation=interface.activation, name="forecast"))
    model = keras.Sequential(layers, name="deep_lstm")
    return Network(model, model)
