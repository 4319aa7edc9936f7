"""The plain charts of a report, as plotly's JSON with colours of the page's theme (see ``report_html.chart_html``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.inputs import BacktestInput, Floats
from backtests.metrics import buy_and_hold, drawdowns
from backtests.report_costs import BPS
from backtests.report_pack import typed
from backtests.report_periods import ROLLING_DAYS, Days, rolling_sharpe
from backtests.results import BacktestResult

MOST_BUCKETS = 1400
"""Stretches that a curve is cut into; the lowest and the highest point of each are drawn."""

BINS = 45
Figure = dict[str, Any]


def equity_figure(result: BacktestResult, data: BacktestInput) -> Figure:
    """The account, holding, and cash; money."""
    curve, start = result.equity, data.config.starting_cash
    held = buy_and_hold(data, curve)
    rows = extremes(curve.equity, held)
    lines = [
        _line("account", curve.equity[rows], "@own", width=2),
        _line("buy and hold", held[rows], "@hold", width=1.3, dash="dot"),
        _line("cash", np.full(len(rows), start), "@cash", width=1.2, dash="dash"),
    ]
    return _over_time(curve.ts[rows], lines, {"tickformat": ",.0f"})


def underwater_figure(result: BacktestResult, data: BacktestInput) -> Figure:
    """How far the account and holding lay below their highest so far."""
    curve, start = result.equity, data.config.starting_cash
    fallen, held = (drawdowns(values, start) for values in (curve.equity, buy_and_hold(data, curve)))
    rows = extremes(fallen, held)
    lines = [
        {**_line("account", -fallen[rows], "@own", width=1.5), "fill": "tozeroy", "fillcolor": "@own/0.18"},
        _line("buy and hold", -held[rows], "@hold", width=1.2, dash="dot"),
    ]
    return _over_time(curve.ts[rows], lines, {"tickformat": ".1%"})


def rolling_figure(days: Days, own: Floats, held: Floats) -> Figure:
    """The Sharpe ratio of the last thirty days, from the first day that has as many behind it."""
    since = ROLLING_DAYS - 1
    lines = [
        _line("account", rolling_sharpe(own)[since:], "@own", width=1.8),
        _line("buy and hold", rolling_sharpe(held)[since:], "@hold", width=1.2, dash="dot"),
    ]
    return _over_time((days[since:] + 1) * 86_400_000, lines, {"tickformat": ".1f", "zeroline": True})


def returns_figure(values: Floats, *, title: str, unit: str) -> Figure:
    """A histogram; bars below zero in the colour of losses."""
    counts, edges = np.histogram(values, bins=_bins(values))
    middles = (edges[:-1] + edges[1:]) / 2
    bars = {
        "type": "bar",
        "x": middles.round(6).tolist(),
        "y": counts.tolist(),
        "width": float(edges[1] - edges[0]) * 0.92,
        "marker": {"color": ["@down" if middle < 0 else "@up" for middle in middles]},
        "hovertemplate": f"%{{x:.2f}} {unit}: %{{y}}<extra></extra>",
    }
    mean = float(values.mean())
    layout = {
        "title": {"text": title, "font": {"size": 13}, "x": 0, "xref": "paper"},
        "showlegend": False,
        "xaxis": {"title": {"text": unit}},
        "yaxis": {"tickformat": ",d"},
        "shapes": [_upright(mean)],
        "annotations": [
            {
                "x": mean,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "text": f"mean {mean:+.2f}",
                "showarrow": False,
            }
        ],
    }
    return {"data": [bars], "layout": layout}


def groups_figure(rows: Sequence[Mapping[str, Any]], name: str) -> Figure:
    """Profit of each group of trades as bars."""
    bars = {
        "type": "bar",
        "x": [str(row[name])[:3] for row in rows],
        "y": [row["profit"] for row in rows],
        "marker": {"color": ["@down" if row["profit"] < 0 else "@up" for row in rows]},
        "customdata": [[row["trades"], row["average_bps"]] for row in rows],
        "hovertemplate": "%{x}: %{y:,.2f} by %{customdata[0]} trades, %{customdata[1]:+.1f} bps each<extra></extra>",
    }
    layout = {
        "showlegend": False,
        "xaxis": {"type": "category"},
        "yaxis": {"tickformat": ",", "zeroline": True},
    }
    return {"data": [bars], "layout": layout}


def sensitivity_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Average trade at each multiple of the costs, with its interval; the multiple of today is marked."""
    told = [row for row in rows if row["factor"] is not None and row["average_trade_bps"] is not None]
    x, y = [row["factor"] for row in told], [row["average_trade_bps"] for row in told]
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": x,
        "y": y,
        "line": {"color": "@own", "width": 2},
        "marker": {"size": 8},
        "hovertemplate": "%{x}× the costs: %{y:+.1f} bps a trade<extra></extra>",
    }
    bounds = [row["average_trade_interval"] for row in told]
    if all(bounds):
        line["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [high - value for (_, high), value in zip(bounds, y, strict=True)],
            "arrayminus": [value - low for (low, _), value in zip(bounds, y, strict=True)],
            "color": "@own/0.6",
            "thickness": 1.3,
        }
    layout = {
        "showlegend": False,
        "xaxis": {"title": {"text": "times the costs"}, "dtick": 0.5},
        "yaxis": {"title": {"text": "net bps a trade", "standoff": 6}, "zeroline": True},
        "shapes": [_upright(1.0), _level(0.0)],
    }
    return {"data": [line], "layout": layout}


def calibration_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Mean outcome against mean forecast of each tenth, the line of a right forecast, and persistence."""
    x, y = [row["forecast_bps"] for row in rows], [row["outcome_bps"] for row in rows]
    ends = [min(x), max(x)]
    tenths = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "what came",
        "x": x,
        "y": y,
        "line": {"color": "@own", "width": 2},
        "marker": {"size": 9},
        "customdata": [row["count"] for row in rows],
        "hovertemplate": "forecast %{x:+.1f} bps, came %{y:+.1f} bps, %{customdata:,} forecasts<extra></extra>",
    }
    right = {**_line("a forecast that is right", np.array(ends), "@hold", width=1.3, dash="dot"), "x": ends}
    layout = {
        "xaxis": {"title": {"text": "mean forecast, bps"}},
        "yaxis": {"title": {"text": "mean outcome, bps"}, "zeroline": True},
        "shapes": [_level(0.0)],
    }
    return {"data": [tenths, right], "layout": layout}


def extremes(*curves: Floats) -> npt.NDArray[np.intp]:
    """Rows of curves of one length to draw: all of short ones; else the lowest and highest of each stretch, and the ends."""
    count = len(curves[0])
    if count <= 2 * MOST_BUCKETS:
        return np.arange(count)
    buckets = MOST_BUCKETS // len(curves)
    begins = np.linspace(0, count, buckets + 1).astype(np.intp)
    rows = [0, count - 1]
    for begin, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        for values in curves:
            part = values[begin:end]
            rows += (begin + int(part.argmin()), begin + int(part.argmax()))
    return np.unique(rows)


def _bins(values: Floats) -> Floats:
    """Edges of equal width, one of them at zero where zero lies between."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    width = (high - low) / BINS
    if low >= 0 or high <= 0:
        return np.linspace(low, high, BINS + 1)
    return np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width


def _line(name: str, values: Floats, role: str, *, width: float, dash: str = "solid") -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "y": typed(values),
        "line": {"color": role, "width": width, "dash": dash},
    }


def _over_time(ts: Days, lines: Sequence[dict[str, Any]], yaxis: Mapping[str, Any]) -> Figure:
    times = ts.astype("datetime64[ms]").astype("datetime64[m]").astype(str).tolist()
    layout = {"hovermode": "x unified", "xaxis": {"type": "date"}, "yaxis": dict(yaxis)}
    return {"data": [{**line, "x": "@times"} for line in lines], "layout": layout, "times": times}


def _upright(x: float) -> dict[str, Any]:
    line = {"color": "@text/0.6", "width": 1.2, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _level(y: float) -> dict[str, Any]:
    line = {"color": "@text/0.35", "width": 1}
    return {
        "type": "line",
        "x0": 0,
        "x1": 1,
        "xref": "paper",
        "y0": y,
        "y1": y,
        "line": line,
        "layer": "below",
    }


def trade_bps(result: BacktestResult) -> Floats:
    """What each trade earned, bps of what it put in."""
    return np.array([trade.pnl / (trade.entry_price * trade.quantity) * BPS for trade in result.trades])
