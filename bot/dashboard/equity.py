"""The curve of the account, kept in memory as it grows and thinned for a chart without losing a peak or a low."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bot.dashboard.door import JournalDoor
from bot.journal.reader import EquityPoint

CHUNK: Final = 5_000
"""Rows that are read at once."""


class EquityCurve:
    """Equity after each minute, and how far it had fallen from its highest.

    24 bytes a minute: a year of them takes 13 MB.
    """

    def __init__(self) -> None:
        self._at_ms = array("q")
        self._equity = array("d")
        self._drawdown = array("d")
        self._peak = 0.0

    def __len__(self) -> int:
        return len(self._at_ms)

    @property
    def last_ms(self) -> int:
        """The newest minute that it has; -1 without any."""
        return self._at_ms[-1] if self._at_ms else -1

    def extend(self, points: Iterable[EquityPoint]) -> None:
        """Append later minutes, in order."""
        for point in points:
            self._peak = max(self._peak, point.equity)
            self._at_ms.append(point.at_ms)
            self._equity.append(point.equity)
            self._drawdown.append(1.0 - point.equity / self._peak if self._peak > 0 else 0.0)

    def thinned(self, since_ms: int, points: int) -> dict[str, list[Any]]:
        """The curve from a time on, with some ``points`` at most; columns of equal length."""
        at_ms = np.frombuffer(self._at_ms, np.int64) if self._at_ms else np.empty(0, np.int64)
        first = int(np.searchsorted(at_ms, since_ms))
        equity = np.frombuffer(self._equity, np.float64)[first:] if self._equity else np.empty(0)
        drawdown = np.frombuffer(self._drawdown, np.float64)[first:] if self._drawdown else np.empty(0)
        kept = extremes(equity, points)
        return {
            "at_ms": at_ms[first:][kept].tolist(),
            "equity": equity[kept].tolist(),
            "drawdown": drawdown[kept].tolist(),
        }


def extremes(values: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.int64]:
    """Places of a series that show it with few points: first, last, and the lowest and highest of each equal part.

    Args:
        values: [n].
        points: At most so many places, 4 or more.

    Returns:
        Places in order, [at most points].
    """
    count = len(values)
    if count <= points:
        return np.arange(count)
    edges = np.linspace(0, count, (points - 2) // 2 + 1).astype(np.int64)
    kept = {0, count - 1}
    for begin, end in pairwise(edges):
        part = values[begin:end]
        kept |= {int(begin + part.argmin()), int(begin + part.argmax())}
    return np.array(sorted(kept), np.int64)


class EquityHistory:
    """Keeps the curve up to the journal, reading only what is new, a chunk at a time.

    Args:
        door: To the journal.
    """

    def __init__(self, door: JournalDoor) -> None:
        self._door = door
        self._curve = EquityCurve()
        self._inode: int | None = None

    async def thinned(self, since_ms: int, points: int) -> dict[str, list[Any]]:
        """The curve as the journal has it now; raises UnavailableError where there is none."""
        stamp = self._door.stamp()
        inode = None if stamp is None else stamp.inode
        if (
            inode != self._inode
        ):  # another journal lies there: a backup was restored, or an account begun anew
            self._curve, self._inode = EquityCurve(), inode
        curve = self._curve
        while True:
            new = await self._door.ask(lambda reader: reader.equity_after(curve.last_ms, CHUNK))
            curve.extend(point for point in new if point.at_ms > curve.last_ms)
            if len(new) < CHUNK:
                break
        return curve.thinned(since_ms, points)
