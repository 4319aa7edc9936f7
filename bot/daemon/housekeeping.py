"""The journal stays as large as its settings allow: once a day old rows go, a few after each minute's decision.

Everything is done by the journal's one writer, between a minute that was decided and the next, in steps of a few
milliseconds: no decision waits for it, and no other process holds the journal's lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from bot.core.engine import TradingEngine
from bot.core.market import DAY_MS, MINUTE_MS
from bot.daemon.telling import Log
from bot.journal.retention import Cutoffs, Pages, Retention


class PrunableJournal(Protocol):
    """The part of the journal that this needs."""

    def prune(self, cutoffs: Cutoffs) -> dict[str, int]:
        """Remove a slice of what is older; empty once nothing is left."""

    def give_back(self) -> int:
        """Give some free pages back to the disk; 0 once there are none to give."""

    def pages(self) -> Pages:
        """How large the file is."""


class Housekeeper:
    """Looks once a day of the market what may go, and lets it go slice by slice.

    Args:
        journal: The writer.
        retention: For how long what is kept.
        held_since_ms: Since when the oldest position is held or the oldest order is open; None without any.
        log: Bound with run_id and mode.
    """

    def __init__(
        self,
        journal: PrunableJournal,
        retention: Retention,
        held_since_ms: Callable[[], int | None],
        log: Log,
    ) -> None:
        self._journal = journal
        self._retention = retention
        self._held_since_ms = held_since_ms
        self._log = log
        self._day = -1
        self._cutoffs: Cutoffs | None = None
        self._shrinks = False
        self._removed: Counter[str] = Counter()

    def on_quiet(self, closed_at_ms: int) -> None:
        """A minute was decided, and nothing waits: do one step of what there is to do.

        Raises:
            StorageError: The disk refused; what was stored is as it was.
        """
        day = (closed_at_ms - MINUTE_MS) // DAY_MS
        if day > self._day:
            self._day = day
            self._cutoffs = self._retention.cutoffs(closed_at_ms, self._held_since_ms())
        if self._cutoffs is not None:
            self._prune(self._cutoffs)
        elif self._shrinks:
            self._shrinks = self._journal.give_back() > 0

    def _prune(self, cutoffs: Cutoffs) -> None:
        removed = self._journal.prune(cutoffs)
        if removed:
            self._removed.update(removed)
            return
        self._cutoffs = None
        if not self._removed:
            return
        pages = self._journal.pages()
        self._log.info(
            "journal.pruned",
            **self._removed,
            file_bytes=pages.page_count * pages.page_bytes,
            free_bytes=pages.free_count * pages.page_bytes,
        )
        self._removed.clear()
        self._shrinks = True


def held_since_ms(engine: TradingEngine) -> int | None:
    """Since when the oldest open position is held or the oldest open order is wanted, ms UTC; None without any."""
    times = [position.opened_at_ms for position in engine.account.positions()]
    times += [
        record.intent.decided_at_ms for symbol in engine.symbols for record in engine.open_orders(symbol)
    ]
    return min(times, default=None)
