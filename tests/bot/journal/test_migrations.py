"""Journals of every older schema: taken up, gone on with, read as they are, and never half way between two versions."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from bot.errors import StorageError
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.journal.schema import MIGRATIONS, SCHEMA_VERSION, connect, migrate
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS, Daemon, random_market, random_predictions
from tests.older_journals import EQUITY, MINUTES, SEED, TRADES, UNTIL_MS, VERSIONS, older_journal

ROOT = Path(__file__).resolve().parents[3]


async def went_on(folder: Path, from_minute: int, until_minute: int) -> dict[str, Any]:
    """Let today's daemon go on with what is in a folder; its engine in the end."""
    market = random_market(SEED, 150)
    daemon = Daemon(
        folder, market, random_predictions(SEED, market), now_ms=MIDNIGHT + from_minute * MINUTE_MS
    )
    assert await daemon.start() == (from_minute > 0)
    await daemon.run(until_ms=MIDNIGHT + until_minute * MINUTE_MS)
    daemon.close()
    snapshot = daemon.engine.snapshot()
    return {name: snapshot[name] for name in ("batch_ms", "account", "orders")}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_daemon_goes_on_with_an_older_journal(version: int, tmp_path: Path) -> None:
    """It recovers account, position and orders, and ends fifty minutes later where one of today ends that never stopped."""
    older_journal(version, tmp_path / "old")
    resumed = await went_on(tmp_path / "old", MINUTES, 150)
    assert resumed == await went_on(tmp_path / "new", 0, 150)
    reader = JournalReader(tmp_path / "old" / "journal.sqlite")
    assert reader.schema() == SCHEMA_VERSION
    assert len(list(reader.batches())) == 150
    assert len(reader.trades(1000)) == resumed["account"]["trade_count"] > TRADES


@pytest.mark.parametrize("version", VERSIONS)
def test_readers_take_an_older_journal_as_it_is(version: int, tmp_path: Path) -> None:
    """Every query of a reader answers, tables that did not exist are empty, and not a byte of the file changes."""
    path = older_journal(version, tmp_path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    reader = JournalReader(path)
    last = reader.last_equity()
    assert last is not None
    assert (last.at_ms, last.equity, reader.schema()) == (UNTIL_MS, EQUITY, version)
    batches = list(reader.batches())
    assert len(batches) == MINUTES
    assert reader.batch(UNTIL_MS) == batches[-1]
    assert reader.notes("service.ready")[0]["mode"] == "paper"
    assert reader.newest_note(("service.ready",)) is not None
    assert reader.counts()["batches"] == MINUTES
    assert len(reader.candles(SYMBOLS[0], 0, UNTIL_MS)) == MINUTES
    assert not reader.interims()
    assert not reader.performance("stored")
    assert not reader.performing_models()
    assert reader.watch_report("stored") is None
    reader.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


KILLED = """
import os, signal, sys
from bot.journal.schema import connect, migrate
db = connect(sys.argv[1])
seen = 0
def traced(statement):
    global seen
    seen += 1
    if seen == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
db.set_trace_callback(traced)
migrate(db, sys.argv[1])
"""


@pytest.mark.parametrize("statement", [2, 4, 6, 9, 10, 11, 14, 17, 20, 24])
def test_kill_9_within_a_migration_leaves_a_whole_version(statement: int, tmp_path: Path) -> None:
    """Wherever it is killed, tables are those of one version, nothing is lost, and the next start ends what was begun."""
    path = older_journal(1, tmp_path)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(statement)], cwd=ROOT, env=environ, check=False
    )
    assert died.returncode == -signal.SIGKILL
    database = sqlite3.connect(path)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    assert tables_of(database) == tables_at(version)
    database.close()
    SqliteJournal(path).close()
    reader = JournalReader(path)
    assert reader.schema() == SCHEMA_VERSION
    assert len(list(reader.batches())) == MINUTES


def tables_of(database: sqlite3.Connection) -> set[str]:
    """Names of a file's tables, without SQLite's own."""
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in rows if not name.startswith("sqlite_")}


def tables_at(version: int) -> set[str]:
    """Names of a version's tables."""
    database = sqlite3.connect(":memory:")
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            database.execute(statement)
    return tables_of(database)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_journal_gets_the_very_tables_of_a_new_one(version: int, tmp_path: Path) -> None:
    """After the migration tables and indexes are those of a journal that was made today."""

    def shape(path: Path) -> list[tuple[str, str]]:
        rows = sqlite3.connect(path).execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
        return sorted(row for row in rows.fetchall() if not row[0].startswith("sqlite_"))

    path = older_journal(version, tmp_path / "old")
    database = connect(str(path))
    migrate(database, str(path))
    database.close()
    new = tmp_path / "new.sqlite"
    database = connect(str(new))
    migrate(database, str(new))
    database.close()
    assert shape(path) == shape(new)


def test_a_newer_journal_is_refused_by_writer_and_readers(tmp_path: Path) -> None:
    """One sentence says which schema it has, which is known, and what to do; the file is as it was."""
    path = older_journal(5, tmp_path)
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    before = path.read_bytes()
    sentence = f"has schema {SCHEMA_VERSION + 1}, this version of the bot knows {SCHEMA_VERSION}: use the newer version"
    with pytest.raises(StorageError, match=sentence):
        JournalReader(path)
    assert path.read_bytes() == before
    with pytest.raises(StorageError, match=sentence):
        SqliteJournal(path)
