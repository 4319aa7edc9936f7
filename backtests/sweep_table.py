"""All points of a sweep side by side, and what their days come to: return, Sharpe ratio, expectancy, by any choice of days.

Conventions: returns are compounded daily returns, fractions; Sharpe ratios are of daily returns, per day (the source's
deviation, n - 1; 0 where returns never vary); expectancy is the mean net return of a trade, bps of its entry notional.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from backtests.inputs import Floats
from backtests.sweep_blocks import Block, block_of_day, days_of
from backtests.sweep_point import PointFigures
from backtests.sweep_space import Point

Counts: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

Objective = Literal["sharpe", "return", "expectancy"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
_LEAST_DEVIATION = 1e-12
"""In shares of the greatest return: a smaller deviation is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """D days of k points.

    Attributes:
        points: What each point sets.
        blocks: What the days are of.
        days: int64 [D], days since 1970.
        block: int64 [D], which block each is of.
        returns: float64 [D, k].
        trades: int64 [D, k], round trips that ended on the day.
        gain_bps: float64 [D, k], the sum of their net returns.
        wins: int64 [D, k].
        held_minutes: float64 [D, k], the longest holding of a trade that ended on the day.
        drawdowns: float64 [blocks, k], greatest fall within each block.
        engines: What ran each point.
    """

    points: tuple[Point, ...]
    blocks: tuple[Block, ...]
    days: Counts
    block: Counts
    returns: Floats
    trades: Counts
    gain_bps: Floats
    wins: Counts
    held_minutes: Floats
    drawdowns: Floats
    engines: tuple[str, ...]

    @classmethod
    def of(cls, figures: Sequence[tuple[Point, PointFigures]], blocks: tuple[Block, ...]) -> Table:
        """Points in the order given; at least one."""
        each = [one for _, one in figures]
        return cls(
            points=tuple(point for point, _ in figures),
            blocks=blocks,
            days=days_of(blocks),
            block=block_of_day(blocks),
            returns=np.stack([one.returns for one in each], axis=1),
            trades=np.stack([one.trades for one in each], axis=1),
            gain_bps=np.stack([one.gain_bps for one in each], axis=1),
            wins=np.stack([one.wins for one in each], axis=1),
            held_minutes=np.stack([one.held_minutes for one in each], axis=1),
            drawdowns=np.stack([np.array(one.drawdowns) for one in each], axis=1),
            engines=tuple(one.engine for one in each),
        )

    def __len__(self) -> int:
        """How many points."""
        return len(self.points)

    def everywhere(self) -> Flags:
        """All days of all points, bool [D, k]."""
        return np.ones(self.returns.shape, dtype=np.bool_)

    def summed(self, chosen: Flags) -> Sums:
        """What the chosen days, bool [D, k], come to."""
        days = chosen.sum(axis=0)
        kept = np.where(chosen, self.returns, 0.0)
        mean = kept.sum(axis=0) / np.maximum(days, 1)
        squares = np.where(chosen, (self.returns - mean) ** 2, 0.0).sum(axis=0)
        deviation = np.sqrt(squares / np.maximum(days - 1, 1))
        varies = deviation > _LEAST_DEVIATION * np.abs(kept).max(axis=0, initial=0.0)
        trades = np.where(chosen, self.trades, 0).sum(axis=0)
        gains = np.where(chosen, self.gain_bps, 0.0).sum(axis=0)
        return Sums(
            days=days,
            total_return=np.prod(1.0 + kept, axis=0) - 1.0,
            sharpe=np.where(varies, mean / np.where(varies, deviation, 1.0), 0.0),
            trades=trades,
            wins=np.where(chosen, self.wins, 0).sum(axis=0),
            expectancy_bps=np.where(trades > 0, gains / np.maximum(trades, 1), np.nan),
        )

    def worst_drawdown(self, blocks: Sequence[int]) -> Floats:
        """The greatest fall within any of some blocks, float64 [k]."""
        found: Floats = self.drawdowns[list(blocks)].max(axis=0)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Figures of some days of each point; arrays of length k.

    Attributes:
        days: How many.
        total_return: Fraction.
        sharpe: Per day.
        trades: Round trips.
        wins: Of them.
        expectancy_bps: Net a trade; NaN without a trade.
    """

    days: Counts
    total_return: Floats
    sharpe: Floats
    trades: Counts
    wins: Counts
    expectancy_bps: Floats

    def worth(self, objective: Objective, least_trades: int) -> Floats:
        """What a choice looks at, float64 [k]; NaN where there are fewer trades than that, or none."""
        value = {
            "sharpe": self.sharpe,
            "return": self.total_return,
            "expectancy": self.expectancy_bps,
        }[objective]
        return np.where(self.trades >= max(least_trades, 1), value, np.nan)

    def figures(self, place: int) -> dict[str, float | int | None]:
        """One point's, as JSON values."""
        trades = int(self.trades[place])
        return {
            "days": int(self.days[place]),
            "return": float(self.total_return[place]),
            "sharpe": float(self.sharpe[place]),
            "trades": trades,
            "win_rate": int(self.wins[place]) / trades if trades else None,
            "expectancy_bps": float(self.expectancy_bps[place]) if trades else None,
        }


def best_of(worth: Floats, among: Sequence[int]) -> int | None:
    """The point of the highest worth, the first of equals; None where none has any."""
    best: int | None = None
    for place in among:
        if not np.isnan(worth[place]) and (best is None or worth[place] > worth[best]):
            best = place
    return best
