"""A sweep's findings as one document, and all its points as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from backtests.inputs import BacktestInput, Floats
from backtests.metrics import DAYS_A_YEAR
from backtests.sweep_findings import Findings, with_year
from backtests.sweep_search import Searched
from backtests.sweep_space import Dimension, Listed, number_of
from backtests.sweep_table import Sums
from bot.candles.columns import iso_utc

BEST_POINTS = 20


def sweep_document(
    findings: Findings,
    searched: Searched,
    *,
    space: Sequence[Dimension],
    search: str,
    seed: int,
    trials: int,
    strategy: str,
    data: BacktestInput,
    engine: str,
    warnings: Sequence[str],
    simulated: bool,
) -> dict[str, Any]:
    """Everything as JSON values.

    Args:
        findings: What the points show.
        searched: What was evaluated.
        space: What was varied.
        search: How.
        seed: Of Optuna's studies.
        trials: Points of each.
        strategy: Its name for people.
        data: The backtest that the points are variations of.
        engine: What ran them.
        warnings: What a reader should know.
        simulated: Whether the market is a simulated one.
    """
    table = findings.table
    return {
        **findings.as_json(),
        "symbols": list(data.symbols),
        "from": iso_utc(table.blocks[0].since_ms),
        "to": iso_utc(table.blocks[-1].until_ms),
        "days": len(table.days),
        "strategy": strategy,
        "models": sorted({columns.model_id for columns in data.predictions.values()}),
        "simulated_market": simulated,
        "search": search,
        "seed": seed if search == "optuna" else None,
        "trials_a_study": trials if search == "optuna" else None,
        "varied": [_dimension_json(one) for one in space],
        "engine": engine,
        "costs": asdict(data.config.costs),
        "lookback_minutes": findings.rule.lookback_minutes,
        "horizon_minutes": findings.rule.horizon_minutes,
        "importance": searched.importance,
        "best": _best(findings),
        "failed": [{"point": dict(point), "reason": reason} for point, reason in searched.failures.values()],
        "impossible": [{"point": dict(point), "reason": reason} for point, reason in searched.impossible],
        "bars": sum(figures.bars for _, figures in searched.figures.values()),
        "compute_seconds": round(sum(figures.seconds for _, figures in searched.figures.values()), 3),
        "warnings": list(warnings),
    }


def point_columns(findings: Findings) -> dict[str, Any]:
    """Every point with every figure, a list or array a column, each of length k.

    ``all_*`` are figures of all days, ``later_*`` of all out-of-sample blocks, as if the point had been traded throughout
    them; ``fold1_in_*`` and ``fold1_out_*`` of each fold. Sharpe ratios are those of a day.
    """
    table = findings.table
    columns: dict[str, Any] = {
        name: _values([point[name] for point in table.points]) for name in table.points[0]
    }
    columns["engine"] = list(table.engines)
    columns["objective"] = findings.worth
    columns |= _figures("all", table.summed(table.everywhere()))
    columns["all_max_drawdown"] = table.worst_drawdown(range(len(table.blocks)))
    later = np.repeat((table.block > 0)[:, None], len(table), axis=1)
    columns |= _figures("later", table.summed(later))
    for fold in findings.walk.folds:
        columns |= _figures(f"fold{fold.number}_in", fold.inside)
        columns |= _figures(f"fold{fold.number}_out", fold.outside)
        columns[f"fold{fold.number}_chosen"] = np.arange(len(table)) == fold.chosen
    return columns


def in_units(values: Floats, objective: str) -> Floats:
    """An objective as people read it: a year's Sharpe ratio, a return in per cent, an expectancy in bps."""
    factor = {"sharpe": DAYS_A_YEAR**0.5, "return": 100.0, "expectancy": 1.0}[objective]
    found: Floats = values * factor
    return found


def units(objective: str) -> str:
    """What those numbers are."""
    return {"sharpe": "Sharpe ratio, a year", "return": "return, %", "expectancy": "net bps a trade"}[
        objective
    ]


def ranked(worth: Floats) -> list[int]:
    """Points from best to worst, those without a worth left out; equals in their order."""
    return [int(place) for place in np.argsort(-worth, kind="stable") if not np.isnan(worth[place])]


def _best(findings: Findings) -> list[dict[str, Any]]:
    """The best points of the last fold's in-sample part, each with what came of it out of sample."""
    fold = findings.walk.folds[-1]
    return [
        {
            "point": dict(findings.table.points[place]),
            "in_sample": with_year(fold.inside.figures(place)),
            "out_of_sample": with_year(fold.outside.figures(place)),
            "chosen": place == fold.chosen,
        }
        for place in ranked(fold.worth)[:BEST_POINTS]
    ]


def _figures(prefix: str, sums: Sums) -> dict[str, Any]:
    with np.errstate(invalid="ignore", divide="ignore"):
        win_rate = np.where(sums.trades > 0, sums.wins / np.maximum(sums.trades, 1), np.nan)
    return {
        f"{prefix}_days": sums.days,
        f"{prefix}_return": sums.total_return,
        f"{prefix}_sharpe": sums.sharpe,
        f"{prefix}_trades": sums.trades,
        f"{prefix}_win_rate": win_rate,
        f"{prefix}_expectancy_bps": sums.expectancy_bps,
    }


def _values(texts: Sequence[str]) -> list[float] | list[str]:
    """Numbers where all of them are."""
    numbers = [number for text in texts if (number := number_of(text)) is not None]
    return numbers if len(numbers) == len(texts) else list(texts)


def _dimension_json(one: Dimension) -> Mapping[str, Any]:
    if isinstance(one, Listed):
        return {"name": one.name, "values": list(one.values)}
    return {"name": one.name, "low": one.low, "high": one.high, "log": one.log, "whole": one.whole}
