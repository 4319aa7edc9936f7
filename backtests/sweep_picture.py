"""The heat maps of a sweep as one PNG by matplotlib, which comes with the ``train`` extra."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from backtests import sweep_charts as charts
from backtests.inputs import Floats
from backtests.sweep_findings import Findings
from backtests.sweep_report import units
from backtests.sweep_space import number_of

MOST_PANELS = 4
_INK, _QUIET, _OWN, _HOLD = "#17202a", "#4b5866", "#1a5ca8", "#a94a08"


def sweep_picture(document: Mapping[str, Any], findings: Findings) -> bytes:
    """A panel for each pair of parameters, four at most; a line for one parameter. 1600 pixels wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = charts.names_of(findings)
    panels = charts.pairs(names)[:MOST_PANELS]
    rows, columns = (1, max(1, len(panels))) if len(panels) <= 2 else (2, 2)
    figure = Figure(figsize=(16, 7.5 * rows + 1.5), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    top = 1 - 1.4 / figure.get_figheight()
    grid = figure.add_gridspec(
        rows, columns, left=0.08, right=0.97, top=top, bottom=0.1, hspace=0.3, wspace=0.25
    )
    title = f"Sweep of {', '.join(document['symbols'])}: {document['sentence']}"
    figure.text(0.03, 0.985, "\n".join(textwrap.wrap(title, 120)), fontsize=17, color=_INK, va="top")
    for number, (across, up) in enumerate(panels):
        _draw_map(figure, figure.add_subplot(grid[number // columns, number % columns]), findings, across, up)
    if len(names) <= 1:
        _draw_line(
            figure.add_subplot(grid[0, 0]),
            findings,
            names[0] if names else next(iter(findings.table.points[0])),
        )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw_map(figure: Any, axes: Any, findings: Findings, across: str, up: str) -> None:
    """One pair: cells of a grid, or dots where there is none."""
    chart = charts.map_chart(findings, across, up)["data"][0]
    if chart["type"] == "heatmap":
        columns, rows, values = charts.cells(findings, across, up)
        bound = chart["zmax"]
        drawn = axes.imshow(values, origin="lower", aspect="auto", cmap=_colours(), vmin=-bound, vmax=bound)
        axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        if values.size <= 150:
            _write_values(axes, values)
    else:
        numeric = [[_number(text) for text in chart[axis]] for axis in ("x", "y")]
        bound = chart["marker"]["cmax"]
        drawn = axes.scatter(*numeric, c=chart["marker"]["color"], cmap=_colours(), vmin=-bound, vmax=bound,
                             edgecolors=_QUIET, linewidths=0.5)  # fmt: skip
    figure.colorbar(drawn, ax=axes, label=units(findings.rule.objective), shrink=0.9)
    axes.set_xlabel(across, color=_QUIET)
    axes.set_ylabel(up, color=_QUIET)


def _write_values(axes: Any, values: Floats) -> None:
    for row, column in np.argwhere(~np.isnan(values)):
        axes.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", fontsize=9, color=_INK)


def _draw_line(axes: Any, findings: Findings, name: str) -> None:
    """The objective by the only parameter."""
    for trace, colour in zip(charts.line_chart(findings, name)["data"], (_OWN, _HOLD), strict=True):
        heights = [np.nan if value is None else value for value in trace["y"]]
        axes.plot(trace["x"], heights, marker="o", color=colour, label=trace["name"])
    axes.set_xlabel(name, color=_QUIET)
    axes.set_ylabel(units(findings.rule.objective), color=_QUIET)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _number(text: str) -> float | str:
    """A value as matplotlib places it: a number, or a word of its own."""
    found = number_of(text)
    return text if found is None else found


def _colours() -> Any:
    """Orange below nothing, white at it, blue above: the colours of the page."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("sweep", [_HOLD, "#ffffff", _OWN])
