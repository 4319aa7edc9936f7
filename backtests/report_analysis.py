"""What a report adds to the figures of a run: costs, periods, groups of trades and forecasts, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backtests import report_costs, report_periods
from backtests.inputs import BacktestInput, Floats
from backtests.net_return import hold_return, net_return
from backtests.report_costs import Levels
from backtests.report_quality import forecast_quality
from backtests.results import BacktestResult

KEYS = (
    "intervals",
    "costs_split",
    "cost_sensitivity",
    "monthly",
    "worst_drawdowns",
    "by_symbol",
    "by_exit_reason",
    "by_direction",
    "by_hour",
    "by_weekday",
    "forecast",
)
"""What is added to the summary."""


def analysis_of(result: BacktestResult, data: BacktestInput, levels: Levels | None = None) -> dict[str, Any]:
    """Everything of ``KEYS``.

    Args:
        result: The run.
        data: What it was fed with.
        levels: Protective orders, which tell what a stop slipped from; without them the configured costs tell it.
    """
    days, own, held = report_periods.day_returns(result, data)
    moved = report_costs.moved_of(result, data, levels or {})
    curve, start = result.equity, data.config.starting_cash
    profit = float(curve.equity[-1]) - start
    return {
        "intervals": _intervals(result, data, days, own),
        "costs_split": report_costs.costs_split(result, moved, profit=profit),
        "cost_sensitivity": report_costs.cost_sensitivity(result, data, moved),
        "monthly": report_periods.monthly(days, own, held, result.trades),
        "worst_drawdowns": report_periods.worst_drawdowns(curve, start),
        "by_symbol": report_periods.by_symbol(result.trades),
        "by_exit_reason": report_periods.by_exit_reason(result.trades),
        "by_direction": report_periods.by_direction(result.trades),
        "by_hour": report_periods.by_hour(result.trades),
        "by_weekday": report_periods.by_weekday(result.trades),
        "forecast": forecast_quality(data),
    }


def analysed(
    result: BacktestResult, data: BacktestInput, summary: Mapping[str, Any], levels: Levels | None = None
) -> dict[str, Any]:
    """A summary with everything of ``KEYS``, worked out where it is not there yet."""
    if all(key in summary for key in KEYS):
        return dict(summary)
    return {**summary, **analysis_of(result, data, levels)}


def _intervals(
    result: BacktestResult, data: BacktestInput, days: report_periods.Days, own: Floats
) -> dict[str, list[float] | None]:
    """Of 95 %, by days drawn anew in blocks of a week; None where the run is too short for one."""
    net, hold = net_return(result, data), hold_return(result, data)
    ts = result.equity.ts
    pnl = np.array([trade.pnl for trade in result.trades])
    return {
        "return": _pair(net.low, net.high),
        "buy_and_hold_return": _pair(hold.low, hold.high),
        "average_trade_bps": report_costs.trade_interval(result.trades, pnl, (int(ts[0]), int(ts[-1]))),
        "sharpe": report_periods.sharpe_interval(days, own),
    }


def _pair(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]
