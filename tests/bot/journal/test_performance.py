"""Live forecasts in the journal: appended, completed once, and there after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.core.performance import LiveForecast, Matured
from bot.errors import StorageError
from bot.journal.journal import SqliteJournal
from bot.journal.performance import WatchState
from bot.journal.reader import JournalReader
from bot.journal.schema import MIGRATIONS, SCHEMA_VERSION, connect
from tests.core_builders import PERPETUAL, at
from tests.daemon_harness import Daemon, random_market, random_predictions


def said(
    minute: int, model: str = "m", symbol: str = PERPETUAL, probability: float | None = 0.6
) -> LiveForecast:
    """A forecast over 15 minutes."""
    return LiveForecast(model, symbol, at(minute), "champion", 15, probability, 0.001, 0.49, 100.0 + minute)


def test_a_forecast_waits_and_is_completed_once(tmp_path: Path) -> None:
    """It comes back exactly, pending until its outcome; a second forecast or outcome of the minute changes nothing."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    first, second = said(1), said(2, probability=None)
    journal.store_performance([second, first], [])
    assert journal.pending_forecasts() == [first, second]
    journal.store_performance([first._replace(close=1.0)], [Matured(first, 0.1 + 0.2, at(16))])
    journal.store_performance([], [Matured(first, -9.0, at(99))])
    assert journal.pending_forecasts() == [second]
    journal.store_performance([], [Matured(second, None, at(17))])
    assert journal.pending_forecasts() == []
    journal.close()
    reader = JournalReader(tmp_path / "j.sqlite")
    assert reader.performance("m") == [Matured(first, 0.1 + 0.2, at(16)), Matured(second, None, at(17))]
    assert reader.performance("m", at(2)) == [Matured(second, None, at(17))]
    assert reader.performance("other") == []
    assert reader.performing_models() == ["m"]


def test_the_models_that_predicted_come_in_the_order_of_their_last_forecast(tmp_path: Path) -> None:
    """The latest is the last."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.store_performance([said(1, "b"), said(5, "a"), said(3, "c")], [])
    journal.close()
    assert JournalReader(tmp_path / "j.sqlite").performing_models() == ["b", "c", "a"]


def test_what_a_watch_missed_is_found_by_the_minute_in_which_it_was_known(tmp_path: Path) -> None:
    """Only of the model, the symbols and the time that were asked for, oldest first."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    rows = [said(1), said(2), said(3), said(2, "other"), said(2, symbol="ETH/USDT:USDT")]
    journal.store_performance(rows, [Matured(row, 0.1, row.due_ms) for row in rows])
    found = journal.matured_after("m", [PERPETUAL, "ETH/USDT:USDT"], at(16), at(0))
    assert [(row.forecast.symbol, row.forecast.closed_at_ms) for row in found] == [
        (PERPETUAL, at(2)),
        ("ETH/USDT:USDT", at(2)),
        (PERPETUAL, at(3)),
    ]
    assert journal.matured_after("m", [PERPETUAL], at(16), at(3)) == [Matured(rows[2], 0.1, at(18))]


def test_the_watch_over_each_model_is_kept_once(tmp_path: Path) -> None:
    """The newest snapshot of a model replaces the one before; its report can be read beside the daemon."""
    path = tmp_path / "j.sqlite"
    journal = SqliteJournal(path)
    assert journal.watch_state("m") is None
    for minute in (1, 2):
        journal.store_performance(
            [], [], WatchState("m", at(minute), {"report": {"size_factor": minute / 2}})
        )
    assert journal.watch_state("m") == WatchState("m", at(2), {"report": {"size_factor": 1.0}})
    reader = JournalReader(path)
    assert reader.watch_report("m") == {"at_ms": at(2), "size_factor": 1.0}
    assert reader.watch_report("other") is None


def test_a_minute_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    """A row that the table refuses takes the others of its minute with it."""
    journal = SqliteJournal(tmp_path / "j.sqlite")
    with pytest.raises(StorageError):
        journal.store_performance(
            [said(1)],
            [Matured(said(1), 0.1, at(2))],
            WatchState("m", None, {"report": {}}),  # type: ignore[arg-type]
        )
    assert journal.pending_forecasts() == []
    journal.store_performance([said(1)], [])
    assert journal.pending_forecasts() == [said(1)]


async def test_the_last_batch_tells_what_the_champion_said(tmp_path: Path) -> None:
    """Its predictions come back as they were, each with the close that it was made on; an empty journal has none."""
    empty = SqliteJournal(tmp_path / "empty.sqlite")
    assert empty.newest_predictions() == []
    candles = random_market(31, 90)
    predictor = random_predictions(31, candles)
    daemon = Daemon(tmp_path, candles, predictor, now_ms=at(0))
    await daemon.start()
    await daemon.run()
    found = daemon.journal.newest_predictions()
    daemon.close()
    newest = {candle.symbol: candle for candle in candles if candle.opened_at_ms == at(89)}
    assert {one.symbol: close for one, close in found} == {name: bar.close for name, bar in newest.items()}
    assert {one.closed_at_ms for one, _ in found} == {at(90)}


def test_a_journal_of_version_2_is_carried_over(tmp_path: Path) -> None:
    """What it held stays, and forecasts can be kept from then on."""
    path = tmp_path / "j.sqlite"
    db = connect(str(path))
    for version in MIGRATIONS[:2]:
        for statement in version:
            db.execute(statement)
    db.execute("PRAGMA user_version = 2")
    db.execute("INSERT INTO notes (kind, at_ms, payload) VALUES ('service.ready', 7, '{\"a\":1}')")
    db.execute("INSERT INTO candles VALUES (?, ?, 1, 1, 1, 1, 1, 'stream')", (PERPETUAL, at(0)))
    db.close()
    journal = SqliteJournal(path)
    journal.store_performance([said(1)], [])
    assert len(journal.recent_candles(PERPETUAL, 5)) == 1
    journal.close()
    assert JournalReader(path).notes("service.ready") == [{"at_ms": 7, "a": 1}]
    assert connect(str(path)).execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert SqliteJournal(path).pending_forecasts() == [said(1)]


WRITE_ON = """
import sys
from pathlib import Path
from bot.core.performance import Matured
from bot.journal.journal import SqliteJournal
from tests.bot.journal.test_performance import said
journal = SqliteJournal(Path(sys.argv[1]))
for minute in range(100_000):
    done = [Matured(said(minute - 1), 0.5, 1)] if minute else []
    journal.store_performance([said(minute)], done)
    print(minute, flush=True)
"""


def test_kill_9_loses_no_forecast_that_was_stored(tmp_path: Path) -> None:
    """Every forecast is there with its outcome but the last, which waits."""
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
    journal = SqliteJournal(path)
    (waiting,) = journal.pending_forecasts()
    assert waiting.closed_at_ms >= at(last)
    journal.close()
    done = JournalReader(path).performance("m")
    assert [row.forecast.closed_at_ms for row in done] == [at(n) for n in range(len(done))]
    assert waiting.closed_at_ms == at(len(done))
