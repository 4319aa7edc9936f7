"""From a strategy's name and parameters to what makes it for a symbol."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from bot.core.market import Symbol
from bot.core.signal import Strategy
from bot.errors import ConfigError
from strategies.forecast_hold import HOLD_SETS, ForecastHold, HoldParameters
from strategies.lstm_scalping import PARAMETER_SETS, LstmScalping, ScalpingParameters

StrategyFactory: TypeAlias = Callable[[Symbol], Strategy]


class _BuiltIn(NamedTuple):
    """A strategy that comes with the bot: its class, its parameters by set and overrides, the names of its sets."""

    make: Callable[[Symbol, Any], Strategy]
    parameters_of: Callable[[str, Mapping[str, Any]], Any]
    sets: tuple[str, ...]


_BUILT_IN: Final[Mapping[str, _BuiltIn]] = {
    "lstm_scalping": _BuiltIn(LstmScalping, ScalpingParameters.of, tuple(PARAMETER_SETS)),
    "forecast_hold": _BuiltIn(ForecastHold, HoldParameters.of, tuple(HOLD_SETS)),
}

STRATEGIES: Final = tuple(_BUILT_IN)
"""The names of the strategies that come with the bot."""


@dataclass(frozen=True, slots=True)
class _BuiltInFactory:
    """Makes a strategy that comes with the bot; an object and no closure, so that it can go to another process."""

    name: str
    parameters: Any

    def __call__(self, symbol: Symbol) -> Strategy:
        return _BUILT_IN[self.name].make(symbol, self.parameters)


@dataclass(frozen=True, slots=True)
class _UserFactory:
    """Makes a user's own strategy, likewise; the module is found anew by the process that calls it."""

    path: str
    values: Mapping[str, Any]

    def __call__(self, symbol: Symbol) -> Strategy:
        return _user_factory(self.path)(symbol, **self.values)


def strategy_factory(
    name: str, *, parameter_set: str = "default", overrides: Mapping[str, Any] | None = None
) -> StrategyFactory:
    """A function that makes the strategy for one symbol; it can be pickled.

    Args:
        name: One of ``STRATEGIES``, ``lstm_scalping:aggressive`` (a parameter set), or the dotted path of a user's
            own factory, ``package.module:make``, which is called with the symbol and the overrides as keywords.
        parameter_set: Where the name does not say.
        overrides: Parameters by name.

    Raises:
        ConfigError: No such strategy, parameter set or parameter, or a value that is out of range.
    """
    values = dict(overrides or {})
    plain, _, chosen = name.partition(":")
    if plain in _BUILT_IN:
        return _BuiltInFactory(plain, _BUILT_IN[plain].parameters_of(chosen or parameter_set, values))
    factory = _user_factory(name)
    try:
        factory("BTC/USDT", **values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"strategy {name} does not take these parameters: {error}") from error
    return _UserFactory(name, values)


def built_in_sets() -> tuple[str, ...]:
    """Every parameter set of every strategy that comes with the bot, as ``name:set``."""
    return tuple(f"{name}:{chosen}" for name, built_in in _BUILT_IN.items() for chosen in built_in.sets)


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
