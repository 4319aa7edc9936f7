"""From the flags of ``bot backtest`` and ``bot verify-parity`` to what a backtest is fed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.errors import DataError, UsageError

if TYPE_CHECKING:
    from backtests.inputs import BacktestInput, PredictionColumns
    from backtests.results import BacktestResult
    from bot.core.market import Symbol
    from bot.core.signal import Strategy
    from bot.settings.model import Settings
    from models.candle_arrays import CandleArrays
    from strategies.symbols import StrategyChoice

RUN_ID = "bt"
"""Part of every order id: the same in every backtest, so that the same orders have the same ids."""

SETTING_SECTIONS = ("costs", "risk", "sizing", "entry", "account")
"""Sections of the settings that ``--set`` reaches; everything else is a parameter of the strategy."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The flags that decide what is run.

    Attributes:
        tapes: ``PATH`` or ``SYMBOL=PATH`` of each candle file.
        symbols: Symbols out of the candle store, in place of tapes.
        exchange: Whose candles of the store.
        store: Folder of the store.
        since: Start, as written.
        until: End, not included, as written.
        model: Name of a model.
        predictions: A file of predictions.
        seed: Random predictions in place of both.
        models_root: Folder of models.
        batch: Windows an inference.
        strategy: ``name``, ``name:set`` or ``package.module:factory``, with ``@SYMBOL`` for one symbol; one text or several;
            None is that of the settings.
        changes: ``key=value`` pairs; ``key@SYMBOL=value`` is a parameter for one symbol.
        configs: Settings files.
        funding: Files of funding rates.
        rules: File of trading rules.
        starting_cash: Quote currency.
    """

    tapes: Sequence[str] = ()
    symbols: Sequence[str] = ()
    exchange: str = "binanceusdm"
    store: Path | None = None
    since: str | None = None
    until: str | None = None
    model: str | None = None
    predictions: Path | None = None
    seed: int | None = None
    models_root: Path | None = None
    batch: int = 256
    strategy: str | Sequence[str] | None = None
    changes: Sequence[str] = ()
    configs: Sequence[Path] = ()
    funding: Sequence[str] = ()
    rules: Path | None = None
    starting_cash: float | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A backtest that is ready to run.

    Attributes:
        data: Candles, predictions, rules.
        settings: Of which ``data.config`` was made, the chosen strategy included.
        strategy: The strategy's name for people.
        parameters: Those that differ from its set.
        choices: The strategy of each symbol.
        warnings: About the data, in words.
        model_folder: Where the predictions come from a model.
        further: What the summary holds besides, by what came of the run; None adds nothing.
    """

    data: BacktestInput
    settings: Settings
    strategy: str
    parameters: dict[str, Any]
    warnings: list[str]
    model_folder: Path | None = None
    choices: Mapping[Symbol, StrategyChoice] = field(default_factory=dict)
    further: Callable[[BacktestResult], dict[str, Any]] | None = None


def prepare(wishes: Wishes) -> Prepared:
    """Read everything and put it together.

    Raises:
        UsageError: Flags that contradict each other, or a date that can't be read.
        ConfigError: An unknown setting, strategy or parameter, or a value out of range.
        DataError: Candles, predictions or funding rates are refused.
        ModelError: The model is refused.
    """
    from bot.cli.backtest_predictions import model_folder_of, predictions_of

    # The strategy is checked first: a wrong parameter shall not wait for a year of candles to be read.
    rules = rules_of(wishes, symbols_of(wishes))
    candles = candles_of(wishes)
    predictions, warnings = predictions_of(wishes, candles)
    folder = model_folder_of(wishes) if wishes.predictions is None and wishes.seed is None else None
    return _assembled(wishes, rules, candles, predictions, warnings, folder)


def prepare_on(
    wishes: Wishes,
    candles: Mapping[Symbol, CandleArrays],
    predictions: Mapping[Symbol, PredictionColumns] | None = None,
) -> Prepared:
    """A backtest on candles that are read already, with the predictions given; the errors are those of ``prepare``."""
    return _assembled(wishes, rules_of(wishes, tuple(candles)), candles, predictions or {}, [], None)


class Rules(NamedTuple):
    """What a run is played by.

    Attributes:
        settings: With the strategies that were chosen.
        choices: The strategy of each symbol.
        make_strategy: Makes it.
    """

    settings: Settings
    choices: dict[Symbol, StrategyChoice]
    make_strategy: Callable[[Symbol], Strategy]


def rules_of(wishes: Wishes, symbols: Sequence[Symbol]) -> Rules:
    """Settings and strategies for some symbols.

    Raises:
        UsageError: Flags that contradict each other.
        ConfigError: An unknown setting, strategy or parameter, or a value out of range.
    """
    overrides, parameters = split_changes(wishes.changes)
    return rules_under(settings_of(wishes, overrides), wishes, parameters, symbols)


def rules_under(
    settings: Settings, wishes: Wishes, parameters: Mapping[str, Any], symbols: Sequence[Symbol]
) -> Rules:
    """The same for settings that are read already, and the strategy's parameters; the errors are those of ``rules_of``."""
    from bot.cli.strategy_flags import told_strategies
    from strategies import factory_by_symbol, symbol_choices

    texts = [wishes.strategy] if isinstance(wishes.strategy, str) else wishes.strategy or ()
    chosen = told_strategies(settings.strategy, texts, parameters, symbols)
    choices = symbol_choices(chosen, symbols)
    return Rules(settings.model_copy(update={"strategy": chosen}), choices, factory_by_symbol(choices))


def symbols_of(wishes: Wishes) -> tuple[Symbol, ...]:
    """The symbols that will be traded, in the order of the flags, before a candle of them is read."""
    from bot.candles.store import parse_tape

    if bool(wishes.tapes) == bool(wishes.symbols):
        raise UsageError(
            "say which candles: --candles FILE, or --symbol with --from and --to for stored ones"
        )
    named = [parse_tape(tape)[0] for tape in wishes.tapes] or list(wishes.symbols)
    doubled = next((name for name in wishes.symbols if named.count(name) > 1), None)
    if doubled is not None:
        raise UsageError(f"--symbol {doubled} is given twice")
    return tuple(dict.fromkeys(named))


def _assembled(
    wishes: Wishes,
    rules: Rules,
    candles: Mapping[Symbol, CandleArrays],
    predictions: Mapping[Symbol, PredictionColumns],
    warnings: list[str],
    folder: Path | None,
) -> Prepared:
    """Rules, candles and predictions put together."""
    from backtests.cautions import hole_warnings
    from backtests.inputs import BacktestInput
    from backtests.side_files import instruments_of, read_funding
    from bot.cli.strategy_flags import shown_strategies
    from bot.core.engine_config import EngineConfig

    settings = rules.settings
    costs = settings.costs.to_core()
    funding, more = read_funding(wishes.funding, candles, costs.funding_rate)
    config = EngineConfig(
        run_id=RUN_ID,
        instruments=instruments_of(candles, wishes.rules),
        costs=costs,
        limits=settings.risk.to_core(),
        sizing=settings.sizing.to_core(),
        starting_cash=settings.account.starting_cash,
        entry=settings.entry.to_core(),
    )
    data = BacktestInput(candles, predictions, config, rules.make_strategy, funding)
    parameters = dict(settings.strategy.parameters)
    first, *others = rules.choices.values()
    if all(choice == first for choice in others):
        parameters = dict(first.parameters)
    shown = shown_strategies(rules.choices)
    return Prepared(
        data, settings, shown, parameters, [*warnings, *hole_warnings(data), *more], folder, rules.choices
    )


def split_changes(changes: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort ``key=value`` pairs into settings by dotted name and parameters of the strategy.

    Raises:
        UsageError: A text without ``=``, or a key that comes twice.
    """
    settings: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        key = key.strip()
        if not equals or not key or not value.strip():
            raise UsageError(f"--set {change}: write KEY=VALUE, such as strategy.threshold=0.001")
        section = key.partition(".")[0]
        into, name = settings, key
        if section == "strategy" or "." not in key:
            into, name = parameters, key.removeprefix("strategy.")
        if name in into:
            raise UsageError(f"--set {name} is given twice")
        into[name] = value.strip()
    for name in settings:
        if name.partition(".")[0] not in SETTING_SECTIONS:
            raise UsageError(f"--set {name}: it may begin with strategy., {', '.join(SETTING_SECTIONS)}")
        if "@" in name:
            raise UsageError(
                f"--set {name}: only a parameter of a strategy can be for one symbol; the account and its costs are one"
            )
    return settings, parameters


def settings_of(wishes: Wishes, overrides: Mapping[str, Any]) -> Settings:
    """The settings of a backtest: those of files and environment, with some values replaced.

    Raises:
        ConfigError: One of them is unknown or out of range.
    """
    from bot.settings import load_settings

    values = {**overrides, "mode": "paper"}  # the past needs no keys, whatever the files say
    if wishes.starting_cash is not None:
        values["account.starting_cash"] = wishes.starting_cash
    return load_settings(wishes.configs, values)


def candles_of(wishes: Wishes) -> dict[Symbol, CandleArrays]:
    """Candles by symbol, from files or from the store."""
    from bot.cli.train import read_series

    if wishes.tapes:
        return read_series(list(wishes.tapes), wishes.since, wishes.until)
    from bot.candles.columns import LATEST_TS
    from bot.candles.store import CandleStore
    from bot.cli.data import default_store_root
    from bot.cli.train import moment_ms

    since_ms = moment_ms("--from", wishes.since, 0)
    until_ms = moment_ms("--to", wishes.until, LATEST_TS)
    if until_ms <= since_ms:
        raise UsageError(f"--to {wishes.until} is not after --from {wishes.since}")
    store = CandleStore(wishes.store or default_store_root())
    found = {
        symbol: store.read(wishes.exchange, symbol, since_ms, until_ms)
        for symbol in dict.fromkeys(wishes.symbols)
    }
    for symbol, arrays in found.items():
        if not len(arrays):
            raise DataError(
                f"{symbol} of {wishes.exchange}: the store {store.root} holds no candles of that time; "
                "`bot data list` shows what there is"
            )
    return found
