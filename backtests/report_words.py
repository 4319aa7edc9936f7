"""What a report says in words: the verdict, the key figures with what they mean, and figures as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from backtests.report_html import NONE

ROWS = (
    ("Return", "return", "{:+.2%}"),
    ("Buy and hold", "buy_and_hold_return", "{:+.2%}"),
    ("Maximum drawdown", "max_drawdown", "{:.2%}"),
    ("Yearly growth", "cagr", "{:+.2%}"),
    ("Sharpe ratio (daily, √365)", "sharpe", "{:.2f}"),
    ("Sortino ratio (daily, √365)", "sortino", "{:.2f}"),
    ("Trades", "trades", "{:,}"),
    ("Win rate", "win_rate", "{:.1%}"),
    ("Profit factor", "profit_factor", "{:.2f}"),
    ("Average trade, net", "average_trade_bps", "{:+.1f} bps"),
    ("Costs of a round trip", "round_trip_cost_bps", "{:.1f} bps"),
    ("Break-even costs", "break_even_cost_bps", "{:+.1f} bps"),
    ("Fees", "fees", "{:,.2f}"),
    ("Funding paid", "funding", "{:,.2f}"),
    ("Final equity", "final_equity", "{:,.2f}"),
    ("Exposure, mean", "exposure", "{:.1%}"),
    ("Time in the market", "time_in_market", "{:.1%}"),
    ("Turnover of equity", "turnover", "{:,.1f} times"),
    ("Engine", "bars_per_second", "{:,.0f} bars a second"),
)
"""The figures of a summary: words, name and form of each."""


class Card(NamedTuple):
    """A key figure.

    Attributes:
        title: Its name.
        name: Its key in the summary.
        form: How it is written.
        means: What it means, in plain words.
        is_signed: Whether its colour tells gain from loss, which its sign says too.
    """

    title: str
    name: str
    form: str
    means: str
    is_signed: bool = False


CARDS = (
    Card(
        "Net return",
        "return",
        "{:+.2%}",
        "What the account gained or lost after fees, spread, slippage and funding.",
        is_signed=True,
    ),
    Card(
        "Buy and hold",
        "buy_and_hold_return",
        "{:+.2%}",
        "The same cash spread over the symbols at the first open and left alone, without costs. Cash would be 0%.",
        is_signed=True,
    ),
    Card(
        "Maximum drawdown",
        "max_drawdown",
        "{:.2%}",
        "The deepest fall from a highest point of the account: what had to be sat through.",
    ),
    Card(
        "Sharpe ratio",
        "sharpe",
        "{:.2f}",
        "Mean daily return over how much it varies, scaled to a year. Above 1 is good, above 3 rarely true.",
        is_signed=True,
    ),
    Card(
        "Average trade, net",
        "average_trade_bps",
        "{:+.1f} bps",
        "What one trade left on average, of what it put in. 1 bp is 0.01%. An interval around 0 proves nothing.",
        is_signed=True,
    ),
    Card(
        "Break-even costs",
        "break_even_cost_bps",
        "{:.1f} bps",
        "The round-trip cost at which the average trade earns nothing. Below what you pay, the strategy loses.",
    ),
    Card(
        "Costs of a round trip",
        "round_trip_cost_bps",
        "{:.1f} bps",
        "Fee, half spread and slippage of entering and leaving, as configured.",
    ),
    Card("Trades", "trades", "{:,}", "Round trips, from flat to flat. Below 30 they say little."),
    Card(
        "Win rate", "win_rate", "{:.1%}", "Share of trades that made money. Says nothing without their size."
    ),
    Card("Profit factor", "profit_factor", "{:.2f}", "All gains over all losses; 1 is break-even."),
    Card("Time in the market", "time_in_market", "{:.1%}", "Share of minutes with a position."),
    Card(
        "Turnover",
        "turnover",
        "{:,.0f} times",
        "How often the account was turned over: costs are paid on this.",
    ),
)


def summary_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures as words: what, and how much; a figure that can't be said says why."""
    reasons = summary["null_because"]
    return [
        (
            words,
            form.format(summary[name])
            if summary[name] is not None
            else f"– ({reasons.get(name, 'no trade was closed')})",
        )
        for words, name, form in ROWS
    ]


def cards_html(summary: Mapping[str, Any]) -> str:
    """The key figures."""
    return f'<dl class="cards">{"".join(_card(card, summary) for card in CARDS)}</dl>'


def _card(card: Card, summary: Mapping[str, Any]) -> str:
    value = summary.get(card.name)
    if value is None:
        why = summary.get("null_because", {}).get(card.name, "no trade was closed")
        figure = f'<div class="value quiet">{NONE}</div><div class="range">{escape(why)}</div>'
    else:
        tone = (" good" if value > 0 else " bad" if value < 0 else "") if card.is_signed else ""
        figure = f'<div class="value{tone}">{escape(minus(card.form.format(value)))}</div>'
        interval = summary.get("intervals", {}).get(card.name)
        if card.name in summary.get("intervals", {}) and summary["fills"]:
            figure += f'<div class="range">{escape(range_words(interval, card.form))}</div>'
    return (
        f"<div><dt>{escape(card.title)}</dt><dd>{figure}"
        f'<div class="means">{escape(card.means)}</div></dd></div>'
    )


def range_words(interval: Sequence[float] | None, form: str) -> str:
    """An interval as words."""
    if interval is None:
        return "too short for an interval"
    low, high = (minus(form.format(bound)) for bound in interval)
    return f"95%: {low} to {high}"


def minus(text: str) -> str:
    """A number with a minus sign that is as wide as the plus."""
    return text.replace("-", "−")


def verdict(summary: Mapping[str, Any]) -> str:
    """What came of it, in two sentences."""
    hold = summary["buy_and_hold_return"]
    beside = f"Holding would have {_gained(hold)} over the same time, cash nothing."
    if not summary["trades"] and not summary["fills"]:
        return f"No trade was made, so the account is as it was. {beside}"
    interval = summary.get("intervals", {}).get("return")
    first = f"After all costs the account {_gained(summary['return'])}"
    if interval is None:
        return f"{first}. {beside} The run is too short to say how much of that is luck."
    low, high = interval
    told = minus(f"{low:+.1%} to {high:+.1%}")
    if low > 0:
        proof = "which lies above zero: luck alone hardly explains it, if nothing here was tuned on these very days"
    elif high < 0:
        proof = "which lies below zero: bad luck alone hardly explains it"
    else:
        proof = "which includes zero: this run cannot tell skill from luck"
    return f"{first} (95% interval {told}, {proof}). {beside}"


def _gained(value: float) -> str:
    if abs(value) < 0.00005:
        return "neither gained nor lost"
    return f"{'gained' if value > 0 else 'lost'} {abs(value):.2%}"


def plain(word: str) -> str:
    """A stable word in snake case, for people."""
    return word.replace("_", " ")


def time_words(told: str) -> str:
    """A time in ISO 8601 as it reads best."""
    return told.replace("T", " ").removesuffix("Z").removesuffix(":00") + " UTC"


def money(value: float | None) -> str:
    """Quote currency."""
    return NONE if value is None else minus(f"{value:,.2f}")


def signed_money(value: float) -> str:
    """Quote currency, with its sign."""
    return minus(f"{value:+,.2f}")


def bps(value: float | None) -> str:
    """Basis points, with their sign."""
    return NONE if value is None else minus(f"{value:+.1f}")


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction, with its sign."""
    return NONE if value is None else minus(f"{value:+.{digits}%}")


def share(value: float | None) -> str:
    """A fraction between 0 and 1."""
    return NONE if value is None else f"{value:.1%}"
