"""What goes from the journal goes beside trading: after a decision, a slice at a time, and nothing that a start needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import DAY_MS, MINUTE_MS
from bot.daemon.housekeeping import Housekeeper, held_since_ms
from bot.journal.reader import JournalReader
from bot.journal.retention import Cutoffs, Pages, Retention
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, Silent, random_market, random_predictions

KEEP = Retention(9, 23, 9, 9)
SEED = 5


class Scripted:
    """A journal with so many slices to remove, and so many pages to give back."""

    def __init__(self, slices: int, pages: int = 0) -> None:
        self.slices = slices
        self.spare = pages
        self.asked: list[Cutoffs] = []

    def prune(self, cutoffs: Cutoffs) -> dict[str, int]:
        self.asked.append(cutoffs)
        self.slices -= 1
        return {"batches": 32, "candles": 64} if self.slices >= 0 else {}

    def give_back(self) -> int:
        given = min(self.spare, 256)
        self.spare -= given
        return given

    def pages(self) -> Pages:
        return Pages(4096, 100, 10, can_shrink=True)


def test_one_slice_a_minute_and_one_line_when_all_is_gone() -> None:
    """Each call does one step; the line counts what all of them removed; then nothing is done until the next day."""
    journal, log = Scripted(3), Silent()
    keeper = Housekeeper(journal, KEEP, lambda: None, log)
    day = 20 * DAY_MS
    for minute in range(1, 60):
        keeper.on_quiet(day + minute * MINUTE_MS)
    assert len(journal.asked) == 4
    assert log.lines == [
        ("journal.pruned", {"batches": 96, "candles": 192, "file_bytes": 409_600, "free_bytes": 40_960})
    ]
    keeper.on_quiet(day + DAY_MS)  # the minute that closes at midnight is of the old day
    assert len(journal.asked) == 4
    keeper.on_quiet(day + DAY_MS + MINUTE_MS)
    assert len(journal.asked) == 5
    assert journal.asked[-1].minutes_ms == journal.asked[0].minutes_ms + DAY_MS


def test_free_pages_are_given_back_after_what_was_old_is_gone() -> None:
    """A step at a time too, and not at all where nothing was removed."""
    journal = Scripted(1, pages=600)
    keeper = Housekeeper(journal, KEEP, lambda: None, Silent())
    given = []
    for minute in range(1, 9):
        keeper.on_quiet(20 * DAY_MS + minute * MINUTE_MS)
        given.append(600 - journal.spare)
    assert given == [0, 0, 256, 512, 600, 600, 600, 600]
    idle = Scripted(0, pages=600)
    keeper = Housekeeper(idle, KEEP, lambda: None, Silent())
    for minute in range(1, 5):
        keeper.on_quiet(20 * DAY_MS + minute * MINUTE_MS)
    assert idle.spare == 600


async def lived(folder: Path, keep: Retention | None, until: int, stops: tuple[int, ...] = ()) -> Daemon:
    """A daemon over nine days of the market, sped up: 90 minutes of each, with restarts."""
    market = [
        candle._replace(opened_at_ms=MIDNIGHT + minute // 90 * DAY_MS + (1350 + minute % 90) * MINUTE_MS)
        for candle in random_market(SEED, 810)
        for minute in [(candle.opened_at_ms - MIDNIGHT) // MINUTE_MS]
    ]
    ends = [*stops, until]
    began = MIDNIGHT
    for end in ends:
        daemon = Daemon(folder, market, random_predictions(SEED, market), now_ms=began)
        await daemon.start()
        if keep is not None:
            keeper = Housekeeper(daemon.journal, keep, partial(held_since_ms, daemon.engine), daemon.log)
            assert daemon.loop is not None
            daemon.loop._on_quiet = keeper.on_quiet
        began = MIDNIGHT + end * DAY_MS
        await daemon.run(until_ms=began)
        daemon.close()
    return daemon


async def test_a_pruned_journal_recovers_to_the_same_end(tmp_path: Path) -> None:
    """With old days gone and three restarts the account, orders and trades end as those of a run that keeps everything."""
    keep = Retention(3, 17, 3, 3)
    whole = await lived(tmp_path / "whole", None, 9)
    pruned = await lived(tmp_path / "pruned", keep, 9, stops=(4, 6, 7))
    assert pruned.engine.snapshot()["account"] == whole.engine.snapshot()["account"]
    assert pruned.engine.snapshot()["orders"] == whole.engine.snapshot()["orders"]
    one, two = (JournalReader(tmp_path / name / "journal.sqlite") for name in ("whole", "pruned"))
    assert one.trades(10_000) == two.trades(10_000)
    assert one.orders_between(0, 2**62) == two.orders_between(0, 2**62)
    kept = list(two.batches())
    assert 3 * 90 <= len(kept) < 7 * 90
    assert kept == list(one.batches(since_ms=kept[0].closed_at_ms))
    assert one.counts()["fills"] == two.counts()["fills"]


def test_what_is_held_is_the_oldest_of_positions_and_orders(tmp_path: Path) -> None:
    """Nothing held is None, and a young journal has nothing to remove."""
    market = random_market(SEED, 5)
    daemon = Daemon(tmp_path, market, random_predictions(SEED, market), now_ms=MIDNIGHT)
    assert held_since_ms(daemon.engine) is None
    assert daemon.journal.prune(KEEP.cutoffs(MIDNIGHT)) == {}
    daemon.close()


@pytest.mark.parametrize("field", ["minutes_days", "candles_days", "forecasts_days", "equity_days"])
def test_longer_keeps_more(field: str) -> None:
    """Each number of days moves its own midnight and no other one forward."""
    words: dict[str, Any] = {
        "minutes_days": 50, "candles_days": 100, "forecasts_days": 50, "equity_days": 50,
    }  # fmt: skip
    less = Retention(**words).cutoffs(200 * DAY_MS)
    more = Retention(**{**words, field: words[field] + 3}).cutoffs(200 * DAY_MS)
    name = field.replace("_days", "_ms")
    assert getattr(less, name) - getattr(more, name) == 3 * DAY_MS
    others = {"minutes_ms", "candles_ms", "forecasts_ms", "equity_ms"} - {name}
    assert all(getattr(less, other) == getattr(more, other) for other in others)
