"""Whether trading waits for a retraining: closing message to committed decision, without one and beside one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.context import Context
from bench.decision_latency import ARRIVED_LAST, minute_of_hour, spans, watch
from bench.figures import Figure, spread
from bench.market import random_tapes, symbols
from bench.processes import BenchError, last_words, started, wait_until
from bot.daemon.child import ONE_THREAD

BUSY_WORD = "epoch"
"""Of the lines that a retraining says while it fits."""
BEGUN_WORD = "features"
"""Of those that it says before."""


def measure(context: Context) -> list[Figure]:
    """The same daemon on the same tape twice; the second time a `bot retrain` fits a network beside it."""
    count = context.pick(600, 200, 24)
    idle = _latencies(context, count, "idle")
    with _retraining(context):
        busy = _latencies(context, count, "busy")
    figures = [*spread("idle", idle, "ms"), *spread("while_retraining", busy, "ms")]
    for name, percent in (("p50", 50), ("p99", 99)):
        ratio = float(np.percentile(busy, percent) / np.percentile(idle, percent))
        goal = "< 1.5" if percent == 99 else ""
        figures.append(Figure(f"{name}_ratio", ratio, "ratio", goal, "while retraining / idle"))
    return figures


def _latencies(context: Context, count: int, label: str) -> list[int]:
    """From the last closing message to the commit, ns; minutes that ask for funding rates are left out."""
    seen = watch(context, 1, count, label=label)
    return spans([row for row in seen["batches"][10:] if minute_of_hour(row) != 0], ARRIVED_LAST)


@contextmanager
def _retraining(context: Context) -> Iterator[None]:
    """A `bot retrain` as the daemon starts it: lowest priority, one thread; it has to last as long as the block."""
    folder = context.room("retraining")
    days = context.pick(130, 130, 20)  # a fit has to last longer than the watch
    tapes = random_tapes(folder / "candles", symbols(1), days * 1440)
    words = ["-m", "bot.daemon.lowly", str(os.getpid()), sys.executable, "-P", "-m", "bot", "retrain"]
    for tape in tapes:
        words += ["--candles", tape]
    words += ["--recipe", "scalping", "--state-dir", str(folder)]
    words += ["--set", f"retrain.train_days={days - 10}", "--set", "retrain.max_weeks=1"]
    said = folder / "retrain.txt"
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        with started(words, said) as process:
            word = context.pick(BUSY_WORD, BUSY_WORD, BEGUN_WORD)
            wait_until(lambda: word in _said(said), process, said, seconds=180.0, every=0.2)
            yield
            if process.poll() is not None:
                raise BenchError(f"the retraining ended before the watch did: {last_words(said)}")
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _said(said: Path) -> str:
    """All that the retraining has said."""
    return said.read_text(errors="replace") if said.exists() else ""
