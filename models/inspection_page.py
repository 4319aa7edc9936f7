"""The page of an inspection: one HTML file that needs no network."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.subplots import make_subplots

from models import inspection_words as words
from models.inspection_words import FAINT, GREY, HELD, PALE, PLAIN, SECOND

if TYPE_CHECKING:
    from models.attention_profile import AttentionProfile
    from models.importance import Effect, Importance
    from models.inspection import Inspection
    from models.training_curves import TrainingCurves

_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
h2 { margin-top: 2.5rem; } .note { color: #555; }
table { border-collapse: collapse; font-size: .85rem; } th, td { padding: .15rem 1rem .15rem 0; text-align: right; }
td { white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 1px solid #999; font-weight: 600; }
.simulated { background: #b00020; color: #fff; font-size: 1.6rem; font-weight: bold; padding: 1rem; text-align: center; }
.warning { background: #fff3cd; padding: .5rem 1rem; margin: .3rem 0; }
"""


def inspection_page(found: Inspection) -> str:
    """The whole page as HTML with plotly's script inside."""
    title = f"Inside {found.model_id}"
    banner = f'<p class="simulated">{words.SIMULATED}</p>' if found.simulated else ""
    about = (
        f"{', '.join(found.symbols)}, {words.time_words(found.from_ms)} to {words.time_words(found.until_ms)} UTC, "
        f"{words.sample_words(found)}"
    )
    sections = [_importance(found), _attention(found), _forecasts(found), _curves(found)]
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in words.warning_words(found))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{banner}<h1>{escape(title)}</h1><p>{escape(about)}</p>"
        f"{warnings}{''.join(sections)}</body></html>\n"
    )


def _importance(found: Inspection) -> str:
    """The bars, what they rest on, and the table."""
    measured = found.importance
    note = (
        f"{measured.windows:,} of {measured.eligible:,} windows, evenly spaced; {measured.repeats} shuffles of each "
        f"column, seed {measured.seed}. As it is, the log loss is {measured.log_loss:.5f} nats (a coin's is 0.69315)"
        f"{_accuracy_words(measured.direction_accuracy)}."
    )
    chart = _chart(_importance_figure(measured), height=150 + 22 * len(measured.columns), script=True)
    return _section(
        words.IMPORTANCE_TITLE,
        words.IMPORTANCE_MEANING,
        chart + _note(words.IMPORTANCE_READING) + _note(note) + _importance_table(found),
    )


def _importance_figure(measured: Importance) -> go.Figure:
    """Bars of log loss, direction accuracy, and what moves the output."""
    columns = measured.ranked()[::-1]
    names = [column.name for column in columns]
    figure = make_subplots(rows=1, cols=3, shared_yaxes=True, horizontal_spacing=0.03)
    parts: tuple[tuple[str, list[Effect | None]], ...] = (
        ("log loss rises by, millinats", [column.log_loss for column in columns]),
        ("direction accuracy falls by, points", [column.accuracy for column in columns]),
    )
    for place, (name, effects) in enumerate(parts, start=1):
        bars = go.Bar(
            y=names,
            x=[effect and effect.mean for effect in effects],
            error_x={"type": "data", "array": [effect.deviation if effect else 0.0 for effect in effects]},
            marker_color=[words.bar_colour(effect) for effect in effects],
            orientation="h",
            name=name,
        )
        figure.add_trace(bars, row=1, col=place)
        figure.update_xaxes(title=name, row=1, col=place)
    moves = [None if column.moved is None else column.moved * 100.0 for column in columns]
    bars = go.Bar(y=names, x=moves, marker_color=FAINT, orientation="h", name="output moves by, %")
    figure.add_trace(bars, row=1, col=3)
    figure.update_xaxes(title="output moves by, % of its deviation", row=1, col=3)
    figure.update_xaxes(title_font_size=12)
    if not measured.probability_moves:
        figure.update_xaxes(range=[-1.0, 1.0], row=1, col=1)
        figure.add_annotation(
            text="P(up) never changes", x=0.0, y=len(names) / 2, showarrow=False, row=1, col=1
        )
    figure.update_yaxes(dtick=1)
    figure.update_layout(showlegend=False)
    return figure


def _importance_table(found: Inspection) -> str:
    """Every figure of every column."""
    heads = (
        "column",
        "log loss rises by, millinats",
        "deviation",
        "least … most",
        "95 % over time",
        "accuracy falls by, points",
        "95 % over time",
        "output moves by, of its deviation",
    )
    rows = []
    for column in found.importance.ranked():
        loss, accuracy = column.log_loss, column.accuracy
        cells = (
            column.name,
            f"{loss.mean:+.3f}",
            f"{loss.deviation:.3f}",
            f"{loss.low:+.3f} … {loss.high:+.3f}",
            _bounds(loss),
            "–" if accuracy is None else f"{accuracy.mean:+.2f} ± {accuracy.deviation:.2f}",
            "–" if accuracy is None else _bounds(accuracy),
            words.moved_words(column),
        )
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _bounds(effect: Effect) -> str:
    """The interval over market time."""
    return "–" if effect.interval is None else "{:+.2f} … {:+.2f}".format(*effect.interval)


def _attention(found: Inspection) -> str:
    """Mean and quartiles by minute, and one moment; one sentence where there is no attention."""
    profile = found.attention
    if profile is None:
        return _section(words.ATTENTION_TITLE, "This model has no attention.", "")
    note = (
        f"{profile.windows:,} windows, evenly spaced; the heads are averaged by the model's graph. On average a window's "
        f"weight is spread over {profile.effective_steps:.1f} of {len(profile.mean)} minutes."
    )
    return _section(
        words.ATTENTION_TITLE,
        words.ATTENTION_MEANING,
        _chart(_attention_figure(profile), height=420) + _note(note),
    )


def _attention_figure(profile: AttentionProfile) -> go.Figure:
    """The curves."""
    figure, minutes = go.Figure(), profile.minutes
    band = np.concatenate([profile.low_quartile, profile.high_quartile[::-1]]) * 100.0
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([minutes, minutes[::-1]]),
            y=band,
            fill="toself",
            fillcolor=PALE,
            line={"width": 0},
            hoverinfo="skip",
            name="middle half of the windows",
        )
    )
    curves = (
        (profile.mean, "mean", {"color": PLAIN}),
        (profile.moment, f"at {words.time_words(profile.moment_ms)}", {"color": SECOND, "width": 1}),
        (np.full(len(minutes), 1.0 / len(minutes)), "all minutes alike", {"color": GREY, "dash": "dot"}),
    )
    for weights, name, line in curves:
        figure.add_trace(go.Scatter(x=minutes, y=weights * 100.0, name=name, line=line, mode="lines"))
    figure.update_xaxes(title="minutes from the newest candle of the window")
    figure.update_yaxes(title="weight, %", rangemode="tozero")
    return figure


def _forecasts(found: Inspection) -> str:
    """The stretch, then the path."""
    withheld = int(found.stretch.withheld.sum())
    note = f"{found.stretch.symbol}, {words.horizon_words(found)}."
    if withheld:
        note += f" {withheld:,} of {len(found.stretch.withheld):,} forecasts would have been withheld: the window is beyond training."
    path = found.path
    when = f"{words.time_words(path.made_ts)} UTC" + (
        ", where the bot gives no forecast" if path.withheld else ""
    )
    return _section(
        words.PREDICTION_TITLE,
        words.PREDICTION_MEANING,
        _chart(_stretch_figure(found), height=480) + _note(note),
    ) + _section(f"{words.PATH_TITLE}: {when}", words.PATH_MEANING, _chart(_path_figure(found), height=400))


def _stretch_figure(found: Inspection) -> go.Figure:
    """Closes, forecasts where they are due, and persistence."""
    stretch = found.stretch
    due = stretch.due_ts.astype("datetime64[ms]")
    expected = np.where(stretch.withheld, np.nan, stretch.expected)
    lines: list[tuple[Any, Any, str, dict[str, Any]]] = [
        (stretch.ts.astype("datetime64[ms]"), stretch.close, "close", {"color": "black", "width": 1.3}),
    ]
    if words.shows_said(found) and stretch.said is not None:
        lines.append((due, stretch.said, "as the network says it", {"color": FAINT, "width": 1}))
    lines.append((due, expected, words.expected_words(found), {"color": SECOND, "width": 1.6}))
    if stretch.withheld.any():
        held = np.where(stretch.withheld, stretch.expected, np.nan)
        lines.append((due, held, "withheld: beyond training", {"color": HELD, "width": 1}))
    # Above the forecast: one that believes little of the network lies on it.
    lines.append((due, stretch.persistence, "persistence", {"color": "black", "dash": "dot", "width": 1.3}))
    figure = _lines(lines, found)
    figure.add_vline(
        x=np.datetime64(found.path.made_ts, "ms").astype(object), line={"color": GREY, "width": 1}
    )
    figure.update_xaxes(title="open time of the minute that is forecast, UTC")
    return figure


def _path_figure(found: Inspection) -> go.Figure:
    """By minutes from the moment."""
    path = found.path
    flat = np.full(2, path.close)
    lines: list[tuple[Any, Any, str, dict[str, Any]]] = [
        (np.arange(len(path.realized)), path.realized, "close", {"color": "black", "width": 1.3}),
    ]
    if words.shows_said(found) and path.said is not None:
        lines.append((path.minutes, path.said, "as the network says it", {"color": FAINT}))
    lines.append((path.minutes, path.expected, words.expected_words(found), {"color": SECOND}))
    lines.append(
        (path.minutes[[0, -1]], flat, "persistence", {"color": "black", "dash": "dot", "width": 1.3})
    )
    figure = _lines(lines, found)
    figure.update_xaxes(title="minutes from then")
    return figure


def _lines(lines: list[tuple[Any, Any, str, dict[str, Any]]], found: Inspection) -> go.Figure:
    """Price curves."""
    figure = go.Figure()
    for x, y, name, line in lines:
        figure.add_trace(go.Scatter(x=x, y=y, name=name, line=line, mode="lines"))
    figure.update_yaxes(title=f"price, {words.price_unit(found.stretch.symbol)}", tickformat=",")
    return figure


def _curves(found: Inspection) -> str:
    """The curves of each network; one sentence where there are none."""
    if not found.curves:
        return _section(
            words.CURVES_TITLE, "No curves are stored with this model: it was not fitted by epochs.", ""
        )
    charts = "".join(
        (f"<h3>{escape(curves.name)}</h3>" if curves.name else "")
        + _chart(_curves_figure(curves), height=380, below=True)
        for curves in found.curves
    )
    return _section(words.CURVES_TITLE, words.CURVES_MEANING, charts)


def _curves_figure(curves: TrainingCurves) -> go.Figure:
    """A panel a metric."""
    panels = curves.panels()
    figure = make_subplots(rows=1, cols=max(len(panels), 1), subplot_titles=panels)
    for place, metric in enumerate(panels, start=1):
        for key, label, color in ((metric, "training", PLAIN), (f"val_{metric}", "early-stop slice", SECOND)):
            if values := curves.metrics.get(key):
                trace = go.Scatter(
                    x=np.arange(1, len(values) + 1),
                    y=np.array(values),
                    name=label,
                    line={"color": color},
                    mode="lines+markers",
                    showlegend=place == 1,
                )
                figure.add_trace(trace, row=1, col=place)
        if curves.best_epoch is not None:
            figure.add_vline(x=curves.best_epoch, line={"color": GREY, "dash": "dot"}, row=1, col=place)
    figure.update_xaxes(title="epoch", tickformat="d")
    return figure


def _chart(figure: go.Figure, *, height: int, script: bool = False, below: bool = False) -> str:
    """A figure as a piece of the page; the first one brings plotly's script. Titles above panels need the legend below."""
    place = {"y": -0.2, "yanchor": "top"} if below else {"y": 1.02, "yanchor": "bottom"}
    figure.update_layout(
        height=height,
        template="plotly_white",
        legend={"orientation": "h", "x": 0, **place},
        margin={"l": 70, "r": 20, "t": 50, "b": 50},
    )
    figure.update_yaxes(automargin=True)
    piece: str = to_html(
        figure, include_plotlyjs=script, full_html=False, config={"displaylogo": False, "responsive": True}
    )
    return piece


def _section(title: str, meaning: str, body: str) -> str:
    """A heading, what the figure means, the figure."""
    return f"<section><h2>{escape(title)}</h2><p>{escape(meaning)}</p>{body}</section>"


def _note(text: str) -> str:
    """A line under a figure."""
    return f'<p class="note">{escape(text)}</p>'


def _accuracy_words(accuracy: float | None) -> str:
    """The direction accuracy as it is, where there is one."""
    return "" if accuracy is None else f", the direction is right in {accuracy:.2%}"
