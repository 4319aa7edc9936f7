"""The watch over the model that serves, minute by minute over stored candles: what a daemon would have shown it.

Of what a daemon's watch looks at, two things are not there: how long an inference takes, and the equity of the account.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bot.core.market import MINUTE_MS
from bot.core.skill_watch import Outcome
from bot.retraining.served_words import ModelWords, Words


class ServedMinute(NamedTuple):
    """What the model that serves did in one minute.

    Attributes:
        closed_at_ms: Close of the minute's candles.
        due: Symbols that a forecast was due for.
        forecasts: Symbols that it gave one for.
        abstained: Symbols that are due, and it gave none for, being unlike its training.
        rows: The newest scaled row of each symbol that is due.
        outcomes: What is known by now of earlier forecasts, in order of their time.
    """

    closed_at_ms: int
    due: int
    forecasts: int
    abstained: int
    rows: Sequence[npt.NDArray[np.float32]]
    outcomes: Sequence[Outcome]


class WatchWord(NamedTuple):
    """What is done about the model from the next minute on.

    Attributes:
        size: New entries are multiplied by it; 0 allows none.
        reason: Why, a stable word; empty where nothing is cut.
        end: Why its trading ends; None while it does not.
    """

    size: float
    reason: str
    end: str | None


class Watch(Protocol):
    """Follows one model from its first minute."""

    def step(self, minute: ServedMinute) -> WatchWord:
        """Take in a minute."""


class SizeChange(NamedTuple):
    """Entries are cut, or not any more, after the minute that closed then."""

    after_ms: int
    size: float
    reason: str


class End(NamedTuple):
    """The watch ends a model's trading after the minute that closed then."""

    after_ms: int
    reason: str


class WatchedModel:
    """One model while it serves.

    Args:
        watch: Follows it.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._waiting: deque[tuple[int, Outcome]] = deque()
        self._size = 1.0
        self.sizes: list[SizeChange] = []

    def advance(self, words: ModelWords) -> End | None:
        """Follow it over the next minutes, in order; None where nothing ends its trading."""
        for minute in self._minutes(words):
            word = self._watch.step(minute)
            if word.end is not None:
                return End(minute.closed_at_ms, word.end)
            if word.size != self._size:
                self._size = word.size
                self.sizes.append(SizeChange(minute.closed_at_ms, word.size, word.reason))
        return None

    def _minutes(self, words: ModelWords) -> Iterator[ServedMinute]:
        views = [_View.of(one) for one in words.by_symbol.values()]
        minutes = np.unique(np.concatenate([one.due for one in words.by_symbol.values()])).tolist()
        # What comes of a forecast is told when its horizon has passed; the next call may have to tell the last ones.
        self._waiting.extend(sorted(_outcomes(words)))
        for ts in minutes:
            known = []
            while self._waiting and self._waiting[0][0] <= ts + MINUTE_MS:
                known.append(self._waiting.popleft()[1])
            yield _minute(ts, views, known)


class _View(NamedTuple):
    """One symbol's words by minute."""

    said: Callable[[int], bool]
    due: dict[int, int]
    rows: npt.NDArray[np.float32]

    @classmethod
    def of(cls, words: Words) -> _View:
        places = np.flatnonzero(words.long)
        due = dict(zip(words.due[places].tolist(), places.tolist(), strict=True))
        return cls(set(words.ts.tolist()).__contains__, due, words.rows)


def _minute(ts: int, views: Sequence[_View], known: Sequence[Outcome]) -> ServedMinute:
    due = [(view, view.due[ts]) for view in views if ts in view.due]
    return ServedMinute(
        closed_at_ms=ts + MINUTE_MS,
        due=len(due),
        forecasts=sum(view.said(ts) for view in views),
        abstained=sum(not view.said(ts) for view, _ in due),
        rows=[view.rows[place] for view, place in due],
        outcomes=known,
    )


def _outcomes(words: ModelWords) -> Iterator[tuple[int, Outcome]]:
    """What came of each forecast, with the close of the minute in which it is known."""
    reach = words.horizon_minutes * MINUTE_MS
    for symbol, one in words.by_symbol.items():
        said = one.columns["probability_up"]
        for place in np.flatnonzero(np.isfinite(one.realized) & np.isfinite(said)).tolist():
            closed = int(one.ts[place]) + MINUTE_MS
            outcome = Outcome(
                symbol,
                closed,
                words.horizon_minutes,
                float(said[place]),
                words.base_rate,
                float(one.realized[place]),
            )
            yield closed + reach, outcome
