"""One backup a day, made beside trading, made up for when it was missed, tried again when it failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import DAY_MS, MINUTE_MS
from bot.daemon.nightly_backup import HOUR_MS, LONGEST_WAIT_MS, BackupCalendar, BackupPlan, NightlyBackup
from bot.daemon.telling import Teller
from bot.journal.journal import SqliteJournal
from tests.daemon_harness import Silent

NOW = 20_000 * DAY_MS + 3 * HOUR_MS


def test_one_a_day_from_its_hour_on() -> None:
    """Due once the hour has come, done with until the next day's, and a missed night is made up for."""
    calendar = BackupCalendar(2, NOW - DAY_MS)
    assert not calendar.is_due(NOW - 90 * MINUTE_MS)
    assert calendar.is_due(NOW)
    calendar.succeeded(NOW)
    assert not calendar.is_due(NOW + 22 * HOUR_MS)
    assert calendar.is_due(NOW + 23 * HOUR_MS)
    assert BackupCalendar(2, NOW - 9 * DAY_MS).is_due(NOW - 2 * HOUR_MS)
    assert BackupCalendar(2, None).is_due(NOW)


@given(st.lists(st.integers(0, 6 * HOUR_MS), max_size=20))
def test_a_failure_waits_longer_each_time_up_to_four_hours(gaps: list[int]) -> None:
    """Never due before the time that was told, always within four hours of the failure."""
    calendar, now_ms = BackupCalendar(2, None), NOW
    for gap in gaps:
        retry_ms = calendar.failed(now_ms)
        assert now_ms < retry_ms <= now_ms + LONGEST_WAIT_MS
        assert not calendar.is_due(retry_ms - 1)
        assert calendar.is_due(retry_ms)
        now_ms = retry_ms + gap


def nightly(folder: Path, script: str) -> tuple[NightlyBackup, Silent, SqliteJournal]:
    """One whose command is a script."""
    journal, log = SqliteJournal(folder / "journal.sqlite"), Silent()
    journal.meta("run_id", "r")
    plan = BackupPlan((sys.executable, "-c", script), 2, 20.0)
    teller = Teller(log, journal, lambda: NOW)
    return NightlyBackup(plan, folder / "journal.sqlite", teller, lambda: NOW), log, journal


async def test_what_was_made_is_told_and_a_restart_makes_no_second_one(tmp_path: Path) -> None:
    """The line names file and size, and the journal remembers the day."""
    said = json.dumps({"path": "/b.tar.gz", "bytes": 5, "files": 2, "seconds": 0.1})
    backup, log, journal = nightly(tmp_path, f"print({said!r})")
    assert backup.calendar.is_due(NOW)
    await backup.make()
    told = {"began_ms": NOW, "path": "/b.tar.gz", "bytes": 5, "files": 2, "seconds": 0.1}
    assert log.lines[-1] == ("backup.finished", told)
    journal.close()
    again, _, journal = nightly(tmp_path, "")
    assert not again.calendar.is_due(NOW)
    journal.close()


async def test_a_failure_is_told_with_its_reason(tmp_path: Path) -> None:
    """The command's last word is the reason; it is tried again later."""
    backup, log, journal = nightly(tmp_path, "import sys; sys.exit('error: the disk is full')")
    await backup.make()
    assert log.lines[-1][0] == "backup.failed"
    assert "the disk is full" in log.lines[-1][1]["reason"]
    assert not backup.calendar.is_due(NOW)
    backup, log, _ = nightly(tmp_path, "print('nothing')")
    await backup.make()
    assert log.lines[-1][1]["reason"] == "it ended without saying what it made"
    journal.close()
