"""The power curve as a page: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
from plotly.io import to_html

from bot.audits.findings import CONFIDENCE, LEAST_FOUND, PlantedFinding

_STYLE = "body { font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222; }"


def power_page(findings: Sequence[PlantedFinding], *, about: str) -> str:
    """A curve for each edge: share of the paths promoted by each week, with its interval.

    Args:
        findings: One an edge.
        about: What was run, in one line.
    """
    chart = to_html(_figure(findings), include_plotlyjs=True, full_html=False)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Power of the gate</title>'
        f"<style>{_STYLE}</style></head><body><h1>How soon is a planted edge found?</h1><p>{escape(about)}</p>"
        f"{chart}<p>Bars span {CONFIDENCE:.0%} intervals (Wilson).</p></body></html>\n"
    )


def _figure(findings: Sequence[PlantedFinding]) -> go.Figure:
    """Lines with error bars, and what is asked for as a dotted line."""
    figure = go.Figure()
    for finding in findings:
        points = list(finding.power.values())
        figure.add_trace(
            go.Scatter(
                x=list(finding.power),
                y=[point.share for point in points],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [point.high - point.share for point in points],
                    "arrayminus": [point.share - point.low for point in points],
                },
                mode="lines+markers",
                name=f"{finding.accuracy:.1%} right, {points[0].total} paths",
            )
        )
    figure.add_hline(y=LEAST_FOUND, line_dash="dot", line_color="#999")
    figure.update_xaxes(title="weekly decisions", dtick=1)
    figure.update_yaxes(title="promoted by then", range=[-0.02, 1.02], tickformat=".0%")
    figure.update_layout(height=520, template="plotly_white", legend={"orientation": "h", "y": 1.1})
    return figure
