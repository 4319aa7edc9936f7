"""The section of a report in which a run lies over its backtest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.overlay import CAUSES, UNEXPLAINED, Overlay, Slippage
from backtests.overlay_run import OverlayRun
from backtests.report_figures import extremes
from backtests.report_html import Cell, Section, chart_html, note_html, table_html
from backtests.report_words import minus, plain, signed_money, time_words
from bot.candles.columns import iso_utc

MOST_LISTED = 25
"""Differences that the page lists."""

TITLE = "Against its backtest"

_HOW = (
    "The backtest began with the account as it was, took the candles as the exchange has them now, decided each minute at its "
    "close on the recorded forecasts, and nobody interfered. Then the circumstances of the run were put back one after the "
    "other: a difference belongs to the one whose return ends it, and the money of a cause is what equity changed by in that "
    "step."
)


def overlay_section(run: OverlayRun) -> Section:
    """Both curves, every cause with its money, and the first differences."""
    found = run.overlay
    parts = [
        f'<p class="verdict">{_verdict(found)}</p>',
        chart_html(
            _curves(run), label="Equity of the run and of its backtest, and what the run has more", height=420
        ),
        _causes(found),
        note_html(_HOW),
        *(note_html(note) for note in found.notes),
    ]
    if found.slippage is not None:
        parts.append(_slippage(found.slippage))
    if found.differences:
        parts.append(_listed(found))
    return Section(TITLE, "".join(parts), near_top=True)


def verdict_words(found: Overlay) -> str:
    """What came of it, in a sentence or two."""
    compared = f"{found.compared.get('decision', 0):,} decisions and {found.compared.get('fill', 0):,} orders that filled"
    if not found.differences:
        return f"The same: {compared} are what the backtest made, to the last digit."
    money = signed_money(found.recorded_equity - found.backtest_equity)
    counted = (
        f"{len(found.differences):,} differences in {compared}, worth {money} in all; "
        if len(found.differences) > 1
        else f"One difference in {compared}, worth {money}; "
    )
    if not found.unexplained:
        return f"{counted}all of them are explained."
    return f"{counted}{len(found.unexplained):,} that nothing explains. The first: {found.unexplained[0].sentence()}."


def _verdict(found: Overlay) -> str:
    return escape(verdict_words(found))


def _curves(run: OverlayRun) -> dict[str, Any]:
    """The two curves above, and their distance below."""
    shared = np.interp(run.recorded_ts, run.backtest_ts, run.backtest_equity)
    rows = extremes(run.recorded_equity, shared)
    apart = run.recorded_equity - shared
    lines = [
        _line("run", run.recorded_ts[rows], run.recorded_equity[rows], "@own", 2.0, "solid"),
        _line("backtest", run.recorded_ts[rows], shared[rows], "@hold", 1.4, "dot"),
        {
            **_line("run less backtest", run.recorded_ts[rows], apart[rows], "@own", 1.2, "solid"),
            "yaxis": "y2",
            "fill": "tozeroy",
            "fillcolor": "@own/0.18",
            "showlegend": False,
        },
    ]
    layout = {
        "hovermode": "x unified",
        "xaxis": {"type": "date", "anchor": "y2"},
        "yaxis": {"tickformat": ",.2f", "domain": [0.36, 1.0], "title": {"text": "equity"}},
        "yaxis2": {"tickformat": "+,.2f", "domain": [0.0, 0.28], "title": {"text": "difference"}},
    }
    return {"data": lines, "layout": layout}


def _line(
    name: str, ts: npt.NDArray[np.int64], values: npt.NDArray[np.float64], role: str, width: float, dash: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": ts.astype("datetime64[ms]").astype("datetime64[m]").astype(str).tolist(),
        "y": values.round(6).tolist(),
        "line": {"color": role, "width": width, "dash": dash},
    }


CAUSE_HEAD = ("Cause", "Money", "Decisions", "Orders", "Other", "What it is")


def cause_rows(found: Overlay) -> list[tuple[str, ...]]:
    """Of every cause its name, money, decisions, orders and other rows that differ, and what it is; then the sum."""
    counts = found.counts()
    rows = [
        _cause_row(plain(cause), counts.get(cause, {}), found.money.get(cause, 0.0), CAUSES[cause])
        for cause in found.causes()
    ]
    whole: Counter[str] = Counter(one.kind for one in found.differences)
    money = found.recorded_equity - found.backtest_equity
    return [*rows, _cause_row("in all", whole, money, "")]


def _cause_row(name: str, kinds: Mapping[str, int], money: float, words: str) -> tuple[str, ...]:
    others = sum(count for kind, count in kinds.items() if kind not in {"decision", "fill"})
    counted = (kinds.get("decision", 0), kinds.get("fill", 0), others)
    return (name, signed_money(money), *(f"{count:,}" for count in counted), words)


def _causes(found: Overlay) -> str:
    body: list[list[str | Cell]] = [
        [Cell(row[0], "bad") if row[0] == UNEXPLAINED else row[0], *row[1:-1], Cell(row[-1], "wide words")]
        for row in cause_rows(found)
    ]
    return table_html(
        "What differs and why; money is what the run has more for it, quote currency", CAUSE_HEAD, body
    )


def _slippage(slippage: Slippage) -> str:
    row = [
        f"{slippage.count:,}",
        *(
            minus(f"{round(value, 2) + 0.0:+.2f} bps")
            for value in (slippage.mean_bps, slippage.median_bps, slippage.worst_bps)
        ),
    ]
    return table_html(
        "Prices of orders that filled in both, against the backtest's; above 0 is worse",
        ("Orders", "Mean", "Median", "Worst"),
        [row],
        words=0,
    )


def _listed(found: Overlay) -> str:
    first = sorted(found.differences, key=lambda one: one.cause != UNEXPLAINED)[:MOST_LISTED]
    rows: list[list[str | Cell]] = [
        [
            time_words(iso_utc(one.at_ms)).removesuffix(" UTC"),
            Cell(plain(one.cause), "bad" if one.cause == UNEXPLAINED else ""),
            plain(one.what),
            Cell(one.sentence(), "wide words"),
        ]
        for one in first
    ]
    shown = f"The first {len(first):,} of {len(found.differences):,} differences"
    return table_html(shown, ("At (UTC)", "Cause", "What", "In words"), rows, words=4)
