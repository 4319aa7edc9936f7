"""The compiled kernel on a year of one symbol: bars a second, its trades beside the core's, and what compiling takes."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from backtests.inputs import BacktestInput, rounded
from backtests.kernel import KernelTape
from backtests.kernel_scope import parameters_of
from backtests.run import run_backtest
from bench.context import ROOT, Context
from bench.engines import year_of_trading
from bench.figures import Figure
from bench.market import DAY_MINUTES
from bench.processes import BenchError, environment

SHARES = {"few_trades": 0.08, "": 0.12, "many_trades": 1.0}
"""What the forecasts of ``year_of_trading`` are multiplied by: some fifteen trades a day are what the goal is for."""

COMPILE = (
    "import time\n"
    "from bench.engines import year_of_trading\n"
    "from backtests.kernel import KernelTape\n"
    "from backtests.kernel_scope import parameters_of\n"
    "data = year_of_trading(1440); began = time.perf_counter()\n"
    "KernelTape.of(data).run(parameters_of(data)); print(time.perf_counter() - began)\n"
)
"""A new process that runs a day; printed are the seconds of the first run, tape included."""


def measure(context: Context) -> list[Figure]:
    """The compiler with nothing kept, then with what the first process kept, then years of few and many trades."""
    folder = context.pick(context.room("kernel"), context.room("kernel"), None)
    cold, warm = (compiled_in(folder) for _ in range(2))
    minutes = context.pick(365 * DAY_MINUTES, 365 * DAY_MINUTES, 2 * DAY_MINUTES)
    turns = context.pick(15, 7, 2)
    whole = year_of_trading(minutes)
    figures: list[Figure] = []
    for name, share in SHARES.items():
        data = scaled(whole, share)
        rate, fast, trades = raced(data, turns)
        label = f"_{name}" if name else ""
        goal = "" if name else ">= 50e6"
        note = f"{minutes:,} candles, {trades:,} trades, the same in both"
        figures.append(Figure(f"bars_per_second{label}", rate, "1/s", goal, note=note))
        figures.append(Figure(f"kernel_over_fast{label}", rate / fast, "ratio"))
    began = time.perf_counter()
    KernelTape.of(whole)
    figures.append(Figure("tape_seconds", time.perf_counter() - began, "s", note="made once, run many times"))
    figures.append(Figure("compile_seconds", cold, "s", note="once for each version of the code"))
    figures.append(Figure("first_run_seconds", warm, "s", note="in a new process: machine code is read"))
    return figures


def scaled(data: BacktestInput, share: float) -> BacktestInput:
    """The same with smaller forecasts, which trade less."""
    predictions = {
        symbol: replace(columns, expected_return=rounded(columns.expected_return * share))
        for symbol, columns in data.predictions.items()
    }
    return replace(data, predictions=predictions)


def raced(data: BacktestInput, turns: int) -> tuple[float, float, int]:
    """Bars a second of the kernel (the best of some runs) and of the fast engine, and how many trades both made."""
    tape, parameters = KernelTape.of(data), parameters_of(data)
    seconds = []
    for _ in range(turns):
        began = time.perf_counter()
        run = tape.run(parameters)
        seconds.append(time.perf_counter() - began)
    fast = run_backtest(data, engine="fast", monotonic_ns=time.perf_counter_ns)
    if run.trades() != fast.trades:
        raise BenchError("kernel and core do not agree: run `bot verify-parity` on a tape")
    return run.bar_count / min(seconds), fast.bars_per_second, len(fast.trades)


def compiled_in(folder: Path | None) -> float:
    """Seconds of the first run of a new process that keeps its machine code in a folder; None is where it always is."""
    words = [sys.executable, "-c", COMPILE]
    told = environment() if folder is None else {**environment(), "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(words, cwd=ROOT, env=told, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise BenchError(f"the kernel did not run: {done.stderr.strip()[-500:]}")
    return float(done.stdout)
