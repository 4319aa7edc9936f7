"""Has a model lost more than luck explains? Its drawdown is compared with a path that its own past returns drew.

``models.drawdown`` makes the path: for each day since trading began the drawdown that a lucky or unlucky order of the
walk-forward's daily returns stays within, 95 times of 100, on all days at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from bot.core.market import DAY_MS
from bot.errors import EngineProtocolError

LEAST_FALL = 0.01
"""A fall of less than one percent is no verdict, whatever the path: it knows the closes of days and not what lies
between, and that of a model which never lost a day would allow nothing at all."""


def expected_drawdown_limit(path: Sequence[float], elapsed_ms: int) -> float:
    """The drawdown that is still within the path, a fraction of the highest equity.

    Args:
        path: The limit by the end of day 1, 2, ...; never falling. Beyond its last day that day's holds.
        elapsed_ms: Since trading began.

    Raises:
        EngineProtocolError: The path is empty, or holds what is no drawdown.
    """
    _check(path)
    day = max(math.ceil(elapsed_ms / DAY_MS), 1)
    return path[min(day, len(path)) - 1]


class DrawdownWatch:
    """Compares the drawdown since a model began to trade with its path.

    Args:
        path: As ``expected_drawdown_limit``; None or nothing knows no limit.
        exposure: Notional held at most, as a fraction of equity: the path is that of returns on the notional.
    """

    def __init__(self, path: Sequence[float] | None, *, exposure: float = 1.0) -> None:
        if path:
            _check(path)
        self._path = tuple(max(limit * exposure, LEAST_FALL) for limit in path or ())
        self._began_ms: int | None = None
        self._peak = 0.0
        self._drawdown = 0.0
        self._limit: float | None = None

    @property
    def drawdown(self) -> float:
        """Fall from the highest equity since the model began, as a fraction."""
        return self._drawdown

    @property
    def limit(self) -> float | None:
        """What it is compared with now; None without a path, or before the first equity."""
        return self._limit

    def observe(self, at_ms: int, equity: float) -> bool:
        """Take note of the account's equity; True when the drawdown lies beyond the path.

        Args:
            at_ms: Close of a minute; the first one is when trading began.
            equity: Quote currency.
        """
        if self._began_ms is None:
            self._began_ms = at_ms
        self._peak = max(self._peak, equity)
        self._drawdown = 1.0 - equity / self._peak if self._peak > 0.0 else 0.0
        if not self._path:
            return False
        self._limit = expected_drawdown_limit(self._path, at_ms - self._began_ms)
        return self._drawdown > self._limit

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""
        return {"began_ms": self._began_ms, "peak": self._peak}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""
        self._began_ms, self._peak = state["began_ms"], state["peak"]


def _check(path: Sequence[float]) -> None:
    """Raise where a list is no path."""
    sound = path and all(math.isfinite(limit) and limit >= 0.0 for limit in path)
    if not sound or any(later < earlier for earlier, later in pairwise(path)):
        raise EngineProtocolError("a drawdown path holds fractions that never fall, one for each day")
