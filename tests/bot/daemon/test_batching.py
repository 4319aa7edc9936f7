"""Candles of one minute are decided together."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.market import MINUTE_MS
from bot.daemon.batching import MinuteBatcher
from bot.ports import CandleClosed
from tests.core_builders import at, candle

SYMBOLS = ("A/USDT", "B/USDT", "C/USDT")


def arrival(minute: int, symbol: str) -> CandleClosed:
    """A candle as the feed delivers it."""
    return CandleClosed(candle(minute, symbol=symbol), "stream", 0)


def test_a_whole_minute_is_ready_at_once_in_order_of_names() -> None:
    """When every symbol has arrived nothing is waited for, and the batch is sorted by name."""
    batcher = MinuteBatcher(SYMBOLS, 5_000, -1)
    for symbol in ("C/USDT", "A/USDT", "B/USDT"):
        assert batcher.pop_ready(at(1)) is None
        batcher.add(arrival(0, symbol))
    batch = batcher.pop_ready(at(1))
    assert batch is not None
    assert [c.symbol for c in batch.candles] == list(SYMBOLS)
    assert batch.missing == ()


def test_an_incomplete_minute_waits_for_the_deadline_and_no_longer() -> None:
    """A missing symbol holds the others up until the deadline, then it is named as missing."""
    batcher = MinuteBatcher(SYMBOLS, 5_000, -1)
    batcher.add(arrival(0, "A/USDT"))
    assert batcher.next_deadline_ms == at(1) + 5_000
    assert batcher.pop_ready(at(1) + 4_999) is None
    batch = batcher.pop_ready(at(1) + 5_000)
    assert batch is not None
    assert batch.missing == ("B/USDT", "C/USDT")


def test_a_symbol_that_is_catching_up_is_waited_for_beyond_the_deadline() -> None:
    """While earlier candles of a missing symbol are being fetched its minutes are not decided without it."""
    batcher = MinuteBatcher(SYMBOLS[:2], 5_000, -1)
    batcher.add(arrival(0, "A/USDT"))
    assert batcher.pop_ready(at(9), {"B/USDT"}) is None
    assert batcher.pop_ready(at(9), {"A/USDT"}) is not None


def test_a_candle_of_a_decided_minute_is_late() -> None:
    """After a minute was decided, or lies before the start, its candles are late."""
    batcher = MinuteBatcher(SYMBOLS[:1], 5_000, at(0))
    assert batcher.is_late(candle(0, symbol="A/USDT"))
    batcher.add(arrival(1, "A/USDT"))
    assert not batcher.is_late(candle(1, symbol="A/USDT"))
    assert batcher.pop_ready(at(2)) is not None
    assert batcher.is_late(candle(1, symbol="A/USDT"))


def test_a_later_whole_minute_waits_behind_an_earlier_incomplete_one() -> None:
    """Batches leave in order of time, whatever is whole."""
    batcher = MinuteBatcher(SYMBOLS[:2], 5_000, -1)
    batcher.add(arrival(0, "A/USDT"))
    for symbol in SYMBOLS[:2]:
        batcher.add(arrival(1, symbol))
    assert batcher.pop_ready(at(1) + 1) is None
    first, second = batcher.pop_ready(at(1) + 5_000), batcher.pop_ready(at(1) + 5_000)
    assert first is not None
    assert first.opened_at_ms == at(0)
    assert second is not None
    assert second.opened_at_ms == at(1)


@given(st.integers(0, 10_000), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_whatever_the_order_each_candle_is_in_exactly_one_batch(seed: int, minutes: int) -> None:
    """Arrivals shuffled within a minute, with some missing, come out once each and in order of time."""
    generator = random.Random(seed)
    batcher = MinuteBatcher(SYMBOLS, 5_000, -1)
    sent, seen, times = set(), [], []
    for minute in range(minutes):
        for symbol in generator.sample(SYMBOLS, generator.randint(0, 3)):
            batcher.add(arrival(minute, symbol))
            sent.add((minute, symbol))
        while (batch := batcher.pop_ready(at(minute) + MINUTE_MS + 5_000)) is not None:
            times.append(batch.opened_at_ms)
            seen += [((c.opened_at_ms - at(0)) // MINUTE_MS, c.symbol) for c in batch.candles]
    assert sorted(seen) == sorted(sent)
    assert len(seen) == len(set(seen))
    assert times == sorted(set(times))
