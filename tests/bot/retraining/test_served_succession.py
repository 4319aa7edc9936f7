"""Who serves in which minute: shadow, promotion and rollback by the daemon's rules, over stored candles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bot.core.market import MINUTE_MS
from bot.core.promotion import NO_TRADE
from bot.errors import ModelError
from bot.retraining.served_succession import ShadowTerms, Succession
from bot.retraining.served_watch import ServedMinute, WatchWord
from bot.retraining.served_words import ModelWords, Words
from models.registry import challenger, champion, set_challenger
from models.verdicts import StoredVerdict, write_verdict
from tests.tiny_model import write_tiny_model

SYMBOL = "A/USDT"
START = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS
HOURS = 2.0
TERMS = ShadowTerms(hours=HOURS, least_share=0.95, least_due_share=0.5, patience=2.0)


def minute(number: int) -> int:
    """The open time of a minute after the start."""
    return START + number * MINUTE_MS


@dataclass
class Market:
    """What models say, and how watches end them.

    Attributes:
        silent: Minutes without a forecast of any model.
        holes: Minutes without a whole window.
        ends: Model -> the minute whose close ends its trading.
        asked: What was asked for.
    """

    silent: set[int] = field(default_factory=set)
    holes: set[int] = field(default_factory=set)
    ends: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def ask(self, model_id: str, from_ms: int, until_ms: int, rows: bool) -> ModelWords:
        """Every minute but the holes is due, and every one but the silent is given."""
        self.asked.append((model_id, from_ms, until_ms))
        numbers = [(at - START) // MINUTE_MS for at in range(from_ms, until_ms, MINUTE_MS)]
        due = np.array([minute(n) for n in numbers if n not in self.holes], np.int64)
        ts = np.array([at for at in due.tolist() if (at - START) // MINUTE_MS not in self.silent], np.int64)
        said = np.full(len(ts), 0.5)
        names = ("expected_return", "probability_up", "raw", "uncertainty", "volatility")
        one = Words(
            ts,
            dict.fromkeys(names, said),
            due,
            np.full(len(ts), np.nan),
            np.ones(len(due), bool),
            np.zeros((len(due) if rows else 0, 1), np.float32),
        )
        return ModelWords(model_id, 5, 0.5, {SYMBOL: one})

    def watch(self, model_id: str) -> _Watch:
        """A watch that ends a model when it was told to."""
        return _Watch(self.ends.get(model_id))


class _Watch:
    def __init__(self, end: int | None) -> None:
        self.end = end

    def step(self, seen: ServedMinute) -> WatchWord:
        """Take in a minute."""
        over = self.end is not None and seen.closed_at_ms >= minute(self.end)
        return WatchWord(0.0, "drawdown", "drawdown: it fell") if over else WatchWord(1.0, "", None)


def model(
    root: Path, seed: int, kind: str = "recipe", beside: str | None = None, promote: bool = True
) -> str:
    """A stored model with its verdict, named challenger."""
    name = write_tiny_model(root, seed=seed, created_at_ms=START + seed * 1000).name
    write_verdict(root, StoredVerdict(name, START, kind, promote, (), {}, promote, beside))
    set_challenger(root, name)
    return name


def succession(root: Path, market: Market, until: int = 5000) -> Succession:
    """From the start on, nobody serving."""
    return Succession(root, market.ask, market.watch, TERMS, 1, minute(until), START)


def spans(one: Succession) -> list[tuple[str, int, int]]:
    """Who served when, in minutes; neighbouring pieces of one model as one."""
    found: list[tuple[str, int, int]] = []
    for piece in one.pieces:
        who, first, last = (
            piece.words.model_id,
            (piece.from_ms - START) // MINUTE_MS,
            (piece.until_ms - START) // MINUTE_MS,
        )
        if found and found[-1][0] == who and found[-1][2] == first:
            found[-1] = (who, found[-1][1], last)
        else:
            found.append((who, first, last))
    return found


def test_a_challenger_serves_after_its_shadow(tmp_path):
    """Named at minute 10, it stands beside for two hours, is then champion on the disk, and serves from there on."""
    name, market = model(tmp_path, 1), Market()
    one = succession(tmp_path, market)
    one.advance(minute(10))
    one.challenge(name, minute(10))
    one.advance(minute(129))
    assert one.pieces == []
    assert champion(tmp_path) is None
    one.advance(minute(1000))
    assert spans(one) == [(name, 130, 1000)]
    assert champion(tmp_path) == name
    assert challenger(tmp_path) is None
    assert [(event.what, (event.at_ms - START) // MINUTE_MS) for event in one.events] == [
        ("shadow_started", 10),
        ("promoted", 130),
    ]
    assert [(turn.after_ms, turn.model_id, turn.empties) for turn in one.turns] == [
        (minute(130), name, False)
    ]


def test_a_challenger_that_says_too_little_is_refused(tmp_path):
    """Of 120 forecasts that are due 113 are too few; the name is taken away, and nobody serves."""
    name = model(tmp_path, 1)
    one = succession(tmp_path, Market(silent=set(range(20, 27))))
    one.advance(minute(10))
    one.challenge(name, minute(10))
    one.advance(minute(500))
    assert one.pieces == []
    assert challenger(tmp_path) is None
    assert one.events[-1].what == "shadow_refused"
    assert one.events[-1].why == "113 of 120 forecasts were given, 95% are needed"


def test_a_thin_market_makes_a_shadow_wait_and_then_refuses(tmp_path):
    """Half of the minutes must be due: where they come late it is judged then, and where they do not it is refused."""
    name = model(tmp_path, 1)
    late = succession(tmp_path, Market(holes=set(range(10, 100))))
    late.advance(minute(10))
    late.challenge(name, minute(10))
    late.advance(minute(300))
    assert late.events[-1].what == "promoted"
    assert (late.events[-1].at_ms - START) // MINUTE_MS == 160  # sixty minutes were due by then
    other = tmp_path / "other"
    never = succession(other, Market(holes=set(range(10, 600))))
    never.advance(minute(10))
    never.challenge(model(other, 2), minute(10))
    never.advance(minute(700))
    assert never.events[-1].what == "shadow_refused"
    assert never.events[-1].why == "only 0 forecasts were due in 5 hours"


def test_a_newer_challenger_takes_the_place_of_one_in_its_shadow(tmp_path):
    """Only who was named last becomes champion."""
    first, market = model(tmp_path, 1), Market()
    one = succession(tmp_path, market)
    one.advance(minute(10))
    one.challenge(first, minute(10))
    one.advance(minute(60))
    second = model(tmp_path, 2)
    one.challenge(second, minute(60))
    one.advance(minute(400))
    assert spans(one) == [(second, 180, 400)]


def test_a_refit_judged_beside_somebody_else_is_refused(tmp_path):
    """A refit that was compared with a champion that serves no more does not follow."""
    refit = model(tmp_path, 3, kind="refit", beside="tiny-20200101T000000-abcdef")
    one = succession(tmp_path, Market())
    one.challenge(refit, START)
    one.advance(minute(300))
    assert one.pieces == []
    assert challenger(tmp_path) is None
    assert one.events[0].why == f"it was judged beside tiny-20200101T000000-abcdef, and {NO_TRADE} trades now"


def test_a_rollback_brings_back_the_champion_before_and_then_nobody(tmp_path):
    """What the watch ends gives way in the next minute: to the champion before, or to nobody, and what is held closes."""
    market = Market()
    first = model(tmp_path, 1)
    one = succession(tmp_path, market)
    one.challenge(first, START)
    one.advance(minute(200))
    second = model(tmp_path, 2, kind="refit", beside=first)
    market.ends = {second: 500, first: 700}
    one.challenge(second, minute(200))
    one.advance(minute(1000))
    # The first one is followed by a new watch when it comes back, which then ends it too.
    assert spans(one) == [(first, 120, 320), (second, 320, 500), (first, 500, 700)]
    assert champion(tmp_path) == NO_TRADE
    assert [event.what for event in one.events][-2:] == ["rolled_back", "rolled_back"]
    assert one.events[-1].why == "drawdown: it fell; nobody serves"
    assert [(turn.model_id, turn.empties) for turn in one.turns][-2:] == [(first, False), (None, True)]


def test_a_shadow_that_outlasts_the_candles_does_not_end(tmp_path):
    """Nothing is known of what comes after the last candle: a challenger stays one."""
    name = model(tmp_path, 1)
    one = succession(tmp_path, Market(), until=100)
    one.challenge(name, START)
    one.advance(minute(100))
    assert one.pieces == []
    assert challenger(tmp_path) == name
    assert [event.what for event in one.events] == ["shadow_started"]


def test_no_model_is_asked_about_a_time_that_has_not_come(tmp_path):
    """Whoever serves is asked about minutes up to the present, in order and each once."""
    name, market = model(tmp_path, 1), Market()
    one = succession(tmp_path, market)
    one.challenge(name, START)
    market.asked.clear()
    for until in (200, 350, 900):
        one.advance(minute(until))
        assert all(last <= minute(until) for _, _, last in market.asked)
    assert [(first, last) for _, first, last in market.asked] == [
        (minute(120), minute(200)),
        (minute(200), minute(350)),
        (minute(350), minute(900)),
    ]


def test_who_is_not_proven_cannot_stand_beside(tmp_path):
    """A challenger that the gate has refused is an error of whoever named it."""
    name = model(tmp_path, 1, promote=False)
    with pytest.raises(ModelError, match="not proven"):
        succession(tmp_path, Market()).challenge(name, START)
