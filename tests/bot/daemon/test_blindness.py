"""A restart is no minute: a daemon that was blind when it was ended is blind when it begins again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.clock import FixedClock
from bot.daemon.blindness import BlindnessNotes, blind_before_seconds
from bot.daemon.progress import Progress
from bot.daemon.pulse import Pulse
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from tests.daemon_harness import Silent


@pytest.fixture
def journal(tmp_path: Path):
    """An empty one."""
    one = SqliteJournal(tmp_path / "journal.sqlite")
    yield one
    one.close()


def before(journal: SqliteJournal, now_ms: int) -> float:
    """What the next life takes up."""
    reader = JournalReader(journal.path)
    try:
        return blind_before_seconds(reader, now_ms)
    finally:
        reader.close()


def test_blindness_lasts_over_restarts_until_a_minute_or_a_person(journal: SqliteJournal) -> None:
    """It counts from its own begin, however often a manager starts the daemon; an ordinary end leaves none."""
    assert before(journal, 1_000_000) == 0
    journal.note("service.ready", 0, {})
    assert before(journal, 1_000_000) == 0
    BlindnessNotes(journal.note, lambda: 1_000_000, 0.0).standing(200.0)
    assert before(journal, 1_600_000) == 800
    journal.note("service.ready", 1_700_000, {})  # restarted by the watchdog, and still blind
    again = BlindnessNotes(journal.note, lambda: 1_900_000, before(journal, 1_700_000))
    again.standing(180.0)
    assert before(journal, 2_000_000) == 1_200
    again.decided()
    assert before(journal, 2_100_000) == 0
    again.standing(300.0)
    assert before(journal, 2_200_000) == 600
    journal.note("service.stopped", 2_200_000, {"batches": 0})
    assert before(journal, 2_300_000) == 0
    assert before(journal, 0) == 0


def test_a_machine_whose_clock_went_back_has_not_been_blind_for_less_than_nothing(
    journal: SqliteJournal,
) -> None:
    """Its past can lie in the future."""
    BlindnessNotes(journal.note, lambda: 5_000_000, 0.0).standing(1.0)
    assert before(journal, 0) == 0


def test_the_halt_of_the_settings_comes_although_every_life_is_short() -> None:
    """Lives of ten minutes each do not keep a limit of an hour from being reached."""
    clock, blind = FixedClock(), list[float]()
    blind_seconds, lives = 0.0, 0
    while not blind and lives < 20:
        lives += 1
        progress = Progress(clock.monotonic_ns, 180.0)
        progress.begin(blind_seconds)
        pulse = Pulse(
            progress,
            Silent(),
            clock.monotonic_ns,
            every_seconds=1,
            stalled_seconds=300,
            on_lag=None,
            blind_seconds=3_600.0,
            on_blind=blind.append,
        )
        for _ in range(10):
            clock.advance(60_000)
            pulse.look()
        blind_seconds = progress.blind_seconds
    assert (lives, blind) == (6, [3_600.0])


def test_a_stall_is_heard_of_when_it_counts_as_one_and_when_it_ends() -> None:
    """Once each, whatever notifications wait for."""
    clock, heard = FixedClock(), list[float | None]()
    progress = Progress(clock.monotonic_ns, 180.0)
    pulse = Pulse(
        progress,
        Silent(),
        clock.monotonic_ns,
        every_seconds=1,
        stalled_seconds=10_000,
        on_lag=None,
        on_standing=heard.append,
    )
    for _ in range(5):
        clock.advance(60_000)
        pulse.look()
    progress.decided()
    pulse.look()
    pulse.look()
    assert heard == [180.0, None]
