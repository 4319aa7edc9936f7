"""What a sweep shows: the winner cut down by the number of trials, the choice out of sample, and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from backtests.cautions import LEAST_TRADES_TO_TRUST
from backtests.inputs import Floats
from backtests.metrics import DAYS_A_YEAR, LEAST_DAYS_FOR_RATIOS
from backtests.net_return import BLOCK_DAYS
from backtests.sweep_folds import Fold, Rule, Walk, stability, walk
from backtests.sweep_table import Table, best_of
from bot.core.market import DAY_MS
from models.bootstrap import Interval, block_totals, bounds
from models.overfitting import probability_of_overfitting
from models.sharpe import deflated_sharpe, probabilistic_sharpe, sharpe_ratio

SURE = 0.99
"""How probable it must be that the Sharpe ratio is more than luck, as sure as the gate of the retraining asks (t > 2.33): of
a hundred sweeps over noise about one passes."""

Verdict = Literal["edge", "no_edge", "not_enough_data"]


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All of it.

    Attributes:
        table: All points.
        rule: How they were chosen.
        walk: The choices and what they came to.
        winner: The best point over all days; None where none has enough trades.
        worth: float64 [k], what the choice of the winner looked at.
        trials: How many different things were tried on these minutes, by the ledger.
        others: How many of them were not points of this sweep.
        overfitting: Probability of backtest overfitting; None for one point or fewer than four days.
        winner_confidence: Deflated Sharpe ratio of the winner.
        walk_confidence: The same of what was traded out of sample.
        expectancy: Net return of an out-of-sample trade with its 95 % interval, bps; None below 14 days or without a trade.
        verdict: In a word.
        sentence: For people.
    """

    table: Table
    rule: Rule
    walk: Walk
    winner: int | None
    worth: Floats
    trials: int
    others: int
    overfitting: float | None
    winner_confidence: float | None
    walk_confidence: float | None
    expectancy: Interval | None
    verdict: Verdict
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """JSON values; Sharpe ratios are a year's too, where there are days enough."""
        table, whole = self.table, self.table.summed(self.table.everywhere())
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "objective": self.rule.objective,
            "least_trades": self.rule.least_trades,
            "points": len(table),
            "trials": self.trials,
            "trials_before": self.others,
            "probability_of_overfitting": self.overfitting,
            "folds": [_fold_json(table, fold) for fold in self.walk.folds],
            "stability": stability(table, self.walk.folds),
            "out_of_sample": walk_figures(self.walk)
            | {
                "deflated_sharpe": self.walk_confidence,
                "expectancy_interval_bps": None if self.expectancy is None else list(self.expectancy[1:]),
            },
            "winner": None
            if self.winner is None
            else {
                "point": dict(table.points[self.winner]),
                **with_year(whole.figures(self.winner)),
                "max_drawdown": float(table.worst_drawdown(range(len(table.blocks)))[self.winner]),
                "deflated_sharpe": self.winner_confidence,
            },
        }


def find(
    table: Table,
    rule: Rule,
    candidates: Sequence[Sequence[int]],
    finalists: Sequence[int],
    *,
    others: int = 0,
) -> Findings:
    """Everything that a sweep's points show.

    Args:
        table: All points.
        rule: How to choose.
        candidates: For each fold the points that it may choose.
        finalists: The points that may win over everything.
        others: Different things that were tried on these minutes before and are no points of this sweep.
    """
    walked = walk(table, rule, candidates)
    whole = table.summed(table.everywhere())
    worth = whole.worth(rule.objective, rule.least_trades)
    winner = best_of(worth, finalists)
    interval = _expectancy(walked)
    # The choices saw none of the days that they are scored on: the points of this sweep are no trials there.
    walk_confidence = deflated_sharpe(walked.returns, trial_count=1 + others) if walked.trades.sum() else None
    winner_confidence = None
    if winner is not None:
        winner_confidence = deflated_sharpe(
            table.returns[:, winner], trial_count=len(table) + others, trial_sharpes=whole.sharpe
        )
    verdict, sentence = _verdict(walked, interval, walk_confidence)
    return Findings(
        table=table,
        rule=rule,
        walk=walked,
        winner=winner,
        worth=worth,
        trials=len(table) + others,
        others=others,
        overfitting=probability_of_overfitting(table.returns),
        winner_confidence=winner_confidence,
        walk_confidence=walk_confidence,
        expectancy=interval,
        verdict=verdict,
        sentence=sentence,
    )


def walk_figures(walked: Walk) -> dict[str, Any]:
    """What was traded out of sample, as JSON values."""
    trades = int(walked.trades.sum())
    sharpe = sharpe_ratio(walked.returns)
    return with_year(
        {
            "days": len(walked.days),
            "return": float(np.prod(1.0 + walked.returns) - 1.0),
            "sharpe": sharpe,
            "trades": trades,
            "win_rate": int(walked.wins.sum()) / trades if trades else None,
            "expectancy_bps": float(walked.gain_bps.sum()) / trades if trades else None,
        }
    ) | {"probability_sharpe_above_0": probabilistic_sharpe(walked.returns) if trades else None}


def rank_share(fold: Fold) -> float | None:
    """The share of the other points that the chosen one beat out of sample, by its Sharpe ratio; None for no other."""
    if fold.chosen is None or len(fold.outside.sharpe) < 2:
        return None
    others = np.delete(fold.outside.sharpe, fold.chosen)
    own = fold.outside.sharpe[fold.chosen]
    return float(((others < own) + 0.5 * (others == own)).mean())


def _fold_json(table: Table, fold: Fold) -> dict[str, Any]:
    block = table.blocks[fold.number]
    chosen = fold.chosen
    return {
        "number": fold.number,
        "out_of_sample_from_ms": block.since_ms,
        "out_of_sample_until_ms": block.until_ms,
        "embargo_minutes": fold.embargo_minutes,
        "point": None if chosen is None else dict(table.points[chosen]),
        "in_sample": None if chosen is None else with_year(fold.inside.figures(chosen)),
        "out_of_sample": None if chosen is None else with_year(fold.outside.figures(chosen)),
        "beat_share": rank_share(fold),
    }


def with_year(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures with the Sharpe ratio of a year beside that of a day; None below the days that one needs."""
    can_be_said = figures["days"] >= LEAST_DAYS_FOR_RATIOS
    return figures | {"sharpe_yearly": figures["sharpe"] * DAYS_A_YEAR**0.5 if can_be_said else None}


def _expectancy(walked: Walk) -> Interval | None:
    """Net return of a trade, bps, with its interval: days drawn in blocks of a week, their trades with them."""
    count = walked.trades.astype(np.float64)
    if not count.sum():
        return None
    totals = block_totals(walked.days * DAY_MS, [walked.gain_bps, count], block=BLOCK_DAYS)
    if totals is None:
        return None
    means = totals[totals[:, 1] > 0, 0] / totals[totals[:, 1] > 0, 1]
    return Interval(float(walked.gain_bps.sum() / count.sum()), *bounds(means))


def _verdict(walked: Walk, interval: Interval | None, confidence: float | None) -> tuple[Verdict, str]:
    """One word and one sentence on what "choose, then trade" came to."""
    trades = int(walked.trades.sum())
    if not any(fold.chosen is not None for fold in walked.folds):
        return "not_enough_data", "no parameters traded enough in sample to be chosen: nothing can be said"
    if not trades:
        return "not_enough_data", (
            "chosen in-sample, the parameters did not trade out of sample: nothing can be said"
        )
    mean = float(walked.gain_bps.sum()) / trades
    came = f"chosen in-sample, the parameters {'earned' if mean > 0 else 'lost'} {abs(mean):.1f} bps a trade out of sample"
    if mean <= 0.0:
        return "no_edge", f"{came}: nothing here to trade on"
    if trades < LEAST_TRADES_TO_TRUST or interval is None:
        short = "trades" if trades < LEAST_TRADES_TO_TRUST else "days"
        count = trades if short == "trades" else len(walked.days)
        return "not_enough_data", f"{came}, over {count} {short}: too few to tell skill from luck"
    spread = f"95 % interval {interval.low:+.1f} to {interval.high:+.1f}"
    if interval.low <= 0.0:
        return "no_edge", f"{came}, {spread}, which includes 0: no edge is shown"
    if confidence is None or confidence < SURE:
        sure = 0.0 if confidence is None else confidence
        return "no_edge", (
            f"{came}, {spread}, but with all that was tried on these minutes that is skill with a probability of "
            f"{sure:.0%} only: no edge is shown"
        )
    return "edge", (
        f"{came}, {spread}, and {confidence:.0%} sure to be more than luck: worth a look on candles that no choice "
        "has seen"
    )
