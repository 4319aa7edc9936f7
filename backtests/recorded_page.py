"""The section of a report that only a run has: who predicted when, where it stood still, what became of its orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backtests.report_html import Cell, Section, note_html, table_html
from backtests.report_words import minus, plain, time_words

TITLE = "The run"


def heading_of(facts: Mapping[str, Any], symbols: Sequence[str]) -> str:
    """The title of the page."""
    return f"{str(facts['mode']).capitalize()} run of {', '.join(symbols)}"


def run_lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a run was, in a few lines."""
    orders = facts["orders"]
    missing = sum(facts["candles_missing"].values())
    still = facts["stood_still_count"]
    lines = [
        ("Mode", f"{facts['mode']}, {'a SIMULATED market' if facts['simulated'] else 'a real market'}"),
        (
            "Models",
            ", ".join(dict.fromkeys(row["model_id"] for row in facts["models"])) or "nobody predicted",
        ),
        ("Not promoted", ", ".join(facts["unproven"]) or "none of them"),
        ("Minutes decided", f"{facts['minutes']:,}"),
        ("Starts", f"{len(facts['starts']):,}"),
        (
            "Minutes not decided",
            f"{facts['minutes_missing']:,}" + (f" in {still:,} stretches" if still else ""),
        ),
        ("Candles missing", f"{missing:,}"),
        ("Candles revised later", f"{facts['candles_revised']:,}"),
        ("Decided too late", f"{facts['minutes_late']:,}"),
        ("Commands of a person", f"{len(facts['commands']):,}"),
        ("Orders", _counted(orders["by_state"]) or "none"),
        ("Orders rejected", f"{orders['rejected']:,}"),
        ("Orders unknown", f"{orders['unknown']:,}"),
    ]
    if facts["carried"]:
        lines.append(("Held when this time begins", ", ".join(facts["carried"])))
    return lines


def run_section(facts: Mapping[str, Any]) -> Section:
    """Everything about the run beside its trades."""
    parts = [table_html("What ran", ("", ""), [list(row) for row in run_lines(facts)], words=2)]
    if facts["models"]:
        rows = [
            [row["model_id"], time_words(row["since"]), time_words(row["until"]), f"{row['forecasts']:,}"]
            for row in facts["models"]
        ]
        parts.append(
            table_html("Who predicted, and when", ("Model", "From", "To", "Forecasts"), rows, words=3)
        )
    parts.append(_slippage(facts["slippage"]))
    if facts["stood_still"]:
        stretches = [
            [time_words(row["since"]), time_words(row["until"]), f"{row['minutes']:,}"]
            for row in facts["stood_still"]
        ]
        parts.append(
            table_html("Minutes that nobody decided", ("From", "To", "Minutes"), stretches, words=2)
            + note_html(
                "The bot was not running, or the exchange had no candle of any symbol. Minutes that were made up for after a "
                "start are not among them: they were decided late."
            )
        )
    if facts["commands"]:
        told = [[time_words(row["at"]), row["command"], row["reason"] or ""] for row in facts["commands"]]
        parts.append(table_html("Commands of a person", ("At", "Command", "Reason"), told, words=3))
    if facts["orders"]["troubled"]:
        parts.append(_troubled(facts["orders"]["troubled"]))
    return Section(TITLE, "".join(parts))


def _slippage(by_leg: Mapping[str, Mapping[str, float]]) -> str:
    if not by_leg:
        return note_html("No order filled, so nothing is known of slippage.")
    rows = [
        [
            plain(leg),
            f"{row['fills']:,}",
            *(minus(f"{round(row[name], 2) + 0.0:+.2f}") for name in ("mean_bps", "median_bps", "worst_bps")),
        ]
        for leg, row in by_leg.items()
    ]
    return table_html(
        "How much worse orders filled than the costs in the settings say, bps: 0 is as modelled",
        ("Order for", "Fills", "Mean", "Median", "Worst"),
        rows,
    )


def _troubled(rows: Sequence[Mapping[str, Any]]) -> str:
    body: list[list[str | Cell]] = [
        [
            time_words(row["at"]),
            row["symbol"],
            f"{row['side']} {row['quantity']:g} ({plain(row['leg'])})",
            plain(row["state"]),
            Cell(str(row["reason"]), "wide words"),
        ]
        for row in rows
    ]
    return table_html(
        "Orders that were rejected, or whose fate was unknown for a time",
        ("At", "Symbol", "Order", "Now", "Reason"),
        body,
        words=5,
    )


def _counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {plain(state)}" for state, count in states.items())
