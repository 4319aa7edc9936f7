"""The page of a backtest: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.subplots import make_subplots

from backtests.inputs import BacktestInput
from backtests.metrics import buy_and_hold, drawdowns
from backtests.results import BacktestResult

MOST_POINTS = 4000
"""Points drawn of a curve; of longer ones every k-th minute is drawn, and the last."""

_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; color: #222; }
table { border-collapse: collapse; } td { padding: .15rem 1.2rem .15rem 0; } td + td { text-align: right; }
.simulated { background: #b00020; color: #fff; font-size: 1.6rem; font-weight: bold; padding: 1rem; text-align: center; }
.warning { background: #fff3cd; padding: .5rem 1rem; margin: .3rem 0; }
"""

_ROWS = (
    ("Return", "return", "{:+.2%}"),
    ("Buy and hold", "buy_and_hold_return", "{:+.2%}"),
    ("Maximum drawdown", "max_drawdown", "{:.2%}"),
    ("Yearly growth", "cagr", "{:+.2%}"),
    ("Sharpe ratio (daily, √365)", "sharpe", "{:.2f}"),
    ("Sortino ratio (daily, √365)", "sortino", "{:.2f}"),
    ("Trades", "trades", "{:,}"),
    ("Win rate", "win_rate", "{:.1%}"),
    ("Profit factor", "profit_factor", "{:.2f}"),
    ("Average trade, net", "average_trade_bps", "{:+.1f} bps"),
    ("Costs of a round trip", "round_trip_cost_bps", "{:.1f} bps"),
    ("Break-even costs", "break_even_cost_bps", "{:+.1f} bps"),
    ("Fees", "fees", "{:,.2f}"),
    ("Funding paid", "funding", "{:,.2f}"),
    ("Final equity", "final_equity", "{:,.2f}"),
    ("Exposure, mean", "exposure", "{:.1%}"),
    ("Time in the market", "time_in_market", "{:.1%}"),
    ("Turnover of equity", "turnover", "{:,.1f} times"),
    ("Engine", "bars_per_second", "{:,.0f} bars a second"),
)


def summary_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures as words: what, and how much; a figure that can't be said says why."""
    reasons = summary["null_because"]
    return [
        (
            words,
            form.format(summary[name])
            if summary[name] is not None
            else f"– ({reasons.get(name, 'no trade was closed')})",
        )
        for words, name, form in _ROWS
    ]


def report_page(
    result: BacktestResult, data: BacktestInput, summary: Mapping[str, Any], *, simulated: bool
) -> str:
    """The whole page as HTML with plotly's script inside."""
    title = f"Backtest of {', '.join(data.symbols)}"
    banner = '<p class="simulated">SIMULATED MARKET</p>' if simulated else ""
    warnings = "".join(f'<p class="warning">{escape(words)}</p>' for words in summary["warnings"])
    rows = "".join(
        f"<tr><td>{escape(words)}</td><td>{escape(value)}</td></tr>" for words, value in summary_rows(summary)
    )
    about = (
        f"{summary['from']} to {summary['to']}, {summary['candles']:,} candles, strategy {summary['strategy']}, "
        f"predictions of {', '.join(summary['models']) or 'nobody'}, engine {summary['engine']}"
    )
    chart = to_html(_figure(result, data), include_plotlyjs=True, full_html=False)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{banner}<h1>{escape(title)}</h1><p>{escape(about)}</p>"
        f"{warnings}<table>{rows}</table>{chart}</body></html>\n"
    )


def _figure(result: BacktestResult, data: BacktestInput) -> go.Figure:
    curve, start = result.equity, data.config.starting_cash
    shown = _thinned(len(curve.ts))
    times = curve.ts[shown].astype("datetime64[ms]")
    figure = make_subplots(
        rows=3,
        cols=1,
        vertical_spacing=0.08,
        subplot_titles=("Equity and buy and hold", "Drawdown", "Profit of each trade"),
        row_heights=[0.5, 0.22, 0.28],
    )
    figure.add_trace(go.Scatter(x=times, y=curve.equity[shown], name="equity"), row=1, col=1)
    figure.add_trace(
        go.Scatter(x=times, y=buy_and_hold(data, curve)[shown], name="buy and hold", line={"dash": "dot"}),
        row=1,
        col=1,
    )
    fallen = -drawdowns(curve.equity, start)[shown]
    figure.add_trace(go.Scatter(x=times, y=fallen, name="drawdown", fill="tozeroy"), row=2, col=1)
    gains = [trade.pnl for trade in result.trades]
    figure.add_trace(go.Histogram(x=gains, name="trades", nbinsx=60), row=3, col=1)
    figure.update_yaxes(tickformat=".1%", row=2, col=1)
    figure.update_layout(height=1000, template="plotly_white", legend={"orientation": "h"})
    return figure


def _thinned(count: int) -> npt.NDArray[np.intp]:
    """Which rows of a curve are drawn."""
    step = max(1, -(-count // MOST_POINTS))
    return np.unique(np.append(np.arange(0, count, step), count - 1))
