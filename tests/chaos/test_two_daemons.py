"""Two daemons where there must be one: on one state folder the second refuses, on one account both halt."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bot.core.market import MINUTE_MS
from bot.journal.reader import JournalReader
from tests.live_rig import log_lines, make_tape, prepare, said, start
from tests.order_rig import Elsewhere


def until(holds: Callable[[], bool], state: Path, *, seconds: float = 90.0) -> None:
    """Wait for something, for so long at most."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, said(state)
        time.sleep(0.1)


def happened(state: Path, event: str) -> bool:
    """Whether the log has an event."""
    path = state / "logs" / "bot.jsonl"
    return path.exists() and any(line["event"].startswith(event) for line in log_lines(state))


def halted(state: Path) -> bool:
    """Whether the account takes on no risk, as the journal has it."""
    snapshot = JournalReader(state / "journal.sqlite").snapshot() or {}
    return bool(snapshot.get("risk", {}).get("state") == "halted")


def decided(state: Path, until_ms: int) -> bool:
    """Whether a minute was decided."""
    return minute(state) >= until_ms


def minute(state: Path) -> int:
    """Open time of the minute that was decided last."""
    snapshot = JournalReader(state / "journal.sqlite").snapshot() or {}
    return int(snapshot.get("batch_ms", -1))


def entries(state: Path) -> set[str]:
    """The entries that were sent."""
    database = sqlite3.connect(f"file:{state / 'journal.sqlite'}?mode=ro", uri=True)
    try:
        return {row[0] for row in database.execute("SELECT client_order_id FROM orders WHERE leg = 'e'")}
    finally:
        database.close()


def test_the_second_daemon_of_a_state_folder_refuses_to_start(tmp_path: Path) -> None:
    """It ends with the code of a bad configuration and names the process; the first trades on."""
    tape = make_tape(tmp_path / "tape", seed=3, minutes=400)
    state = prepare(tmp_path / "state")
    first = start(state, tape, mode="paper", speed=60)
    try:
        until(lambda: happened(state, "service.ready"), state)
        decided = sum(line["event"] == "decision.made" for line in log_lines(state))
        second = start(state, tape, mode="paper", speed=60)
        try:
            assert second.wait(timeout=60) == 4
        finally:
            _end(second)
        assert f"process {first.pid}" in said(state)
        assert first.poll() is None
        until(lambda: sum(line["event"] == "decision.made" for line in log_lines(state)) > decided + 2, state)
    finally:
        _end(first)


def test_two_daemons_on_one_account_halt(tmp_path: Path) -> None:
    """Each finds orders and executions that are none of its own, says so, and takes no new risk; neither dies."""
    tape = make_tape(tmp_path / "tape", seed=5, minutes=600)
    states = (tmp_path / "first", tmp_path / "second")
    with Elsewhere(tmp_path / "place", tape, start_at="+62m", speed=120, faults=()) as place:
        bots = [place.start_bot(prepare(state, run_id=state.name)) for state in states]
        for state in states:
            until(partial(happened, state, "account.foreign_"), state)
            until(partial(halted, state), state)
        assert [bot.poll() for bot in bots] == [None, None]
        entered = [entries(state) for state in states]
        later_ms = max(map(minute, states)) + 10 * MINUTE_MS
        for state in states:
            until(partial(decided, state, later_ms), state)
        assert [entries(state) for state in states] == entered
        for bot in bots:
            bot.terminate()
            assert bot.wait(timeout=30) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
