"""A point's blocks through the compiled kernel; importing it needs numba."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backtests.inputs import BacktestInput
from backtests.kernel import KernelRun, KernelTape
from backtests.kernel_scope import kernel_fault, parameters_of
from backtests.kernel_setup import rules_of
from backtests.sweep_point import BlockRun, Ground, PointJob
from bot.core.market import DAY_MS, MINUTE_MS, Symbol
from bot.errors import ConfigError
from models.candle_arrays import CandleArrays
from strategies.lstm_scalping import ScalpingParameters

_NOTHING = CandleArrays(np.zeros(1, np.int64), *(np.ones(1) for _ in range(5)))
"""A candle in the place of those that the tape has: what the kernel can do does not depend on them."""


def kernel_runs(ground: Ground, job: PointJob) -> list[BlockRun]:
    """Every block by a point's parameters.

    Raises:
        ConfigError: The point asks for something that the kernel does not do.
    """
    if ground.tape is None:
        raise ConfigError("there is no tape for the compiled kernel")
    parameters = _checked(ground.tape, job)
    # The columns depend on candles, forecasts and funding rates alone; the rules are the point's.
    tape = replace(ground.tape, config=job.config, rules=rules_of(job.config))
    return [_block_run(tape.run(parameters, block.since_ms, block.until_ms)) for block in ground.blocks]


def warm_up(tape: KernelTape, data: BacktestInput) -> None:
    """Compile the kernel here, once: the machine code is kept on the disk, and each process reads it from there."""
    first_ms = min(int(arrays.ts[0]) for arrays in data.candles.values())
    tape.run(parameters_of(data), first_ms, first_ms + MINUTE_MS)


def _checked(tape: KernelTape, job: PointJob) -> dict[Symbol, ScalpingParameters]:
    """The parameters of each symbol, where the kernel knows all that the point asks for."""
    data = BacktestInput(dict.fromkeys(tape.symbols, _NOTHING), {}, job.config, job.make_strategy)
    if (why := kernel_fault(data)) is not None:
        raise ConfigError(f"the compiled kernel can't run this point: {why}; use --engine fast")
    return dict(parameters_of(data))


def _block_run(run: KernelRun) -> BlockRun:
    """What the kernel left, as any engine's."""
    records = run.records
    return BlockRun(
        days=run.daily_ts // DAY_MS - 1,
        equity=run.daily_equity,
        drawdown=run.max_drawdown,
        entered_ms=records["entry_at_ms"],
        ended_ms=records["exit_at_ms"],
        net_bps=records["pnl"] / (records["entry_price"] * records["quantity"]) * 1e4,
        bars=run.bar_count,
    )
