"""What forecasts earn after costs, with the interval that days drawn anew give it, and buy-and-hold beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtests.inputs import BacktestInput, Floats
from backtests.metrics import buy_and_hold, daily_returns
from backtests.results import BacktestResult, EquityCurve
from bot.core.market import DAY_MS
from models.bootstrap import block_interval

BLOCK_DAYS = 7
"""Days are drawn in blocks of a week: good and bad days cluster."""


@dataclass(frozen=True, slots=True)
class NetReturn:
    """Return over the whole time, as a fraction.

    Attributes:
        value: Final over starting equity, less 1.
        low: Lower bound of the 95 % interval; None below 14 days, or when the equity was lost.
        high: The upper bound.
        days: Daily returns that it is made of.
        trades: Round trips; None for buy-and-hold.
    """

    value: float
    low: float | None
    high: float | None
    days: int
    trades: int | None = None


def net_return(result: BacktestResult, data: BacktestInput) -> NetReturn:
    """The return of a finished backtest, after fees, spread, slippage and funding."""
    return _of_curve(result.equity, data.config.starting_cash, trades=len(result.trades))


def hold_return(result: BacktestResult, data: BacktestInput) -> NetReturn:
    """What buying at the first open and holding would have returned over the same minutes, without costs."""
    curve = result.equity
    held = EquityCurve(curve.ts, buy_and_hold(data, curve), curve.cash, curve.exposure)
    return _of_curve(held, data.config.starting_cash, trades=None)


def _of_curve(curve: EquityCurve, start: float, *, trades: int | None) -> NetReturn:
    """Total return; its interval is that of the mean daily log return, times the days."""
    returns = daily_returns(curve, start)
    low, high = _interval(returns)
    return NetReturn(float(curve.equity[-1]) / start - 1.0, low, high, len(returns), trades)


def _interval(returns: Floats) -> tuple[float | None, float | None]:
    """Bounds of the compound return of as many days, drawn in blocks."""
    if (returns <= -1.0).any():
        return None, None
    days = np.arange(len(returns), dtype=np.int64) * DAY_MS
    found = block_interval(days, np.log1p(returns), block=BLOCK_DAYS)
    if found is None:
        return None, None
    return math.expm1(found.low * len(returns)), math.expm1(found.high * len(returns))
