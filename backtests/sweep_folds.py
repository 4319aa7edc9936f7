"""Choose, then trade: each fold chooses the best point on the days before, and is scored on the days that follow.

Walk-forward, anchored: fold k chooses on blocks 0 to k - 1 and is scored on block k. In sample is purged: what lies
within the embargo before the out-of-sample part does not count, which is the longest of what the model looks back, what
it looks ahead, and the longest trade that the point held in sample (M. López de Prado, Advances in Financial Machine
Learning, 2018, chapter 7: no observation may share time with what is tested).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtests.inputs import Floats
from backtests.sweep_blocks import embargo_ms
from backtests.sweep_space import number_of
from backtests.sweep_table import Counts, Flags, Objective, Sums, Table, best_of
from bot.core.market import DAY_MS, MINUTE_MS


@dataclass(frozen=True, slots=True)
class Rule:
    """How points are chosen.

    Attributes:
        objective: What is looked at.
        least_trades: A point with fewer trades in sample is not chosen.
        lookback_minutes: What the model and the engine look back.
        horizon_minutes: What the model looks ahead.
    """

    objective: Objective
    least_trades: int
    lookback_minutes: int
    horizon_minutes: int


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One choice and its score.

    Attributes:
        number: From 1; the block that it is scored on.
        chosen: The point; None where none had enough trades in sample.
        embargo_minutes: Of the chosen point; of the prediction alone where none was chosen.
        worth: float64 [k], what the choice looked at; NaN for what could not be chosen.
        inside: In-sample figures of all points.
        outside: Out-of-sample figures of all points.
    """

    number: int
    chosen: int | None
    embargo_minutes: int
    worth: Floats
    inside: Sums
    outside: Sums


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """All folds in order of time.

    Attributes:
        folds: One an out-of-sample block.
        days: int64 [n], the out-of-sample days.
        returns: float64 [n], what was traded on them: of each day's chosen point, 0 where none was.
        trades: int64 [n], likewise; so are the next.
        gain_bps: Summed net returns of trades.
        wins: How many gained.
    """

    folds: tuple[Fold, ...]
    days: Counts
    returns: Floats
    trades: Counts
    gain_bps: Floats
    wins: Counts


def inside_of(table: Table, number: int, rule: Rule) -> tuple[Flags, Counts]:
    """The in-sample days of a fold, bool [D, k], and each point's embargo in minutes, int64 [k]."""
    before = table.block < number
    held = table.held_minutes[before].max(axis=0, initial=0.0)
    embargo = np.array(
        [
            embargo_ms(
                lookback_minutes=rule.lookback_minutes,
                horizon_minutes=rule.horizon_minutes,
                holding_minutes=float(longest),
            )
            for longest in held
        ],
        dtype=np.int64,
    )
    last_ms = table.blocks[number].since_ms - embargo
    ends_ms = (table.days + 1) * DAY_MS
    return before[:, None] & (ends_ms[:, None] <= last_ms[None, :]), embargo // MINUTE_MS


def choose(table: Table, number: int, rule: Rule, among: Sequence[int]) -> Fold:
    """One fold.

    Args:
        table: All points.
        number: Of the fold, from 1.
        rule: How to choose.
        among: The points that it may choose.
    """
    days, embargo = inside_of(table, number, rule)
    inside = table.summed(days)
    outside = table.summed(np.repeat((table.block == number)[:, None], len(table), axis=1))
    worth = inside.worth(rule.objective, rule.least_trades)
    chosen = best_of(worth, among)
    alone = max(rule.lookback_minutes, rule.horizon_minutes)
    return Fold(number, chosen, alone if chosen is None else int(embargo[chosen]), worth, inside, outside)


def walk(table: Table, rule: Rule, candidates: Sequence[Sequence[int]]) -> Walk:
    """Every fold, and what was traded out of sample.

    Args:
        table: All points.
        rule: How to choose.
        candidates: For each fold the points that it may choose: those that were not found by looking at later days.
    """
    folds = tuple(
        choose(table, number, rule, candidates[number - 1]) for number in range(1, len(table.blocks))
    )
    traded = table.block > 0
    picked = np.array([-1, *(-1 if fold.chosen is None else fold.chosen for fold in folds)])
    columns = picked[table.block[traded]]
    rows = np.flatnonzero(traded)
    some = columns >= 0

    def of(values: Any) -> Any:
        return np.where(some, values[rows, np.maximum(columns, 0)], 0)

    return Walk(
        folds,
        table.days[traded],
        of(table.returns).astype(np.float64),
        of(table.trades),
        of(table.gain_bps).astype(np.float64),
        of(table.wins),
    )


def stability(table: Table, folds: Sequence[Fold]) -> dict[str, Any]:
    """How far the choices of the folds agree, as JSON values.

    Returns:
        ``distinct`` points chosen, ``most_common_share`` of the folds that chose the most common one, and by parameter the
        values chosen in order with ``range_share``: how much of the varied range they span, 0 for always the same; None
        where values are no numbers.
    """
    chosen = [fold.chosen for fold in folds if fold.chosen is not None]
    counted = Counter(chosen)
    names = list(table.points[0]) if table.points else []
    return {
        "folds": len(folds),
        "chosen": len(chosen),
        "distinct": len(counted),
        "most_common_share": max(counted.values()) / len(chosen) if chosen else None,
        "parameters": {
            name: {
                "values": [
                    None if fold.chosen is None else table.points[fold.chosen][name] for fold in folds
                ],
                "range_share": _range_share(
                    [table.points[place][name] for place in chosen], [point[name] for point in table.points]
                ),
            }
            for name in names
        },
    }


def _range_share(chosen: Sequence[str], varied: Sequence[str]) -> float | None:
    """The range of the chosen values over that of all values."""
    taken = [number for text in chosen if (number := number_of(text)) is not None]
    every = [number for text in varied if (number := number_of(text)) is not None]
    if not taken or len(every) < len(varied) or len(taken) < len(chosen) or max(every) <= min(every):
        return None
    return (max(taken) - min(taken)) / (max(every) - min(every))
