"""LSTM layers that read the window both ways, dropout after each, one dense layer of all outputs."""

from __future__ import annotations

from models.architectures.network import Interface, Network
from models.architectures.rolling import input_layers
from models.recipe_sections import BidirectionalSection


def build_bidirectional(section: BidirectionalSection, interface: Interface) -> Network:
    """Each direction has ``units``, and they stand side by side; all of a window is past, so neither sees ahead."""
    import keras

    layers = input_layers(interface)
    for number, units in enumerate(section.units, start=1):
        lstm = keras.layers.LSTM(units, return_sequences=number < len(section.units))
        layers.append(keras.layers.Bidirectional(lstm))
        layers.append(keras.layers.Dropout(section.dropout))
    layers.append(keras.layers.Dense(interface.outputs, activation=interface.activation, name="forecast"))
    model = keras.Sequential(layers, name="bidirectional")
    return Network(model, model)
