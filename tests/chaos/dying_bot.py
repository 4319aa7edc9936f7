"""``bot``, killed by itself at a write of its journal: ``python -m tests.chaos.dying_bot run …``.

``DIE_AT_WRITE`` counts the commits of this life from 1; 0 lets it live, and the count is left in ``DIE_COUNT_FILE``.
``DIE_WHEN`` is ``before`` (the transaction is open and full) or ``after`` (it is committed, nothing was acted upon).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.journal.journal import SqliteJournal

_whole = SqliteJournal._transaction
_target = int(os.environ["DIE_AT_WRITE"])
_when = os.environ["DIE_WHEN"]
_counted = [0]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _dying(journal: SqliteJournal, *, waits: bool = True) -> Iterator[None]:
    with _whole(journal, waits=waits):
        yield
        _counted[0] += 1
        if _counted[0] == _target and _when == "before":
            _die()
    if _counted[0] == _target and _when == "after":
        _die()
    if not _target:
        Path(os.environ["DIE_COUNT_FILE"]).write_text(str(_counted[0]))


SqliteJournal._transaction = _dying  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    from bot.cli import main

    sys.exit(main())
