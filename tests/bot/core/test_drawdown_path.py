"""Drawdown beside the path that past returns make likely."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.drawdown_path import DrawdownWatch, expected_drawdown_limit
from bot.core.market import DAY_MS, MINUTE_MS
from bot.errors import EngineProtocolError

PATH = (0.01, 0.02, 0.03)


@pytest.mark.parametrize(
    ("elapsed_ms", "limit"),
    [
        (0, 0.01),
        (DAY_MS, 0.01),
        (DAY_MS + 1, 0.02),
        (2 * DAY_MS, 0.02),
        (3 * DAY_MS, 0.03),
        (30 * DAY_MS, 0.03),
    ],
)
def test_the_limit_is_that_of_the_day(elapsed_ms: int, limit: float) -> None:
    """Day 1 ends after 24 hours; beyond the path its last day holds."""
    assert expected_drawdown_limit(PATH, elapsed_ms) == limit


@pytest.mark.parametrize("path", [[], [0.1, float("nan")], [-0.1], [0.2, 0.1]])
def test_what_is_no_path_is_refused(path: list[float]) -> None:
    """Nothing, a limit that is no number, a negative one and one that falls."""
    with pytest.raises(EngineProtocolError):
        expected_drawdown_limit(path, 0)
    if path:
        with pytest.raises(EngineProtocolError):
            DrawdownWatch(path)


def test_a_fall_beyond_the_path_is_told_in_the_minute_it_happens() -> None:
    """From the highest equity since trading began, not since the account was opened; the exposure scales the path."""
    watch = DrawdownWatch([10 * limit for limit in PATH], exposure=0.5)
    assert not watch.observe(0, 100.0)
    assert not watch.observe(MINUTE_MS, 110.0)
    assert not watch.observe(2 * MINUTE_MS, 110.0 * (1 - 0.049))
    assert watch.observe(3 * MINUTE_MS, 110.0 * (1 - 0.051))
    assert watch.limit == 0.05
    assert watch.drawdown == pytest.approx(0.051)
    assert not watch.observe(DAY_MS + MINUTE_MS, 110.0 * (1 - 0.051))


def test_a_path_without_a_fall_still_allows_a_small_one() -> None:
    """A model that never lost a day in its walk-forward is not taken out by the first minute against it."""
    watch = DrawdownWatch([0.0, 0.0])
    assert not watch.observe(0, 100.0)
    assert not watch.observe(MINUTE_MS, 99.01)
    assert watch.observe(2 * MINUTE_MS, 98.9)


@pytest.mark.parametrize("path", [None, []])
def test_without_a_path_nothing_is_beyond_it(path: list[float] | None) -> None:
    """A model without evidence is judged by other means."""
    watch = DrawdownWatch(path)
    assert not watch.observe(0, 100.0)
    assert not watch.observe(MINUTE_MS, 1.0)
    assert watch.drawdown == 0.99
    assert watch.limit is None


@given(st.lists(st.floats(1.0, 1000.0), min_size=2, max_size=30), st.integers(0, 28))
def test_a_restart_changes_no_answer(equities: list[float], cut: int) -> None:
    """Peak and beginning survive as JSON text."""
    whole, broken = DrawdownWatch(PATH), DrawdownWatch(PATH)
    for number, equity in enumerate(equities):
        if number == cut:
            state: dict[str, Any] = json.loads(json.dumps(broken.snapshot()))
            broken = DrawdownWatch(PATH)
            broken.restore(state)
        at_ms = number * DAY_MS // 3
        assert whole.observe(at_ms, equity) == broken.observe(at_ms, equity)
        assert (whole.drawdown, whole.limit) == (broken.drawdown, broken.limit)
