"""How soon the command line answers, and what the parts that are imported late cost."""

from __future__ import annotations

import statistics

from bench.context import Context
from bench.figures import Figure
from bench.processes import run_python
from bench.sampling import seconds_of

IMPORTS = ("bot.cli", "bot.daemon.app", "ccxt.pro", "bot.inference", "backtests.run", "models.training")
"""What a person waits for: the command line, the daemon and its two big libraries, a backtest, training without
TensorFlow (which comes with the first fit)."""

ONE_EXCHANGE = "from bot.one_exchange import exchange_class; exchange_class('binanceusdm')"


def measure(context: Context) -> list[Figure]:
    """Medians of whole processes."""
    count = context.pick(5, 5, 1)
    bare = seconds(["-c", "pass"], count)
    figures = [
        Figure("bot_help", seconds(["-m", "bot", "--help"], count) * 1e3, "ms", note=f"median of {count}"),
        Figure("bare_python", bare * 1e3, "ms", note="the interpreter alone"),
    ]
    for name in context.pick(IMPORTS, IMPORTS, IMPORTS[:1]):
        cost = max(seconds(["-c", f"import {name}"], context.pick(3, 3, 1)) - bare, 0.0)
        figures.append(Figure(f"import_{name}", cost * 1e3, "ms", note="beyond the interpreter"))
    one = seconds(["-c", ONE_EXCHANGE], context.pick(3, 3, 1))
    figures.append(Figure("one_exchange", (one - bare) * 1e3, "ms", note="of ccxt, what a daemon fetches"))
    return figures


def seconds(words: list[str], count: int) -> float:
    """Median wall time of a Python process."""
    return statistics.median(seconds_of(lambda: run_python(words, seconds=60.0)) for _ in range(count))
