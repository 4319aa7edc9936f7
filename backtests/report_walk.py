"""The walk-forward's part of a report page: who served when, and what came of each retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from backtests.report_html import NONE, Cell, Section, chart_html, note_html, table_html

_HEAD = ("trained", "model", "gate", "served", "trades", "profit", "gain, millinats")
_STATES = (
    ("proven_share", "a proven model"),
    ("unproven_share", "an unproven model"),
    ("no_model_share", "nobody"),
)


def walk_section(walk: Mapping[str, Any]) -> Section:
    """What stands under ``walk_forward`` in a summary, as a section near the top of the page."""
    rows = walk["retrainings"]
    parts = [
        f"<p><strong>{escape(_sentence(walk['sentence']))}</strong></p>",
        note_html(_terms(walk)),
        note_html(_shares(walk["totals"])),
        chart_html(_figure(rows), label="Log-loss gain of each model over the base rate until the next one"),
        table_html("Each retraining, oldest first", _HEAD, [_row(row) for row in rows], words=4),
    ]
    if walk["events"]:
        told = [
            [_minute(one["at"]), one["what"].replace("_", " "), one["model_id"], one["why"]]
            for one in walk["events"]
        ]
        parts.append(
            table_html("Shadows, promotions and rollbacks", ("when", "what", "model", "why"), told, words=4)
        )
    title = "Walk-forward, gate on" if walk["gate"] == "on" else "Walk-forward, UNGATED: unproven"
    return Section(title, "".join(parts), near_top=True)


def _terms(walk: Mapping[str, Any]) -> str:
    """How it was done, in one sentence."""
    return (
        f"Recipe {walk['recipe']}, trained by the schedule {walk['schedule']} ({walk['time_zone']}) on the "
        f"{walk['train_days']} days before, each fit within {walk['max_minutes']:g} min; a model is ready "
        f"{walk['fit_minutes']:g} min after its retraining began"
        + (
            f", and stands beside the champion for {walk['shadow_hours']:g} hours."
            if walk["gate"] == "on"
            else "."
        )
    )


def _shares(totals: Mapping[str, Any]) -> str:
    """Who served how much of the time."""
    served = ", ".join(f"{totals[name]:.1%} {words}" for name, words in _STATES)
    return (
        f"Who served, by time: {served}. Gain is over the base rate of the training, on the minutes after it."
    )


def _row(row: Mapping[str, Any]) -> list[str | Cell]:
    """One retraining."""
    gain = row["gain_millinats"]
    return [
        _minute(row["began"]),
        row["model_id"],
        Cell(_verdict(row), "wide"),
        _served(row),
        f"{row['trades']:,}",
        f"{row['pnl']:+,.2f}" if row["trades"] else NONE,
        NONE if gain is None else Cell(f"{gain:+.3f}", "good" if gain > 0.0 else "bad"),
    ]


def _verdict(row: Mapping[str, Any]) -> str:
    if row["promoted"] is None:
        return "not asked"
    return "promoted" if row["promoted"] else f"refused: {row['refused_because']}"


def _served(row: Mapping[str, Any]) -> str:
    """From when to when, and how much of that."""
    if not row["served_minutes"]:
        return "never"
    hours = row["served_minutes"] / 60.0
    return f"{_minute(row['served_from'])} to {_minute(row['served_until'])} ({hours:,.0f} hours)"


def _figure(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A bar for each retraining: the gain of its model, in another colour where it served."""
    bars = {
        "type": "bar",
        "x": [row["began"] for row in rows],
        "y": [row["gain_millinats"] for row in rows],
        "marker": {"color": ["@own" if row["served_minutes"] else "@cash/0.6" for row in rows]},
        "text": ["served" if row["served_minutes"] else "did not serve" for row in rows],
        "textposition": "none",
        "hovertemplate": "%{x|%Y-%m-%d}: %{y:.3f} millinats, %{text}<extra></extra>",
    }
    layout = {
        "showlegend": False,
        "xaxis": {"type": "date"},
        "yaxis": {"title": {"text": "millinats over the base rate"}, "zeroline": True},
    }
    return {"data": [bars], "layout": layout}


def _sentence(words: str) -> str:
    """With a capital letter and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def _minute(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
