"""The nightly replay: which day is due, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.run import daemon_settings
from bot.clock import MarketClock
from bot.core.market import DAY_MS, MINUTE_MS
from bot.daemon.parts import replays_of
from bot.daemon.shadow_replay import (
    COMMAND,
    FIRST_WAIT_MS,
    HOUR_MS,
    MOST_DAYS,
    TRIES,
    ReplayCalendar,
    ReplayPlan,
    ShadowReplayer,
    date_of,
)
from bot.daemon.telling import Teller
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Silent
from tests.journal_rig import Life, change_batch, forged, live_through

DAY = MIDNIGHT // DAY_MS
ALL = frozenset(range(DAY - 30, DAY + 30))
FOUND = {
    "date": "2024-01-01",
    "minutes": 1440,
    "compared": {"decision": 2880, "fill": 12},
    "forecasts_checked": 2800,
    "differences": 3,
    "unexplained": 0,
    "first_unexplained": None,
    "seconds": 4.5,
}


def calendar(
    recorded: frozenset[int] = ALL, done: frozenset[int] = frozenset(), hour: int = 1
) -> ReplayCalendar:
    """Of some days."""
    return ReplayCalendar(hour, recorded.__contains__, done.__contains__)


def test_a_day_is_due_from_its_hour_on() -> None:
    """Not while it lasts, not before the hour of the next day, and once it is done no more."""
    days = calendar(frozenset({DAY}))
    assert days.due(MIDNIGHT + 23 * HOUR_MS) is None
    assert days.due(MIDNIGHT + DAY_MS + HOUR_MS - 1) is None
    assert days.due(MIDNIGHT + DAY_MS + HOUR_MS) == DAY
    days.succeeded(DAY)
    assert days.due(MIDNIGHT + DAY_MS + 5 * HOUR_MS) is None


def test_nights_that_were_missed_are_made_up_for_oldest_first() -> None:
    """Each once; days that are done, or on which nothing was decided, are left out, and a week is the limit."""
    days = calendar(ALL - {DAY - 2}, frozenset({DAY - 1}))
    now_ms, replayed = MIDNIGHT + DAY_MS + 2 * HOUR_MS, []
    while (day := days.due(now_ms)) is not None:
        replayed.append(day)
        days.succeeded(day)
    assert replayed == [day for day in range(DAY - MOST_DAYS + 1, DAY + 1) if day not in {DAY - 2, DAY - 1}]


def test_a_failure_is_tried_again_later_and_not_for_ever() -> None:
    """The waits double; meanwhile another day may have its turn, and a next life of the daemon begins anew."""
    days = calendar(frozenset({DAY}))
    now_ms = MIDNIGHT + DAY_MS + 2 * HOUR_MS
    waits = []
    for _ in range(TRIES - 1):
        assert days.due(now_ms) == DAY
        retry_ms = days.failed(DAY, now_ms)
        assert retry_ms is not None
        assert days.due(retry_ms - 1) is None
        waits.append(retry_ms - now_ms)
        now_ms = retry_ms
    assert waits == [FIRST_WAIT_MS * 2**n for n in range(TRIES - 1)]
    assert days.failed(DAY, now_ms) is None
    assert days.due(now_ms + 10 * HOUR_MS) is None
    assert calendar(frozenset({DAY})).due(now_ms) == DAY


@given(
    hour=st.integers(0, 23),
    now=st.integers(MIDNIGHT, MIDNIGHT + 5 * DAY_MS),
    recorded=st.frozensets(st.integers(DAY - 10, DAY + 6)),
    done=st.frozensets(st.integers(DAY - 10, DAY + 6)),
)
def test_only_a_recorded_day_that_is_over_and_not_done_is_due(
    hour: int, now: int, recorded: frozenset[int], done: frozenset[int]
) -> None:
    """Whatever the hour and the days: never a day twice, never one that goes on, never an empty one."""
    day = calendar(recorded, done, hour).due(now)
    over = (now - hour * HOUR_MS) // DAY_MS - 1
    candidates = {one for one in recorded - done if over - MOST_DAYS < one <= over}
    assert day == min(candidates, default=None)


# --- the process -------------------------------------------------------------------------------------------------


class Rig:
    """A replayer over a state folder, on a clock that is moved by hand."""

    def __init__(self, folder: Path, program: tuple[str, ...]) -> None:
        self.now_ms = MIDNIGHT + DAY_MS + 2 * HOUR_MS
        self.journal = SqliteJournal(folder / "journal.sqlite")
        self.log = Silent()
        plan = ReplayPlan(program, 1, 60.0, folder / "replays", self.journal.path, look_seconds=0.01)
        self.replayer = ShadowReplayer(
            plan, Teller(self.log, self.journal, lambda: self.now_ms), lambda: self.now_ms
        )

    async def until(self, event: str) -> dict[str, Any]:
        """Serve until an event is told; gives its fields."""
        serving = asyncio.create_task(self.replayer.serve())
        try:
            async with asyncio.timeout(60):
                while not (found := [fields for name, fields in self.log.lines if name == event]):
                    await asyncio.sleep(0.01)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        return found[-1]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of which two hours were decided, and some minutes of the next."""
    from tests.daemon_harness import random_market

    market = [one._replace(opened_at_ms=one.opened_at_ms + 1320 * MINUTE_MS) for one in random_market(6, 130)]
    folder = tmp_path_factory.mktemp("state")
    return asyncio.run(live_through(folder, [Life(1400), Life(1450)], market=market))


@contextmanager
def rig(folder: Path, program: tuple[str, ...]) -> Iterator[Rig]:
    """A rig whose journal is closed."""
    made = Rig(folder, program)
    try:
        yield made
    finally:
        made.journal.close()


def saying(code: int, **changes: Any) -> tuple[str, ...]:
    """A program that says what a replay would, and ends so."""
    text = json.dumps(FOUND | changes)
    return (sys.executable, "-S", "-c", f"import sys; print({text!r}); sys.exit({code})")


async def test_the_real_command_replays_a_day_once(state: Path, tmp_path: Path) -> None:
    """In a process of its own; the result is told, journaled and kept, and the next life finds it done."""
    folder = forged(state, tmp_path / "copy", lambda _: None)
    program = (*COMMAND, "--state-dir", str(folder), "--no-forecasts")
    with rig(folder, program) as made:
        told = await made.until("replay.finished")
        assert (told["date"], told["minutes"], told["began_ms"]) == ("2024-01-01", 120, made.now_ms)
        assert told["decisions"] == 240
    assert json.loads((folder / "replays" / "2024-01-01.json").read_text())["unexplained"] == 0
    note = JournalReader(folder / "journal.sqlite").newest_note(["replay.finished"])
    assert note is not None
    assert note["date"] == "2024-01-01"
    with rig(folder, program) as again:
        assert again.replayer.calendar.due(again.now_ms) is None


async def test_a_divergence_is_named(state: Path, tmp_path: Path) -> None:
    """One altered decision in the journal is told with its minute, by the real command."""

    def change(row: dict[str, Any]) -> None:
        row["decisions"][0]["hold_reason"] = "made_up"

    at_ms = MIDNIGHT + 1410 * MINUTE_MS
    folder = forged(state, tmp_path / "copy", partial(change_batch, closed_at_ms=at_ms, change=change))
    with rig(folder, (*COMMAND, "--state-dir", str(folder), "--no-forecasts")) as made:
        told = await made.until("replay.diverged")
    assert told["unexplained"] == 1
    assert "made_up" in told["first"]
    assert "23:30Z" in told["first"]


async def test_what_a_program_says_is_told(state: Path, tmp_path: Path) -> None:
    """Counts, what was explained, how long it took; a program that says nothing has failed and is tried again."""
    with rig(forged(state, tmp_path / "a", lambda _: None), saying(0)) as made:
        told = await made.until("replay.finished")
        assert (told["orders"], told["forecasts"], told["explained"], told["seconds"]) == (12, 2800, 3, 4.5)
    with rig(
        forged(state, tmp_path / "b", lambda _: None), saying(8, unexplained=2, first_unexplained="x")
    ) as made:
        told = await made.until("replay.diverged")
        assert (told["unexplained"], told["first"], told["explained"]) == (2, "x", 1)
    failing = (sys.executable, "-S", "-c", "import sys; sys.stderr.write('error: no room\\n'); sys.exit(1)")
    with rig(forged(state, tmp_path / "c", lambda _: None), failing) as made:
        told = await made.until("replay.failed")
        assert told["reason"] == "exit code 1: no room"
        assert told["retry_ms"] == made.now_ms + FIRST_WAIT_MS
    with rig(forged(state, tmp_path / "d", lambda _: None), (str(tmp_path / "nowhere"),)) as made:
        assert "No such file" in (await made.until("replay.failed"))["reason"]
    with rig(
        forged(state, tmp_path / "e", lambda _: None), (sys.executable, "-S", "-c", "print('[]')")
    ) as made:
        assert "without saying" in (await made.until("replay.failed"))["reason"]


def test_days_of_before_rules_were_kept_are_not_replayed(state: Path, tmp_path: Path) -> None:
    """An older journal that goes on is replayed from its first whole day on; one without rules is not at all."""

    def older(database: Any) -> None:
        database.execute(
            "DELETE FROM notes WHERE kind = 'service.rules' AND id = (SELECT min(id) FROM notes WHERE kind = 'service.rules')"
        )

    with rig(forged(state, tmp_path / "a", older), ()) as made:
        assert made.replayer.calendar.due(made.now_ms) is None
        assert made.replayer.calendar.due(made.now_ms + DAY_MS) == DAY + 1
    with rig(forged(state, tmp_path / "b", lambda db: db.execute("DELETE FROM notes")), ()) as made:
        assert made.replayer.calendar.due(made.now_ms + DAY_MS) is None


def test_settings_decide_whether_and_how(tmp_path: Path) -> None:
    """The command is public and gets folders as flags; off, or on a tape at speed 0, nothing runs beside the loop."""

    class Loop:
        class engine:  # noqa: N801 - an attribute of a loop
            last_opened_at_ms = MIDNIGHT

    def asked(**flags: Any) -> list[Any]:
        settings = daemon_settings([], {"state_dir": tmp_path, **flags}, [])
        journal = SqliteJournal(tmp_path / "journal.sqlite")
        try:
            return replays_of(settings, journal, Loop(), MarketClock(0), Silent())  # type: ignore[arg-type]
        finally:
            journal.close()

    [serving] = asked()
    serving.close()
    assert asked(**{"shadow_replay.enabled": False}) == []
    paced = {"exchange.paced": True, "exchange.simulated": True, "exchange.clock": "market"}
    assert asked(**paced) == []
    assert date_of(DAY) == "2024-01-01"
