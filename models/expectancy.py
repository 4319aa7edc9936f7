"""What a trade on the forecasts earns on average, after costs: the plainest trades, not a strategy's.

``models.forecast_trades`` says when a trade is made. The trades are those that the configured costs allow; at twice the
costs the same trades are charged twice: what would be left, were the costs underestimated.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_minutes, block_totals, bounds
from models.figures import Figure
from models.forecast_metrics import BPS, interval_of
from models.forecast_sample import Forecast, Sample
from models.forecast_trades import ForecastTrades, TradingCosts, forecast_trades
from models.sharpe import deflated_sharpe, minimum_track_record, sharpe_ratio

Floats = npt.NDArray[np.float64]

FACTORS = (1, 2)
LEAST_TRADES = 10
"""Fewer trades have no interval: resamples of a handful hold the same few over and over."""
LEAST_DAYS = 10
"""Fewer days have no Sharpe ratio."""


def expectancy(
    sample: Sample, forecast: Forecast, costs: TradingCosts | None, *, trials: int = 1
) -> dict[str, Any] | None:
    """Net return of a trade at once and at twice the costs, and what the days prove; JSON values.

    Args:
        sample: The moments, with ``fill``.
        forecast: Who is traded on; its uncertainty is taken off what it expects.
        costs: Of a round trip; None counts none.
        trials: Distinct trials on these minutes, which deflate the Sharpe ratio.

    Returns:
        ``trades``; ``gross_bps``; ``at_1x`` and ``at_2x``, each with ``net_bps`` and ``net_interval``; ``daily_sharpe``,
        ``deflated_sharpe`` and ``days_to_prove`` of the daily net returns. None where costs or fills are not given, or
        the forecaster expects no returns.
    """
    if costs is None or sample.fill is None or forecast.expected is None:
        return None
    trades = forecast_trades(
        sample.ts,
        sample.symbol,
        forecast.expected,
        sample.fill,
        horizon=sample.horizon,
        costs=costs,
        uncertainty=forecast.uncertainty,
    )
    found: dict[str, Any] = {
        "trades": len(trades),
        "gross_bps": float(trades.gross.mean()) * BPS if len(trades) else None,
    }
    for factor in FACTORS:
        figure = net_figure(sample, trades, costs.times(factor))
        found[f"at_{factor}x"] = {
            "net_bps": None if figure is None else figure.value,
            "net_interval": interval_of(figure),
        }
    return found | _proven(sample, trades, costs, trials)


def net_figure(sample: Sample, trades: ForecastTrades, costs: TradingCosts) -> Figure | None:
    """Mean net return of a trade, bps, with the interval over market time; None without trades."""
    if not len(trades):
        return None
    net = trades.net(costs) * BPS
    value = float(net.mean())
    if len(trades) < LEAST_TRADES:
        return Figure(value, None, None)
    # Minutes without a trade are drawn too: blocks are of market time, and how many trades fall into it varies.
    idle = len(sample.ts)
    ts = np.concatenate([sample.ts, trades.entered])
    sums = np.concatenate([np.zeros(idle), net])
    counts = np.concatenate([np.zeros(idle), np.ones(len(net))])
    totals = block_totals(ts, [sums, counts], block=block_minutes(sample.horizon))
    if totals is None:
        return Figure(value, None, None)
    traded = totals[totals[:, 1] > 0.0]
    return Figure(value, *bounds(traded[:, 0] / traded[:, 1]))


def _proven(
    sample: Sample, trades: ForecastTrades, costs: TradingCosts, trials: int
) -> dict[str, float | None]:
    """What the daily net returns prove; None where days or trades are too few."""
    daily = trades.daily(costs, int(sample.ts.min()), int(sample.ts.max()) + 1, len(np.unique(sample.symbol)))
    if len(daily) < LEAST_DAYS or not len(trades):
        return {"daily_sharpe": None, "deflated_sharpe": None, "days_to_prove": None}
    days = minimum_track_record(daily)
    return {
        "daily_sharpe": sharpe_ratio(daily),
        "deflated_sharpe": deflated_sharpe(daily, trial_count=trials),
        "days_to_prove": days if math.isfinite(days) else None,
    }
