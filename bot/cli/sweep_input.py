"""From the flags of ``bot sweep`` to its ground, its rule, and each point as a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bot.cli.backtest_input import (
    SETTING_SECTIONS,
    Wishes,
    prepare,
    rules_under,
    settings_of,
    split_changes,
    symbols_of,
)
from bot.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from backtests.inputs import BacktestInput
    from backtests.sweep_blocks import Block
    from backtests.sweep_folds import Rule
    from backtests.sweep_point import Ground, PointJob
    from backtests.sweep_space import Dimension, Point
    from backtests.sweep_table import Objective
    from bot.cli.backtest_input import Prepared, Rules
    from bot.core.engine_config import EngineConfig
    from bot.settings.model import Settings

Engine = Literal["auto", "kernel", "fast"]

_NOT_VARIED = ("account", "costs.funding_rate")
"""What all points share: returns are of the same cash, and funding is part of the tape."""


@dataclass(frozen=True, slots=True)
class SweepWishes:
    """What is asked for beside the backtest's own flags.

    Attributes:
        objective: What a choice looks at.
        folds: Out-of-sample parts.
        least_trades: A point with fewer in sample is not chosen.
        engine: Which engine; ``auto`` takes the compiled kernel where it can.
    """

    objective: Objective
    folds: int
    least_trades: int
    engine: Engine


@dataclass(frozen=True, slots=True)
class SweepInput:
    """A sweep that is ready to run.

    Attributes:
        prepared: The backtest that its points are variations of.
        ground: What they share.
        rule: How they are judged.
        job_of: A point as a job.
        why_exact: Why the exact core runs them; None where the kernel does, or nobody asked for it.
        data_digest: SHA-256 of the candles.
        said_digest: SHA-256 of the predictions.
    """

    prepared: Prepared
    ground: Ground
    rule: Rule
    job_of: Callable[[Point], PointJob]
    why_exact: str | None
    data_digest: str
    said_digest: str


def sweep_input(wishes: Wishes, space: Sequence[Dimension], asked: SweepWishes) -> SweepInput:
    """Read everything, and try every value of the lists and both ends of the spans once.

    Raises:
        UsageError: Flags that contradict each other, or something is varied that cannot be.
        ConfigError: An unknown setting or parameter, a value out of range, or the kernel cannot run it.
        DataError: Candles, predictions or funding rates are refused, or are too few for so many folds.
        ModelError: The model is refused.
    """
    from backtests.sweep_blocks import cut_into_blocks
    from backtests.sweep_store import predictions_digest
    from models.hashing import data_digest

    _check_space(wishes, space)
    reader = _Reader(wishes)
    _check_values(reader, space)
    prepared = prepare(wishes)
    data = prepared.data
    blocks = cut_into_blocks(data.candles, asked.folds)
    ground, why = _ground(data, blocks, asked.engine)
    return SweepInput(
        prepared=prepared if ground.tape is None else replace(prepared, data=_first_rows(data)),
        ground=ground,
        rule=_rule(prepared, asked),
        job_of=_job_maker(reader, data.config),
        why_exact=why,
        data_digest=data_digest(data.candles),
        said_digest=predictions_digest(data.predictions),
    )


def changed(wishes: Wishes, point: Point) -> Wishes:
    """The wishes of one point."""
    return replace(wishes, changes=[*wishes.changes, *(f"{name}={value}" for name, value in point.items())])


def _check_space(wishes: Wishes, space: Sequence[Dimension]) -> None:
    """Refuse to vary what is set, or what all points share."""
    settings, parameters = split_changes(wishes.changes)
    for one in space:
        if one.name in settings or one.name in parameters:
            raise UsageError(f"--set {one.name} and --vary {one.name}: give one of them")
        section = one.name.partition(".")[0]
        if "." in one.name and "@" not in one.name and section not in SETTING_SECTIONS:
            raise UsageError(
                f"--vary {one.name}: it may begin with strategy., {', '.join(SETTING_SECTIONS)}, or name a parameter"
            )
        if one.name in _NOT_VARIED or section in _NOT_VARIED:
            raise UsageError(f"--vary {one.name}: all points share it")


class _Reader:
    """The rules of points; settings are read again only where a point changes them."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._symbols = symbols_of(wishes)
        self._read: dict[str, Settings] = {}

    def rules(self, point: Point) -> Rules:
        """Those of one point.

        Raises:
            ConfigError: It sets something that cannot be.
        """
        overrides, parameters = split_changes(changed(self._wishes, point).changes)
        key = repr(sorted(overrides.items()))
        if key not in self._read:
            self._read[key] = settings_of(self._wishes, overrides)
        return rules_under(self._read[key], self._wishes, parameters, self._symbols)


def _check_values(reader: _Reader, space: Sequence[Dimension]) -> None:
    """Each value by itself: a mistake shall not wait for a year of candles."""
    from backtests.sweep_space import Listed

    reader.rules({})
    for one in space:
        ends = (one.low, one.high) if not isinstance(one, Listed) else ()
        texts = one.values if isinstance(one, Listed) else [_written(end, whole=one.whole) for end in ends]
        refused: list[ConfigError] = []
        for text in texts:
            try:
                reader.rules({one.name: text})
            except ConfigError as fault:
                refused.append(fault)
        # One that goes with some other value may still be: what cannot be at all is refused here.
        if len(refused) == len(texts):
            raise refused[0]


def _written(value: float, *, whole: bool) -> str:
    return str(int(value)) if whole else f"{value:.6g}"


def _ground(data: BacktestInput, blocks: tuple[Block, ...], engine: Engine) -> tuple[Ground, str | None]:
    """What the points share, for the kernel or for the exact core, and why it is the latter."""
    from backtests.kernel_scope import kernel_fault
    from backtests.sweep_point import Ground
    from backtests.sweep_store import ground_digest

    why = None if engine == "fast" else kernel_fault(data)
    if engine == "kernel" and why is not None:
        raise ConfigError(f"the compiled kernel can't run this: {why}; use --engine fast")
    if engine == "fast" or why is not None:
        digest = ground_digest(data, blocks, "fast")
        return Ground(digest, blocks, data.candles, data.predictions, data.funding), why
    from backtests.kernel import KernelTape

    digest = ground_digest(data, blocks, "kernel")
    return Ground(digest, blocks, {}, {}, data.funding, KernelTape.of(data)), None


def _first_rows(data: BacktestInput) -> BacktestInput:
    """What is still asked of the input beside a tape; the rest would stand in memory twice."""
    from copy import deepcopy

    from backtests.sweep_point import predictions_between

    # Copies: a view would keep the whole column alive.
    candles = {symbol: deepcopy(arrays.rows(0, 1)) for symbol, arrays in data.candles.items()}
    predictions = {
        symbol: deepcopy(predictions_between(columns, 0, 0)) for symbol, columns in data.predictions.items()
    }
    return replace(data, candles=candles, predictions=predictions)


def _rule(prepared: Prepared, asked: SweepWishes) -> Rule:
    from backtests.sweep_folds import Rule

    data = prepared.data
    lookback = data.config.window_minutes
    if prepared.model_folder is not None:
        from models.registry import read_verified

        lookback = max(lookback, read_verified(prepared.model_folder)[0].window)
    return Rule(
        objective=asked.objective,
        least_trades=asked.least_trades,
        lookback_minutes=lookback,
        horizon_minutes=max((columns.horizon_minutes for columns in data.predictions.values()), default=0),
    )


def _job_maker(reader: _Reader, base: EngineConfig) -> Callable[[Point], PointJob]:
    """From a point to its job."""
    from backtests.sweep_point import PointJob

    def job_of(point: Point) -> PointJob:
        rules = reader.rules(point)
        return PointJob(_config(rules.settings, base), rules.make_strategy)

    return job_of


def _config(settings: Settings, base: EngineConfig) -> EngineConfig:
    """The rules of a point."""
    return replace(
        base,
        costs=settings.costs.to_core(),
        limits=settings.risk.to_core(),
        sizing=settings.sizing.to_core(),
        entry=settings.entry.to_core(),
    )
