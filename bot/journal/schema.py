"""Tables of the journal, and how an older journal becomes a newer one.

``batches``, ``interims`` (what was settled between two of them) and ``notes`` are append-only and hold everything; the other tables are derived from a batch in its own
transaction, so that a person or a page can query them. Each table that a batch touches costs a page of the log, so
its key is what it is looked up by, and there is no second index. ``model_performance`` and ``model_watch`` are written
after a batch, when no decision waits.
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
    (
        "CREATE TABLE batches (closed_at_ms INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
        "INSERT INTO batches SELECT at_ms, payload FROM events WHERE kind = 'batch' ORDER BY seq",
        """CREATE TABLE notes (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            payload BLOB NOT NULL)""",
        "INSERT INTO notes (kind, at_ms, payload) SELECT kind, at_ms, payload FROM events WHERE kind <> 'batch' ORDER BY seq",
        "CREATE INDEX notes_by_kind ON notes (kind, id)",
        "DROP TABLE events",
    ),
    (
        """CREATE TABLE model_performance (
            model_id TEXT NOT NULL,
            symbol TEXT NOT NULL,
            closed_at_ms INTEGER NOT NULL,
            role TEXT NOT NULL,
            horizon_minutes INTEGER NOT NULL,
            probability_up REAL,
            expected_return REAL NOT NULL,
            base_rate REAL NOT NULL,
            close REAL NOT NULL,
            realized REAL,
            matured_at_ms INTEGER,
            PRIMARY KEY (model_id, symbol, closed_at_ms)) WITHOUT ROWID""",
        # Holds only the forecasts of the last minutes: what a start must complete.
        """CREATE INDEX model_performance_pending ON model_performance (closed_at_ms)
            WHERE matured_at_ms IS NULL""",
        """CREATE TABLE model_watch (
            model_id TEXT PRIMARY KEY,
            at_ms INTEGER NOT NULL,
            payload BLOB NOT NULL) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE interims (
            id INTEGER PRIMARY KEY,
            at_ms INTEGER NOT NULL,
            payload BLOB NOT NULL)""",
    ),
    (
        # The engine before the first minute of each day: a replay of a day begins there, not at the journal's beginning.
        """CREATE TABLE day_snapshots (
            day INTEGER PRIMARY KEY,
            at_ms INTEGER NOT NULL,
            payload BLOB NOT NULL)""",
    ),
)
"""Each entry takes the schema one version on; entries are never changed once released."""

SCHEMA_VERSION = len(MIGRATIONS)

STAND_INS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (
        2,
        (
            "CREATE TEMP VIEW batches AS SELECT at_ms AS closed_at_ms, payload FROM main.events WHERE kind = 'batch'",
            "CREATE TEMP VIEW notes AS SELECT seq AS id, kind, at_ms, payload FROM main.events WHERE kind <> 'batch'",
        ),
    ),
    (3, tuple(statement.replace("CREATE TABLE", "CREATE TEMP TABLE") for statement in MIGRATIONS[2][::2])),
    (4, tuple(statement.replace("CREATE TABLE", "CREATE TEMP TABLE") for statement in MIGRATIONS[3])),
    (5, tuple(statement.replace("CREATE TABLE", "CREATE TEMP TABLE") for statement in MIGRATIONS[4])),
)
"""For who only reads a journal of an older version: by the version that made a table, what stands in for it."""

LOG_PAGES = 1024
"""Pages that the write-ahead log is lengthened with; it takes them twice, to be filled and to be let go."""

LONGEST_LOG_PAGES = 2 * LOG_PAGES + 512
"""Pages that are left of a log that grew beyond."""

FRAME_BYTES = 24
"""What the log says of each page (SQLite's file format, section 4.1)."""


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a journal file with the settings that every user of it needs.

    Raises:
        StorageError: The file can't be opened, or is not a journal.
    """
    try:
        uri = f"file:{path}?mode={'ro' if read_only else 'rwc'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
        if not read_only:
            # Of a new file alone: free pages at its end can be given back to the disk.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_autocheckpoint=0")  # the journal does it when no decision waits
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise StorageError(f"the journal {path} can't be opened: {error}") from error
    return connection


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the tables to this version, one transaction a step.

    Raises:
        StorageError: The journal was written by a newer version of the bot.
    """
    version = known_version(connection, path)
    for number in range(version, SCHEMA_VERSION):
        connection.execute("BEGIN IMMEDIATE")
        for statement in MIGRATIONS[number]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")


def known_version(connection: sqlite3.Connection, path: str) -> int:
    """The version of a journal's tables; 0 where it has none.

    Raises:
        StorageError: It was written by a newer version of the bot.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"the journal {path} has schema {version}, this version of the bot knows {SCHEMA_VERSION}: "
            "use the newer version, or another state folder"
        )
    return version


def stand_in(connection: sqlite3.Connection, version: int) -> None:
    """Give a reader of an older journal the tables that it lacks; the file stays as it is.

    A table that did not exist holds nothing; what lay in another is read from there.
    """
    for made_in, statements in STAND_INS:
        if version < made_in:
            for statement in statements:
                connection.execute(statement)


def lengthen_log(connection: sqlite3.Connection) -> None:
    """Make the write-ahead log as long as it shall get, and start it over.

    To write over a part of a file takes the disk less than to lengthen it: a commit then costs two thirds. The file
    is new after each clean stop. Whenever this ends early, the next call begins with what is left.
    """
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute("DROP TABLE IF EXISTS ballast")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE ballast (content BLOB)")
    connection.execute("INSERT INTO ballast VALUES (zeroblob(?))", (LOG_PAGES * size,))
    connection.execute("COMMIT")
    connection.execute("DROP TABLE ballast")
    # Where a slow reader made it longer, the disk gets the rest back once it begins anew.
    connection.execute(f"PRAGMA journal_size_limit={LONGEST_LOG_PAGES * (size + FRAME_BYTES)}")
    start_log_over(connection)


def start_log_over(connection: sqlite3.Connection) -> None:
    """Bring the log's pages into the database file; where no reader needs them, the log begins anew."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
