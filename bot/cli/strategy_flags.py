"""``--strategy`` and ``--set`` of a backtest: which strategy, with which parameters, for which symbol.

``--strategy NAME@SYMBOL`` and ``--set KEY@SYMBOL=VALUE`` speak of one symbol (or of several, separated by commas); without
``@`` of every symbol that has no strategy of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.core.market import Symbol
    from bot.settings.model import StrategySettings
    from strategies.symbols import StrategyChoice

Entry: TypeAlias = dict[str, Any]
"""What is said of one symbol: ``name``, ``parameter_set`` and ``parameters``."""


def told_strategies(
    told: StrategySettings,
    texts: Sequence[str],
    parameters: Mapping[str, Any],
    symbols: Sequence[Symbol],
) -> StrategySettings:
    """The settings' strategies with those of the flags over them.

    A flag that names another strategy starts from that one's defaults; one that names the same keeps its parameters.

    Args:
        told: What the settings say.
        texts: ``NAME`` or ``NAME@SYMBOL`` of each ``--strategy``.
        parameters: Values by ``KEY`` or ``KEY@SYMBOL`` of each ``--set``.
        symbols: Those that are traded.

    Raises:
        UsageError: Two strategies claim one symbol, a symbol is not traded, or a flag reaches no symbol.
        ConfigError: A parameter is no plain value.
    """
    from bot.settings.model import SymbolStrategySettings

    rest, named = _split_names(texts, symbols)
    common, single = _split_parameters(parameters, symbols)
    own: dict[Symbol, Entry] = {name: entry.model_dump() for name, entry in told.by_symbol.items()}
    own |= {symbol: _named(told, symbol, name) for symbol, name in named.items()}
    for symbol, values in single.items():
        entry = own.setdefault(symbol, {"name": None, "parameter_set": None, "parameters": {}})
        entry["parameters"] = {**entry["parameters"], **values}
    if all(own.get(symbol, {}).get("name") for symbol in symbols):
        _refuse_unheard(rest, common, symbols)
    same = rest is None or _is_same(rest, told.name)
    return told.model_copy(
        update={
            "name": rest or told.name,
            "parameter_set": told.parameter_set if same else "default",
            "parameters": {**(told.parameters if same else {}), **common},
            "by_symbol": {name: SymbolStrategySettings(**entry) for name, entry in own.items()},
        }
    )


def shown_strategies(choices: Mapping[Symbol, StrategyChoice]) -> str:
    """The strategies for people: one by its name, several with the symbols of each."""
    groups: dict[str, list[Symbol]] = {}
    for symbol, choice in choices.items():
        groups.setdefault(choice.shown, []).append(symbol)
    if len(groups) == 1:
        return next(iter(groups))
    return ", ".join(f"{name}@{','.join(symbols)}" for name, symbols in groups.items())


def _named(told: StrategySettings, symbol: Symbol, name: str) -> Entry:
    """A symbol's own strategy by flag; the parameters that the settings give the same strategy stay."""
    from strategies.symbols import symbol_choices

    before = symbol_choices(told, [symbol])[symbol]
    same = _is_same(name, before.name)
    return {
        "name": name,
        "parameter_set": before.parameter_set if same else None,
        "parameters": dict(before.parameters) if same else {},
    }


def _is_same(one: str, other: str) -> bool:
    """Whether two names are of one strategy; a set after the colon makes no other one."""
    from strategies import STRATEGIES

    plain = one.partition(":")[0]
    return one == other or (plain in STRATEGIES and plain == other.partition(":")[0])


def _split_names(texts: Sequence[str], symbols: Sequence[Symbol]) -> tuple[str | None, dict[Symbol, str]]:
    """The strategy without ``@``, and those of named symbols."""
    rest: str | None = None
    own: dict[Symbol, str] = {}
    for text in texts:
        name, at, where = text.partition("@")
        if not name.strip():
            raise UsageError(f"--strategy {text}: write NAME or NAME@SYMBOL")
        if not at:
            if rest is not None:
                raise UsageError(
                    f"--strategy {rest} and --strategy {text} both claim every symbol; a symbol has one position and so "
                    "one strategy: write NAME@SYMBOL"
                )
            rest = text
        for symbol in _symbols(f"--strategy {text}", where, symbols) if at else ():
            if symbol in own:
                raise UsageError(
                    f"--strategy {own[symbol]} and --strategy {name} both claim {symbol}; a symbol has one position and so "
                    "one strategy"
                )
            own[symbol] = name
    return rest, own


def _split_parameters(
    parameters: Mapping[str, Any], symbols: Sequence[Symbol]
) -> tuple[dict[str, Any], dict[Symbol, dict[str, Any]]]:
    """Parameters without ``@``, and those of named symbols."""
    common: dict[str, Any] = {}
    own: dict[Symbol, dict[str, Any]] = {}
    for key, value in parameters.items():
        name, at, where = key.partition("@")
        if not at:
            common[key] = value
            continue
        for symbol in _symbols(f"--set {key}", where, symbols):
            values = own.setdefault(symbol, {})
            if name in values:
                raise UsageError(f"--set {name}@{symbol} is given twice")
            values[name] = value
    return common, own


def _symbols(flag: str, where: str, traded: Sequence[Symbol]) -> list[Symbol]:
    """The symbols after an ``@``."""
    found = [word.strip() for word in where.split(",") if word.strip()]
    if not found:
        raise UsageError(f"{flag}: say which symbol after the @")
    for symbol in found:
        if symbol not in traded:
            raise UsageError(f"{flag}: {symbol} is not traded here; there is {', '.join(traded)}")
    return found


def _refuse_unheard(rest: str | None, common: Mapping[str, Any], symbols: Sequence[Symbol]) -> None:
    """A flag without ``@`` must reach a symbol."""
    if rest is not None:
        raise UsageError(f"--strategy {rest} would trade nothing: each symbol has a strategy of its own")
    if common:
        key = next(iter(common))
        raise UsageError(
            f"--set {key} reaches no symbol: each has a strategy of its own; write --set {key}@{symbols[0]}=VALUE"
        )
