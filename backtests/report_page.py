"""The page of a backtest, or of any run that left the same behind: one HTML file that needs no network.

The page carries plotly's script and a few small ones of its own, whose hashes its policy names: no other script runs,
whatever a name or a reason holds, and nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from plotly.offline import get_plotlyjs

from backtests import report_record_sections as record
from backtests import report_time_sections as periods
from backtests import report_trade_sections as trade
from backtests.inputs import BacktestInput
from backtests.report_analysis import analysed
from backtests.report_costs import Levels
from backtests.report_html import Section, named, section_html
from backtests.report_periods import day_returns
from backtests.report_walk import walk_section
from backtests.report_words import cards_html, summary_rows, time_words, verdict
from backtests.results import BacktestResult

__all__ = ["Section", "document_html", "report_page", "summary_rows"]

_SCRIPTS = ("report_page.js", "report_candles.js", "report_market.js", "report_start.js")
_TAKEN = ("theme", "all-trades", "market-data", "market-chart", "trades-table")
"""Names of other elements of the page."""

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""plotly writes a style of its own; everything else is forbidden, scripts but for their hashes."""


def report_page(
    result: BacktestResult,
    data: BacktestInput,
    summary: Mapping[str, Any],
    *,
    simulated: bool,
    extra_sections: Sequence[Section] = (),
    heading: str | None = None,
    levels: Levels | None = None,
) -> str:
    """The whole page as HTML.

    Args:
        result: The run.
        data: What it was fed with.
        summary: As ``backtests.report.summarize`` makes it; what ``report_analysis`` adds is worked out where missing.
        simulated: Whether the market was a simulated one.
        extra_sections: Sections of whoever calls, near the top or after the trades.
        heading: The title; None is that of a backtest.
        levels: Protective orders by client order id, which become the stops and targets on the candles.
    """
    whole = analysed(result, data, summary, levels)
    told = periods.Told(result, data, whole, *day_returns(result, data), levels or {})
    title = heading or f"Backtest of {', '.join(data.symbols)}"
    sections = named(_sections(told, extra_sections), _TAKEN)
    body = "".join(section_html(section, name) for name, section in sections.items())
    return document_html(
        title, _top(title, whole, sections, simulated=simulated) + f"<main>{body}</main>" + _foot(whole)
    )


def _sections(told: periods.Told, extra: Sequence[Section]) -> list[Section]:
    """All sections in their order; those that only trades fill are left out where there are none."""
    first = Section(
        "Key figures", f'<p class="verdict">{escape(verdict(told.summary))}</p>{cards_html(told.summary)}'
    )
    traded = bool(told.result.trades)
    found: list[Section | None] = [
        first,
        walk_section(told.summary["walk_forward"]) if told.summary.get("walk_forward") else None,
        *(section for section in extra if section.near_top),
        None if told.result.fills else record.held_back_section(told),
        periods.equity_section(told),
        periods.drawdown_section(told) if told.result.fills else None,
        periods.months_section(told),
        periods.rolling_section(told) if told.result.fills else None,
        periods.distribution_section(told) if told.result.fills else None,
        trade.market_section(told),
        trade.groups_section(told) if traded else None,
        trade.strategies_section(told),
        trade.times_section(told) if traded else None,
        trade.costs_section(told) if told.result.fills else None,
        record.forecast_section(told),
        *(section for section in extra if not section.near_top),
        record.held_back_section(told) if told.result.fills else None,
        record.settings_section(told),
        record.reproduce_section(told),
    ]
    return [section for section in found if section is not None]


def _top(title: str, summary: Mapping[str, Any], sections: Mapping[str, Section], *, simulated: bool) -> str:
    """Banners, head and the way to each section."""
    links = "".join(
        f'<li><a href="#{name}">{escape(section.title)}</a></li>' for name, section in sections.items()
    )
    warnings = "".join(
        f'<p class="warning"><strong>Warning:</strong> {escape(words)}</p>' for words in summary["warnings"]
    )
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(summary)
    )
    return (
        f'<a class="skip" href="#key-figures">Skip to the figures</a>{_banners(summary, simulated=simulated)}'
        f'<header class="head"><div class="title"><h1>{escape(title)}</h1>'
        '<button type="button" class="theme" id="theme">Theme</button></div>'
        f'<dl class="facts">{facts}</dl>{warnings}</header><nav aria-label="Sections"><ul>{links}</ul></nav>'
    )


def _banners(summary: Mapping[str, Any], *, simulated: bool) -> str:
    """What must not be overlooked."""
    found = ""
    if simulated:
        found += '<p class="banner" role="note">SIMULATED MARKET<small>These prices were made up. Nothing here says anything about a real market.</small></p>'
    unproven = summary.get("unproven")
    if unproven:
        why = (
            unproven
            if isinstance(unproven, str)
            else "No gate has promoted this model: live trading would refuse it."
        )
        found += f'<p class="banner" role="note">UNPROVEN<small>{escape(why)}</small></p>'
    return found


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Who ran what, when."""
    made_at = (summary.get("reproduce") or {}).get("made_at")
    found = [
        ("From", f"{time_words(summary['from'])} to {time_words(summary['to'])}"),
        ("Candles", f"{summary['candles']:,}"),
        ("Strategy", str(summary["strategy"])),
        ("Model", _models(summary["models"])),
        ("Engine", str(summary["engine"])),
    ]
    return [*found, ("Made", time_words(made_at))] if made_at else found


def _models(names: Sequence[str]) -> str:
    """Who made the forecasts; of many only how many, for a section of their own names them."""
    return f"{len(names)} models" if len(names) > 3 else ", ".join(names) or "nobody"


def _foot(summary: Mapping[str, Any]) -> str:
    words = (
        f"{record.engines_note(summary)} Times are UTC. Intervals are of 95%, by the stationary bootstrap over blocks of "
        "days. The past of a backtest is no promise."
    )
    return f"<footer><p>{escape(words.strip())}</p></footer>"


def document_html(title: str, body: str) -> str:
    """A page with its style, its scripts and the policy that allows them alone."""
    scripts = (
        _asset("report_theme.js"),
        get_plotlyjs(),
        "".join(map(_asset, _SCRIPTS)),
    )
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"{_POLICY}; script-src {hashes}"
    early, plotly, late = (f"<script>{script}</script>" for script in scripts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>{early}'
        f"<style>{_asset('report_page.css')}</style></head><body>{body}{plotly}{late}</body></html>\n"
    )


@cache
def _asset(name: str) -> str:
    """A file of this package that becomes part of the page."""
    return resources.files("backtests").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """A script's hash, as the policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
