"""The page of a comparison: the equity curves of all variants over each other, and the table; one file, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import orjson
from plotly.offline import get_plotlyjs

from backtests.comparison import VariantRun

COLORS = ("#3b82f6", "#f97316", "#10b981", "#e11d48", "#8b5cf6", "#0891b2", "#ca8a04", "#db2777")
"""Told apart on white and on black; from the ninth variant on they come again, dashed."""

_STYLE = """
:root { color-scheme: light dark; --text: #1f2937; --quiet: #6b7280; --line: #d1d5db; --back: #ffffff; --warn: #fff3cd; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e5e7eb; --quiet: #9ca3af; --line: #374151; --back: #111827; --warn: #453a12; }
}
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; color: var(--text);
  background: var(--back); }
h1 { font-size: 1.5rem; margin: .5rem 0; }
p { margin: .4rem 0; }
.quiet { color: var(--quiet); }
.simulated { background: #b00020; color: #fff; font-weight: bold; padding: .6rem 1rem; text-align: center; }
.warning { background: var(--warn); padding: .4rem .8rem; border-radius: .3rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; }
thead th { white-space: normal; vertical-align: bottom; font-size: .85rem; line-height: 1.25; }
.chart { height: 460px; width: 100%; }
"""

_SCRIPT = """
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const told = JSON.parse(document.getElementById("curves").textContent);
function draw() {
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  Plotly.react("chart", told, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: text, family: "system-ui, sans-serif" },
    margin: { l: 50, r: 15, t: 10, b: 40 }, hovermode: "x unified", legend: { orientation: "h" },
    xaxis: { ...axis, type: "date" }, yaxis: { ...axis, tickformat: "+.1%" },
    hoverlabel: { bgcolor: style.getPropertyValue("--back").trim(), font: { color: text } },
  }, { responsive: true, displaylogo: false });
}
draw();
dark.addEventListener("change", draw);
"""


def comparison_page(
    title: str,
    about: Sequence[str],
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    warnings: Sequence[str],
    runs: Mapping[str, VariantRun],
    *,
    start: Mapping[str, float],
    simulated: bool,
) -> str:
    """The whole page as HTML, with plotly's script inside.

    Args:
        title: Heading.
        about: Paragraphs below the table.
        head: Names of the columns.
        rows: Cells of the table; the first of each is its head.
        warnings: In words.
        runs: By name of variant; their curves are drawn in this order.
        start: Starting cash of each, quote currency.
        simulated: Whether the market was a simulated one.
    """
    banner = '<p class="simulated">SIMULATED MARKET</p>' if simulated else ""
    words = "".join(f"<p>{escape(line)}</p>" for line in about)
    doubts = "".join(f'<p class="warning">{escape(line)}</p>' for line in warnings)
    curves = orjson.dumps(
        [_curve(place, name, run, start[name]) for place, (name, run) in enumerate(runs.items())]
    ).decode()
    inert = curves.replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{banner}<h1>{escape(title)}</h1>"
        f'<div id="chart" class="chart" role="img" aria-label="Equity of each variant over the time compared"></div>'
        f'<p class="quiet">Return of the account since the start, after all costs.</p>{_table(head, rows)}{words}{doubts}'
        f'<script type="application/json" id="curves">{inert}</script>'
        f"<script>{get_plotlyjs()}</script><script>{_SCRIPT}</script></body></html>\n"
    )


def _curve(place: int, name: str, run: VariantRun, start: float) -> dict[str, Any]:
    """One variant's line, as plotly takes it."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escape(name),  # plotly reads a few tags in names
        "x": run.curve_ts.tolist(),
        "y": (run.curve / start - 1.0).tolist(),
        "line": {
            "color": COLORS[place % len(COLORS)],
            "width": 2,
            "dash": "dash" if place >= len(COLORS) else "solid",
        },
        "hovertemplate": "%{y:+.2%}",
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table, which scrolls by itself where it is too wide."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
