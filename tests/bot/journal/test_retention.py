"""The journal lets go of what is old, and of nothing else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.performance import LiveForecast, Matured
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.journal.retention import HISTORY_DAYS, RESERVE_PAGES, SLICE_MINUTES, Cutoffs, Retention
from bot.ports import BatchRecord, InterimRecord
from tests.core_builders import PERPETUAL, candle

DAYS = 50
STEP = 60
"""Minutes between two batches of these tests: an hour."""

KEEP = Retention(minutes_days=10, candles_days=25, forecasts_days=30, equity_days=12)
FIRST = candle(0).opened_at_ms


def batch(at_ms: int, padding: int = 0) -> BatchRecord:
    """A batch whose candle opened then."""
    seen = candle(0)._replace(opened_at_ms=at_ms)
    return BatchRecord(
        closed_at_ms=at_ms + MINUTE_MS,
        now_ms=at_ms + MINUTE_MS,
        candles=(seen,),
        sources=("stream" + "." * padding,),
        reports=(),
        decisions=(),
        trades=(),
        state_changes=(),
        equity=1.5,
        cash=1.0,
        exposure=0.5,
        snapshot={"batch_ms": at_ms, "account": {}},
    )


def fill(journal: SqliteJournal, first_day: int, days: int, padding: int = 0) -> None:
    """Some days of hourly minutes, with forecasts, notes and interims beside."""
    for minute in range(first_day * 1440, (first_day + days) * 1440, STEP):
        at_ms = FIRST + minute * MINUTE_MS
        journal.commit(batch(at_ms, padding))
        if minute % 1440 == 0:
            said = LiveForecast("model", PERPETUAL, at_ms + MINUTE_MS, "champion", 15, 0.5, 0.0, 0.5, 100.0)
            journal.store_performance([said], [Matured(said, 0.0, at_ms + 16 * MINUTE_MS)])
            journal.note("feed.reconnected", at_ms, {"symbol": PERPETUAL})
            journal.note("service.ready", at_ms, {"model_id": "model"})
            snapshot = {"batch_ms": at_ms, "account": {}}
            journal.commit_interim(InterimRecord(at_ms, (), (), (), (), snapshot))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of fifty days."""
    path = tmp_path_factory.mktemp("filled") / "journal.sqlite"
    journal = SqliteJournal(path)
    fill(journal, 0, DAYS)
    journal.close()
    return path


def opened(filled: Path, folder: Path) -> SqliteJournal:
    """A copy of it, to write to."""
    copy = folder / "journal.sqlite"
    copy.write_bytes(filled.read_bytes())
    return SqliteJournal(copy)


def newest_ms() -> int:
    """Close of the newest minute."""
    return FIRST + (DAYS * 1440 - STEP + 1) * MINUTE_MS


def drain(journal: SqliteJournal, cutoffs: Cutoffs) -> dict[str, int]:
    """Prune until nothing is left to do; no slice is larger than a slice."""
    total: dict[str, int] = {}
    while removed := journal.prune(cutoffs):
        assert removed.get("batches", 0) <= SLICE_MINUTES
        for name, count in removed.items():
            total[name] = total.get(name, 0) + count
    return total


def span(path: Path, table: str, column: str) -> tuple[int, int]:
    """Days since the first one of the oldest and the newest row."""
    query = f"SELECT min({column}), max({column}) FROM {table}"  # noqa: S608 - our own words
    rows = sqlite3.connect(path).execute(query).fetchone()
    return tuple((value - FIRST) // DAY_MS for value in rows)


def test_each_table_keeps_its_days(filled: Path, tmp_path: Path) -> None:
    """Minutes, candles, forecasts go from their midnights on, whole days; the newest of all stays."""
    journal = opened(filled, tmp_path)
    drain(journal, KEEP.cutoffs(newest_ms()))
    journal.close()
    path = tmp_path / "journal.sqlite"
    last = DAYS - 1
    assert span(path, "batches", "closed_at_ms") == (last - 10, last)
    assert span(path, "interims", "at_ms") == (last - 10, last)
    assert span(path, "candles", "opened_at_ms") == (last - 25, last)
    assert span(path, "model_performance", "closed_at_ms") == (last - 30, last)
    days = [row[0] for row in sqlite3.connect(path).execute("SELECT day FROM day_snapshots")]
    assert min(days) == FIRST // DAY_MS + last - 10


def test_equity_keeps_the_last_minute_of_each_old_day(filled: Path, tmp_path: Path) -> None:
    """Every day has its last value for ever, the newest days every minute."""
    journal = opened(filled, tmp_path)
    drain(journal, KEEP.cutoffs(newest_ms()))
    rows = [row[0] for row in journal._db.execute("SELECT at_ms FROM equity ORDER BY at_ms")]
    by_day: dict[int, list[int]] = {}
    for at_ms in rows:
        by_day.setdefault((at_ms - MINUTE_MS - FIRST) // DAY_MS, []).append(at_ms)
    assert sorted(by_day) == list(range(DAYS))
    assert [len(by_day[day]) for day in range(DAYS - 13)] == [1] * (DAYS - 13)
    assert all(len(by_day[day]) == 24 for day in range(DAYS - 13, DAYS))
    assert all(by_day[day][-1] == FIRST + (day + 1) * DAY_MS - (STEP - 1) * MINUTE_MS for day in by_day)


def test_what_happened_to_the_bot_stays(filled: Path, tmp_path: Path) -> None:
    """Of the notes only what the feed reported goes."""
    journal = opened(filled, tmp_path)
    drain(journal, KEEP.cutoffs(newest_ms()))
    reader = JournalReader(tmp_path / "journal.sqlite")
    assert len(reader.notes("service.ready")) == DAYS
    assert len(reader.notes("feed.reconnected")) == 11


def test_nothing_is_removed_that_could_not_be_replayed_from(filled: Path, tmp_path: Path) -> None:
    """Without the engine's state of a midnight the minutes before it stay, and all else that goes with them."""
    journal = opened(filled, tmp_path)
    first_kept = FIRST // DAY_MS + 20
    journal._db.execute("DELETE FROM day_snapshots WHERE day > ? AND day < ?", (first_kept, first_kept + 25))
    drain(journal, KEEP.cutoffs(newest_ms()))
    assert span(tmp_path / "journal.sqlite", "batches", "closed_at_ms")[0] == 20
    assert span(tmp_path / "journal.sqlite", "candles", "opened_at_ms")[0] == 20 - HISTORY_DAYS
    journal._db.execute("DELETE FROM day_snapshots")
    assert not journal.prune(KEEP.cutoffs(newest_ms() + DAY_MS)).get("batches")


@given(
    st.integers(9, 500),
    st.integers(40, 900),
    st.integers(0, 10**9),
    st.one_of(st.none(), st.integers(0, 10**9)),
)
def test_the_minutes_of_an_open_position_stay(
    minutes: int, candles: int, newest: int, held: int | None
) -> None:
    """Cutoffs are midnights, never after what is held was entered, and candles reach further back than minutes."""
    held_ms = None if held is None else held * 1000
    cutoffs = Retention(minutes, candles, 30, 30).cutoffs(newest * 1000, held_ms)
    assert cutoffs.minutes_ms % DAY_MS == cutoffs.candles_ms % DAY_MS == cutoffs.equity_ms % DAY_MS == 0
    assert cutoffs.candles_ms <= cutoffs.minutes_ms - HISTORY_DAYS * DAY_MS
    assert cutoffs.minutes_ms <= newest * 1000 - minutes * DAY_MS
    assert held_ms is None or cutoffs.minutes_ms <= held_ms


def test_a_journal_that_is_pruned_each_day_stops_growing(tmp_path: Path) -> None:
    """From the first full retention on the file is as large two months later, within a tenth."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    keep = Retention(9, 23, 9, 9)
    sizes = []
    for day in range(0, 96, 4):
        fill(journal, day, 4, padding=4_000)
        drain(journal, keep.cutoffs(FIRST + (day + 4) * DAY_MS))
        while journal.give_back():
            pass
        pages = journal.pages()
        sizes.append(pages.page_count - pages.free_count)
    journal.close()
    assert max(sizes[10:]) <= 1.1 * sizes[9]


def test_free_pages_go_back_to_the_disk_but_for_a_reserve(tmp_path: Path) -> None:
    """After much was removed the file is smaller, and rows to come still find room in it."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    fill(journal, 0, 14, padding=60_000)
    before = journal.pages()
    drain(journal, Retention(1, 40, 1, 1).cutoffs(FIRST + 14 * DAY_MS))
    while journal.give_back():
        pass
    after = journal.pages()
    assert after.page_count < before.page_count * 0.8
    assert after.free_count >= min(RESERVE_PAGES, after.page_count // 8)
    assert after.can_shrink
    assert journal._db.execute("PRAGMA quick_check").fetchone() == ("ok",)


KILLED = """
import sys
from pathlib import Path
from tests.bot.journal.test_retention import KEEP, newest_ms
from bot.journal.journal import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
print("pruning", flush=True)
while journal.prune(KEEP.cutoffs(newest_ms())):
    print("slice", flush=True)
"""


@pytest.mark.parametrize("slices", [0, 1, 5])
def test_kill_9_while_pruning_loses_nothing(filled: Path, tmp_path: Path, slices: int) -> None:
    """After a kill in the middle the journal is whole, the newest minutes are all there, and pruning goes on."""
    opened(filled, tmp_path).close()
    path = tmp_path / "journal.sqlite"
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        for _ in range(slices + 1):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    journal = SqliteJournal(path)
    assert journal._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert journal.snapshot() == {"batch_ms": newest_ms() - MINUTE_MS, "account": {}}
    drain(journal, KEEP.cutoffs(newest_ms()))
    journal.close()
    assert span(path, "batches", "closed_at_ms") == (DAYS - 11, DAYS - 1)
