"""One picture of a run, as PNG by matplotlib, which comes with the ``train`` extra."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping
from textwrap import wrap
from typing import Any

import numpy as np

from backtests.inputs import BacktestInput
from backtests.metrics import buy_and_hold, drawdowns
from backtests.report_figures import extremes
from backtests.report_words import minus, range_words, time_words, verdict
from backtests.results import BacktestResult

OWN, HOLD, CASH, INK, QUIET, ALARM = "#1a5ca8", "#a94a08", "#5b6672", "#17202a", "#4b5866", "#9c1c1c"
_FIGURES = (
    ("Net return", "return", "{:+.2%}"),
    ("Buy and hold", "buy_and_hold_return", "{:+.2%}"),
    ("Maximum drawdown", "max_drawdown", "{:.2%}"),
    ("Sharpe ratio", "sharpe", "{:.2f}"),
    ("Average trade", "average_trade_bps", "{:+.1f} bps"),
    ("Break-even costs", "break_even_cost_bps", "{:.1f} bps"),
    ("Trades", "trades", "{:,}"),
)


def picture_is_possible() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def report_picture(
    result: BacktestResult,
    data: BacktestInput,
    summary: Mapping[str, Any],
    *,
    simulated: bool,
    heading: str | None = None,
) -> bytes:
    """A PNG of equity, drawdown and key figures, 1600 by 900 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 9), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        2, 1, left=0.07, right=0.975, top=0.72, bottom=0.07, height_ratios=(2.4, 1), hspace=0.14
    )
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper)
    _draw_equity(upper, result, data)
    _draw_drawdown(lower, result, data)
    _write_head(
        figure, summary, simulated=simulated, heading=heading or f"Backtest of {', '.join(data.symbols)}"
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _draw_equity(axes: Any, result: BacktestResult, data: BacktestInput) -> None:
    curve, start = result.equity, data.config.starting_cash
    held = buy_and_hold(data, curve)
    rows = extremes(curve.equity, held)
    times = curve.ts[rows].astype("datetime64[ms]")
    axes.plot(times, curve.equity[rows], color=OWN, linewidth=1.8, label="account")
    axes.plot(times, held[rows], color=HOLD, linewidth=1.0, linestyle=":", label="buy and hold")
    axes.axhline(start, color=CASH, linewidth=1.0, linestyle="--", label="cash")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(labelbottom=False)
    axes.legend(frameon=False, loc="upper left", ncols=3)
    _dress(axes, "equity")


def _draw_drawdown(axes: Any, result: BacktestResult, data: BacktestInput) -> None:
    fallen = drawdowns(result.equity.equity, data.config.starting_cash)
    rows = extremes(fallen)
    times = result.equity.ts[rows].astype("datetime64[ms]")
    axes.fill_between(times, -fallen[rows], np.zeros(len(rows)), color=OWN, alpha=0.25, linewidth=0)
    axes.plot(times, -fallen[rows], color=OWN, linewidth=1.0)
    axes.yaxis.set_major_formatter(lambda value, _: minus(f"{value:.1%}"))
    _dress(axes, "drawdown")


def _dress(axes: Any, name: str) -> None:
    axes.set_ylabel(name, color=QUIET)
    axes.grid(visible=True, color="#e6e9ed", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.005)


def _write_head(figure: Any, summary: Mapping[str, Any], *, simulated: bool, heading: str) -> None:
    """Title, what and when, the verdict, the figures; names are written as they are, whatever signs they hold."""
    about = (
        f"{time_words(summary['from'])} to {time_words(summary['to'])}, strategy {summary['strategy']}, "
        f"model {', '.join(summary['models']) or 'nobody'}, engine {summary['engine']}"
    )

    def write(x: float, y: float, words: str, **style: Any) -> None:
        figure.text(x, y, words, va="top", parse_math=False, **style)

    write(0.03, 0.975, heading, fontsize=22, fontweight="bold", color=INK)
    write(0.03, 0.925, about, fontsize=11.5, color=QUIET)
    write(0.03, 0.896, "\n".join(wrap(verdict(summary), 190)), fontsize=10.5, color=INK)
    if simulated:
        box = {"facecolor": ALARM, "edgecolor": "none", "pad": 8}
        write(
            0.97,
            0.972,
            "SIMULATED MARKET",
            fontsize=15,
            fontweight="bold",
            color="white",
            ha="right",
            bbox=box,
        )
    for place, (words, name, form) in enumerate(_FIGURES):
        x, value = 0.03 + place * 0.1365, summary.get(name)
        told = "–" if value is None else minus(form.format(value))
        interval = (summary.get("intervals") or {}).get(name)
        write(x, 0.842, words, fontsize=11, color=QUIET)
        write(x, 0.816, told, fontsize=19, fontweight="bold", color=INK)
        if interval and value is not None:
            write(x, 0.776, range_words(interval, form), fontsize=9, color=QUIET)
