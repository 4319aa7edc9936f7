"""A curve that is thinned still shows what it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.dashboard.equity import EquityCurve, extremes
from bot.journal.reader import EquityPoint

VALUES = st.lists(st.floats(1.0, 1e6), max_size=400)


@settings(max_examples=100, deadline=None)
@given(values=VALUES, points=st.integers(4, 60))
def test_ends_and_extremes_are_kept(values: list[float], points: int) -> None:
    """Never more places than asked for, in order, each once; the first, last, highest and lowest are among them."""
    series = np.array(values)
    kept = extremes(series, points)
    assert len(kept) <= max(points, 0) or len(values) <= points
    assert list(kept) == sorted(set(kept.tolist()))
    if values:
        assert (kept[0], kept[-1]) == (0, len(values) - 1)
        assert series[kept].max() == series.max()
        assert series[kept].min() == series.min()


@settings(max_examples=60, deadline=None)
@given(values=VALUES)
def test_the_drawdown_is_the_fall_from_the_highest(values: list[float]) -> None:
    """Whatever came in how many pieces."""
    curve = EquityCurve()
    rows = [EquityPoint(place, value, value, 0.0) for place, value in enumerate(values)]
    curve.extend(rows[: len(rows) // 2])
    curve.extend(rows[len(rows) // 2 :])
    shown = curve.thinned(0, 10_000)
    peaks = np.maximum.accumulate(values) if values else np.empty(0)
    assert shown["equity"] == values
    assert shown["drawdown"] == pytest.approx((1 - np.array(values) / peaks).tolist() if values else [])
    assert curve.last_ms == len(values) - 1
