"""The first layers of a network: its input, and the rolling scaler that stands after it."""

from __future__ import annotations

from functools import cache
from typing import Any

from models.architectures.network import Interface

EPSILON = 1e-12
"""Far below any deviation that 32-bit floats can tell from 0: it only keeps 0/0 from being asked."""


def input_layers(interface: Interface) -> list[Any]:
    """The input named ``window``; where it is asked for, the layer that standardizes windows."""
    import keras

    layers: list[Any] = [keras.Input(shape=(interface.window, interface.features), name="window")]
    if interface.rolling:
        layers.append(rolling_class()(name="rolling"))
    return layers


@cache
def rolling_class() -> Any:
    """The Keras layer ``WindowStandardization``, known to ``keras.models.load_model`` from the first call on.

    Windows [n, window, features] become (x - mean) / deviation with the mean and the population deviation of
    each window's columns; a constant column becomes 0. It knows the window only, so nothing of the future.
    """
    import keras

    @keras.saving.register_keras_serializable(package="models")
    class WindowStandardization(keras.layers.Layer):  # type: ignore[misc]
        """Each column of each window less its mean, over its deviation."""

        def call(self, inputs: Any) -> Any:
            """[n, window, features] to the same."""
            # Less the first row, because in 32 bits the mean of equal numbers is not quite that number, but the mean
            # of zeros is 0.
            moved = inputs - inputs[:, :1, :]
            centred = moved - keras.ops.mean(moved, axis=1, keepdims=True)
            variance = keras.ops.mean(keras.ops.square(centred), axis=1, keepdims=True)
            return centred / keras.ops.sqrt(variance + EPSILON**2)

        def compute_output_shape(self, input_shape: Any) -> Any:
            """As the input's."""
            return input_shape

    return WindowStandardization
