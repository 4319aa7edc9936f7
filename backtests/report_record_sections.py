"""Sections of a report beside the money: forecasts, what was held back, settings, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from backtests import report_figures as figures
from backtests.report_costs import BPS
from backtests.report_html import NONE, Cell, Section, chart_html, note_html, table_html
from backtests.report_reproduce import changed_settings, flat_settings
from backtests.report_time_sections import Told
from backtests.report_words import minus, plain, share, time_words


def forecast_section(told: Told) -> Section:
    """How good the forecasts were, traded or not."""
    found = told.summary.get("forecast")
    if not found:
        return Section(
            "Forecasts", note_html("Nobody forecast anything, so only what needs no forecast could trade.")
        )
    if not found["forecasts"]:
        return Section("Forecasts", note_html("No forecast has an outcome yet within these candles."))
    horizon = ", ".join(str(minutes) for minutes in found["horizon_minutes"])
    table = table_html(
        f"{found['forecasts']:,} forecasts over {horizon} minutes with a known outcome, traded or not",
        ("Figure", "Forecasts", "95%", "Without a model", "What it is"),
        _forecast_rows(found),
    )
    chart = chart_html(
        figures.calibration_figure(found["deciles"]),
        label="Mean outcome against mean forecast for ten parts of equal size",
        height=330,
    )
    note = (
        "An edge in forecasts is not one in money: a trade pays a whole round trip, is made only where a strategy asks for "
        "it, and ends at a stop or a target, not at the horizon."
    )
    return Section("Forecasts", table + chart + note_html(_CALIBRATION) + note_html(note))


_CALIBRATION = (
    "Forecasts are sorted into ten parts of equal size. On the dotted line what came is what was said; on a level line "
    "the forecast knows nothing of the size."
)


def _forecast_rows(found: Mapping[str, Any]) -> list[list[str | Cell]]:
    """Figures of the forecasts beside what knows nothing."""
    correlation, needed = found["correlation"], found["needed_accuracy"]
    rows: list[list[str | Cell]] = [
        [
            "Coverage",
            share(found["coverage"]),
            "",
            "",
            Cell("share of candles with a forecast", "wide words"),
        ],
        [
            "Correlation with what came",
            NONE if correlation is None else minus(f"{correlation:+.3f}"),
            _between(found["correlation_interval"], "{:+.3f}"),
            "0",
            Cell("of expected and realised log return", "wide words"),
        ],
        [
            "Right direction",
            share(found["direction_accuracy"]),
            _between(found["direction_interval"], "{:.1%}"),
            share(found["always_accuracy"]),
            Cell("no model: always the commoner direction; moves of exactly zero left out", "wide words"),
        ],
        [
            "Needed to pay the costs",
            NONE if needed is None else "more than any" if needed > 1 else share(needed),
            "",
            "",
            Cell(
                f"right directions, if every forecast were traded to its horizon: the mean move is {found['mean_move_bps']:.1f} "
                "bps",
                "wide words",
            ),
        ],
        [
            "Root mean square error",
            f"{found['rmse_bps']:.1f} bps",
            "",
            f"{found['persistence_rmse_bps']:.1f} bps",
            Cell("no model: persistence, a price that stays", "wide words"),
        ],
    ]
    return rows


def _between(interval: Sequence[float] | None, form: str) -> str:
    return NONE if interval is None else minus(" to ".join(form.format(bound) for bound in interval))


def held_back_section(told: Told) -> Section:
    """Why decisions sent nothing, and how the risk state moved."""
    held: Mapping[str, int] = told.summary.get("held_back") or {}
    candles = max(told.summary["candles"], 1)
    ordered = sorted(held.items(), key=lambda item: -item[1])
    rows: list[list[str | Cell]] = [
        [plain(reason), f"{count:,}", share(count / candles), Cell(_MEANINGS.get(reason, ""), "wide words")]
        for reason, count in ordered
    ]
    reasons = (
        table_html(
            "Decisions that sent no order, by reason",
            ("Reason", "Decisions", "Of all", "What it means"),
            rows,
        )
        if rows
        else note_html("Every decision sent an order.")
    )
    changes = told.summary.get("state_changes") or []
    states = [[time_words(row["at"]), plain(row["state"]), plain(row["reason"])] for row in changes]
    table = (
        table_html(
            "When the account was allowed to take risk, and when not", ("At", "State", "Why"), states, words=3
        )
        if states
        else note_html("The risk state never changed.")
    )
    title = "Held back" if told.result.fills else "Why nothing was traded"
    return Section(title, f"{_why_nothing(told, ordered)}{reasons}<h3>Risk state</h3>{table}")


def _why_nothing(told: Told, ordered: Sequence[tuple[str, int]]) -> str:
    """For a run without a trade: what held most of it back, and how large forecasts were."""
    if told.result.fills:
        return ""
    words = "No order was ever filled."
    if ordered:
        reason, count = ordered[0]
        words += f" The commonest reason to send none was “{plain(reason)}”, {count:,} of {told.summary['candles']:,} times."
    largest = [
        float(np.nanmax(np.abs(one.expected_return))) for one in told.data.predictions.values() if len(one)
    ]
    if largest:
        words += (
            f" The largest forecast was a move of {max(largest) * BPS:.1f} bps; a round trip costs "
            f"{told.summary['round_trip_cost_bps']:.1f} bps, and a strategy asks for more than that."
        )
    else:
        words += " There was no forecast at all."
    return f"<p>{escape(words)}</p>"


_MEANINGS = {
    "holding": "a position was held, and nothing asked to leave it",
    "forecast_too_small": "the forecast did not reach the threshold, or would not have paid its costs",
    "no_prediction": "the model said nothing about this candle",
    "no_model": "nobody predicts",
    "model_failed": "the model failed instead of predicting",
    "macd_disagrees": "the MACD was on the other side",
    "rsi_overbought": "the RSI was too high for a long entry",
    "rsi_oversold": "the RSI was too low for a short entry",
    "warming_up": "too few candles in a row to decide on",
    "reducing": "the day's loss limit was reached: no new risk until the next day",
    "halted": "the drawdown limit was reached: no new risk until a person resumes",
    "below_min_notional": "the order would have been smaller than the exchange takes",
    "below_min_quantity": "the order would have been smaller than the exchange takes",
    "over_notional_limit": "the order would have been larger than the limits allow",
    "spot_cannot_go_short": "spot can only be bought first",
    "too_many_orders": "more orders in a minute than the limits allow",
}
"""The reasons that everybody meets, in plain words; others speak for themselves."""


def settings_section(told: Told) -> Section:
    """What differs from the defaults, and everything."""
    config = told.data.config
    parameters = (told.summary.get("parameters") or {}).items()
    changed = [[f"strategy.{name}", _value(value), "set by hand"] for name, value in parameters]
    changed += [[name, _value(value), _value(usual)] for name, value, usual in changed_settings(config)]
    first = (
        table_html("Settings that are not the default", ("Setting", "Here", "Default"), changed)
        if changed
        else note_html("All settings are the defaults.")
    )
    sections: dict[str, Any] = {
        "account": {"starting_cash": config.starting_cash},
        "costs": config.costs,
        "risk": config.limits,
        "sizing": config.sizing,
        "entry": config.entry,
        "instruments": dict(config.instruments),
        "strategy": dict(told.summary.get("parameters") or {}),
    }
    rows = [[name, _value(value)] for name, value in flat_settings(sections)]
    every = table_html("Every setting", ("Setting", "Value"), rows)
    return Section("Settings", f"{first}<details><summary>All settings</summary>{every}</details>")


def reproduce_section(told: Told) -> Section:
    """The command and the hashes."""
    found: Mapping[str, Any] = told.summary.get("reproduce") or {}
    command = found.get("command")
    html = (
        f"<pre><code>{escape(command)}</code></pre>"
        if command
        else note_html("Nobody typed a command for this run.")
    )
    rows: list[list[str | Cell]] = [
        [name, Cell(value, "code words")] for name, value in _hashes(found, told.summary)
    ]
    table = table_html("SHA-256 of what went in and what came out", ("What", "Hash"), rows, words=2)
    note = (
        "The same candles, forecasts, settings and code make the same decisions, line by line: the hash of the decision "
        "stream is that of bot verify-parity."
    )
    return Section("Reproduce", html + table + note_html(note))


def _hashes(found: Mapping[str, Any], summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = [
        *((f"candles of {symbol}", told) for symbol, told in (found.get("candles_sha256") or {}).items()),
        *(
            (f"forecasts of {symbol}", told)
            for symbol, told in (found.get("predictions_sha256") or {}).items()
        ),
        ("code", found.get("code_sha256")),
        ("decision stream", summary.get("stream_sha256")),
    ]
    return [(name, told) for name, told in named if told]


def _value(value: Any) -> str:
    """A setting as it is written in a settings file."""
    told = getattr(value, "value", value)
    if told is None:
        return NONE
    if isinstance(told, bool):
        return str(told).lower()
    return f"{told:.12g}" if isinstance(told, float) else str(told)


def engines_note(summary: Mapping[str, Any]) -> str:
    """What the footer says about the run itself."""
    seconds, speed = summary.get("engine_seconds"), summary.get("bars_per_second")
    if not seconds or not speed:
        return ""
    return f"Engine {summary['engine']}: {seconds:.2f} s, {speed:,.0f} bars a second."
