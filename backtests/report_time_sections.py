"""Sections of a report that follow the account through time: equity, drawdowns, months, rolling Sharpe, distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtests import report_figures as figures
from backtests.inputs import BacktestInput, Floats
from backtests.report_costs import Levels
from backtests.report_html import Cell, Section, chart_html, note_html, table_html
from backtests.report_periods import ROLLING_DAYS, Days
from backtests.report_words import minus, percent, time_words
from backtests.results import BacktestResult

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STRONG_MONTH = 0.10
"""A month's return that is coloured as strongly as can be."""

LEAST_RETURNS = 5
"""Fewer daily returns make no histogram."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the sections of a page are made from.

    Attributes:
        result: The run.
        data: What it was fed with.
        summary: Its figures and everything of ``report_analysis.KEYS``.
        days: Its UTC days, counted from 1970.
        own: The account's return of each day.
        held: What holding returned on it.
        levels: Protective orders.
    """

    result: BacktestResult
    data: BacktestInput
    summary: Mapping[str, Any]
    days: Days
    own: Floats
    held: Floats
    levels: Levels


def equity_section(told: Told) -> Section:
    """The account beside holding and cash."""
    chart = chart_html(
        figures.equity_figure(told.result, told.data),
        label="Equity of the account, of buying and holding, and of cash over time",
        height=400,
    )
    note = (
        "Equity at every minute, open positions at the last close; long runs are drawn by the lowest and highest of each "
        "stretch. Buy and hold spreads the starting cash over the symbols and pays no costs. Choose a name in the legend to "
        "hide its line."
    )
    return Section("Equity", chart + note_html(note))


def drawdown_section(told: Told) -> Section:
    """Under water, and the worst falls."""
    chart = chart_html(
        figures.underwater_figure(told.result, told.data),
        label="Distance of the account and of holding below their highest value so far",
        height=260,
    )
    rows = [
        [
            str(place),
            percent(-row["depth"]),
            time_words(row["peak_at"]),
            time_words(row["trough_at"]),
            time_words(row["recovered_at"]) if row["recovered_at"] else "not yet",
            f"{row['days']:,.1f}",
        ]
        for place, row in enumerate(told.summary["worst_drawdowns"], start=1)
    ]
    head = ("Rank", "Depth", "Peak", "Trough", "Recovered", "Days under water")
    table = (
        table_html("The worst drawdowns, deepest first", head, rows)
        if rows
        else note_html("Equity never fell.")
    )
    return Section("Drawdowns", chart + table)


def months_section(told: Told) -> Section:
    """Returns by month and year."""
    rows: Sequence[Mapping[str, Any]] = told.summary["monthly"]
    by_year: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        by_year.setdefault(row["month"][:4], {})[int(row["month"][5:])] = row
    table: list[list[str | Cell]] = [
        [
            year,
            *(_month_cell(months.get(number)) for number in range(1, 13)),
            _heat(_whole([row["return"] for row in months.values()])),
            _heat(_whole([row["buy_and_hold"] for row in months.values()])),
        ]
        for year, months in by_year.items()
    ]
    head = ("Year", *MONTHS, "Year", "Buy and hold")
    note = "Net returns; blue and a plus is a gain, orange and a minus a loss. A month with a star is only partly in the run."
    html = table_html("Net return by month and year", head, table, style="months")
    return Section("Months", html + note_html(note))


def _month_cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell("", "quiet")
    year, month = int(row["month"][:4]), int(row["month"][5:])
    whole = (
        (29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28)
        if month == 2
        else 30 + (month + month // 8) % 2
    )
    return _heat(row["return"], "" if row["days"] >= whole else " *")


def _heat(value: float, mark: str = "") -> Cell:
    """A return in the colour of its size."""
    return Cell(percent(value, 1) + mark, heat=max(-1.0, min(1.0, value / STRONG_MONTH)))


def _whole(returns: Sequence[float]) -> float:
    total = 1.0
    for value in returns:
        total *= 1.0 + value
    return total - 1.0


def rolling_section(told: Told) -> Section:
    """The Sharpe ratio of the last thirty days, day by day."""
    title = "Rolling Sharpe"
    if len(told.own) <= ROLLING_DAYS:
        words = (
            f"The run has {len(told.own)} days: too short for a ratio over {ROLLING_DAYS} days that rolls."
        )
        return Section(title, note_html(words))
    chart = chart_html(
        figures.rolling_figure(told.days, told.own, told.held),
        label=f"Yearly Sharpe ratio of the last {ROLLING_DAYS} days, for the account and for holding",
        height=280,
    )
    note = (
        f"The yearly Sharpe ratio of the last {ROLLING_DAYS} days. Each point looks back so short a time that it swings widely even where nothing changed: an error of about "
        "±3.5 is usual for so few days."
    )
    return Section(title, chart + note_html(note))


def distribution_section(told: Told) -> Section:
    """How days and trades came out."""
    parts = []
    if len(told.own) >= LEAST_RETURNS and told.own.any():
        parts.append(
            chart_html(
                figures.returns_figure(told.own * 100.0, title="Days", unit="% a day"),
                label="Histogram of daily net returns",
                height=300,
            )
        )
    if len(told.result.trades) >= LEAST_RETURNS:
        parts.append(
            chart_html(
                figures.returns_figure(figures.trade_bps(told.result), title="Trades", unit="bps a trade"),
                label="Histogram of the net return of each trade",
                height=300,
            )
        )
    if not parts:
        return Section("Distribution", note_html("Too few days and trades for a distribution."))
    return Section("Distribution", f'<div class="pair">{"".join(parts)}</div>{_spread_table(told)}')


def _spread_table(told: Told) -> str:
    """Quantiles of both."""
    shares = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    rows: list[list[str | Cell]] = [
        ["Day, %", *(minus(f"{v * 100:+.2f}") for v in np.quantile(told.own, shares))]
    ]
    if told.result.trades:
        spread = np.quantile(figures.trade_bps(told.result), shares)
        rows.append(["Trade, bps", *(minus(f"{value:+.1f}") for value in spread)])
    head = ("Below", *(f"{share:.0%}" for share in shares))
    return table_html("Quantiles: this share of days and of trades lies below the figure", head, rows)
