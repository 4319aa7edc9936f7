"""The watch over who serves: shown each minute once, and of what came only what can be known by then."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import MINUTE_MS
from bot.retraining.served_watch import ServedMinute, WatchedModel, WatchWord
from bot.retraining.served_words import ModelWords, Words

HORIZON = 5
SYMBOLS = ("A/USDT", "B/USDT")


def words(first: int, count: int, silent: frozenset[int] = frozenset(), short: int = 0) -> ModelWords:
    """Words about minutes ``first`` to ``first + count`` of two symbols; none at the minutes in ``silent``."""
    due = np.arange(first, first + count, dtype=np.int64) * MINUTE_MS
    ts = np.array([at for at in due.tolist() if at // MINUTE_MS not in silent], np.int64)
    said = np.full(len(ts), 0.6)
    columns = dict.fromkeys(("expected_return", "probability_up", "raw", "uncertainty", "volatility"), said)
    one = Words(
        ts=ts,
        columns=columns,
        due=due,
        realized=np.full(len(ts), 0.001),
        long=np.arange(count) >= short,
        rows=np.zeros((count, 3), np.float32),
    )
    return ModelWords("m", HORIZON, 0.5, dict.fromkeys(SYMBOLS, one))


class Recorder:
    """A watch that remembers what it is shown and says what it was told to."""

    def __init__(self, says: dict[int, WatchWord] | None = None) -> None:
        self.seen: list[ServedMinute] = []
        self.says = says or {}

    def step(self, minute: ServedMinute) -> WatchWord:
        """Take in a minute."""
        self.seen.append(minute)
        return self.says.get(minute.closed_at_ms // MINUTE_MS, WatchWord(1.0, "", None))


@given(
    cuts=st.lists(st.integers(1, 59), max_size=4, unique=True),
    silent=st.frozensets(st.integers(0, 59), max_size=20),
)
def test_an_outcome_is_told_when_its_horizon_has_passed_and_once(cuts, silent):
    """However the time is cut into pieces, each outcome is told in the minute in which it becomes known."""
    watch = Recorder()
    watched = WatchedModel(watch)
    edges = [0, *sorted(cuts), 60]
    for start, end in itertools.pairwise(edges):
        assert watched.advance(words(start, end - start, silent)) is None
    assert [minute.closed_at_ms for minute in watch.seen] == [(n + 1) * MINUTE_MS for n in range(60)]
    told = [(minute.closed_at_ms, one) for minute in watch.seen for one in minute.outcomes]
    assert all(at == one.closed_at_ms + HORIZON * MINUTE_MS for at, one in told)
    known = [n for n in range(60 - HORIZON) if n not in silent]
    assert sorted((one.symbol, one.closed_at_ms // MINUTE_MS - 1) for _, one in told) == sorted(
        (symbol, n) for symbol in SYMBOLS for n in known
    )


def test_a_minute_without_a_forecast_counts_as_abstained():
    """What is due and not given is an abstention; before the history is long enough nothing is due."""
    watch = Recorder()
    WatchedModel(watch).advance(words(0, 4, frozenset({1, 3}), short=2))
    assert [(one.due, one.forecasts, one.abstained) for one in watch.seen] == [
        (0, 2, 0),
        (0, 0, 0),
        (2, 2, 0),
        (2, 0, 2),
    ]
    assert [len(one.rows) for one in watch.seen] == [0, 0, 2, 2]


def test_sizes_are_noted_when_they_change_and_an_end_ends():
    """A cut is noted after its minute, once; after an end nothing more is looked at."""
    cut, end = WatchWord(0.5, "log_loss_doubted", None), WatchWord(0.0, "log_loss", "log_loss: it lost")
    watch = Recorder({3: cut, 4: cut, 7: end})
    watched = WatchedModel(watch)
    found = watched.advance(words(0, 20))
    assert found == (7 * MINUTE_MS, "log_loss: it lost")
    assert watched.sizes == [(3 * MINUTE_MS, 0.5, "log_loss_doubted"), (5 * MINUTE_MS, 1.0, "")]
    assert len(watch.seen) == 7
