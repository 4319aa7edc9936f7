"""Read-only views of a journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.market import MINUTE_MS
from bot.errors import DataError, NotRunningError, StorageError
from bot.journal.reader import JournalReader
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, random_market, random_predictions


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """The journal of a daemon that traded for some hours."""
    candles = random_market(21, 300)
    daemon = Daemon(tmp_path, candles, random_predictions(21, candles), now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run()
    daemon.close()
    return tmp_path / "journal.sqlite"


async def test_tables_agree_with_the_events_that_they_are_derived_from(path: Path) -> None:
    """Every fill, trade and candle of the batches is in its table, once."""
    reader = JournalReader(path)
    batches = list(reader.batches())
    fills = [report for batch in batches for report in batch.reports if report["kind"] == "fill"]
    counts = reader.counts()
    assert counts["fills"] == len(fills) > 20
    assert counts["candles"] == sum(len(batch.candles) for batch in batches)
    assert counts["trades"] == len(reader.trades())
    snapshot = reader.snapshot()
    assert snapshot is not None
    assert snapshot["account"]["trade_count"] == counts["trades"]
    assert {row["client_order_id"] for row in reader.open_orders()} == {
        row["intent"]["client_order_id"] for row in snapshot["orders"]
    }
    last = reader.last_equity()
    assert last is not None
    assert last == reader.equity()[-1]
    assert sum(trade.pnl for trade in reader.trades()) == pytest.approx(
        snapshot["account"]["cash"] - 10_000.0, abs=50.0
    )


async def test_one_batch_is_found_by_its_close_and_its_absence_is_a_sentence(path: Path) -> None:
    """A minute that was decided has its candles and decisions; another one is named as missing."""
    reader = JournalReader(path)
    batch = reader.batch(MIDNIGHT + 5 * MINUTE_MS)
    assert len(batch.candles) == len(batch.decisions) == 2
    with pytest.raises(DataError, match="holds no candles"):
        reader.batch(MIDNIGHT - MINUTE_MS)


async def test_newest_trades_come_first_and_no_more_than_asked(path: Path) -> None:
    """The limit counts from the newest."""
    reader = JournalReader(path)
    everything = reader.trades()
    assert reader.trades(3) == everything[:3]
    assert everything[0].exit_at_ms >= everything[-1].exit_at_ms


def test_without_a_journal_the_sentence_says_how_to_get_one(tmp_path: Path) -> None:
    """Exit code 3, and what to start."""
    with pytest.raises(NotRunningError, match="bot run"):
        JournalReader(tmp_path / "journal.sqlite")


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    """Garbage is a sentence, not a traceback."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"nothing" * 200)
    with pytest.raises(StorageError, match=r"journal\.sqlite"):
        JournalReader(path)


def test_a_journal_without_tables_holds_nothing_yet(tmp_path: Path) -> None:
    """A file that was made and never written is no error of the user's."""
    path = tmp_path / "journal.sqlite"
    path.touch()
    with pytest.raises(NotRunningError, match="holds nothing yet"):
        JournalReader(path)
