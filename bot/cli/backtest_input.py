"""From the flags of ``bot backtest`` and ``bot verify-parity`` to what a backtest is fed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.errors import DataError, UsageError

if TYPE_CHECKING:
    from backtests.inputs import BacktestInput, PredictionColumns
    from bot.core.market import Symbol
    from bot.core.signal import Strategy
    from bot.settings.model import Settings
    from models.candle_arrays import CandleArrays
    from models.passport import ModelPassport

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
        strategy: ``name``, ``name:set`` or ``package.module:factory``; None is that of the settings.
        changes: ``key=value`` pairs.
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
    strategy: str | None = None
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
        warnings: About the data, in words.
        model_folder: Where the predictions come from a model.
    """

    data: BacktestInput
    settings: Settings
    strategy: str
    parameters: dict[str, Any]
    warnings: list[str]
    model_folder: Path | None = None


def prepare(wishes: Wishes) -> Prepared:
    """Read everything and put it together.

    Raises:
        UsageError: Flags that contradict each other, or a date that can't be read.
        ConfigError: An unknown setting, strategy or parameter, or a value out of range.
        DataError: Candles, predictions or funding rates are refused.
        ModelError: The model is refused.
    """
    # The strategy is checked first: a wrong parameter shall not wait for a year of candles to be read.
    rules = _rules(wishes)
    candles = _candles(wishes)
    predictions, warnings = _predictions(wishes, candles)
    folder = _model_folder(wishes) if wishes.predictions is None and wishes.seed is None else None
    return _assembled(wishes, rules, candles, predictions, warnings, folder)


def prepare_on(wishes: Wishes, candles: Mapping[Symbol, CandleArrays]) -> Prepared:
    """A backtest on candles that are read already, without predictions; the errors are those of ``prepare``."""
    return _assembled(wishes, _rules(wishes), candles, {}, [], None)


class _Rules(NamedTuple):
    """What a run is played by."""

    settings: Settings
    name: str
    parameter_set: str
    parameters: dict[str, Any]
    make_strategy: Callable[[Symbol], Strategy]


def _rules(wishes: Wishes) -> _Rules:
    from strategies import strategy_factory

    overrides, parameters = split_changes(wishes.changes)
    settings = _settings(wishes, overrides)
    name, parameter_set, parameters = _strategy(wishes, settings, parameters)
    factory = strategy_factory(name, parameter_set=parameter_set, overrides=parameters)
    return _Rules(settings, name, parameter_set, parameters, factory)


def _assembled(
    wishes: Wishes,
    rules: _Rules,
    candles: Mapping[Symbol, CandleArrays],
    predictions: Mapping[Symbol, PredictionColumns],
    warnings: list[str],
    folder: Path | None,
) -> Prepared:
    """Rules, candles and predictions put together."""
    from backtests.inputs import BacktestInput
    from backtests.side_files import instruments_of, read_funding
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
    shown = rules.name if ":" in rules.name else f"{rules.name}:{rules.parameter_set}"
    chosen = {"name": rules.name, "parameter_set": rules.parameter_set, "parameters": rules.parameters}
    settings = settings.model_copy(update={"strategy": settings.strategy.model_copy(update=chosen)})
    return Prepared(data, settings, shown, rules.parameters, [*warnings, *more], folder)


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
    return settings, parameters


def _settings(wishes: Wishes, overrides: Mapping[str, Any]) -> Settings:
    from bot.settings import load_settings

    values = {**overrides, "mode": "paper"}  # the past needs no keys, whatever the files say
    if wishes.starting_cash is not None:
        values["account.starting_cash"] = wishes.starting_cash
    return load_settings(wishes.configs, values)


def _strategy(
    wishes: Wishes, settings: Settings, parameters: Mapping[str, Any]
) -> tuple[str, str, dict[str, Any]]:
    """Name, parameter set and parameters: flags over settings; another strategy starts from its own defaults."""
    told = settings.strategy
    if wishes.strategy is None:
        return told.name, told.parameter_set, {**told.parameters, **parameters}
    same = wishes.strategy.partition(":")[0] == told.name
    return (
        wishes.strategy,
        told.parameter_set if same else "default",
        {**(told.parameters if same else {}), **parameters},
    )


def _candles(wishes: Wishes) -> dict[Symbol, CandleArrays]:
    """Candles by symbol, from files or from the store."""
    from bot.cli.train import read_series

    if bool(wishes.tapes) == bool(wishes.symbols):
        raise UsageError(
            "say which candles: --candles FILE, or --symbol with --from and --to for stored ones"
        )
    if wishes.tapes:
        return read_series(list(wishes.tapes), wishes.since, wishes.until)
    from bot.candles.columns import LATEST_TS
    from bot.candles.store import CandleStore
    from bot.cli.data import default_store_root
    from bot.cli.train import moment_ms

    since_ms = moment_ms("--from", wishes.since, 0)
    until_ms = moment_ms("--to", wishes.until, LATEST_TS)
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


def _predictions(
    wishes: Wishes, candles: Mapping[Symbol, CandleArrays]
) -> tuple[dict[Symbol, PredictionColumns], list[str]]:
    """Predictions by symbol: of a file, a seed, or a model (the champion or latest when nothing is said)."""
    given = [wishes.model is not None, wishes.predictions is not None, wishes.seed is not None]
    if sum(given) > 1:
        raise UsageError("give one of --model, --predictions and --seed")
    if wishes.predictions is not None:
        from backtests.predictions_file import read_predictions

        matched = read_predictions(wishes.predictions, candles)
        return matched.columns, list(matched.warnings)
    if wishes.seed is not None:
        from backtests.seeded import seeded_predictions

        made = {symbol: seeded_predictions(symbol, arrays, wishes.seed) for symbol, arrays in candles.items()}
        return made, [f"predictions are random numbers of seed {wishes.seed}: no model was asked"]
    return _inferred(wishes, candles)


def _model_folder(wishes: Wishes) -> Path:
    from bot.cli.train import default_models_root
    from models.registry import resolve

    return resolve(wishes.models_root or default_models_root(), wishes.model)


def _inferred(
    wishes: Wishes, candles: Mapping[Symbol, CandleArrays]
) -> tuple[dict[Symbol, PredictionColumns], list[str]]:
    from backtests.inputs import PredictionColumns
    from bot.inference import forecast_series
    from models.forecaster import load_forecaster

    forecaster = load_forecaster(_model_folder(wishes), threads=1 if wishes.batch == 1 else 2)
    found: dict[Symbol, PredictionColumns] = {}
    warnings: list[str] = []
    for symbol, arrays in candles.items():
        series = forecast_series(forecaster, symbol, arrays, batch=wishes.batch)
        if not len(series.ts):
            warnings.append(f"{symbol} has no stretch of candles long enough for a prediction")
        if series.abstained:
            warnings.append(
                f"the model abstained in {series.abstained} of {len(series.ts) + series.abstained} minutes of "
                f"{symbol}: more than 1 % of the window lay beyond what was seen in training"
            )
        found[symbol] = PredictionColumns(
            ts=series.ts,
            expected_return=series.expected_return,
            model_id=series.model_id,
            horizon_minutes=series.horizon_minutes,
            probability_up=series.probability_up,
            raw=series.raw,
            uncertainty=series.uncertainty,
            volatility=series.volatility,
        )
    return found, warnings + _seen_in_training(forecaster.passport, candles)


def _seen_in_training(passport: ModelPassport, candles: Mapping[Symbol, CandleArrays]) -> list[str]:
    """Say which candles lie in the time that training, early stopping and calibration saw."""
    ranges = [bounds for name, bounds in passport.ranges.items() if name != "test"]
    if not ranges:
        return []
    since, until = min(bounds[0] for bounds in ranges), max(bounds[1] for bounds in ranges)
    warnings = []
    for symbol, arrays in candles.items():
        seen = int(((arrays.ts >= since) & (arrays.ts < until)).sum())
        if seen:
            warnings.append(
                f"{seen} of {len(arrays)} candles of {symbol} are from the time that the model was made from: "
                "their result is a fit, not a forecast"
            )
    return warnings
