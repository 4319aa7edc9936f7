"""Running a backtest leaves the process as it was."""

from __future__ import annotations

import gc

import pytest

from backtests.run import run_backtest
from bot.errors import DataError
from tests.random_market import random_input


@pytest.mark.parametrize("was_on", [True, False])
def test_the_cycle_collector_is_as_it_was_afterwards(was_on):
    """A run rests the collector, and puts it back also when it fails."""
    seen = []

    def failing_sink(_):
        seen.append(gc.isenabled())
        raise DataError("stop")

    (gc.enable if was_on else gc.disable)()
    try:
        run_backtest(random_input(1, count=50))
        assert gc.isenabled() is was_on
        with pytest.raises(DataError):
            run_backtest(random_input(1, count=50), sink=failing_sink)
        assert gc.isenabled() is was_on
    finally:
        gc.enable()
    assert seen == [False]


def test_the_fast_engine_makes_no_cycles():
    """What the fast engine drops is freed at once: the collector finds nothing of the core afterwards."""
    data = random_input(3, count=1500)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        assert len(run_backtest(data).trades) > 50
        gc.collect()
        found = [type(thing).__module__ for thing in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert [name for name in found if name.startswith(("bot.", "backtests", "strategies"))] == []
