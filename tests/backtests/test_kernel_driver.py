"""``--engine kernel`` gives what the other engines give, and crashes where the core's books say otherwise."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from backtests import kernel_driver
from backtests.kernel_tape import KernelTape, Played
from backtests.run import run_backtest
from bot.core.entry import EntryRule, EntryStyle
from bot.core.risk import RiskLimits
from bot.errors import EngineProtocolError
from tests.kernel_agreement import assert_same
from tests.random_market import PERPETUALS, random_input


def test_with_and_without_a_sink_the_result_is_one() -> None:
    """What is told to a sink changes nothing; without one only orders are told again."""
    data = random_input(
        5, symbols=PERPETUALS, entry=EntryRule(EntryStyle.MAKER, 2, taker_fallback=True), limits=RiskLimits()
    )
    told: list[Any] = []
    with_sink = run_backtest(data, engine="kernel", sink=told.extend)
    without = run_backtest(data, engine="kernel")
    assert_same(with_sink, without)
    assert_same(run_backtest(data), without)
    assert len(told) == data.minute_count()
    assert without.engine == "kernel"


def test_progress_and_time_are_told() -> None:
    """Progress ends at the number of minutes; the time of the loop makes bars a second."""
    data = random_input(5, count=1500)
    seen: list[int] = []
    ticks = count(step=1_000_000)
    result = run_backtest(
        data,
        engine="kernel",
        sink=lambda _: None,
        progress=seen.append,
        monotonic_ns=lambda: next(ticks),
    )
    assert seen == sorted(seen)
    assert seen[0] == 512
    assert seen[-1] == data.minute_count()
    assert result.bars_per_second == result.candle_count / 0.001


@pytest.mark.parametrize("field", ["price", "fee"])
def test_books_that_the_core_does_not_find_are_our_bug(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill that is not the one which the kernel booked ends with EngineProtocolError, never with a result."""
    data = random_input(5, count=300)

    class Tampered(KernelTape):
        def play(self, *args: Any, **more: Any) -> Played:
            played = super().play(*args, **more)
            if more.get("recording"):
                fills = np.flatnonzero(played.books.events["fee"] > 0)
                played.books.events[field][fills[0]] *= 1.01
            return played

    monkeypatch.setattr(kernel_driver, "KernelTape", Tampered)
    with pytest.raises(EngineProtocolError, match="not those of the core"):
        run_backtest(data, engine="kernel")


def test_nothing_is_told_of_a_market_without_trades() -> None:
    """No fill, no trade, and every candle has its reason."""
    data = replace(random_input(5, count=300), predictions={})
    result = run_backtest(data, engine="kernel")
    assert_same(run_backtest(data), result)
    assert not result.trades
    assert not result.fills
    assert result.hold_reasons.total() == result.candle_count
