"""Strategies by name: predictions in, signals out. A user's own is named by dotted path."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from bot.core.market import Symbol
from bot.core.signal import Strategy
from bot.errors import ConfigError
from strategies.lstm_scalping import PARAMETER_SETS, LstmScalping, ScalpingParameters

STRATEGIES = ("lstm_scalping",)
"""The names of the strategies that come with the bot."""


def strategy_factory(
    name: str, *, parameter_set: str = "default", overrides: Mapping[str, Any] | None = None
) -> Callable[[Symbol], Strategy]:
    """A function that makes the strategy for one symbol.

    Args:
        name: ``lstm_scalping``, ``lstm_scalping:aggressive`` (a parameter set), or the dotted path of a user's
            own factory, ``package.module:make``, which is called with the symbol and the overrides as keywords.
        parameter_set: default, aggressive or conservative, where the name does not say.
        overrides: Parameters by name.

    Raises:
        ConfigError: No such strategy, parameter set or parameter, or a value that is out of range.
    """
    values = dict(overrides or {})
    if name.partition(":")[0] in STRATEGIES:
        chosen = name.partition(":")[2] or parameter_set
        parameters = ScalpingParameters.of(chosen, values)
        return lambda symbol: LstmScalping(symbol, parameters)
    factory = _user_factory(name)
    try:
        factory("BTC/USDT", **values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"strategy {name} does not take these parameters: {error}") from error
    return lambda symbol: factory(symbol, **values)


def _user_factory(path: str) -> Callable[..., Strategy]:
    """The factory behind ``package.module:name``."""
    module_name, _, attribute = path.partition(":")
    known = ", ".join(STRATEGIES)
    if not attribute:
        raise ConfigError(
            f"there is no strategy {path!r}: use one of {known}, or your own as package.module:name"
        )
    try:
        module = importlib.import_module(module_name)
        factory: Callable[..., Strategy] = getattr(module, attribute)
    except (ImportError, AttributeError, TypeError, ValueError, SyntaxError, NameError) as error:
        raise ConfigError(f"strategy {path!r} can't be imported: {error}") from error
    return factory


__all__ = ["PARAMETER_SETS", "STRATEGIES", "LstmScalping", "ScalpingParameters", "strategy_factory"]
