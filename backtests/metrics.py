"""The figures of a backtest, each with its convention; what can't be said is None, with the reason beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.cautions import cautions_of
from backtests.inputs import BacktestInput, Floats
from backtests.report_costs import moved_of
from backtests.results import BacktestResult, EquityCurve
from bot.candles.columns import iso_utc
from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.position import Trade

DAYS_A_YEAR = 365
"""Crypto trades every day: daily figures are scaled to a year by the square root of 365."""

LEAST_DAYS_FOR_RATIOS = 20
LEAST_DAYS_FOR_CAGR = 90


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures by name (fractions, bps and quote currency as the names say), why some are None, and warnings."""

    values: dict[str, Any]
    reasons: dict[str, str]
    warnings: list[str]


def figures_of(result: BacktestResult, data: BacktestInput) -> Figures:
    """All figures of a run.

    Returns:
        ``values``: money in quote currency, fractions as such, times in minutes or ms; see ``docs`` of each
        function below for conventions.
    """
    reasons: dict[str, str] = {}
    curve, start = result.equity, data.config.starting_cash
    hold = buy_and_hold(data, curve)
    values = {
        **_money(result, start),
        "buy_and_hold_return": float(hold[-1] / start - 1),
        **_growth(curve, start, reasons),
        **_best_day(curve, start, reasons),
        **_trades(result.trades, reasons),
        **_costs(result, data),
        **_use(result),
    }
    return Figures(values, reasons, cautions_of(values, result))


def buy_and_hold(data: BacktestInput, curve: EquityCurve) -> Floats:
    """What the starting cash would be worth, spread equally over the symbols at their first open, without costs.

    Shape (n,) on the curve's times; a symbol that has no candle yet counts as cash, one without a candle in a
    minute at its last close.
    """
    shares = []
    for arrays in data.candles.values():
        rows = np.searchsorted(arrays.ts + MINUTE_MS, curve.ts, side="right") - 1
        shares.append(np.where(rows >= 0, arrays.close[np.maximum(rows, 0)] / arrays.open[0], 1.0))
    total: Floats = np.mean(shares, axis=0) * data.config.starting_cash
    return total


def drawdowns(equity: Floats, start: float) -> Floats:
    """Distance below the highest equity so far, as a fraction of it; shape (n,), between 0 and 1."""
    peaks = np.maximum.accumulate(np.concatenate([[start], equity]))[1:]
    fallen: Floats = 1.0 - equity / peaks
    return fallen


def daily_returns(curve: EquityCurve, start: float) -> Floats:
    """Simple returns from UTC midnight to midnight; the first day begins with the starting cash.

    Shape (days,). A candle that closes at midnight belongs to the day that it ends; a day without candles
    returns 0. First and last day may be parts of a day.
    """
    _, before, closes = _daily_equity(curve, start)
    returns: Floats = closes / before - 1
    return returns


def _daily_equity(curve: EquityCurve, start: float) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Every day as a number since 1970, and the equity at its begin and its end; each of shape (days,)."""
    days = (curve.ts - 1) // DAY_MS
    every = np.arange(days[0], days[-1] + 1)
    closes = curve.equity[np.searchsorted(days, every, side="right") - 1]
    return every, np.concatenate([[start], closes[:-1]]), closes


def _money(result: BacktestResult, start: float) -> dict[str, Any]:
    account, curve = result.account, result.equity
    final = float(curve.equity[-1])
    return {
        "starting_cash": start,
        "final_equity": final,
        "profit": final - start,
        "return": final / start - 1,
        "fees": account.fees_paid,
        "funding": account.funding_paid,
        "max_drawdown": float(drawdowns(curve.equity, start).max()),
        "open_positions": {position.symbol: position.quantity for position in account.positions()},
    }


def _growth(curve: EquityCurve, start: float, reasons: dict[str, str]) -> dict[str, Any]:
    """Yearly growth, Sharpe and Sortino ratio.

    Sharpe = mean / standard deviation (n - 1) of daily returns times √365, with no risk-free rate; Sortino
    divides by the root mean square of the negative daily returns, taken over all days.
    """
    returns = daily_returns(curve, start)
    found: dict[str, Any] = {"days": len(returns), "cagr": None, "sharpe": None, "sortino": None}
    years = (curve.ts[-1] - curve.ts[0] + MINUTE_MS) / DAY_MS / DAYS_A_YEAR
    if years * DAYS_A_YEAR < LEAST_DAYS_FOR_CAGR:
        reasons["cagr"] = f"less than {LEAST_DAYS_FOR_CAGR} days: a yearly rate would be an extrapolation"
    elif curve.equity[-1] <= 0:
        reasons["cagr"] = "nothing is left"
    else:
        found["cagr"] = float((curve.equity[-1] / start) ** (1 / years) - 1)
    if len(returns) < LEAST_DAYS_FOR_RATIOS:
        why = f"only {len(returns)} days: at least {LEAST_DAYS_FOR_RATIOS} daily returns are needed"
        reasons["sharpe"] = reasons["sortino"] = why
        return found
    spread = float(returns.std(ddof=1))
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    for name, width, why in (
        ("sharpe", spread, "equity never changed"),
        ("sortino", downside, "no day lost"),
    ):
        if width > 0:
            found[name] = float(returns.mean()) / width * math.sqrt(DAYS_A_YEAR)
        else:
            reasons[name] = why
    return found


def _best_day(curve: EquityCurve, start: float, reasons: dict[str, str]) -> dict[str, Any]:
    """The UTC day that made most money, its profit, and its share of the whole profit where there is one."""
    days, before, closes = _daily_equity(curve, start)
    gains = closes - before
    best = int(gains.argmax())
    whole = float(curve.equity[-1]) - start
    if whole <= 0:
        reasons["best_day_share"] = "there is no profit to share"
    return {
        "best_day": iso_utc(int(days[best]) * DAY_MS)[:10],
        "best_day_profit": float(gains[best]),
        "best_day_share": float(gains[best]) / whole if whole > 0 else None,
    }


def _trades(trades: Sequence[Trade], reasons: dict[str, str]) -> dict[str, Any]:
    """Round trips; bps are of the entry's notional, ``profit_factor`` is gains over losses, both net."""
    pnl = np.array([trade.pnl for trade in trades])
    found: dict[str, Any] = {
        "trades": len(trades),
        "long_trades": sum(trade.direction == "long" for trade in trades),
        "win_rate": None,
        "profit_factor": None,
        "average_trade_bps": None,
        "average_holding_minutes": None,
        "best_trade": None,
        "worst_trade": None,
        "exit_reasons": _counted([trade.exit_reason for trade in trades]),
    }
    if not trades:
        for name, value in found.items():
            if value is None:
                reasons[name] = "no trade was closed"
        return found
    notional = np.array([trade.entry_price * trade.quantity for trade in trades])
    held_ms = np.array([trade.exit_at_ms - trade.entry_at_ms for trade in trades])
    losses = -float(pnl[pnl < 0].sum())
    if losses > 0:
        found["profit_factor"] = float(pnl[pnl > 0].sum()) / losses
    else:
        reasons["profit_factor"] = "no trade lost"
    return found | {
        "win_rate": float((pnl > 0).mean()),
        "average_trade_bps": float((pnl / notional).mean() * 10_000),
        "average_holding_minutes": float(held_ms.mean() / MINUTE_MS),
        "best_trade": float(pnl.max()),
        "worst_trade": float(pnl.min()),
    }


def _counted(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}


def _costs(result: BacktestResult, data: BacktestInput) -> dict[str, Any]:
    """What a round trip costs, and what it may cost at most before these trades lose.

    ``break_even_cost_bps`` is the average gain of a trade before fee, spread, slippage and funding: costs above it
    make the same trades lose. None without a trade.
    """
    costs, entry = data.config.costs, data.config.entry
    round_trip_bps = entry.round_trip(costs) * 10_000
    moved_bps = costs.half_spread_bps + costs.slippage_bps
    # A limit entry fills within a bar, at its own price; every other order is moved.
    gross = [
        (trade.pnl + trade.fees + trade.funding) / (trade.entry_price * trade.quantity) * 10_000
        + moved_bps * (1 if entry.is_maker and trade.entry_at_ms % MINUTE_MS else 2)
        for trade in result.trades
    ]
    if not costs.is_plain:  # each fill was moved by figures of its own, and says so
        gross = [
            (trade.pnl + trade.fees + trade.funding + moved) / (trade.entry_price * trade.quantity) * 10_000
            for trade, moved in zip(result.trades, moved_of(result, data, {}).by_trade.tolist(), strict=True)
        ]
    return {
        "round_trip_cost_bps": round_trip_bps,
        "break_even_cost_bps": math.fsum(gross) / len(gross) if gross else None,
    }


def _use(result: BacktestResult) -> dict[str, Any]:
    """How much of the account was at work; turnover is the notional of all fills over the mean equity."""
    curve = result.equity
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(curve.equity > 0, curve.exposure / curve.equity, 0.0)
    turned = math.fsum(fill.price * fill.quantity for fill in result.fills)
    mean_equity = float(curve.equity.mean())
    return {
        "exposure": float(share.mean()),
        "time_in_market": float((curve.exposure > 0).mean()),
        "turnover": turned / mean_equity if mean_equity > 0 else None,
        "fills": len(result.fills),
    }
