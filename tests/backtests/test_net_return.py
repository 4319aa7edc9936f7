"""Net return and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from backtests.inputs import Floats
from backtests.net_return import _of_curve
from backtests.results import EquityCurve
from bot.core.market import DAY_MS


def curve(returns: Floats, start: float) -> EquityCurve:
    """An account that closes each day with a return."""
    equity = (start * np.cumprod(1.0 + returns)).astype(np.float64)
    ts = (np.arange(len(returns), dtype=np.int64) + 1) * DAY_MS
    return EquityCurve(ts, equity, equity, np.zeros(len(returns)))


def test_the_interval_holds_what_days_make() -> None:
    """The value compounds all days; the interval lies around it and is wider the more days differ."""
    rng = np.random.default_rng(1)
    calm = _of_curve(curve(rng.normal(0.001, 0.002, 90), 1000.0), 1000.0, trades=7)
    wild = _of_curve(curve(rng.normal(0.001, 0.02, 90), 1000.0), 1000.0, trades=7)
    assert (calm.days, calm.trades) == (90, 7)
    for found in (calm, wild):
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
    assert calm.low is not None
    assert calm.high is not None
    assert wild.low is not None
    assert wild.high is not None
    assert wild.high - wild.low > 3 * (calm.high - calm.low)


def test_an_even_account_has_no_doubt() -> None:
    """The same return every day is the interval too; no trade at all is 0 without doubt."""
    even = _of_curve(curve(np.full(30, 0.01), 100.0), 100.0, trades=1)
    assert (even.value, even.low, even.high) == pytest.approx((1.01**30 - 1.0,) * 3)
    idle = _of_curve(curve(np.zeros(30), 100.0), 100.0, trades=0)
    assert (idle.value, idle.low, idle.high) == (0.0, 0.0, 0.0)


def test_few_days_and_a_lost_account_have_no_interval() -> None:
    """Below two weeks nothing can be drawn anew; an account at zero has no log return."""
    few = _of_curve(curve(np.full(13, 0.01), 100.0), 100.0, trades=1)
    assert (few.low, few.high) == (None, None)
    lost = _of_curve(curve(np.concatenate([np.zeros(20), [-1.0]]), 100.0), 100.0, trades=1)
    assert (lost.value, lost.low, lost.high) == (-1.0, None, None)
