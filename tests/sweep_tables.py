"""Points of a sweep that nobody had to trade: days from arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from backtests.sweep_blocks import Block
from backtests.sweep_point import PointFigures
from backtests.sweep_table import Table

Floats = npt.NDArray[np.float64]

FIRST_DAY = 19_700


def blocks_of(count: int, days: int) -> tuple[Block, ...]:
    """Some blocks of as many days each."""
    return tuple(
        Block(FIRST_DAY + days * number, FIRST_DAY + days * (number + 1) - 1) for number in range(count)
    )


def figures(
    returns: Floats, *, trades: int = 10, held_minutes: float = 30.0, blocks: int = 6, engine: str = "fast"
) -> PointFigures:
    """A point with so many trades a day, which share the day's return evenly."""
    days = len(returns)
    gained = returns * 1e4 / 0.1  # a tenth of the account a trade
    return PointFigures(
        engine=engine,
        bars=1440 * days,
        seconds=0.1,
        drawdowns=tuple(0.01 * (number + 1) for number in range(blocks)),
        returns=returns,
        trades=np.full(days, trades, dtype=np.int64),
        gain_bps=gained if trades else np.zeros(days),
        wins=np.where(returns > 0, trades, 0).astype(np.int64),
        held_minutes=np.full(days, held_minutes if trades else 0.0),
    )


def table_of(returns: Floats, *, blocks: int = 6, **told: float) -> Table:
    """A table of float64 [D, k] daily returns, each column a point ``x=0``, ``x=1`` …; D is a multiple of ``blocks``."""
    cut = blocks_of(blocks, len(returns) // blocks)
    trades, held = int(told.get("trades", 10)), float(told.get("held_minutes", 30.0))
    return Table.of(
        [
            ({"x": str(number)}, figures(column, trades=trades, held_minutes=held, blocks=blocks))
            for number, column in enumerate(returns.T)
        ],
        cut,
    )
