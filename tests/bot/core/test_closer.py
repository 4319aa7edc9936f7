"""Tests of closing candles: the rows of the table one by one, then any stream with an honest history."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import closer as closer_module
from bot.core.closer import (
    BackfillNeeded,
    CandleCloser,
    CandleUpdate,
    Closed,
    CloserEvent,
    Refused,
    Revised,
)
from bot.core.market import MINUTE_MS, Candle
from bot.errors import EngineProtocolError

SYMBOL = "BTC/USDT:USDT"
START = 1_700_000_040_000 - 1_700_000_040_000 % MINUTE_MS


def at(minute: int) -> int:
    """The open time of a minute counted from the start."""
    return START + minute * MINUTE_MS


def candle(minute: int, close: float = 100.0) -> Candle:
    """A sound candle, told from others by its close."""
    return Candle(SYMBOL, at(minute), 100.0, 200.0, 50.0, close, 1.0)


def update(minute: int, close: float = 100.0, *, closed: bool | None = True) -> CandleUpdate:
    """An update of the same shape."""
    return CandleUpdate(*candle(minute, close), closed=closed)


def begun() -> CandleCloser:
    """A closer that has minute -1 behind it."""
    closer = CandleCloser(SYMBOL)
    closer.resume_after(at(-1))
    return closer


def test_flagged_candles_in_order_are_delivered_at_once() -> None:
    """Each flagged update of the next minute gives that candle and nothing else."""
    closer = begun()
    for minute in range(3):
        assert closer.on_update(update(minute, 90.0, closed=False)) == []
        assert closer.on_update(update(minute)) == [Closed(candle(minute), "stream")]


def test_without_a_resume_point_the_first_minute_seen_is_the_first_delivered() -> None:
    """A closer that was told nothing begins at its first update and asks for nothing before it."""
    closer = CandleCloser(SYMBOL)
    assert closer.missing() is None
    assert closer.on_update(update(5, closed=False)) == []
    assert closer.on_update(update(5)) == [Closed(candle(5), "stream")]


def test_a_repeated_final_is_not_delivered_again() -> None:
    """Doubled and older updates of a delivered minute change nothing."""
    closer = begun()
    closer.on_update(update(0))
    assert closer.on_update(update(0)) == []
    assert closer.on_update(update(0, 77.0, closed=False)) == []
    assert closer.on_update(update(-1)) == []


def test_a_gap_is_asked_for_and_filled_before_later_candles() -> None:
    """Candles after a hole wait for the history answer, and are then delivered in order."""
    closer = begun()
    assert closer.on_update(update(2)) == [BackfillNeeded(at(0), at(2))]
    assert closer.on_update(update(3)) == []
    assert closer.on_history([candle(0), candle(1)], at(2)) == [
        Closed(candle(0), "rest"),
        Closed(candle(1), "rest"),
        Closed(candle(2), "stream"),
        Closed(candle(3), "stream"),
    ]


def test_what_history_lacks_is_an_outage() -> None:
    """A minute that the history answer does not hold stays a gap, and the later candles follow."""
    closer = begun()
    closer.on_update(update(3))
    assert closer.on_history([candle(1)], at(3)) == [Closed(candle(1), "rest"), Closed(candle(3), "stream")]
    assert closer.missing() is None


def test_without_flags_a_later_minute_asks_for_the_earlier_one() -> None:
    """An exchange without flags has each minute confirmed over REST: successor if it agrees, rest if not."""
    closer = begun()
    assert closer.on_update(update(0, 60.0, closed=None)) == []
    assert closer.on_update(update(0, 61.0, closed=None)) == []
    assert closer.on_update(update(1, 70.0, closed=None)) == [BackfillNeeded(at(0), at(1))]
    assert closer.on_history([candle(0, 61.0), candle(1, 70.0)], at(1)) == [
        Closed(candle(0, 61.0), "successor")
    ]
    assert closer.on_update(update(2, 80.0, closed=None)) == [BackfillNeeded(at(1), at(2))]
    assert closer.on_history([candle(1, 71.0)], at(2)) == [Closed(candle(1, 71.0), "rest")]


def test_a_lost_final_is_asked_for_at_once_and_accepted_late_once() -> None:
    """When the next minute begins first, REST is asked; a late flag is taken, and REST's answer adds nothing."""
    closer = begun()
    closer.on_update(update(0, 60.0, closed=False))
    assert closer.on_update(update(1, 65.0, closed=False)) == [BackfillNeeded(at(0), at(1))]
    assert closer.on_update(update(0, 61.0)) == [Closed(candle(0, 61.0), "stream")]
    assert closer.on_history([candle(0, 61.0)], at(1)) == []


def test_history_that_lags_leaves_the_rest_asked_for() -> None:
    """An answer that does not reach the request's end delivers its part and asks for what is left."""
    closer = begun()
    closer.on_update(update(3))
    assert closer.on_history([candle(0), candle(1, 55.0)], at(1)) == [
        Closed(candle(0), "rest"),
        BackfillNeeded(at(1), at(3)),
    ]


def test_a_time_within_a_minute_does_not_complete_it() -> None:
    """complete_until in the midst of a minute leaves that minute unknown."""
    closer = begun()
    closer.on_update(update(1, closed=False))
    assert closer.on_history([candle(0), candle(1)], at(1) + 30_000) == [Closed(candle(0), "rest")]
    assert closer.on_update(update(1, 99.0)) == [Closed(candle(1, 99.0), "stream")]


def test_history_outranks_a_held_candle() -> None:
    """A flagged candle that waits takes REST's values when they differ."""
    closer = begun()
    closer.on_update(update(1, 60.0))
    events = closer.on_history([candle(0), candle(1, 61.0)], at(2))
    assert events == [Closed(candle(0), "rest"), Closed(candle(1, 61.0), "rest")]


def test_a_held_candle_takes_the_newer_flagged_values() -> None:
    """Of two flagged updates that wait for a hole, the later one is delivered."""
    closer = begun()
    closer.on_update(update(1, 60.0))
    closer.on_update(update(1, 61.0))
    assert closer.on_history([candle(0)], at(1)) == [
        Closed(candle(0), "rest"),
        Closed(candle(1, 61.0), "stream"),
    ]


def test_each_distinct_revision_is_told_once() -> None:
    """New flagged values of a delivered minute are told once each, with the values before; repetitions are not."""
    closer = begun()
    closer.on_update(update(0, 60.0))
    assert closer.on_update(update(0, 61.0)) == [Revised(candle(0, 61.0), candle(0, 60.0))]
    assert closer.on_update(update(0, 61.0)) == []
    assert closer.on_update(update(0, 60.0)) == []
    assert closer.on_update(update(0, 62.0)) == [Revised(candle(0, 62.0), candle(0, 61.0))]


def test_the_word_of_rest_stands() -> None:
    """REST revises what the stream said, back to older values too, and a later flag does not undo it."""
    closer = begun()
    closer.on_update(update(0, 60.0))
    assert closer.on_history([candle(0, 60.0)], at(1)) == []
    assert closer.on_update(update(0, 61.0)) == []
    assert closer.on_history([candle(0, 62.0)], at(1)) == [Revised(candle(0, 62.0), candle(0, 60.0))]
    assert closer.on_history([candle(0, 62.0)], at(1)) == []
    assert closer.on_history([candle(0, 60.0)], at(1)) == [Revised(candle(0, 60.0), candle(0, 62.0))]
    closer.on_update(update(2))
    closer.on_history([candle(1, 70.0)], at(2))
    assert closer.on_update(update(1, 71.0)) == []


def test_an_unsound_final_is_refused_and_fetched() -> None:
    """A flagged row that breaks a rule is named, and its minute is asked for."""
    closer = begun()
    bad = update(0)._replace(high=math.nan)
    assert closer.on_update(bad) == [
        Refused(bad, "high is not a finite number"),
        BackfillNeeded(at(0), at(1)),
    ]
    assert closer.on_update(bad) == [Refused(bad, "high is not a finite number")]
    assert closer.on_history([candle(0)], at(1)) == [Closed(candle(0), "rest")]


def test_an_unsound_history_row_is_refused_and_its_minute_a_gap() -> None:
    """REST's unsound row is never delivered."""
    closer = begun()
    closer.on_update(update(1))
    bad = candle(0)._replace(low=-1.0)
    refused = Refused(CandleUpdate(*bad, closed=True), "low is not positive")
    assert closer.on_history([bad], at(1)) == [refused, Closed(candle(1), "stream")]


def test_a_wrong_time_is_refused_and_proves_nothing() -> None:
    """A row off the minute, or later than the exchange's time, does not end the minutes before it."""
    closer = begun()
    crooked = update(9)._replace(opened_at_ms=at(9) + 1)
    assert closer.on_update(crooked) == [Refused(crooked, "ts is not on a whole minute")]
    ahead = update(900)
    assert closer.on_update(ahead, now_ms=at(1)) == [Refused(ahead, "ts is in the future")]
    assert closer.missing() is None


def test_a_late_flag_fills_a_minute_that_history_had_passed_over() -> None:
    """A final of a passed-over minute is still delivered while nothing later was."""
    closer = begun()
    closer.on_update(update(1, closed=False))
    assert closer.on_history([], at(1)) == []
    assert closer.on_update(update(0)) == [Closed(candle(0), "stream")]
    assert closer.on_update(update(1)) == [Closed(candle(1), "stream")]


def test_a_late_flag_behind_a_delivered_candle_is_left_out() -> None:
    """Order outranks completeness: a minute before the last delivered one is never delivered."""
    closer = begun()
    closer.on_update(update(1))
    closer.on_history([], at(1))
    assert closer.on_update(update(0)) == []


def test_a_lost_request_can_be_asked_for_again() -> None:
    """missing() tells the whole of what is unknown until history has answered."""
    closer = begun()
    closer.on_update(update(4))
    assert closer.missing() == BackfillNeeded(at(0), at(4))
    closer.on_history([candle(m) for m in range(4)], at(4))
    assert closer.missing() is None


def test_foreign_rows_and_a_late_resume_are_bugs() -> None:
    """A row of another symbol, or a resume point after the start, raises and changes nothing."""
    closer = begun()
    with pytest.raises(EngineProtocolError, match="ETH"):
        closer.on_update(update(0)._replace(symbol="ETH/USDT"))
    with pytest.raises(EngineProtocolError, match="ETH"):
        closer.on_history([candle(0)._replace(symbol="ETH/USDT")], at(1))
    with pytest.raises(EngineProtocolError, match="resume_after"):
        closer.resume_after(at(5))
    assert closer.on_update(update(0)) == [Closed(candle(0), "stream")]


def test_memory_stays_bounded_while_history_is_silent_and_nothing_is_lost() -> None:
    """A hole that is not filled for days keeps a bounded number of candles, and all come in the end."""
    closer = begun()
    last = 3 * closer_module.MAX_HELD
    for minute in range(1, last):
        closer.on_update(update(minute, 150.0, closed=False))
        closer.on_update(update(minute))
    assert len(closer._held) <= closer_module.MAX_HELD
    assert len(closer._partial) <= closer_module.MAX_HELD
    assert closer.missing() == BackfillNeeded(at(0), at(last))
    events = closer.on_history([candle(m) for m in range(last)], at(last))
    assert [event.candle for event in events if isinstance(event, Closed)] == [candle(m) for m in range(last)]
    assert len(closer._delivered) == closer_module.MAX_REMEMBERED
    assert len(closer._confirmed) <= closer_module.MAX_REMEMBERED
    for close in range(60, 100):
        closer.on_history([candle(last - 1, float(close))], at(last))
    assert len(closer._delivered[at(last - 1)]) == closer_module.MAX_VALUES


class Exchange:
    """An honest exchange: what truly happened, the messages it sent, and its history endpoint."""

    def __init__(self, seed: int, minutes: int, *, flags: bool, wrong_finals: bool) -> None:
        self.random = random.Random(seed)
        self.truth = {
            minute: candle(minute, float(self.random.randint(51, 199)))
            for minute in range(minutes)
            if self.random.random() > 0.2
        }
        self.messages = self._messages(flags=flags, wrong_finals=wrong_finals)

    def _messages(self, *, flags: bool, wrong_finals: bool) -> list[CandleUpdate]:
        messages = []
        for minute, final in self.truth.items():
            open_flag = False if flags else None
            # Fractions are never final values: an unfinished value that is delivered is recognised.
            closes = [self.random.randint(51, 199) + 0.5 for _ in range(self.random.randint(0, 3))]
            messages += [update(minute, close, closed=open_flag) for close in closes]
            if flags and self.random.random() > 0.3:
                close = final.close + 0.25 if wrong_finals and self.random.random() < 0.3 else final.close
                messages += [update(minute, close)] * self.random.randint(1, 2)
            if self.random.random() < 0.1:
                messages.append(update(minute, closed=flags or None)._replace(volume=math.nan))
        return messages

    def history(self, since_ms: int, until_ms: int) -> tuple[list[Candle], int]:
        """An answer that may lag; its newest row may be an unfinished bar."""
        complete_ms = self.random.randrange(since_ms, until_ms + 1, MINUTE_MS)
        rows = [row for row in self.truth.values() if since_ms <= row.opened_at_ms < complete_ms]
        if self.random.random() < 0.5:
            rows.append(candle((complete_ms - START) // MINUTE_MS, 123.5))
        return rows, complete_ms


def play(closer: CandleCloser, exchange: Exchange, minutes: int) -> list[CloserEvent]:
    """Send all messages; answer requests late, out of order or not at all; then let all be told."""
    log: list[CloserEvent] = []
    requests: list[BackfillNeeded] = []

    def take(events: list[CloserEvent]) -> None:
        log.extend(events)
        requests.extend(event for event in events if isinstance(event, BackfillNeeded))

    for message in exchange.messages:
        take(closer.on_update(message))
        while requests and exchange.random.random() < 0.5:
            request = requests.pop(exchange.random.randrange(len(requests)))
            if exchange.random.random() < 0.8:
                take(closer.on_history(*exchange.history(request.since_ms, request.until_ms)))
    take(closer.on_update(update(minutes, 199.5, closed=None)))
    while (needed := closer.missing()) is not None:
        take(closer.on_history(*exchange.history(needed.since_ms, needed.until_ms)))
    return log


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(1, 14), st.booleans(), st.booleans())
def test_any_stream_with_an_honest_history_yields_the_true_candles(
    seed: int, minutes: int, flags: bool, shuffled: bool
) -> None:
    """Whatever is doubled, late, lost, unsound or out of order, each true candle comes once, final, in order."""
    exchange = Exchange(seed, minutes, flags=flags, wrong_finals=False)
    if shuffled:
        exchange.random.shuffle(exchange.messages)
    log = play(begun(), exchange, minutes)
    delivered = [event.candle for event in log if isinstance(event, Closed)]
    assert [c.opened_at_ms for c in delivered] == sorted({c.opened_at_ms for c in delivered})
    assert not [event for event in log if isinstance(event, Revised)]
    assert delivered == list(exchange.truth.values())


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 14))
def test_corrections_end_at_the_true_values(seed: int, minutes: int) -> None:
    """When flagged values were wrong, what was delivered and revised ends equal to what REST tells at last."""
    exchange = Exchange(seed, minutes, flags=True, wrong_finals=True)
    exchange.random.shuffle(exchange.messages)
    closer = begun()
    log = play(closer, exchange, minutes)
    log += closer.on_history(list(exchange.truth.values()), at(minutes))
    delivered = [event.candle.opened_at_ms for event in log if isinstance(event, Closed)]
    assert delivered == sorted(set(delivered))
    final: dict[int, Candle] = {}
    for event in log:
        if isinstance(event, Revised):
            assert event.previous == final[event.candle.opened_at_ms]
        if isinstance(event, Closed | Revised):
            final[event.candle.opened_at_ms] = event.candle
    assert final == {row.opened_at_ms: row for row in exchange.truth.values()}
