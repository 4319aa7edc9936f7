"""Retraining in a process of its own: its diary, its service, and the daemon that takes over what it wrote."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import MINUTE_MS
from bot.daemon.attendance import AttendanceRules, attend
from bot.daemon.lock import RETRAINER_LOCK, state_lock
from bot.daemon.retrain_diary import DIARY, RetrainDiary, identity
from bot.daemon.retrain_follower import RetrainFollower
from bot.daemon.retrain_service import serve_retrainer
from bot.daemon.retrainer import RetrainPlan
from bot.daemon.serving import ModelShelf
from bot.daemon.shadow import ShadowRules
from bot.daemon.telling import Teller
from bot.errors import ConfigError, StorageError
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from models.registry import challenger
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, Silent, random_market
from tests.scripted_predictor import Scripted
from tests.tiny_model import write_tiny_model

STAND_IN = Path(__file__).parents[2] / "retrain_stand_in.py"
HOUR_MS = 60 * MINUTE_MS
START_MS = 1_704_067_200_000 + 30 * MINUTE_MS


def plan_of(folder: Path, *actions: str, schedule: str = "0 * * * *") -> RetrainPlan:
    """A plan whose program is the stand-in, which does these actions one by one."""
    model = write_tiny_model(folder / "prepared").name
    (folder / "models").mkdir(exist_ok=True)
    steps = [{"action": action, "model": model} for action in actions]
    (folder / "plan.json").write_text(json.dumps(steps))
    program = (sys.executable, "-S", str(STAND_IN), str(folder / "plan.json"))
    words = ("--set", f"model.root={folder / 'models'}")
    return RetrainPlan((*program, *words), schedule, UTC, 60.0, folder / "models")


async def until(done: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.01)


# --- the diary --------------------------------------------------------------------------------------------


def test_the_diary_gives_back_what_was_noted_newest_first(tmp_path: Path) -> None:
    """Rows keep their fields and their order; a kind's notes come newest first, as the journal's do."""
    diary = RetrainDiary(tmp_path)
    assert diary.rows() == []
    diary.note("retrain.started", 5, {"due_ms": 1, "began_ms": 2})
    diary.note("retrain.failed", 6, {"began_ms": 2, "reason": "a\nb", "retry_ms": None})
    diary.note("retrain.started", 7, {"due_ms": 1, "began_ms": 3})
    assert [row["began_ms"] for row in diary.notes("retrain.started")] == [3, 2]
    assert diary.notes("retrain.started", 1)[0]["at_ms"] == 7
    assert diary.rows()[1] == {
        "kind": "retrain.failed",
        "at_ms": 6,
        "began_ms": 2,
        "reason": "a\nb",
        "retry_ms": None,
    }


def test_an_unfinished_line_is_none_and_is_written_over(tmp_path: Path) -> None:
    """A crash in the middle of a write loses that event only."""
    diary = RetrainDiary(tmp_path)
    diary.note("retrain.started", 5, {"due_ms": 1, "began_ms": 2})
    with (tmp_path / DIARY).open("ab") as file:
        file.write(b'{"kind": "retrain.fin')
    assert len(diary.rows()) == 1
    diary.note("retrain.failed", 6, {"began_ms": 2})
    assert [row["kind"] for row in diary.rows()] == ["retrain.started", "retrain.failed"]


@pytest.mark.parametrize(
    "line", ["nothing", "[]", '{"kind": 3}', '{"kind": "retrain.started", "at_ms": 1, "began_ms": "soon"}']
)
def test_a_damaged_line_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    """What is no event is a StorageError that names file and line."""
    (tmp_path / DIARY).parent.mkdir()
    (tmp_path / DIARY).write_text(f'{{"kind": "retrain.missed", "at_ms": 1, "due_ms": 1}}\n{line}\n')
    with pytest.raises(StorageError, match=r"diary\.jsonl line 2 is no event"):
        RetrainDiary(tmp_path).rows()


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    """The folder's place is taken by a file: one sentence, and the file is as it was."""
    (tmp_path / "retrain").write_text("mine")
    with pytest.raises(StorageError, match="could not be written"):
        RetrainDiary(tmp_path).note("retrain.missed", 1, {"due_ms": 1})
    assert (tmp_path / "retrain").read_text() == "mine"


# --- the daemon's side ------------------------------------------------------------------------------------


class Desk:
    """A daemon's log and journal, and its follower; each ``open`` is a new life."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = SqliteJournal(folder / "journal.sqlite")
        self.diary = RetrainDiary(folder)
        self.plan = RetrainPlan(("/none",), "0 * * * *", UTC, 60.0, folder / "models")

    def open(self) -> RetrainFollower:
        """Begin."""
        self.log = Silent()
        past = JournalReader(self.journal.path)
        teller = Teller(self.log, self.journal, lambda: 99)
        try:
            return RetrainFollower(self.plan, self.folder, past, teller, lambda: START_MS, look_seconds=0.01)
        finally:
            past.close()

    def told(self) -> list[str]:
        """The events so far."""
        return [event for event, _ in self.log.lines]


def test_each_event_is_told_once_over_all_lives(tmp_path: Path) -> None:
    """What the journal holds is not told again after a restart; what is new is, with every field."""
    desk = Desk(tmp_path)
    follower = desk.open()
    desk.diary.note("retrain.planned", 1, {"since_ms": START_MS})
    desk.diary.note("retrain.started", 2, {"due_ms": START_MS, "began_ms": START_MS + 1})
    follower.take_over(desk.diary.rows())
    follower.take_over(desk.diary.rows())
    assert desk.told() == ["retrain.started"]
    assert follower.running
    follower = desk.open()
    desk.diary.note("retrain.finished", 3, {"began_ms": START_MS + 1, "model_id": "m", "promote": True})
    follower.take_over(desk.diary.rows())
    assert desk.log.lines == [
        ("retrain.finished", {"began_ms": START_MS + 1, "model_id": "m", "promote": True})
    ]
    assert not follower.running
    assert desk.open().calendar.next_ms is not None
    kept = JournalReader(desk.journal.path)
    assert [len(kept.notes(kind)) for kind in ("retrain.started", "retrain.finished")] == [1, 1]
    kept.close()


def test_what_is_due_stays_due_until_somebody_retrains(tmp_path: Path) -> None:
    """Without a retrainer the first fire time stays; a success moves on, a failure to its retry."""
    desk = Desk(tmp_path)
    follower = desk.open()
    first_ms = START_MS + 30 * MINUTE_MS
    assert follower.calendar.next_ms == first_ms
    assert desk.open().calendar.next_ms == first_ms, "also in the next life"
    began_ms = first_ms + 5
    desk.diary.note("retrain.started", 1, {"due_ms": first_ms, "began_ms": began_ms})
    desk.diary.note("retrain.failed", 2, {"began_ms": began_ms, "reason": "x", "retry_ms": began_ms + 7})
    follower.take_over(desk.diary.rows())
    assert follower.calendar.next_ms == began_ms + 7
    desk.diary.note("retrain.finished", 3, {"began_ms": began_ms + 7, "model_id": None, "promote": False})
    follower.take_over(desk.diary.rows())
    assert follower.calendar.next_ms == first_ms + HOUR_MS


@given(st.lists(st.sampled_from(["started", "finished", "failed", "missed"]), max_size=12))
def test_taking_over_in_pieces_or_at_once_is_the_same(kinds: list[str]) -> None:
    """However often the diary is looked at, the same events are told in the same order."""
    rows = [
        {"kind": f"retrain.{kind}", "at_ms": n, "began_ms": START_MS + n, "due_ms": START_MS + n}
        for n, kind in enumerate(kinds)
    ]

    class NoPast:
        def notes(self, kind: str, limit: int = 100) -> list[dict[str, Any]]:
            return []

    class Book:
        def __init__(self) -> None:
            self.kept: list[tuple[str, int]] = []

        def note(self, kind: str, at_ms: int, fields: Any) -> None:
            if kind != "retrain.planned":
                self.kept.append(identity({"kind": kind, **fields}))

    plan = RetrainPlan(("/none",), "0 * * * *", UTC, 60.0, Path("models"))
    books = (Book(), Book())
    followers = [
        RetrainFollower(plan, Path("none"), NoPast(), Teller(Silent(), book, lambda: 0), lambda: START_MS)
        for book in books
    ]
    followers[0].take_over(rows)
    for count in range(len(rows) + 1):
        followers[1].take_over(rows[:count])
    assert books[0].kept == books[1].kept == [identity(row) for row in rows]
    assert followers[0].running == followers[1].running
    assert followers[0].calendar.next_ms == followers[1].calendar.next_ms


# --- both, over a shared folder ---------------------------------------------------------------------------


async def test_the_daemon_tells_what_the_other_process_did(tmp_path: Path) -> None:
    """A retraining that was due and promoted is in the daemon's log and journal, and its model is challenger."""
    plan = plan_of(tmp_path, "promote")
    clock = {"now": START_MS}
    stop, log = asyncio.Event(), Silent()
    desk = Desk(tmp_path)
    follower = desk.open()
    following = asyncio.create_task(follower.serve())
    desk.diary.note("retrain.planned", START_MS, {"since_ms": START_MS - HOUR_MS})  # so one was missed
    serving = asyncio.create_task(serve_retrainer(plan, tmp_path, log, lambda: clock["now"], stop))
    await until(lambda: "retrain.finished" in desk.told())
    with pytest.raises(ConfigError, match=r"a retrainer \(process \d+\) is already running"):
        await serve_retrainer(plan, tmp_path, log, lambda: clock["now"], stop)
    stop.set()
    await serving
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert desk.told() == ["retrain.missed", "retrain.started", "retrain.finished"]
    finished = desk.log.lines[-1][1]
    assert challenger(tmp_path / "models") == finished["model_id"]
    assert [event for event, _ in log.lines if event.startswith("retrainer.")] == [
        "retrainer.ready",
        "retrainer.stopped",
    ]
    assert desk.log.lines[0][1]["reason"] == "the retrainer was not running"


async def test_one_that_is_stopped_in_a_run_is_due_again(tmp_path: Path) -> None:
    """Its program is ended with it, the failure is told, and the next start begins at once."""
    sleeper = (sys.executable, "-S", "-c", "import time; time.sleep(300)")
    plan = RetrainPlan(sleeper, "0 * * * *", UTC, 600.0, tmp_path / "models")
    diary = RetrainDiary(tmp_path)
    diary.note("retrain.planned", 1, {"since_ms": START_MS - HOUR_MS})
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_retrainer(plan, tmp_path, Silent(), lambda: START_MS, stop))
    await until(lambda: bool(diary.notes("retrain.started")))
    stop.set()
    await serving
    (failed,) = diary.notes("retrain.failed")
    assert failed["reason"] == "the retrainer was stopped while it ran"
    follower = Desk(tmp_path).open()
    follower.take_over(diary.rows())
    assert follower.calendar.due_ms(START_MS) is not None


def test_the_daemon_and_the_retrainer_hold_the_folder_beside_each_other(tmp_path: Path) -> None:
    """Their locks are two; one of a kind excludes only its like."""
    with (
        state_lock(tmp_path),
        state_lock(tmp_path, RETRAINER_LOCK, "a retrainer"),
        pytest.raises(ConfigError, match="a retrainer"),
        state_lock(tmp_path, RETRAINER_LOCK, "a retrainer"),
    ):
        pass


async def test_a_market_with_its_own_time_is_not_left_to_another_process(tmp_path: Path) -> None:
    """On a simulated market's clock the daemon refuses `retrain.by: service`, and says what to set."""
    predictor = Scripted(model_id="m")
    daemon = Daemon(tmp_path, random_market(5, 3), predictor, now_ms=MIDNIGHT)
    await daemon.start()
    assert daemon.loop is not None
    shelf = ModelShelf(tmp_path / "models", unproven=True)
    plan = RetrainPlan(("/none",), "0 * * * *", UTC, 60.0, tmp_path / "models")
    rules = AttendanceRules(shelf, True, ShadowRules(1.0, 1e6), plan, None, 1.0, tmp_path)
    serving = shelf.load("no-trade")
    with pytest.raises(ConfigError, match="set it to daemon"):
        attend(rules, serving, daemon.loop, daemon.journal, daemon.feed, daemon.clock, daemon.log)
    daemon.close()
