"""A run cut into days, months and drawdowns, and its trades sorted into groups: JSON values for tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.inputs import BacktestInput, Floats
from backtests.metrics import DAYS_A_YEAR, LEAST_DAYS_FOR_RATIOS, buy_and_hold, daily_returns
from backtests.report_costs import BLOCK_DAYS, BPS, notionals
from backtests.results import BacktestResult, EquityCurve
from bot.candles.columns import iso_utc
from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.position import Trade
from models.bootstrap import block_totals, bounds

ROLLING_DAYS = 30
WORST = 5
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOUR_MS = 60 * MINUTE_MS
_FIRST_WEEKDAY = 3
"""1970-01-01 was a Thursday."""

Days = npt.NDArray[np.int64]


def days_of(curve: EquityCurve) -> Days:
    """The UTC days of a curve, counted from 1970, one for each value of ``daily_returns``."""
    first, last = ((int(at) - 1) // DAY_MS for at in curve.ts[[0, -1]])
    return np.arange(first, last + 1)


def day_returns(result: BacktestResult, data: BacktestInput) -> tuple[Days, Floats, Floats]:
    """The days, the account's return of each, and what holding returned on it."""
    curve, start = result.equity, data.config.starting_cash
    held = EquityCurve(curve.ts, buy_and_hold(data, curve), curve.cash, curve.exposure)
    return days_of(curve), daily_returns(curve, start), daily_returns(held, start)


def monthly(days: Days, own: Floats, held: Floats, trades: Sequence[Trade]) -> list[dict[str, Any]]:
    """A row a month: ``month``, ``days`` that the run has of it, ``return``, ``buy_and_hold``, ``trades`` closed."""
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    closed = np.array([(trade.exit_at_ms - 1) // DAY_MS for trade in trades], dtype=np.int64)
    of_trades = closed.astype("datetime64[D]").astype("datetime64[M]")
    return [
        {
            "month": str(month),
            "days": int((months == month).sum()),
            "return": _compound(own[months == month]),
            "buy_and_hold": _compound(held[months == month]),
            "trades": int((of_trades == month).sum()),
        }
        for month in np.unique(months)
    ]


def worst_drawdowns(curve: EquityCurve, start: float, *, count: int = WORST) -> list[dict[str, Any]]:
    """The deepest falls from a peak to the next peak, deepest first.

    Rows ``depth`` (fraction), ``peak_at``, ``trough_at`` and ``recovered_at`` (None where it did not) as ISO times,
    ``days`` under water.
    """
    ts = np.concatenate([[curve.ts[0] - MINUTE_MS], curve.ts])
    equity = np.concatenate([[start], curve.equity])
    peaks = np.maximum.accumulate(equity)
    under = np.concatenate([[False], equity < peaks, [False]])
    steps = np.flatnonzero(under[1:] != under[:-1])
    begins, ends = steps[::2], steps[1::2]
    if not len(begins):
        return []
    fallen = 1.0 - equity / peaks
    # The fall that the run ends in reaches beyond its last row: one more, at a peak, closes it.
    bounds_of = np.stack([begins, ends], axis=1).ravel()
    depths = np.maximum.reduceat(np.append(fallen, 0.0), bounds_of)[::2]
    deepest = np.argsort(-depths, kind="stable")[:count]
    return [_drawdown(ts, fallen, int(begins[place]), int(ends[place])) for place in deepest]


def _drawdown(ts: Days, fallen: Floats, begin: int, end: int) -> dict[str, Any]:
    trough = begin + int(np.argmax(fallen[begin:end]))
    recovered = end < len(ts)
    until = ts[end] if recovered else ts[-1]
    return {
        "depth": float(fallen[trough]),
        "peak_at": iso_utc(int(ts[begin - 1])),
        "trough_at": iso_utc(int(ts[trough])),
        "recovered_at": iso_utc(int(ts[end])) if recovered else None,
        "days": float((until - ts[begin - 1]) / DAY_MS),
    }


def rolling_sharpe(returns: Floats, *, window: int = ROLLING_DAYS) -> Floats:
    """The yearly Sharpe ratio of the days up to each, NaN where fewer than ``window`` or where nothing moved.

    The convention is that of ``backtests.metrics``: mean over deviation (n - 1), times √365.
    """
    found = np.full(len(returns), np.nan)
    if len(returns) < window:
        return found
    parts = np.lib.stride_tricks.sliding_window_view(returns, window)
    deviation = parts.std(axis=1, ddof=1)
    moving = deviation > 0
    ratios = np.full(len(parts), np.nan)
    ratios[moving] = parts.mean(axis=1)[moving] / deviation[moving] * math.sqrt(DAYS_A_YEAR)
    found[window - 1 :] = ratios
    return found


def sharpe_interval(days: Days, returns: Floats) -> list[float] | None:
    """The 95 % interval of the yearly Sharpe ratio, by days drawn anew in blocks; None where too short."""
    if len(returns) < LEAST_DAYS_FOR_RATIOS or not returns.std() > 0:
        return None
    totals = block_totals(days, [returns, returns**2], block=BLOCK_DAYS)
    if totals is None:
        return None
    count = len(returns)
    mean = totals[:, 0] / count
    variance = (totals[:, 1] - count * mean**2) / (count - 1)
    moving = variance > 0
    return list(bounds(mean[moving] / np.sqrt(variance[moving]) * math.sqrt(DAYS_A_YEAR)))


def by_symbol(trades: Sequence[Trade]) -> list[dict[str, Any]]:
    """A row a symbol."""
    return grouped(trades, "symbol", lambda trade: trade.symbol)


def by_exit_reason(trades: Sequence[Trade]) -> list[dict[str, Any]]:
    """A row for each reason to leave."""
    return grouped(trades, "reason", lambda trade: trade.exit_reason)


def by_direction(trades: Sequence[Trade]) -> list[dict[str, Any]]:
    """Long and short."""
    return grouped(trades, "direction", lambda trade: trade.direction)


def by_hour(trades: Sequence[Trade]) -> list[dict[str, Any]]:
    """A row for each UTC hour of entry that has trades."""
    return grouped(trades, "hour", lambda trade: trade.entry_at_ms // _HOUR_MS % 24)


def by_weekday(trades: Sequence[Trade]) -> list[dict[str, Any]]:
    """A row for each UTC weekday of entry that has trades, Monday first."""
    rows = grouped(trades, "weekday", lambda trade: (trade.entry_at_ms // DAY_MS + _FIRST_WEEKDAY) % 7)
    return [{**row, "weekday": WEEKDAYS[row["weekday"]]} for row in rows]


def grouped(trades: Sequence[Trade], name: str, key: Callable[[Trade], Any]) -> list[dict[str, Any]]:
    """A row for each value of a key, in order: ``trades``, ``profit``, ``average_bps``, ``win_rate``, ``minutes``.

    Profit is net, in quote currency; minutes are the mean time held.
    """
    groups: dict[Any, list[Trade]] = {}
    for trade in trades:
        groups.setdefault(key(trade), []).append(trade)
    return [{name: value, **_sums(groups[value])} for value in sorted(groups)]


def _sums(trades: Sequence[Trade]) -> Mapping[str, Any]:
    pnl = np.array([trade.pnl for trade in trades])
    held_ms = np.array([trade.exit_at_ms - trade.entry_at_ms for trade in trades])
    return {
        "trades": len(trades),
        "profit": float(pnl.sum()),
        "average_bps": float((pnl / notionals(trades)).mean() * BPS),
        "win_rate": float((pnl > 0).mean()),
        "minutes": float(held_ms.mean() / MINUTE_MS),
    }


def _compound(returns: Floats) -> float:
    return float(np.prod(1.0 + returns) - 1.0)
