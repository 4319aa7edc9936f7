"""Do the fast engine and the compiled kernel leave the very same behind?"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from backtests.inputs import BacktestInput
from backtests.results import BacktestResult, MinuteOutcome
from backtests.run import run_backtest

OWN = {"engine", "engine_seconds", "second_opinion"}
"""What an engine says of itself."""


def outcomes_of(data: BacktestInput, engine: str) -> tuple[BacktestResult, list[MinuteOutcome]]:
    """A run, and every minute's reports and decisions."""
    outcomes: list[MinuteOutcome] = []
    result = run_backtest(data, engine=engine, sink=outcomes.extend)
    return result, [(list(reports), list(decisions)) for reports, decisions in outcomes]


def assert_same(one: BacktestResult, two: BacktestResult) -> None:
    """Every field but an engine's own is the same, to the bit."""
    for field in fields(BacktestResult):
        if field.name not in OWN:
            left, right = _plain(getattr(one, field.name)), _plain(getattr(two, field.name))
            assert left == right, field.name


def _plain(value: Any) -> Any:
    """Something that ``==`` compares."""
    if hasattr(value, "snapshot"):
        return value.snapshot()
    if hasattr(value, "exposure"):
        return [np.asarray(getattr(value, name)).tobytes() for name in ("ts", "equity", "cash", "exposure")]
    return value


def assert_agreement(data: BacktestInput) -> BacktestResult:
    """Reports, decisions and results of both engines are the same; returns the fast one's."""
    fast, told = outcomes_of(data, "fast")
    kernel, retold = outcomes_of(data, "kernel")
    for minute, (left, right) in enumerate(zip(told, retold, strict=True)):
        # A forecast that is no number is not equal to itself; what is printed of floats is exact.
        assert left == right or repr(left) == repr(right), minute
    assert_same(fast, kernel)
    return fast
