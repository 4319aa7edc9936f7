"""Forecasts that nobody hears, before a minute ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.daemon.rehearsal import LEAD_SECONDS, PATIENCE_SECONDS, PAUSE_SECONDS, Rehearsal

MINUTE_MS = 60_000


class Stage:
    """A time that passes when told, with what was planned for it."""

    def __init__(self, speed: float = 1.0, *, fails: bool = False) -> None:
        self.now = 0.0
        self.played: list[float] = []
        self.fails = fails
        self.planned: list[Plan] = []
        self.rehearsal = Rehearsal(self.play, speed, lambda: int(self.now * 1e9), self.later)

    def play(self) -> None:
        """One rehearsal."""
        self.played.append(self.now)
        if self.fails:
            raise RuntimeError("the model is broken")

    def later(self, seconds: float, call: Callable[[], None]) -> Plan:
        """Plan a call."""
        plan = Plan(self.now + seconds, call)
        self.planned.append(plan)
        return plan

    def pass_until(self, until: float) -> None:
        """Make every call that is due by then, in order."""
        while due := [plan for plan in self.planned if not plan.over and plan.at <= until]:
            plan = min(due, key=lambda one: one.at)
            self.now, plan.over = plan.at, True
            plan.call()
        self.now = until


class Plan:
    """A call to come."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.over = False

    def cancel(self) -> None:
        """It does not come."""
        self.over = True


def test_it_begins_shortly_before_the_candle_is_due_and_ends_with_it() -> None:
    """Every few milliseconds from then on, and not once more when the minute is decided."""
    stage = Stage()
    stage.rehearsal.heard(7 * MINUTE_MS + 10_000)
    stage.pass_until(50 - 2 * LEAD_SECONDS)
    assert stage.played == []
    stage.pass_until(50.01)
    count = len(stage.played)
    assert stage.played[0] == pytest.approx(50 - LEAD_SECONDS)
    assert count == pytest.approx((LEAD_SECONDS + 0.01) / PAUSE_SECONDS, abs=2)
    stage.rehearsal.decided(8 * MINUTE_MS)
    stage.pass_until(60.0)
    assert len(stage.played) == count


def test_each_minute_is_planned_once() -> None:
    """Many messages of a minute, late ones of an older minute, and a minute that was skipped."""
    stage = Stage()
    for at_ms in (0, 5_000, 5_000, 59_999):
        stage.rehearsal.heard(at_ms)
    assert len(stage.planned) == 1
    stage.rehearsal.heard(MINUTE_MS)
    stage.rehearsal.heard(100)
    assert [plan.over for plan in stage.planned] == [True, False]
    stage.rehearsal.decided(MINUTE_MS)
    assert not stage.planned[-1].over, "the end of an older minute is none of the next one's"
    stage.rehearsal.decided(2 * MINUTE_MS)
    assert stage.planned[-1].over


def test_it_gives_up_where_no_candle_comes() -> None:
    """A market that has gone silent costs a second a minute at most."""
    stage = Stage()
    stage.rehearsal.heard(MINUTE_MS - 1_000)
    stage.pass_until(3600.0)
    assert stage.played
    assert stage.played[-1] <= 1.0 + PATIENCE_SECONDS + PAUSE_SECONDS


def test_a_fast_market_leaves_it_a_part_of_the_minute() -> None:
    """At thousands of minutes a second it does not rehearse all the time; where the market waits for us, never."""
    stage = Stage(6_000.0)
    stage.rehearsal.heard(0)
    assert stage.planned[0].at == pytest.approx(0.0075)
    waiting = Stage(0.0)
    waiting.rehearsal.heard(0)
    assert waiting.planned == []


def test_a_model_that_breaks_ends_the_rehearsal_alone() -> None:
    """Once a minute it is tried, and nothing is raised into the event loop."""
    stage = Stage(fails=True)
    stage.rehearsal.heard(MINUTE_MS - 1_000)
    stage.pass_until(30.0)
    assert len(stage.played) == 1
    stage.rehearsal.heard(MINUTE_MS)
    stage.pass_until(120.0)
    assert len(stage.played) == 2


def test_it_rests_when_the_run_ends() -> None:
    """Nothing is planned any more."""
    stage = Stage()
    stage.rehearsal.heard(0)
    stage.rehearsal.rest()
    stage.rehearsal.rest()
    stage.pass_until(100.0)
    assert stage.played == []
