"""Network architectures by the name that recipes give them; Keras is imported only when one is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.errors import ModelError
from models.architectures.attention_multitask import attention_class, build_attention_multitask
from models.architectures.bidirectional import build_bidirectional
from models.architectures.deep_lstm import build_deep_lstm
from models.architectures.network import Interface, Network
from models.architectures.rolling import rolling_class
from models.architectures.stacked_lstm import build_stacked_lstm
from models.recipe_sections import NetworkSection

__all__ = ["BUILDERS", "Interface", "Network", "build", "register_layers"]

BUILDERS: dict[str, Callable[[Any, Interface], Network]] = {
    "stacked_lstm": build_stacked_lstm,
    "deep_lstm": build_deep_lstm,
    "bidirectional": build_bidirectional,
    "attention_multitask": build_attention_multitask,
}


def build(
    section: NetworkSection,
    window: int,
    features: int,
    *,
    outputs: int = 1,
    activation: str = "linear",
    rolling: bool = False,
) -> Network:
    """An untrained, uncompiled network from windows [n, window, features] to numbers [n, outputs].

    Args:
        section: The kind of network and its sizes.
        window: Rows of an input.
        features: Columns of an input.
        outputs: Numbers that come out; attention_multitask has six.
        activation: Of the last layer; attention_multitask has its own.
        rolling: Standardize each window by its own mean and deviation first.

    Raises:
        ModelError: The kind is no network, or it cannot have so many outputs.
    """
    if section.kind not in BUILDERS:
        raise ModelError(f"a {section.kind} is not a network (known: {', '.join(sorted(BUILDERS))})")
    return BUILDERS[section.kind](section, Interface(window, features, outputs, activation, rolling))


def register_layers() -> None:
    """Let ``keras.models.load_model`` read networks that another process has stored: it must know our layers."""
    attention_class()
    rolling_class()
