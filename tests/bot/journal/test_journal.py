"""The journal's one writer."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from bot.core.decision import Decision
from bot.core.limits import MarketFacts
from bot.core.orders import Fill
from bot.core.records import intent_from_json, report_from_json
from bot.core.risk import StateChange
from bot.core.state import TradingState
from bot.errors import StorageError
from bot.journal.journal import REST_COMMITS, SqliteJournal
from bot.journal.reader import JournalReader
from bot.journal.schema import LOG_PAGES, MIGRATIONS, SCHEMA_VERSION, connect
from bot.ports import BatchRecord, InterimRecord
from tests.core_builders import approved, at, candle, order


def record(minute: int) -> BatchRecord:
    """A batch without orders."""
    return BatchRecord(
        closed_at_ms=at(minute + 1),
        now_ms=at(minute + 1) + 7,
        candles=(candle(minute),),
        sources=("stream",),
        reports=(),
        decisions=(),
        trades=(),
        state_changes=(),
        equity=1.5,
        cash=1.0,
        exposure=0.5,
        snapshot={"batch_ms": at(minute), "account": {}},
    )


def test_what_was_committed_is_read_back_exactly(tmp_path: Path) -> None:
    """Candles, times and the snapshot come back as they were, to the last digit."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    odd = candle(0, 0.1 + 0.2, 1 / 3 + 1, 1e-9)
    journal.commit(BatchRecord(**{**_fields(record(0)), "candles": (odd,)}))
    assert journal.recent_candles(odd.symbol, 5) == [odd]
    assert journal.snapshot() == {"batch_ms": at(0), "account": {}}
    journal.close()
    stored = JournalReader(tmp_path / "j.sqlite").batch(at(1))
    assert (stored.now_ms, stored.candles) == (at(1) + 7, [odd])


def _fields(batch: BatchRecord) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in batch.__slots__}


def test_what_was_known_of_a_market_is_stored_with_its_minute(tmp_path: Path) -> None:
    """Spread and funding that a decision was made on are read back; a minute without them has none."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    known = (MarketFacts("BTC/USDT:USDT", 2.5), MarketFacts("ETH/USDT:USDT", None, 0.0001))
    journal.commit(BatchRecord(**{**_fields(record(0)), "facts": known}))
    journal.commit(record(1))
    journal.close()
    assert [batch.facts for batch in JournalReader(tmp_path / "journal.sqlite").batches()] == [known, ()]


def test_meta_keeps_its_first_value(tmp_path: Path) -> None:
    """The run id of a state folder never changes."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    assert journal.meta("run_id", "first") == "first"
    journal.close()
    assert SqliteJournal(tmp_path / "j.sqlite").meta("run_id", "second") == "first"


def test_a_batch_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    """A transaction is whole or not at all."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.commit(record(0))
    broken = BatchRecord(**{**_fields(record(1)), "trades": [("too", "short")]})
    with pytest.raises(StorageError):
        journal.commit(broken)
    assert journal.snapshot() == {"batch_ms": at(0), "account": {}}
    assert len(journal.recent_candles("BTC/USDT:USDT", 9)) == 1
    journal.commit(record(1))
    journal.close()


FILL_DISK = """
import resource, signal, sys
from pathlib import Path
from typing import Any
from tests.bot.journal.test_journal import record
from bot.journal.journal import REST_COMMITS, SqliteJournal
from bot.errors import StorageError
journal = SqliteJournal(Path(sys.argv[1]))
journal.commit(record(0))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
done = 0
try:
    for minute in range(1, 100_000):
        journal.commit(record(minute)); done = minute
except StorageError as error:
    print(done, error)
"""


def test_a_full_disk_is_one_sentence_and_what_was_committed_stays(tmp_path: Path) -> None:
    """When the file can't grow the commit fails with a clear sentence, and a restart finds the last whole batch."""
    path = tmp_path / "j.sqlite"
    run = subprocess.run(
        [sys.executable, "-c", FILL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    done, _, sentence = run.stdout.partition(" ")
    assert "free space" in sentence
    assert str(path) in sentence
    journal = SqliteJournal(path)
    assert journal.snapshot() == {"batch_ms": at(int(done)), "account": {}}
    journal.commit(record(int(done) + 1))
    journal.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200_000


WRITE_ON = """
import sys
from pathlib import Path
from typing import Any
from tests.bot.journal.test_journal import record
from bot.journal.journal import REST_COMMITS, SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
for minute in range(100_000):
    journal.commit(record(minute))
    print(minute, flush=True)
"""


def test_kill_9_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """Whatever the writer had been told is committed is there after it was killed."""
    path = tmp_path / "j.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_ON, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as writer:
        assert writer.stdout is not None
        last = 0
        for line in writer.stdout:
            last = int(line)
            if last >= 100:
                break
        os.kill(writer.pid, signal.SIGKILL)
    snapshot = SqliteJournal(path).snapshot()
    assert snapshot is not None
    assert snapshot["batch_ms"] >= at(last)


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """A file written by a later version is left alone, with a sentence that says what to do."""
    path = tmp_path / "j.sqlite"
    SqliteJournal(path).close()
    db = connect(str(path))
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(StorageError, match="newer version"):
        SqliteJournal(path)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """Garbage is named, not overwritten."""
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match=r"j\.sqlite"):
        SqliteJournal(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_journal_of_the_first_version_is_carried_over(tmp_path: Path) -> None:
    """Batches and notes of the one table of version 1 come back as they were, each in its own order."""
    path = tmp_path / "j.sqlite"
    db = connect(str(path))
    for statement in MIGRATIONS[0]:
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    batch = orjson.dumps(
        {"now_ms": at(1) + 7, "candles": [[*candle(0), "stream"]], "reports": [], "decisions": []}
    )
    for kind, at_ms, payload in (
        ("service.ready", 1, b'{"a":1}'),
        ("batch", at(1), batch),
        ("batch", at(2), batch),
        ("service.ready", 2, b'{"a":2}'),
    ):
        db.execute("INSERT INTO events (kind, at_ms, payload) VALUES (?,?,?)", (kind, at_ms, payload))
    db.close()
    journal = SqliteJournal(path)
    journal.commit(record(2))
    journal.close()
    reader = JournalReader(path)
    assert [stored.closed_at_ms for stored in reader.batches()] == [at(1), at(2), at(3)]
    assert reader.batch(at(1)).candles == [candle(0)]
    assert [note["a"] for note in reader.notes("service.ready")] == [2, 1]
    assert reader.counts()["batches"] == 3


def test_what_happens_between_two_batches_is_stored_whole(tmp_path: Path) -> None:
    """A fill, the trade that it ends and the new snapshot are one transaction; orders made outside of a minute are kept."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    made = approved(order(minute=1))
    name = made.intent.client_order_id
    fill = Fill(
        "t1", name, made.intent.symbol, made.intent.side, made.intent.quantity, 100.0, 0.04, "USDT", 7
    )
    change = StateChange(TradingState.TRADING, TradingState.REDUCING, "pause", 6)
    journal.commit_interim(InterimRecord(7, (fill,), (made,), (), (change,), {"batch_ms": 5}))
    with pytest.raises(StorageError):
        journal.commit_interim(InterimRecord(8, (), (), [("too", "short")], (), {"batch_ms": 6}))  # type: ignore[list-item]
    journal.close()
    reader = JournalReader(tmp_path / "j.sqlite")
    stored = reader.interims()
    assert [row["at_ms"] for row in stored] == [7]
    assert report_from_json(stored[0]["reports"][0]) == fill
    assert intent_from_json(stored[0]["approved"][0]) == made.intent
    assert stored[0]["state_changes"] == [["trading", "reducing", "pause", 6]]
    assert reader.snapshot() == {"batch_ms": 5}
    assert reader.open_orders() == []


def test_a_command_is_stored_with_what_it_acted_on(tmp_path: Path) -> None:
    """After which minute, which event, and whether everything was to be closed; a settlement alone tells no event."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.commit_interim(InterimRecord(7, (), (), (), (), {"batch_ms": 5}, "pause", flatten=True))
    journal.commit_interim(InterimRecord(8, (), (), (), (), {"batch_ms": 5}))
    journal.close()
    acted, settled = JournalReader(tmp_path / "j.sqlite").interims()
    assert (acted["batch_ms"], acted["event"], acted["flatten"]) == (5, "pause", True)
    assert "event" not in settled
    assert JournalReader(tmp_path / "j.sqlite").interims(8)[0]["at_ms"] == 8


def test_a_size_that_was_cut_is_in_its_batch(tmp_path: Path) -> None:
    """A replay cuts the same entries; an ordinary minute says nothing of it."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    cut = replace(record(1), snapshot={"batch_ms": at(0), "risk": {"size": [0.5, "log_loss_doubted"]}})
    full = replace(record(2), snapshot={"batch_ms": at(1), "risk": {"size": [1.0, ""]}})
    journal.commit(cut)
    journal.commit(full)
    journal.close()
    sizes = [stored.size for stored in JournalReader(tmp_path / "j.sqlite").batches()]
    assert sizes == [(0.5, "log_loss_doubted"), (1.0, "")]


def test_the_engine_of_each_midnight_is_kept(tmp_path: Path) -> None:
    """The snapshot before a day's first batch, once, over restarts too; of the first day there is none."""
    path = tmp_path / "j.sqlite"
    for minute in (1438, 1439, 1440, 1441):
        journal = SqliteJournal(path)
        journal.commit(replace(record(minute), snapshot={"batch_ms": at(minute)}))
        journal.close()
    reader = JournalReader(path)
    assert reader.day_snapshot(at(1440)) == {"batch_ms": at(1439)}
    assert reader.day_snapshot(at(3 * 1440)) == {"batch_ms": at(1439)}
    assert reader.day_snapshot(at(1439)) == {"batch_ms": at(1438)}, (
        "a first day that was begun twice has a later one"
    )
    assert reader.day_snapshot(at(1438)) is None
    assert reader.batch_times() == (at(1439), at(1442))


def test_a_minute_is_journaled_once(tmp_path: Path) -> None:
    """A second batch of one minute is an error that stores nothing, never a second decision."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.commit(record(0))
    with pytest.raises(StorageError, match="UNIQUE"):
        journal.commit(BatchRecord(**{**_fields(record(0)), "equity": 99.0}))
    journal.close()
    assert [point.equity for point in JournalReader(tmp_path / "j.sqlite").equity()] == [1.5]


def acting(minute: int) -> BatchRecord:
    """A batch from which an order follows."""
    intent = order(minute=minute + 1)
    held = Decision(intent.symbol, at(minute + 1), None, None, (approved(intent),), (), None)
    return BatchRecord(**{**_fields(record(minute)), "decisions": (held,)})


def test_what_is_acted_upon_waits_for_the_disk_and_a_quiet_minute_is_forced_there_right_after(
    tmp_path: Path,
) -> None:
    """Every commit from which an order follows is made with ``synchronous=FULL``, and so is one after each other minute."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.rest()
    told: list[str] = []
    level = {"now": "NORMAL"}

    def listen(statement: str) -> None:
        if statement.startswith("PRAGMA synchronous="):
            level["now"] = statement.partition("=")[2]
        if statement.startswith(("COMMIT", "UPDATE snapshot")):
            told.append(level["now"])

    assert journal._db.execute("PRAGMA synchronous").fetchone() == (1,)
    journal._db.set_trace_callback(listen)
    journal.commit(record(0))
    assert told == ["NORMAL"]
    journal.rest()
    assert told == ["NORMAL", "FULL"]
    journal.rest()
    assert told == ["NORMAL", "FULL"]
    journal.commit(acting(1))
    assert told[2:] == ["FULL"]
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)
    journal.rest()
    journal.commit(record(2))
    journal.note("told", at(2), {})
    assert told[3:] == ["NORMAL", "FULL"]
    journal.commit(record(3))
    journal.commit(acting(4))
    journal.rest()
    assert told[5:] == ["NORMAL", "FULL"]
    journal.close()


def test_the_log_neither_grows_nor_is_lengthened_by_a_commit(tmp_path: Path) -> None:
    """Over a day of minutes with rests between them the log keeps the length it was given at the start."""
    path = tmp_path / "j.sqlite"
    log = path.with_name("j.sqlite-wal")
    journal = SqliteJournal(path)
    length = log.stat().st_size
    assert length > LOG_PAGES * 4096
    for minute in range(1440):
        journal.commit(record(minute))
        journal.rest()
    assert log.stat().st_size == length
    for number in range(1500):
        journal.note(
            "feed.frame_refused", number, {"cause": "an exchange that talks nonsense and closes no minute"}
        )
    assert log.stat().st_size == length
    journal.close()
    again = SqliteJournal(path)
    assert len(again.recent_candles(candle(0).symbol, 2000)) == 1440
    assert path.stat().st_size < 2 * length


def test_a_log_that_a_slow_reader_made_long_gets_short_again(tmp_path: Path) -> None:
    """While somebody reads an old commit the log can only grow; soon after, the disk has the room back."""
    path = tmp_path / "j.sqlite"
    log = path.with_name("j.sqlite-wal")
    journal = SqliteJournal(path)
    length = log.stat().st_size
    reader = connect(str(path), read_only=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM batches").fetchone()
    for number in range(3000):
        journal.note("feed.frame_refused", number, {"cause": "x" * 4000})
    assert log.stat().st_size > 2 * length
    reader.execute("COMMIT")
    reader.close()
    for minute in range(2 * REST_COMMITS):
        journal.commit(record(minute))
        journal.rest()
    assert length <= log.stat().st_size < 1.3 * length
    journal.close()


def test_a_start_that_was_killed_while_it_lengthened_the_log_is_mended_by_the_next(tmp_path: Path) -> None:
    """The table that only fills the log is dropped when it was left behind."""
    path = tmp_path / "j.sqlite"
    SqliteJournal(path).close()
    db = connect(str(path))
    db.execute("CREATE TABLE ballast (content BLOB)")
    db.close()
    journal = SqliteJournal(path)
    journal.commit(record(0))
    journal.close()
    db = connect(str(path))
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "ballast" not in tables
