"""One point of a sweep, evaluated: each block traded by the point's parameters, kept day by day.

Whatever the engine, a point leaves the same table, a row for each day of each block; every figure of the sweep is made
of these rows, so that an in-sample part can be cut wherever a fold asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from backtests.inputs import BacktestInput, Floats, PredictionColumns
from backtests.metrics import drawdowns
from backtests.run import run_backtest
from backtests.sweep_blocks import Block, days_of
from bot.clock import monotonic_ns
from bot.core.costs import FundingRates
from bot.core.engine_config import EngineConfig
from bot.core.market import DAY_MS, MINUTE_MS, Symbol
from bot.core.signal import Strategy
from bot.errors import DataError
from models.candle_arrays import CandleArrays

if TYPE_CHECKING:
    from backtests.kernel import KernelTape

Integers: TypeAlias = npt.NDArray[np.int64]

LEAD_MINUTES = 1440
"""Candles before a block that indicators and windows warm up on, without a prediction and so without a trade."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all points of a sweep share.

    Attributes:
        digest: SHA-256 of it, the program included (``ground_digest``).
        blocks: What is traded.
        candles: Of each symbol; none beside a tape, which has them.
        predictions: Of each symbol, made once; none beside a tape.
        funding: Which rate is paid when, unless a point has its own; None takes the constant of the costs.
        tape: What the compiled kernel runs; None for the exact core.
    """

    digest: str
    blocks: tuple[Block, ...]
    candles: Mapping[Symbol, CandleArrays]
    predictions: Mapping[Symbol, PredictionColumns]
    funding: FundingRates | None = None
    tape: KernelTape | None = None

    @property
    def engine(self) -> str:
        """What runs the points."""
        return "fast" if self.tape is None else "kernel"


@dataclass(frozen=True, slots=True)
class PointJob:
    """What is a point's own.

    Attributes:
        config: Rules, costs, limits, money.
        make_strategy: Makes the strategy of one symbol; picklable.
    """

    config: EngineConfig
    make_strategy: Callable[[Symbol], Strategy]


@dataclass(frozen=True, slots=True, eq=False)
class PointFigures:
    """What came of a point, a row for each day of each block, in order; arrays of length D.

    Attributes:
        engine: What ran it.
        bars: Candles traded over, over all symbols.
        seconds: Of computing.
        drawdowns: Greatest fall of the equity within each block, as a fraction.
        returns: float64, return of the day, a fraction of the equity before.
        trades: int64, round trips that ended on the day.
        gain_bps: float64, the sum of their net returns, bps of each one's entry notional.
        wins: int64, how many of them gained.
        held_minutes: float64, the longest holding of a trade that ended on the day; 0 without one.
    """

    engine: str
    bars: int
    seconds: float
    drawdowns: tuple[float, ...]
    returns: Floats
    trades: Integers
    gain_bps: Floats
    wins: Integers
    held_minutes: Floats

    def as_json(self) -> dict[str, Any]:
        """JSON values; floats as they are."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in found.items()
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PointFigures:
        """The inverse.

        Raises:
            DataError: It is something else, or its columns have different lengths.
        """
        try:
            made = cls(
                engine=str(document["engine"]),
                bars=int(document["bars"]),
                seconds=float(document["seconds"]),
                drawdowns=tuple(map(float, document["drawdowns"])),
                returns=np.array(document["returns"], np.float64),
                trades=np.array(document["trades"], np.int64),
                gain_bps=np.array(document["gain_bps"], np.float64),
                wins=np.array(document["wins"], np.int64),
                held_minutes=np.array(document["held_minutes"], np.float64),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            raise DataError(f"no figures of a point: {fault}") from fault
        floats = (made.returns, made.gain_bps, made.held_minutes)
        lengths = {len(column) for column in (*floats, made.trades, made.wins)}
        if len(lengths) != 1 or not all(np.isfinite(column).all() for column in floats):
            raise DataError("the days of a point's figures are not whole")
        return made


@dataclass(frozen=True, slots=True, eq=False)
class BlockRun:
    """What an engine made of one block.

    Attributes:
        days: int64 [d], the days that had a candle.
        equity: float64 [d], at the end of each.
        drawdown: Greatest fall, as a fraction.
        entered_ms: int64 [n], of each round trip.
        ended_ms: int64 [n].
        net_bps: float64 [n], net return, bps of the entry's notional.
        bars: Candles traded over.
    """

    days: Integers
    equity: Floats
    drawdown: float
    entered_ms: Integers
    ended_ms: Integers
    net_bps: Floats
    bars: int


def evaluate_point(ground: Ground, job: PointJob) -> PointFigures:
    """Trade every block by a point's parameters.

    Raises:
        ConfigError: The engine does not do what the settings ask for.
    """
    began = monotonic_ns()
    if ground.tape is None:
        runs = [_exact_run(ground, job, block) for block in ground.blocks]
    else:
        from backtests.sweep_kernel import kernel_runs  # late: the exact core needs no numba

        runs = kernel_runs(ground, job)
    seconds = (monotonic_ns() - began) / 1e9
    return figures_of_runs(
        runs, ground.blocks, job.config.starting_cash, engine=ground.engine, seconds=seconds
    )


def figures_of_runs(
    runs: Sequence[BlockRun], blocks: Sequence[Block], start: float, *, engine: str, seconds: float
) -> PointFigures:
    """The table of some blocks' runs."""
    days = days_of(blocks)
    ended = np.concatenate([run.ended_ms for run in runs])
    gains = np.concatenate([run.net_bps for run in runs])
    held = (ended - np.concatenate([run.entered_ms for run in runs])) / MINUTE_MS
    place = np.searchsorted(days, ended // DAY_MS)
    longest = np.zeros(len(days))
    np.maximum.at(longest, place, held)
    return PointFigures(
        engine=engine,
        bars=sum(run.bars for run in runs),
        seconds=round(seconds, 4),
        drawdowns=tuple(run.drawdown for run in runs),
        returns=np.concatenate([_daily(run, block, start) for run, block in zip(runs, blocks, strict=True)]),
        trades=np.bincount(place, minlength=len(days)).astype(np.int64),
        gain_bps=np.bincount(place, weights=gains, minlength=len(days)).astype(np.float64),
        wins=np.bincount(place[gains > 0], minlength=len(days)).astype(np.int64),
        held_minutes=longest,
    )


def block_input(ground: Ground, job: PointJob, block: Block) -> BacktestInput:
    """A backtest of one block: its candles and those that it warms up on; its predictions only."""
    candles = {
        symbol: arrays.between(block.since_ms - LEAD_MINUTES * MINUTE_MS, block.until_ms)
        for symbol, arrays in ground.candles.items()
        if len(arrays.between(block.since_ms, block.until_ms))
    }
    predictions = {
        symbol: predictions_between(columns, block.since_ms, block.until_ms)
        for symbol, columns in ground.predictions.items()
        if symbol in candles
    }
    instruments = {symbol: job.config.instruments[symbol] for symbol in candles}
    config = replace(job.config, instruments=instruments)
    return BacktestInput(candles, predictions, config, job.make_strategy, ground.funding)


def predictions_between(columns: PredictionColumns, since_ms: int, until_ms: int) -> PredictionColumns:
    """The predictions with since_ms <= ts < until_ms, as views."""
    first, last = np.searchsorted(columns.ts, [since_ms, until_ms])
    changed: dict[str, Any] = {
        field.name: value[first:last]
        for field in fields(columns)
        if isinstance(value := getattr(columns, field.name), np.ndarray)
    }
    return replace(columns, **changed)


def _exact_run(ground: Ground, job: PointJob, block: Block) -> BlockRun:
    """A block through the exact core."""
    result = run_backtest(block_input(ground, job, block), engine="fast")
    curve, trades = result.equity, result.trades
    # A minute that closes at midnight is of the day that it ends.
    chosen = curve.ts > block.since_ms
    days, equity = (curve.ts[chosen] - 1) // DAY_MS, curve.equity[chosen]
    last = np.flatnonzero(np.diff(days, append=days[-1] + 1))
    notional = np.array([trade.entry_price * trade.quantity for trade in trades])
    return BlockRun(
        days=days[last],
        equity=equity[last],
        drawdown=float(drawdowns(equity, job.config.starting_cash).max()),
        entered_ms=np.array([trade.entry_at_ms for trade in trades], dtype=np.int64),
        ended_ms=np.array([trade.exit_at_ms for trade in trades], dtype=np.int64),
        net_bps=np.array([trade.pnl for trade in trades]) / notional * 1e4,
        bars=sum(len(arrays.between(block.since_ms, block.until_ms)) for arrays in ground.candles.values()),
    )


def _daily(run: BlockRun, block: Block, start: float) -> Floats:
    """Returns of a block's days; one without a candle returns 0, and so does all that follows a lost account."""
    place = np.searchsorted(run.days, block.days, side="right") - 1
    closes = np.where(place >= 0, run.equity[np.maximum(place, 0)], start)
    before = np.concatenate([[start], closes[:-1]])
    alive = before > 0
    found = np.where(alive, closes / np.where(alive, before, 1.0) - 1.0, 0.0)
    kept: Floats = np.maximum(found, -1.0)
    return kept
