"""``bot backtest --model --out`` as a person runs it: beside its own inference, and what ten symbols weigh.

Everything is in the time: the start of the program, reading, features, inference, trading, every file of the report. The
weights are untrained, so the threshold is set where one forecast in a hundred is beyond it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.context import ROOT, Context
from bench.figures import Figure
from bench.market import BITCOIN, DAY_MINUTES, random_walk, symbols
from bench.model import ensure_model
from bench.processes import BenchError, end, environment
from bench.sampling import seconds_of
from bot.simexchange.exchange_info import symbol_id
from bot.simexchange.tape import write_tape
from models.candle_arrays import CandleArrays
from models.forecaster import Forecaster, load_forecaster

YEAR_MINUTES = 365 * DAY_MINUTES
THREADS = 2
"""Of an inference, as in ``bot backtest``."""

BATCH = 256
LOUD_SHARE = 0.01
TWO_GIB_MB = 2147.5
LIMIT_SECONDS = 400.0


def measure(context: Context) -> list[Figure]:
    """Pure inference in this process, then whole backtests in processes of their own."""
    folder = context.room("whole_backtest")
    minutes = context.pick(YEAR_MINUTES, 30 * DAY_MINUTES, 2 * DAY_MINUTES)
    model = ensure_model(context.models_dir)
    candles = random_walk(minutes, seed=1)
    forecaster = load_forecaster(model, threads=THREADS)
    pure, threshold = inferred(forecaster, candles)
    whole = backtest(context, folder, {BITCOIN: candles}, threshold)
    figures = [
        Figure("pure_inference", pure, "s", note=f"{minutes:,} candles, onnxruntime, {THREADS} threads"),
        Figure("whole", whole[0], "s", note="features, inference, trading, report, the program's own start"),
        Figure("whole_over_inference", whole[0] / pure, "ratio", "< 1.5"),
        Figure("whole_peak", whole[1], "MB"),
    ]
    return [*figures, *ten_symbols(context, folder, threshold)]


def inferred(forecaster: Forecaster, candles: CandleArrays) -> tuple[float, float]:
    """How long every window of a series takes, and a threshold that few forecasts are beyond."""
    table = forecaster.features.compute(candles)
    ends = forecaster.ends(candles, table)
    scaled = forecaster.scaler.transform_table(table.matrix)
    kept = []
    seconds = seconds_of(lambda: kept.append(forecaster.infer_series(scaled, ends, batch=BATCH)))
    said = forecaster.decode(kept[0], candles.close[ends], table.volatility[ends])
    return seconds, float(np.quantile(np.abs(said.expected_return), 1 - LOUD_SHARE))


def ten_symbols(context: Context, folder: Path, threshold: float) -> list[Figure]:
    """The peak of two lengths; what a minute adds between them says what a year would weigh."""
    lengths = [days * DAY_MINUTES for days in context.pick((10, 40), (5, 15), (1, 2))]
    count = context.pick(10, 10, 3)
    peaks = [
        backtest(
            context,
            folder,
            {name: random_walk(minutes, seed=place) for place, name in enumerate(symbols(count))},
            threshold,
        )[1]
        for minutes in lengths
    ]
    slope = (peaks[1] - peaks[0]) / (lengths[1] - lengths[0])
    year = peaks[1] + slope * (YEAR_MINUTES - lengths[1])
    said = ", ".join(
        f"{peak:,.0f} MB of {minutes // DAY_MINUTES} days"
        for minutes, peak in zip(lengths, peaks, strict=True)
    )
    goal = f"< {TWO_GIB_MB}" if count == 10 else ""
    return [
        Figure("ten_symbols_peak", peaks[1], "MB", note=f"{count} symbols, {said}"),
        Figure("ten_symbols_year", year, "MB", goal, "the line through both, at a year"),
    ]


def backtest(
    context: Context, folder: Path, tapes: dict[str, CandleArrays], threshold: float
) -> tuple[float, float]:
    """Run ``bot backtest`` on these candles; seconds, and its peak of memory in MB."""
    words = [
        "backtest",
        "--models",
        str(context.models_dir),
        "--model",
        "latest",
        "--engine",
        "fast",
        "--json",
    ]
    words += ["--out", str(folder / "report"), "--simulated", "--set", f"threshold={threshold:.6f}"]
    for name, candles in tapes.items():
        path = folder / f"{symbol_id(name)}.parquet"
        write_tape(path, candles)
        words += ["--candles", f"{name}={path}"]
    return run_weighed(["-m", "bot", *words], folder / "backtest.txt")


def run_weighed(words: Sequence[str], said: Path) -> tuple[float, float]:
    """Run ``python WORDS`` to its end; wall seconds, and its peak of resident memory in MB."""
    began = time.perf_counter()
    with said.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=sink
        )
        try:
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            while not ended:
                if time.perf_counter() - began > LIMIT_SECONDS:
                    raise BenchError(f"{' '.join(words[:3])} was not done within {LIMIT_SECONDS:.0f} s")
                time.sleep(0.02)
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            end(process)
    if process.returncode != 0:
        raise BenchError(f"bot backtest ended with {process.returncode}: {said.read_text()[-1500:]}")
    return time.perf_counter() - began, used.ru_maxrss * 1024 / 1e6
