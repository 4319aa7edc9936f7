"""Bidirectional LSTM layers, attention from the last step to all, and a head for each of two horizons.

The attention is that of A. Vaswani et al., Attention Is All You Need (2017), with several heads and one query.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bot.errors import ModelError
from models.architectures.network import Interface, Network
from models.architectures.rolling import input_layers
from models.recipe_sections import AttentionSection

HORIZONS = ("short", "long")
OUTPUTS = 3 * len(HORIZONS)


def build_attention_multitask(section: AttentionSection, interface: Interface) -> Network:
    """Outputs [n, 6]: trend in [-1, 1], down logit, up logit at the short, then at the long horizon.

    The served model's second output [n, window] is the weight of each step, averaged over the attention's
    heads: each row adds up to 1. ``interface.activation`` does not apply.

    Raises:
        ModelError: Another number of outputs is asked for.
    """
    import keras

    if interface.outputs != OUTPUTS:
        raise ModelError(f"attention_multitask has {OUTPUTS} outputs, not {interface.outputs}")
    inputs, *scaling = input_layers(interface)
    steps = inputs
    for layer in scaling:
        steps = layer(steps)
    context, attention = _attend(_encode(steps, section), section, interface.window)
    parts = [part for horizon in HORIZONS for part in _head(context, horizon, section)]
    forecast = keras.layers.Concatenate(name="forecast")(parts)
    return Network(
        keras.Model(inputs, forecast, name="attention_multitask"),
        keras.Model(inputs, [forecast, attention], name="attention_multitask_served"),
    )


@cache
def attention_class() -> Any:
    """``keras.layers.MultiHeadAttention`` that knows its scores' shape, registered as ``StepsAttention``.

    Keras 3.15 takes the scores to be [n, heads, queries, queries], which is wrong where there are fewer queries
    than steps: layers after it cannot be built.
    """
    import keras

    @keras.saving.register_keras_serializable(package="models")
    class StepsAttention(keras.layers.MultiHeadAttention):  # type: ignore[misc]
        """Multi-head attention whose scores are [n, heads, queries, steps]."""

        def compute_output_spec(self, query: Any, value: Any, *others: Any, **options: Any) -> Any:
            """As Keras has it, but for the scores."""
            spec = super().compute_output_spec(query, value, *others, **options)
            if not isinstance(spec, tuple):
                return spec
            shape = (query.shape[0], self.num_heads, query.shape[1], value.shape[1])
            return spec[0], keras.KerasTensor(shape, dtype=self.compute_dtype)

    return StepsAttention


def _encode(steps: Any, section: AttentionSection) -> Any:
    """Each step as [n, window, units], known by the steps before and after it."""
    import keras

    for _ in range(section.layers):
        lstm = keras.layers.LSTM(section.units, return_sequences=True)
        steps = keras.layers.Bidirectional(lstm)(steps)
        steps = keras.layers.Dropout(section.dropout)(steps)
    return keras.layers.Dense(section.units, name="projection")(steps)


def _attend(steps: Any, section: AttentionSection, window: int) -> tuple[Any, Any]:
    """(context [n, units], weight of each step [n, window]), asked by the last step."""
    import keras

    last = keras.layers.Cropping1D((window - 1, 0), name="last_step")(steps)
    attend = attention_class()(section.heads, key_dim=section.units // section.heads, name="steps_attention")
    context, scores = attend(last, steps, return_attention_scores=True)
    by_head = keras.layers.Reshape((section.heads, window), name="attention_by_head")(scores)
    mean = keras.layers.GlobalAveragePooling1D(name="attention")(by_head)
    return keras.layers.Flatten(name="context")(context), mean


def _head(context: Any, horizon: str, section: AttentionSection) -> tuple[Any, Any]:
    """(trend [n, 1], logits of down and up [n, 2]) at one horizon."""
    import keras

    for number, units in enumerate(section.head_units, start=1):
        context = keras.layers.Dense(units, activation="relu", name=f"{horizon}_dense_{number}")(context)
        context = keras.layers.Dropout(section.dropout, name=f"{horizon}_dropout_{number}")(context)
    trend = keras.layers.Dense(1, activation="tanh", name=f"{horizon}_trend")(context)
    return trend, keras.layers.Dense(2, name=f"{horizon}_direction")(context)
