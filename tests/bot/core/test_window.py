"""Tests of the lookback."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.market import Candle
from bot.core.window import Window
from bot.errors import EngineProtocolError
from tests.core_builders import candle


def test_a_window_fills_and_then_slides() -> None:
    """It is full at its size and keeps the newest candles."""
    window = Window(3)
    for minute in range(5):
        assert window.is_full == (minute >= 3)
        assert window.push(candle(minute))
    assert window.candles == tuple(candle(minute) for minute in (2, 3, 4))
    assert len(window) == 3


@pytest.mark.parametrize("minute", [0, 4, 3])
def test_an_old_candle_raises_and_changes_nothing(minute: int) -> None:
    """A candle that came again or late is a protocol error, whatever the gap."""
    window = Window(3)
    for number in range(5):
        window.push(candle(number))
    with pytest.raises(EngineProtocolError):
        window.push(candle(minute))
    assert window.candles == tuple(candle(number) for number in (2, 3, 4))
    assert window.push(candle(5))


@given(steps=st.lists(st.integers(1, 3), max_size=40), size=st.integers(1, 6))
@settings(deadline=None)
def test_a_window_holds_the_last_contiguous_candles(steps: list[int], size: int) -> None:
    """After any gaps it holds what came since the last one, at most its size; a refill gives the same."""
    window, minute, since_gap = Window(size), 0, 0
    seen: list[Candle] = []
    for step in steps:
        minute += step
        contiguous = step == 1 or not seen
        seen.append(candle(minute))
        since_gap = since_gap + 1 if contiguous else 1
        assert window.push(candle(minute)) == contiguous
        assert window.candles == tuple(seen[-min(since_gap, size) :])
        assert window.is_full == (since_gap >= size)
    refilled = Window(size)
    refilled.push(candle(10_000))
    refilled.refill(seen[-size:])
    assert refilled.candles == window.candles
    assert not seen or refilled.push(candle(minute + 1))


@given(count=st.integers(0, 6), wanted=st.integers(1, 8), size=st.integers(1, 6))
@settings(deadline=None)
def test_the_recent_candles_are_the_end_of_the_window(count: int, wanted: int, size: int) -> None:
    """So many as are wanted, or as there are, oldest first."""
    window = Window(size)
    for minute in range(count):
        window.push(candle(minute))
    assert window.recent(wanted) == window.candles[-wanted:]
