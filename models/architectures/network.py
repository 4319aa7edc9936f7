"""What an architecture is asked for, and what it gives."""

from __future__ import annotations

from typing import Any, NamedTuple


class Interface(NamedTuple):
    """What a network must fit, whatever is inside it.

    Attributes:
        window: Rows of an input, the oldest first.
        features: Columns of an input.
        outputs: Numbers that come out.
        activation: Of the last layer, by its name in Keras.
        rolling: Each window is standardized by its own mean and deviation first.
    """

    window: int
    features: int
    outputs: int = 1
    activation: str = "linear"
    rolling: bool = False


class Network(NamedTuple):
    """An untrained, uncompiled network.

    Attributes:
        trained: ``keras.Model`` from windows [n, window, features] to outputs [n, outputs].
        served: The ``keras.Model`` to export. It has the weights of ``trained``, and mostly is it; one that shows
            its attention gives [outputs [n, outputs], attention [n, window]].
    """

    trained: Any
    served: Any
