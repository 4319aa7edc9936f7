"""Retraining beside trading: started when due, told, kept in the journal, and tried again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from bot.cli.run import daemon_settings
from bot.clock import wall_ms
from bot.core.market import MINUTE_MS
from bot.daemon.parts import retrain_plan
from bot.daemon.retrainer import Retrainer, RetrainPlan
from bot.daemon.telling import Teller
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.settings import load_settings
from tests.daemon_harness import Silent
from tests.tiny_model import write_tiny_model

STAND_IN = Path(__file__).parents[2] / "retrain_stand_in.py"
HOUR_MS = 60 * MINUTE_MS
START_MS = 1_704_067_200_000 + 30 * MINUTE_MS


class Rig:
    """A retrainer with an hourly schedule on a clock that is moved by hand; the stand-in follows a plan."""

    def __init__(self, folder: Path, *actions: str) -> None:
        self.folder = folder
        self.now_ms = START_MS
        self.model = write_tiny_model(folder / "prepared").name
        (folder / "models").mkdir()
        steps = [{"action": action, "model": self.model} for action in actions]
        (folder / "plan.json").write_text(json.dumps(steps))
        self.journal = SqliteJournal(folder / "journal.sqlite")

    def begin(self, program: tuple[str, ...] | None = None, *, by_alarm: bool = False) -> None:
        """A new life of the daemon."""
        self.log = Silent()
        given = (sys.executable, "-S", str(STAND_IN), str(self.folder / "plan.json"))
        words = ("--set", f"model.root={self.folder / 'models'}")
        plan = RetrainPlan((*(program or given), *words), "0 * * * *", UTC, 60.0, self.folder / "models")
        teller = Teller(self.log, self.journal, lambda: self.now_ms)
        past = JournalReader(self.journal.path)
        self.retrainer = Retrainer(plan, past, teller, lambda: self.now_ms, by_alarm=by_alarm)
        past.close()
        self.serving = asyncio.create_task(self.retrainer.serve())

    async def end(self) -> None:
        """Stop the daemon."""
        self.serving.cancel()
        await asyncio.gather(self.serving, return_exceptions=True)

    async def at(self, now_ms: int) -> None:
        """Move the clock, and let a run that is due come to its end."""
        self.now_ms = now_ms
        self.retrainer.poke()
        await self.until(lambda: not self.retrainer.running)

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something, after everybody had a turn."""
        for _ in range(5):
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while not done():
                await asyncio.sleep(0.01)

    def told(self) -> list[str]:
        """The events so far, without what the program says."""
        return [event for event, _ in self.log.lines if event != "retrain.said"]

    def last(self, event: str) -> dict[str, Any]:
        """The newest line of an event."""
        return [fields for name, fields in self.log.lines if name == event][-1]


async def test_it_runs_when_due_and_keeps_the_verdict(tmp_path: Path) -> None:
    """Nothing runs before the hour; the verdict and every reason stand in the log and in the journal."""
    rig = Rig(tmp_path, "promote", "refuse")
    rig.begin()
    await rig.at(START_MS + 29 * MINUTE_MS)
    assert rig.told() == []
    await rig.at(START_MS + 30 * MINUTE_MS)
    assert rig.told() == ["retrain.started", "retrain.finished"]
    finished = rig.last("retrain.finished")
    assert (finished["model_id"], finished["promote"]) == (rig.model, True)
    assert finished["reasons"] == ["holds: 0.2 millinats gained"]
    assert finished["next_ms"] == START_MS + 90 * MINUTE_MS
    await rig.at(START_MS + 40 * MINUTE_MS)
    assert len(rig.told()) == 2
    await rig.at(START_MS + 95 * MINUTE_MS)
    assert rig.last("retrain.finished")["reasons"] == ["fails: 0.2 millinats gained"]
    assert ("retrain.said", {"line": "step 0"}) in rig.log.lines
    words = json.loads((tmp_path / "plan.words").read_text().splitlines()[1])
    assert words[-3:] == ["--now-ms", str(START_MS + 95 * MINUTE_MS), "--json"]
    await rig.end()
    assert JournalReader(rig.journal.path).notes("retrain.finished")[0]["promote"] is False


async def test_a_killed_run_is_told_and_caught_up(tmp_path: Path) -> None:
    """After ``kill -9`` and after an exit code it is tried again, each time later, and a success ends that."""
    rig = Rig(tmp_path, "die", "fail", "promote")
    rig.begin()
    await rig.at(START_MS + 30 * MINUTE_MS)
    failed = rig.last("retrain.failed")
    assert "SIGKILL" in failed["reason"]
    assert failed["retry_ms"] == START_MS + 40 * MINUTE_MS
    await rig.at(START_MS + 39 * MINUTE_MS)
    await rig.at(START_MS + 40 * MINUTE_MS)
    assert rig.last("retrain.failed")["reason"] == "exit code 5: there are too few candles"
    assert rig.last("retrain.failed")["retry_ms"] == START_MS + 60 * MINUTE_MS
    await rig.at(START_MS + 60 * MINUTE_MS)
    assert rig.told()[-1] == "retrain.finished"
    assert rig.told().count("retrain.started") == 3
    await rig.end()


async def test_downtime_is_caught_up_from_the_journal(tmp_path: Path) -> None:
    """A fire time since the last success runs at the next start, once, however many there were."""
    rig = Rig(tmp_path, "promote", "refuse")
    rig.begin()
    await rig.at(START_MS + 30 * MINUTE_MS)
    await rig.end()
    rig.now_ms += 5 * HOUR_MS
    rig.begin()
    await rig.until(lambda: "retrain.finished" in rig.told())
    assert rig.told() == ["retrain.missed", "retrain.started", "retrain.finished"]
    assert rig.last("retrain.missed")["due_ms"] == START_MS + 90 * MINUTE_MS
    await rig.end()
    rig.begin()
    await rig.at(rig.now_ms + MINUTE_MS)
    assert rig.told() == []
    await rig.end()


async def test_a_daemon_that_died_in_a_run_says_so_and_runs_it_again(tmp_path: Path) -> None:
    """A run without an end in the journal has failed; stopped in order, it is told at once."""
    rig = Rig(tmp_path, "promote")
    sleeper = (sys.executable, "-S", "-c", "import time; time.sleep(300)")
    rig.begin(sleeper)
    await rig.at(START_MS)
    rig.now_ms = START_MS + 30 * MINUTE_MS
    rig.retrainer.poke()
    await rig.until(lambda: rig.retrainer.running)
    rig.now_ms += HOUR_MS
    rig.retrainer.poke()
    rig.retrainer.poke()
    assert rig.told() == ["retrain.started", "retrain.missed"]
    assert "still running" in rig.last("retrain.missed")["reason"]
    await rig.end()
    assert rig.last("retrain.failed")["reason"] == "the daemon was stopped while it ran"
    rig.journal.note("retrain.started", rig.now_ms, {"began_ms": rig.now_ms, "due_ms": rig.now_ms})
    rig.begin()
    assert rig.last("retrain.failed")["reason"] == "the daemon ended while it ran"
    assert rig.retrainer.calendar.failures == 2
    await rig.until(lambda: "retrain.finished" in rig.told())
    await rig.end()


async def test_by_the_machines_clock_it_needs_no_candles(tmp_path: Path) -> None:
    """The alarm alone starts what is due, and tries again when the wait is over; nobody pokes."""
    rig = Rig(tmp_path, "die", "promote")
    rig.now_ms = wall_ms()
    rig.journal.note("retrain.planned", 0, {"since_ms": rig.now_ms - 2 * HOUR_MS})
    rig.begin(by_alarm=True)
    await rig.until(lambda: "retrain.failed" in rig.told())
    retry_ms = rig.last("retrain.failed")["retry_ms"]
    assert retry_ms == rig.now_ms + 10 * MINUTE_MS
    rig.now_ms = retry_ms
    assert rig.retrainer._alarm is not None
    rig.retrainer._alarm.ring_at(wall_ms())
    await rig.until(lambda: "retrain.finished" in rig.told())
    assert rig.told().count("retrain.started") == 2
    await rig.end()


async def test_a_program_that_says_nothing_has_failed(tmp_path: Path) -> None:
    """Exit code 0 without a word is no success; nor is a program that is not there."""
    rig = Rig(tmp_path)
    rig.begin((sys.executable, "-S", "-c", "print('done')"))
    await rig.at(START_MS + 30 * MINUTE_MS)
    assert rig.last("retrain.failed")["reason"] == "it ended without saying what it made"
    await rig.end()


def test_the_program_gets_every_setting_but_the_secrets(tmp_path: Path) -> None:
    """Its flags give the settings of the daemon again, whatever files and flags those came from."""
    settings = load_settings(
        overrides={
            "state_dir": tmp_path / "a folder",
            "exchange.symbols": "BTC/USDT:USDT",
            "exchange.api_key": "very-private",
            "strategy.parameters": '{"threshold": 0.002}',
            "risk.max_symbol_notional": 5000,
            "retrain.recipe": "forest",
            "gate.min_weeks": 3,
            "model.unproven": True,
        },
        environ={},
    )
    words = list(retrain_plan(settings, ("python",)).program)
    assert "very-private" not in " ".join(words)
    changes = [word for word in words if word not in {"--set", "python"}]
    again = daemon_settings([], {}, changes)
    for section in (
        "account",
        "costs",
        "risk",
        "sizing",
        "entry",
        "strategy",
        "retrain",
        "gate",
        "watch",
        "state_dir",
    ):
        assert getattr(again, section) == getattr(settings, section), section
    assert again.models_dir == settings.models_dir
    assert again.exchange.symbols == settings.exchange.symbols


@pytest.mark.parametrize("said", ["[1]", "", "{half"])
def test_only_an_object_is_a_result(said: str) -> None:
    """Other JSON, nothing, and half of it are no result; one line or many make no difference."""
    from bot.daemon.retrainer import _result

    assert _result(said) is None
    assert _result(f"words\n{json.dumps({'promote': True})}\n") == {"promote": True}
    assert _result(json.dumps({"promote": False}, indent=2)) == {"promote": False}
