"""The page of a sweep: one HTML file that needs no network, in the style and under the policy of a report's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from backtests import sweep_charts as charts
from backtests.report_html import NONE, Cell, Section, anchor, chart_html, note_html, section_html, table_html
from backtests.report_page import document_html
from backtests.report_words import minus
from backtests.sweep_findings import Findings
from backtests.sweep_report import units

MOST_MAPS = 10
"""Pairs of parameters that are drawn; more would be a wall."""


def sweep_page(document: Mapping[str, Any], findings: Findings) -> str:
    """The whole page as HTML.

    Args:
        document: As ``sweep_document`` makes it.
        findings: What it was made of.
    """
    title = f"Sweep of {', '.join(document['symbols'])}"
    sections = [
        _key_section(document),
        _folds_section(document),
        _walk_section(findings),
        _scatter_section(findings),
        *_shape_sections(document, findings),
        _best_section(document),
        _settings_section(document),
    ]
    body = "".join(map(section_html, sections))
    return document_html(title, f"{_top(title, document, sections)}<main>{body}</main>{_FOOT}")


_FOOT = (
    "<footer><p>Times are UTC. Intervals are of 95 %, by the stationary bootstrap over blocks of days. What is chosen on "
    "some days says nothing on those same days: only the out-of-sample figures count. The past is no promise.</p></footer>"
)


def _top(title: str, document: Mapping[str, Any], sections: Sequence[Section]) -> str:
    banner = ""
    if document["simulated_market"]:
        banner = (
            '<p class="banner" role="note">SIMULATED MARKET<small>These prices were made up. Nothing here says anything '
            "about a real market.</small></p>"
        )
    facts = (
        ("From", f"{document['from'][:10]} to {document['to'][:10]}"),
        ("Strategy", document["strategy"]),
        ("Model", ", ".join(document["models"]) or "nobody"),
        ("Points", f"{document['points']:,} by {document['search']}"),
        ("Engine", document["engine"]),
    )
    told = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    warnings = "".join(f'<p class="warning">{escape(words)}</p>' for words in document["warnings"])
    links = "".join(
        f'<li><a href="#{anchor(section.title)}">{escape(section.title)}</a></li>' for section in sections
    )
    return (
        f'<a class="skip" href="#verdict">Skip to the verdict</a>{banner}<header class="head"><div class="title">'
        f'<h1>{escape(title)}</h1><button type="button" class="theme" id="theme">Theme</button></div>'
        f'<dl class="facts">{told}</dl>{warnings}</header><nav aria-label="Sections"><ul>{links}</ul></nav>'
    )


def _key_section(document: Mapping[str, Any]) -> Section:
    """The verdict, and the figures that it is made of."""
    came = document["out_of_sample"]
    interval = came["expectancy_interval_bps"]
    trials = f"{document['points']:,} points here, {document['trials_before']:,} other trials of these minutes before"
    cards = (
        ("Net, a trade, out of sample", bps(came["expectancy_bps"]),
         "" if interval is None else f"{bps(interval[0])} to {bps(interval[1])}", f"{came['trades']:,} trades"),
        ("Return out of sample", percent(came["return"]), "", f"{came['days']:,} days of choose, then trade"),
        ("Sharpe ratio out of sample", number(came["sharpe_yearly"]), "",
         f"more than luck with a probability of {share(came['deflated_sharpe'])}"),
        ("Overfitting", share(document["probability_of_overfitting"]), "",
         "how often the best of one half of the days is among the worse half of the points in the other"),
        ("Winner over all days", number(_of(document["winner"], "sharpe_yearly")), "",
         (f"Sharpe ratio in sample; more than the luck of the best with a probability of "
         f"{share(_of(document['winner'], 'deflated_sharpe'))}")),
        ("Trials", f"{document['trials']:,}", "", trials),
    )  # fmt: skip
    shown = "".join(
        f'<div><dt>{escape(name)}</dt><dd><div class="value">{escape(value)}</div>'
        f'<div class="range">{escape(spread)}</div><div class="means">{escape(means)}</div></dd></div>'
        for name, value, spread, means in cards
    )
    winner = note_html(f"The best over all days is {words(document['winner']['point'])}; in sample, so it is no promise.") \
        if document["winner"] else note_html("No point traded enough to be the best over all days.")  # fmt: skip
    verdict = document["sentence"][:1].upper() + document["sentence"][1:]
    return Section(
        "Verdict", f'<p class="verdict">{escape(verdict)}.</p><dl class="cards">{shown}</dl>{winner}'
    )


def _folds_section(document: Mapping[str, Any]) -> Section:
    """What each fold chose, and what came of it."""
    head = [
        "fold",
        "chosen",
        "return in",
        "return out",
        "bps in",
        "bps out",
        "trades out",
        "Sharpe in",
        "Sharpe out",
        "embargo",
    ]
    rows: list[list[str | Cell]] = []
    for fold in document["folds"]:
        inside, outside = fold["in_sample"] or {}, fold["out_of_sample"] or {}
        rows.append(
            [
                str(fold["number"]),
                "nothing traded enough" if fold["point"] is None else words(fold["point"]),
                percent(inside.get("return")),
                percent(outside.get("return")),
                bps(inside.get("expectancy_bps")),
                bps(outside.get("expectancy_bps")),
                NONE if not outside else f"{outside['trades']:,}",
                number(inside.get("sharpe_yearly")),
                number(outside.get("sharpe_yearly")),
                f"{fold['embargo_minutes']:,} min",
            ]
        )
    stable = document["stability"]
    said = (
        f"{stable['distinct']} different points were chosen in {stable['chosen']} folds. A Sharpe ratio is of a year, "
        "and needs 20 days."
    )
    return Section(
        "Folds", table_html("chosen in sample, scored on the days that follow", head, rows, words=2) + note_html(said)
    )  # fmt: skip


def _walk_section(findings: Findings) -> Section:
    chart = chart_html(
        charts.walk_chart(findings), label="Worth of 1 through the out-of-sample days", height=280
    )
    return Section("Choose, then trade", chart + note_html("Dotted lines are where a new choice takes over."))


def _scatter_section(findings: Findings) -> Section:
    chart = chart_html(
        charts.scatter_chart(findings), label="Objective in sample against out of sample", height=420
    )
    return Section(
        "In sample against out of sample",
        chart + note_html("Where there is something to choose, points to the right lie higher."),
    )


def _shape_sections(document: Mapping[str, Any], findings: Findings) -> list[Section]:
    """How the objective hangs together with the parameters."""
    names = charts.names_of(findings)
    what = units(document["objective"])
    found: list[Section] = []
    if len(names) == 1:
        found.append(
            Section(
                "By parameter",
                chart_html(charts.line_chart(findings, names[0]), label=f"{what} by {names[0]}"),
            )
        )
    elif names:
        every = charts.pairs(names)
        maps = "".join(
            f"<h3>{escape(across)} and {escape(up)}</h3>"
            + chart_html(
                charts.map_chart(findings, across, up), label=f"{what} by {across} and {up}", height=380
            )
            for across, up in every[:MOST_MAPS]
        )
        left = f" {len(every) - MOST_MAPS} more pairs are not drawn." if len(every) > MOST_MAPS else ""
        note = note_html(f"The mean over whatever else varies, over all days: {what}.{left}")
        found.append(Section("Heat maps", maps + note))
        lines = chart_html(
            charts.lines_chart(findings), label="A line for each point over all parameters", height=420
        )
        found.append(Section("Parallel coordinates", lines))
    if document["importance"]:
        chart = chart_html(charts.importance_chart(document["importance"]), label="Importance of each parameter",
                           height=90 + 34 * len(document["importance"]))  # fmt: skip
        how = (
            "The share of the objective's variance that a parameter explains by itself."
            if document["search"] == "grid"
            else "By PED-ANOVA over the points of Optuna's study of all days."
        )
        found.append(Section("Importance", chart + note_html(how)))
    return found


def _best_section(document: Mapping[str, Any]) -> Section:
    names = [one["name"] for one in document["varied"]]
    head = [
        *names,
        "Sharpe in",
        "Sharpe out",
        "return in",
        "return out",
        "bps in",
        "bps out",
        "trades in",
        "trades out",
    ]
    rows: list[list[str | Cell]] = [
        [
            *(best["point"][name] for name in names),
            *(
                text
                for figures in zip(_cells(best["in_sample"]), _cells(best["out_of_sample"]), strict=True)
                for text in figures
            ),
        ]
        for best in document["best"]
    ]
    note = note_html("In sample is all that the last fold chose on, out of sample the days that followed.")
    return Section(
        "Best points", table_html("by the last fold's choice", head, rows, words=len(names)) + note
    )


def _settings_section(document: Mapping[str, Any]) -> Section:
    rows: list[list[str | Cell]] = [
        ["objective", document["objective"]],
        ["least trades in sample", f"{document['least_trades']:,}"],
        ["looks back", f"{document['lookback_minutes']:,} min"],
        ["looks ahead", f"{document['horizon_minutes']:,} min"],
        ["bars computed", f"{document['bars']:,}"],
    ]
    rows += [[f"varied: {one['name']}", Cell(_varied(one), "wide")] for one in document["varied"]]
    rows += [[name.replace("_", " "), Cell(str(value), "wide")] for name, value in document["costs"].items()]
    return Section("Settings", table_html("what was run", ["setting", "value"], rows, words=2))


def _cells(figures: Mapping[str, Any]) -> list[str]:
    return [
        number(figures["sharpe_yearly"]),
        percent(figures["return"]),
        bps(figures["expectancy_bps"]),
        f"{figures['trades']:,}",
    ]


def _varied(one: Mapping[str, Any]) -> str:
    if "values" in one:
        return ", ".join(one["values"])
    return f"{one['low']:g} to {one['high']:g}{' on a logarithmic scale' if one['log'] else ''}"


def _of(figures: Mapping[str, Any] | None, name: str) -> float | None:
    return None if figures is None else figures[name]


def words(point: Mapping[str, str]) -> str:
    """A point for people."""
    return ", ".join(f"{name} {value}" for name, value in point.items())


def bps(value: float | None) -> str:
    """Basis points."""
    return NONE if value is None else minus(f"{value:+.1f} bps")


def number(value: float | None) -> str:
    """Two digits."""
    return NONE if value is None else minus(f"{value:.2f}")


def percent(value: float | None) -> str:
    """A fraction with its sign."""
    return NONE if value is None else minus(f"{value:+.2%}")


def share(value: float | None) -> str:
    """A probability."""
    return NONE if value is None else f"{value:.0%}"
