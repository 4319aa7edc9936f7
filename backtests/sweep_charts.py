"""The charts of a sweep's page as plotly's JSON; a colour that begins with @ is a variable of the page's style.

Only what draws without WebGL: the page's policy forbids what that would need.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from backtests.inputs import Floats
from backtests.sweep_findings import Findings
from backtests.sweep_report import in_units, units
from backtests.sweep_space import number_of
from bot.candles.columns import iso_utc
from bot.core.market import DAY_MS

Chart = dict[str, Any]

MOST_LINES = 300
"""Points of the parallel coordinates: the best ones, and others evenly from the rest."""

_BANDS = (("worst fifth", "@down/0.5"), ("", "@down/0.25"), ("middle", "@quiet/0.25"), ("", "@up/0.35"),
          ("best fifth", "@up/0.9"))  # fmt: skip
_SCALE = [[0.0, "@down"], [0.5, "@card"], [1.0, "@up"]]


def names_of(findings: Findings) -> list[str]:
    """Parameters that take more than one value."""
    points = findings.table.points
    return [name for name in points[0] if len({point[name] for point in points}) > 1]


def ordered(texts: Sequence[str]) -> list[str]:
    """Different values: numbers by size, words in their order."""
    different = list(dict.fromkeys(texts))
    numbers = [number_of(text) for text in different]
    if any(number is None for number in numbers):
        return different
    return [text for _, text in sorted(zip(numbers, different, strict=True), key=lambda pair: pair[0] or 0.0)]


def cells(findings: Findings, across: str, up: str) -> tuple[list[str], list[str], Floats]:
    """A heat map: the mean objective over all days by two parameters, over whatever else varies.

    Returns:
        Values across, values up, float64 [up, across] with NaN where no point traded enough.
    """
    points = findings.table.points
    columns, rows = ordered([one[across] for one in points]), ordered([one[up] for one in points])
    worth = in_units(findings.worth, findings.rule.objective)
    sums, counts = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for point, value in zip(points, worth, strict=True):
        if not np.isnan(value):
            place = rows.index(point[up]), columns.index(point[across])
            sums[place] += value
            counts[place] += 1
    return columns, rows, np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def map_chart(findings: Findings, across: str, up: str) -> Chart:
    """The objective by two parameters: a heat map of a grid, dots where there is none."""
    axes: Chart = {"xaxis": {"title": {"text": across}}, "yaxis": {"title": {"text": up}}}
    if _is_scattered(findings, across) or _is_scattered(findings, up):
        return _dots(findings, across, up, axes)
    columns, rows, values = cells(findings, across, up)
    bound = _bound(values)
    for axis in axes.values():
        axis |= {"type": "category", "showgrid": False}
    trace = {
        "type": "heatmap", "x": columns, "y": rows, "z": _plain(values), "colorscale": _SCALE, "zmin": -bound,
        "zmax": bound, "xgap": 1, "ygap": 1, "colorbar": {"thickness": 12, "outlinewidth": 0},
        "hovertemplate": f"{across} %{{x}}<br>{up} %{{y}}<br>%{{z:.3g}}<extra></extra>",
    }  # fmt: skip
    if len(columns) * len(rows) <= 150:
        trace |= {"texttemplate": "%{z:.2f}", "textfont": {"color": "@text"}}
    return {"data": [trace], "layout": axes}


def line_chart(findings: Findings, name: str) -> Chart:
    """The objective by one parameter, over all days and on the out-of-sample blocks."""
    table, objective = findings.table, findings.rule.objective
    later = table.summed(np.repeat((table.block > 0)[:, None], len(table), axis=1))
    series = {
        "all days": findings.worth,
        "out-of-sample blocks": later.worth(objective, 1),
    }
    texts = ordered([point[name] for point in table.points])
    numbers = [number_of(text) for text in texts]
    scale: list[Any] = texts if any(number is None for number in numbers) else list(numbers)
    traces = []
    for place, (label, worth) in enumerate(series.items()):
        values = in_units(worth, objective)
        means = [_mean([value for point, value in zip(table.points, values, strict=True) if point[name] == text])
                 for text in texts]  # fmt: skip
        dash = {"dash": "dot"} if place else {}
        traces.append({"type": "scatter", "mode": "lines+markers", "x": scale, "y": means, "name": label,
                       "line": {"color": "@hold" if place else "@own", **dash}})  # fmt: skip
    return {
        "data": traces,
        "layout": {"xaxis": {"title": {"text": name}}, "yaxis": {"title": {"text": units(objective)}}},
    }


def scatter_chart(findings: Findings) -> Chart:
    """Each point of each fold: its objective in sample against that out of sample; what was chosen stands out."""
    objective = findings.rule.objective
    own: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    chosen: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    for fold in findings.walk.folds:
        inside = in_units(fold.worth, objective)
        outside = in_units(fold.outside.worth(objective, 1), objective)
        for place, point in enumerate(findings.table.points):
            if np.isnan(inside[place]) or np.isnan(outside[place]):
                continue
            into = chosen if place == fold.chosen else own
            into["x"].append(float(inside[place]))
            into["y"].append(float(outside[place]))
            into["text"].append(f"fold {fold.number}: {_words(point)}")
    marks = {"size": 6, "color": "@quiet/0.4"}
    picked = {"size": 12, "color": "@hold", "symbol": "diamond", "line": {"color": "@card", "width": 1}}
    return {
        "data": [
            {"type": "scatter", "mode": "markers", "name": "points", "marker": marks, **own, "hoverinfo": "text+x+y"},
            {"type": "scatter", "mode": "markers", "name": "chosen", "marker": picked, **chosen, "hoverinfo": "text+x+y"},
        ],
        "layout": {
            "xaxis": {"title": {"text": f"in sample: {units(objective)}"}},
            "yaxis": {"title": {"text": "out of sample"}},
        },
    }  # fmt: skip


def lines_chart(findings: Findings) -> Chart:
    """Parallel coordinates: a line for each point over all parameters and the objective, coloured by fifths of it."""
    names = names_of(findings)
    worth = in_units(findings.worth, findings.rule.objective)
    order = [int(place) for place in np.argsort(worth, kind="stable") if not np.isnan(worth[place])]
    heights = {name: _heights([point[name] for point in findings.table.points]) for name in names}
    span = (worth[order[0]], worth[order[-1]]) if order else (0.0, 0.0)
    traces = []
    shown = _thinned(order)
    for number, (label, colour) in enumerate(_BANDS):
        first, last = len(shown) * number // len(_BANDS), len(shown) * (number + 1) // len(_BANDS)
        x: list[Any] = []
        y: list[Any] = []
        for place in shown[first:last]:
            height = (worth[place] - span[0]) / (span[1] - span[0]) if span[1] > span[0] else 0.5
            x += [*range(len(names) + 1), None]
            y += [*(heights[name][place] for name in names), float(height), None]
        traces.append({"type": "scatter", "mode": "lines", "x": x, "y": y, "name": label, "hoverinfo": "skip",
                       "showlegend": bool(label), "line": {"color": colour, "width": 1.2}})  # fmt: skip
    last_label = f"{units(findings.rule.objective)}<br>{span[0]:.3g} … {span[1]:.3g}"
    labels = [*(_range_label(findings, name) for name in names), last_label]
    return {
        "data": traces,
        "layout": {
            "xaxis": {"tickvals": list(range(len(labels))), "ticktext": labels, "range": [-0.2, len(names) + 0.2]},
            "yaxis": {"visible": False, "range": [-0.05, 1.05]},
        },
    }  # fmt: skip


def importance_chart(importance: dict[str, float]) -> Chart:
    """How much of the objective each parameter explains."""
    listed = sorted(importance.items(), key=lambda pair: pair[1])
    return {
        "data": [{"type": "bar", "orientation": "h", "x": [share for _, share in listed],
                  "y": [name for name, _ in listed], "marker": {"color": "@own"}, "name": ""}],
        "layout": {"xaxis": {"title": {"text": "share"}, "tickformat": ".0%", "rangemode": "tozero"}},
    }  # fmt: skip


def walk_chart(findings: Findings) -> Chart:
    """What "choose, then trade" made of 1, with the beginnings of the folds."""
    walked = findings.walk
    starts = {findings.table.blocks[fold.number].first_day for fold in walked.folds}
    return {
        "data": [{"type": "scatter", "mode": "lines", "name": "choose, then trade", "line": {"color": "@own"},
                  "x": [iso_utc(int(day + 1) * DAY_MS) for day in walked.days],
                  "y": [float(value) for value in np.cumprod(1.0 + walked.returns)]}],
        "layout": {
            "shapes": [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": iso_utc(int(day) * DAY_MS),
                        "x1": iso_utc(int(day) * DAY_MS), "line": {"color": "@quiet/0.5", "width": 1, "dash": "dot"}}
                       for day in sorted(starts)],
            "yaxis": {"title": {"text": "worth of 1"}},
        },
    }  # fmt: skip


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each pair of parameters once."""
    return list(itertools.combinations(names, 2))


def _dots(findings: Findings, across: str, up: str, axes: Chart) -> Chart:
    worth = in_units(findings.worth, findings.rule.objective)
    kept = [place for place in range(len(worth)) if not np.isnan(worth[place])]
    points = findings.table.points
    bound = _bound(worth)
    for one in findings.table.points[:1]:
        for axis, name in (("xaxis", across), ("yaxis", up)):
            axes[axis] |= {"type": "linear" if number_of(one[name]) is not None else "category"}
    trace = {
        "type": "scatter", "mode": "markers", "x": [points[place][across] for place in kept],
        "y": [points[place][up] for place in kept], "text": [f"{worth[place]:.3g}" for place in kept],
        "hoverinfo": "x+y+text",
        "marker": {"size": 9, "color": [float(worth[place]) for place in kept], "colorscale": _SCALE, "cmin": -bound,
                   "cmax": bound, "line": {"width": 1, "color": "@quiet/0.5"}, "colorbar": {"thickness": 12}},
    }  # fmt: skip
    return {"data": [trace], "layout": axes}


def _is_scattered(findings: Findings, name: str) -> bool:
    """Whether nearly every point has a value of its own: no cell of a heat map would hold two."""
    points = findings.table.points
    return len({point[name] for point in points}) > max(12, len(points) // 3)


def _bound(values: Floats) -> float:
    """The end of a scale that has 0 in its middle."""
    known = np.abs(values[~np.isnan(values)])
    return float(known.max()) if len(known) and known.max() > 0 else 1.0


def _plain(values: Floats) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def _heights(texts: Sequence[str]) -> list[float]:
    """Values from 0 to 1: numbers by size, words evenly."""
    different = ordered(texts)
    numbers = [number_of(text) for text in texts]
    if any(number is None for number in numbers):
        return [different.index(text) / max(1, len(different) - 1) for text in texts]
    known = np.array(numbers, dtype=np.float64)
    return [float(value) for value in (known - known.min()) / max(float(np.ptp(known)), 1e-300)]


def _range_label(findings: Findings, name: str) -> str:
    values = ordered([point[name] for point in findings.table.points])
    return f"{name}<br>{values[0]} … {values[-1]}"


def _thinned(order: Sequence[int]) -> list[int]:
    """From worst to best, not more than a chart can show."""
    if len(order) <= MOST_LINES:
        return list(order)
    best = order[-MOST_LINES // 3 :]
    rest = order[: -MOST_LINES // 3]
    step = len(rest) / (MOST_LINES - len(best))
    return [*(rest[int(number * step)] for number in range(MOST_LINES - len(best))), *best]


def _words(point: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in point.items())
