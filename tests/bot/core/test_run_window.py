"""The lookback of a backtest holds what one holds that was shown every candle."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.candle_run import CandleRun
from bot.core.run_window import MOST_PARTS, RunWindow
from bot.core.window import Window
from bot.errors import EngineProtocolError
from tests.core_builders import candle

steps = st.lists(
    st.tuples(st.sampled_from(["push", "run", "gap", "look", "recent", "refill"]), st.integers(1, 9)),
    max_size=40,
)


@given(steps=steps, size=st.integers(1, 7))
@settings(deadline=None)
def test_runs_and_candles_in_any_order_leave_what_candles_leave(
    steps: list[tuple[str, int]], size: int
) -> None:
    """After any pushes, runs, gaps, looks and refills, length, fullness and candles are those of a plain window."""
    window, plain, minute = RunWindow(size), Window(size), 0
    for what, count in [("push", 1), *steps]:
        if what == "run":
            more = [candle(minute + place) for place in range(count)]
            window.extend(CandleRun.of(more))
            for one in more:
                plain.push(one)
            minute += count
        elif what in {"push", "gap"}:
            minute += count if what == "gap" else 0
            assert window.push(candle(minute)) == plain.push(candle(minute))
            minute += 1
        elif what == "refill":
            kept = plain.candles[-count:]
            window.refill(kept)
            plain.refill(kept)
        elif what == "recent":
            assert window.recent(count) == plain.recent(count)
        else:
            assert window.candles == plain.candles
        assert (len(window), window.is_full) == (len(plain), plain.is_full)
    assert window.candles == plain.candles


def test_many_parts_are_put_together_before_they_become_a_burden() -> None:
    """However many candles come after a run, only so many parts are kept."""
    window, plain = RunWindow(5), Window(5)
    window.push(candle(0))
    window.extend(CandleRun.of([candle(1)]))
    for minute in range(2, 3 * MOST_PARTS):
        window.push(candle(minute))
        assert len(window._late) < MOST_PARTS
    for minute in range(3 * MOST_PARTS):
        plain.push(candle(minute))
    assert window.candles == plain.candles


@pytest.mark.parametrize("first", [4, 2])
def test_a_run_that_does_not_follow_raises_and_changes_nothing(first: int) -> None:
    """After a hole, or with a minute that was there, a run is a protocol error; so is an old candle after a run."""
    window = RunWindow(3)
    for number in range(3):
        window.push(candle(number))
    with pytest.raises(EngineProtocolError):
        window.extend(CandleRun.of([candle(first), candle(first + 1)]))
    window.extend(CandleRun.of([candle(3), candle(4)]))
    with pytest.raises(EngineProtocolError):
        window.push(candle(4))
    assert window.candles == tuple(candle(number) for number in (2, 3, 4))
    assert window.push(candle(5))
