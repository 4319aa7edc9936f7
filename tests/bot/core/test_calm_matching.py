"""The exchange that can say when it is idle: it is right about it, bar by bar."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.calm_matching import CalmMatcher, Idle
from bot.core.costs import Costs, FundingRates
from bot.core.market import Candle
from bot.core.matching import BarMatcher
from bot.core.orders import Leg, Side
from tests.core_builders import FREE, PERPETUAL, SPOT, approved, at, candle, instrument, order

RULES = {name: instrument(name) for name in (PERPETUAL, SPOT)}


def held(side: Side = Side.BUY, rates: FundingRates | None = None, costs: Costs = FREE) -> CalmMatcher:
    """An exchange on which something is held since minute 1, entered at 100."""
    made = CalmMatcher(costs, RULES, rates or FundingRates(0.0))
    made.submit(approved(order(side=side, minute=1)))
    assert made.match(candle(1))
    return made


def test_nothing_held_is_idle_for_ever_and_an_order_is_not() -> None:
    """Without orders any bar does nothing; with one that waits no bar is known to."""
    made = CalmMatcher(FREE, RULES, FundingRates(0.0))
    assert made.idle(PERPETUAL) == Idle(-math.inf, math.inf, None)
    made.submit(approved(order()))
    assert made.idle(PERPETUAL) is None
    assert made.idle(SPOT) == Idle(-math.inf, math.inf, None)


def test_the_bounds_are_stop_and_target_and_the_next_funding() -> None:
    """Of a long position the stop lies below and the target above, of a short one the other way round."""
    assert held().idle(PERPETUAL) == Idle(99.5, 101.0, at(480))
    assert held(Side.SELL).idle(PERPETUAL) == Idle(99.0, 100.5, at(480))
    rates = FundingRates(0.0, {PERPETUAL: {at(7): 0.1, at(3): 0.1, at(1): 0.1}})
    made = held(rates=rates)
    assert made.idle(PERPETUAL) == Idle(99.5, 101.0, at(3))
    made.pass_over(PERPETUAL, at(3))
    assert made.idle(PERPETUAL) == Idle(99.5, 101.0, at(7))
    made.pass_over(PERPETUAL, at(7))
    assert made.idle(PERPETUAL) == Idle(99.5, 101.0, None)


bars = st.lists(
    st.tuples(st.integers(-120, 120), st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=40
)


@given(moves=bars, side=st.sampled_from(list(Side)), every=st.integers(2, 20), leaves=st.booleans())
@settings(deadline=None)
def test_idle_bars_report_nothing_and_the_others_are_as_ever(
    moves: list[tuple[int, int, int]], side: Side, every: int, leaves: bool
) -> None:
    """Taken over the bars that it calls idle, it reports on the others what an exchange reports that saw every bar."""
    rates = FundingRates(0.0, {PERPETUAL: {at(minute): 0.001 for minute in range(0, 60, every)}})
    made = held(side, rates)
    plain = BarMatcher(FREE, RULES, rates)
    plain.submit(approved(order(side=side, minute=1)))
    plain.match(candle(1))
    for minute, (move, up, down) in enumerate(moves, start=2):
        if leaves and minute == 20:
            exit_order = order(side=side.opposite, leg=Leg.EXIT, minute=minute)
            made.submit(approved(exit_order))
            plain.submit(approved(exit_order))
        bar = _bar(minute, move, up, down)
        expected, idle = plain.match(bar), made.idle(PERPETUAL)
        if idle is not None and _is_idle(idle, bar):
            assert expected == []
            made.pass_over(PERPETUAL, bar.opened_at_ms)
        else:
            assert made.match(bar) == expected


def _bar(minute: int, move: int, up: int, down: int) -> Candle:
    opened = 100.0 + move / 100
    return candle(minute, opened, opened + up / 100, opened - down / 100, opened)


def _is_idle(idle: Idle, bar: Candle) -> bool:
    in_time = idle.until_ms is None or bar.opened_at_ms < idle.until_ms
    return in_time and bar.low > idle.above and bar.high < idle.below
