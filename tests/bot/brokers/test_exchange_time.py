"""The timestamps of requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.brokers.exchange_time import ExchangeTime
from bot.clock import FixedClock, MarketClock

TIMES = st.integers(1_600_000_000_000, 1_800_000_000_000)


@given(ours=TIMES, skew=st.integers(-60_000, 60_000), later=st.integers(0, 10**7), trip=st.integers(0, 10**9))
def test_a_clock_that_runs_is_set_right(ours: int, skew: int, later: int, trip: int) -> None:
    """After one answer the exchange's time is told to within half the answer's round trip, from then on."""
    clock = FixedClock(ours)
    time = ExchangeTime(clock, steady=True)
    time.synchronise(ours + skew, trip)
    clock.advance(later)
    assert 0 <= time.now_ms() - (ours + skew + later) <= trip / 2_000_000


@given(seen=TIMES, lag=st.integers(0, 60_000), on=st.integers(0, 120_000))
def test_a_clock_that_lags_between_messages_is_not_put_ahead(seen: int, lag: int, on: int) -> None:
    """What a market's clock lacks of the exchange's is not added to the messages' later times."""
    clock = MarketClock(seen)
    time = ExchangeTime(clock, steady=False)
    time.synchronise(seen + lag, 0)
    assert time.now_ms() == seen + lag
    clock.advance_to(seen + on)
    assert time.now_ms() == seen + max(lag, on)
    assert time.offset_ms == 0


@given(seen=TIMES, behind=st.integers(1, 60_000), on=st.integers(0, 120_000))
def test_an_exchange_behind_its_own_messages_is_believed(seen: int, behind: int, on: int) -> None:
    """An exchange whose clock is behind what its messages say is wrong, and is told its own time."""
    clock = MarketClock(seen)
    time = ExchangeTime(clock, steady=False)
    time.synchronise(seen - behind, 0)
    clock.advance_to(seen + on)
    assert time.now_ms() == seen + on - behind
