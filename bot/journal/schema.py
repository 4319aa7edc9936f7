"""Tables of the journal, and how an older journal becomes a newer one.

``events`` is append-only and holds everything; the other tables are derived from it in the same transaction, so
that a person or a page can query them.
"""

from __future__ import annotations

import sqlite3

from bot.errors import StorageError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE events (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            payload BLOB NOT NULL)""",
        "CREATE INDEX events_by_time ON events (kind, at_ms)",
        """CREATE TABLE candles (
            symbol TEXT NOT NULL,
            opened_at_ms INTEGER NOT NULL,
            open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL,
            source TEXT NOT NULL,
            PRIMARY KEY (symbol, opened_at_ms)) WITHOUT ROWID""",
        """CREATE TABLE orders (
            client_order_id TEXT PRIMARY KEY,
            symbol TEXT NOT NULL,
            decided_at_ms INTEGER NOT NULL,
            side TEXT NOT NULL,
            type TEXT NOT NULL,
            leg TEXT NOT NULL,
            quantity REAL NOT NULL,
            stop_price REAL,
            reason TEXT NOT NULL,
            state TEXT NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE fills (
            trade_id TEXT PRIMARY KEY,
            client_order_id TEXT NOT NULL,
            symbol TEXT NOT NULL,
            side TEXT NOT NULL,
            quantity REAL NOT NULL,
            price REAL NOT NULL,
            fee REAL NOT NULL,
            fee_asset TEXT NOT NULL,
            filled_at_ms INTEGER NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE trades (
            id INTEGER PRIMARY KEY,
            symbol TEXT NOT NULL,
            direction TEXT NOT NULL,
            entry_at_ms INTEGER NOT NULL,
            entry_price REAL NOT NULL,
            exit_at_ms INTEGER NOT NULL,
            exit_price REAL NOT NULL,
            quantity REAL NOT NULL,
            fees REAL NOT NULL,
            funding REAL NOT NULL,
            pnl REAL NOT NULL,
            exit_reason TEXT NOT NULL)""",
        """CREATE TABLE equity (
            at_ms INTEGER PRIMARY KEY,
            equity REAL NOT NULL,
            cash REAL NOT NULL,
            exposure REAL NOT NULL)""",
        """CREATE TABLE snapshot (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            at_ms INTEGER NOT NULL,
            payload BLOB NOT NULL)""",
    ),
)
"""Each entry takes the schema one version on; entries are never changed once released."""

SCHEMA_VERSION = len(MIGRATIONS)


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a journal file with the settings that every user of it needs.

    Raises:
        StorageError: The file can't be opened, or is not a journal.
    """
    try:
        uri = f"file:{path}?mode={'ro' if read_only else 'rwc'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise StorageError(f"the journal {path} can't be opened: {error}") from error
    return connection


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the tables to this version, one transaction a step.

    Raises:
        StorageError: The journal was written by a newer version of the bot.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"the journal {path} has schema {version}, this version of the bot knows {SCHEMA_VERSION}: "
            "use the newer version, or another state folder"
        )
    for number in range(version, SCHEMA_VERSION):
        connection.execute("BEGIN IMMEDIATE")
        for statement in MIGRATIONS[number]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
