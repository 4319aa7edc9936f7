"""Which strategy trades which symbol of an account.

The core holds one position of a symbol, so each symbol has one strategy. The daemon and the backtest ask here, and so
decide alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from bot.core.market import Symbol
from bot.core.signal import Strategy
from bot.errors import ConfigError
from strategies.factory import STRATEGIES, StrategyFactory, strategy_factory


class StrategyChoice(NamedTuple):
    """A strategy with its parameters.

    Attributes:
        name: As ``strategy_factory`` takes it.
        parameter_set: Where the name does not say.
        parameters: Single ones in place of those of the set.
    """

    name: str
    parameter_set: str
    parameters: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """What people call it: ``lstm_scalping:aggressive``, ``momentum:make``."""
        return self.name if ":" in self.name else f"{self.name}:{self.parameter_set}"


class OwnStrategy(Protocol):
    """What settings say of one symbol; None is not said."""

    @property
    def name(self) -> str | None:
        """Of the strategy."""

    @property
    def parameter_set(self) -> str | None:
        """Its set."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Single ones."""


class ChosenStrategies(Protocol):
    """What settings say of strategies."""

    @property
    def name(self) -> str:
        """Of the strategy of every symbol without its own."""

    @property
    def parameter_set(self) -> str:
        """Its set."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Single ones."""

    @property
    def by_symbol(self) -> Mapping[Symbol, OwnStrategy]:
        """Symbols with a strategy of their own."""


def symbol_choices(chosen: ChosenStrategies, symbols: Iterable[Symbol]) -> dict[Symbol, StrategyChoice]:
    """The strategy of each symbol, in the order given.

    A symbol's own entry that names a strategy starts from that strategy's defaults. One without a name changes the
    strategy of the rest: its set if one is told, and single parameters.
    """
    rest = StrategyChoice(chosen.name, chosen.parameter_set, chosen.parameters)
    return {symbol: _own(rest, chosen.by_symbol.get(symbol)) for symbol in symbols}


def _own(rest: StrategyChoice, told: OwnStrategy | None) -> StrategyChoice:
    """The choice for one symbol."""
    if told is None:
        return rest
    if told.name is not None:
        return StrategyChoice(told.name, told.parameter_set or "default", told.parameters)
    plain = rest.name.partition(":")[0]
    # A set of its own takes the place of one that is part of the name.
    name = plain if told.parameter_set is not None and plain in STRATEGIES else rest.name
    return StrategyChoice(
        name, told.parameter_set or rest.parameter_set, {**rest.parameters, **told.parameters}
    )


def factory_by_symbol(choices: Mapping[Symbol, StrategyChoice]) -> StrategyFactory:
    """A function that makes the strategy of each of these symbols; it can be pickled.

    Raises:
        ConfigError: A strategy, set or parameter that there is not; where symbols differ it names the symbol.
    """
    made: dict[Symbol, StrategyFactory] = {}
    alike = all(choice == first for choice in choices.values()) if (first := _first(choices)) else False
    for symbol, choice in choices.items():
        try:
            made[symbol] = strategy_factory(
                choice.name, parameter_set=choice.parameter_set, overrides=choice.parameters
            )
        except ConfigError as error:
            raise ConfigError(str(error) if alike else f"{symbol}: {error}") from error
    return _BySymbol(made)


def _first(choices: Mapping[Symbol, StrategyChoice]) -> StrategyChoice | None:
    return next(iter(choices.values()), None)


@dataclass(frozen=True, slots=True)
class _BySymbol:
    """Asks the factory of a symbol."""

    factories: Mapping[Symbol, StrategyFactory]

    def __call__(self, symbol: Symbol) -> Strategy:
        factory = self.factories.get(symbol)
        if factory is None:
            raise ConfigError(f"no strategy is chosen for {symbol}")
        return factory(symbol)
