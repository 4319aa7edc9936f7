"""Run a backtest with the driver of a given name."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backtests import fast_driver
from backtests.inputs import BacktestInput
from backtests.results import BacktestResult, Sink
from backtests.session import Exchange, Session
from bot.errors import ConfigError

ENGINES = ("backtrader", "fast", "kernel")
"""The drivers that a backtest can be run with; all give the same trades to the last digit. The compiled kernel does not do
everything (``backtests/kernel_scope.py``)."""


def run_backtest(
    data: BacktestInput,
    *,
    engine: str = "fast",
    sink: Sink | None = None,
    monotonic_ns: Callable[[], int] | None = None,
    progress: Callable[[int], None] | None = None,
    matcher: Exchange | None = None,
) -> BacktestResult:
    """Run one backtest from the first candle to the last.

    Args:
        data: Candles, predictions, rules.
        engine: One of ``ENGINES``.
        sink: Gets every minute's reports and decisions as they come.
        monotonic_ns: A counter of nanoseconds for ``engine_seconds``; without one, that is 0.
        progress: Called now and then with the number of minutes done.
        matcher: The exchange, where it is not the one of the input's rules.

    Raises:
        ConfigError: No such engine, or one that can't run this.
    """
    if engine not in ENGINES:
        raise ConfigError(f"there is no engine {engine!r}: use {' or '.join(ENGINES)}")
    if engine == "kernel":
        return _kernel_run(matcher)(data, sink=sink, monotonic_ns=monotonic_ns, progress=progress)
    drive = fast_driver.drive if engine == "fast" else _backtrader_drive()
    with cycle_collector_off():
        session = Session(data, sink=sink, monotonic_ns=monotonic_ns, progress=progress, matcher=matcher)
        second_opinion = drive(session)
        return session.result(engine, second_opinion)


def _backtrader_drive() -> Callable[[Session], dict[str, Any] | None]:
    from backtests import backtrader_driver  # late: the fast engine shall not pay for its import

    return backtrader_driver.drive


def _kernel_run(matcher: Exchange | None) -> Callable[..., BacktestResult]:
    if matcher is not None:
        raise ConfigError("the compiled kernel fills orders by itself: it can't trade at another exchange")
    from backtests.kernel_scope import check_numba  # late: numba may be absent, and takes a second to import

    check_numba()
    from backtests.kernel_driver import run_kernel

    return run_kernel


@contextmanager
def cycle_collector_off() -> Iterator[None]:
    """Let reference counts alone free memory: the core makes no cycles, and looking for them costs a quarter."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
