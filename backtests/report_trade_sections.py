"""Sections of a report about its trades: on the candles, by group, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from backtests import report_figures as figures
from backtests.report_html import NONE, Cell, Section, chart_html, json_html, note_html, table_html
from backtests.report_pack import MOST_TRADES, packed_market, packed_trades
from backtests.report_time_sections import Told
from backtests.report_words import bps, minus, money, percent, plain, share, signed_money

_PARTS = (
    ("fee", "Fees", "what the exchange charged on every fill"),
    ("spread", "Spread", "half the distance of bid and ask, paid by whoever does not wait"),
    ("slippage", "Slippage", "what fills were worse than that, against the price they should have had"),
    ("funding", "Funding", "paid for holding perpetuals over a funding time; below zero it was received"),
)


def market_section(told: Told) -> Section:
    """The candles with every trade on them, and the table that leads to each."""
    trades = told.result.trades
    symbols = told.data.symbols
    packed = {**packed_market(told.data, trades), "trades": packed_trades(trades, symbols, told.levels)}
    options = "".join(f'<option value="{at}">{escape(name)}</option>' for at, name in enumerate(symbols))
    tools = "".join(
        f'<button type="button" id="market-{name}">{words}</button>'
        for name, words in (
            ("whole", "Whole run"),
            ("in", "Zoom in"),
            ("out", "Zoom out"),
            ("left", "◀ Earlier"),
            ("right", "Later ▶"),
            ("before", "Previous trade"),
            ("after", "Next trade"),
        )
        if trades or name not in {"before", "after"}
    )
    chart = (
        f'<div class="tools"><label>Symbol <select id="market-symbol">{options}</select></label>{tools}</div>'
        '<p class="status" id="market-status" role="status" aria-live="polite"></p>'
        '<div class="chart candles" id="market-chart" role="group" '
        'aria-label="Candles with entries, exits, stops and targets; the table of trades says the same"></div>'
        "<noscript><p>The candles need a script. trades.csv beside this page holds every trade.</p></noscript>"
    )
    note = (
        "A hollow candle rose and a full one fell. ▲ is a long entry, ▼ a short one, ◇ an exit; the dashed lines are stop and "
        "target while the position was held. Choose a trade in the table to see its minutes, drag to move."
    )
    data = json_html(packed, name="market-data")
    return Section("Trades", chart + note_html(note) + _trades_table(len(trades)) + data)


def _trades_table(count: int) -> str:
    """An empty table that the page's script fills."""
    if not count:
        # The script finds its table, and nobody sees an empty one.
        hidden = '<table id="trades-table"><thead></thead><tbody></tbody></table>'
        return f"{note_html('There is no trade to list.')}<div hidden>{hidden}{_PAGER}</div>"
    cut = f" The first {MOST_TRADES:,} of {count:,}; trades.csv has all." if count > MOST_TRADES else ""
    return (
        f'<h3 id="all-trades">All trades</h3><div class="scroll" tabindex="0" role="region" aria-labelledby="all-trades">'
        f'<table id="trades-table"><caption><span>Round trips; prices and money in quote currency.{cut} Choose a heading to '
        f"sort.</span></caption><thead></thead><tbody></tbody></table></div>{_PAGER}"
    )


_PAGER = (
    '<div class="tools"><button type="button" id="trades-before">◀ Page before</button>'
    '<span id="trades-page" role="status"></span><button type="button" id="trades-after">Next page ▶</button></div>'
)


def groups_section(told: Told) -> Section:
    """Trades by reason to leave, direction and symbol."""
    tables = [
        _groups("By reason to leave", "Reason", "reason", told.summary["by_exit_reason"]),
        _groups("By direction", "Direction", "direction", told.summary["by_direction"]),
        _groups("By symbol", "Symbol", "symbol", told.summary["by_symbol"]),
    ]
    note = (
        "Profit is net, in quote currency; minutes are the mean time held. Open positions are not among them."
    )
    return Section("Breakdown", "".join(tables) + note_html(note))


def times_section(told: Told) -> Section:
    """Trades by UTC hour and weekday of entry."""
    parts = []
    for name, title, rows in (
        ("hour", "Profit by hour of entry, UTC", told.summary["by_hour"]),
        ("weekday", "Profit by weekday of entry, UTC", told.summary["by_weekday"]),
    ):
        shown = [{**row, "hour": f"{row['hour']:02d}"} for row in rows] if name == "hour" else rows
        chart = chart_html(figures.groups_figure(shown, name), label=f"{title}, as bars", height=250)
        parts.append(
            f"<div><h3>{title}</h3>{chart}<details><summary>Figures</summary>"
            f"{_groups(title, name.capitalize(), name, shown)}</details></div>"
        )
    note = (
        "Twenty-four hours and seven days are thirty-one chances for a lucky one: a good hour found here is no reason to "
        "trade only then."
    )
    return Section("Hours", f'<div class="pair">{"".join(parts)}</div>{note_html(note)}')


def strategies_section(told: Told) -> Section | None:
    """Trades by strategy, where the account had several; None where the summary does not tell."""
    rows = told.summary.get("by_strategy")
    if isinstance(rows, Mapping):
        rows = [{"strategy": name, **row} for name, row in rows.items() if isinstance(row, Mapping)]
    if not isinstance(rows, Sequence) or isinstance(rows, str) or len(rows) < 2:
        return None
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = [[_told(row.get(key)) for key in keys] for row in rows]
    return Section(
        "Strategies", table_html("One account, several strategies", [plain(key) for key in keys], table)
    )


def _told(value: Any) -> str:
    """A value of a table whose columns are not known beforehand."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return minus(f"{value:,.4g}" if abs(value) < 100 else f"{value:,.2f}")
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def costs_section(told: Told) -> Section:
    """Where the costs went, and what the same trades would be worth at others."""
    return Section("Costs", _split(told.summary) + _sensitivity(told.summary))


def _split(summary: Mapping[str, Any]) -> str:
    found = summary["costs_split"]
    rows: list[list[str | Cell]] = [
        [
            name,
            money(found[key]),
            _part(found[key], found["total"]),
            bps(found["bps_of_turnover"][key]).removeprefix("+"),
            Cell(means, "wide words"),
        ]
        for key, name, means in _PARTS
    ]
    rows += [
        ["All costs", money(found["total"]), "", "", ""],
        [
            "Before costs",
            signed_money(found["gross_profit"]),
            "",
            "",
            Cell("what the trades would have made for nothing", "wide words"),
        ],
        [
            "After costs",
            signed_money(found["net_profit"]),
            "",
            "",
            Cell("what the account made", "wide words"),
        ],
    ]
    head = ("Part", "Quote currency", "Share", "bps of turnover", "What it is")
    return table_html(f"What trading cost, on {found['turnover']:,.0f} turned over", head, rows)


def _part(value: float, total: float) -> str:
    return minus(f"{value / total:.1%}") if total else NONE


def _sensitivity(summary: Mapping[str, Any]) -> str:
    rows = summary["cost_sensitivity"]
    if not summary["trades"]:
        return note_html("Without trades there is nothing to charge other costs to.")
    table = [
        [
            row["costs"] + (" (this run)" if row["factor"] == 1.0 else ""),
            Cell(signed_money(row["profit"]), _tone(row["profit"])),
            percent(row["return"]),
            bps(row["average_trade_bps"]),
            NONE
            if row["average_trade_interval"] is None
            else " to ".join(map(bps, row["average_trade_interval"])),
            share(row["win_rate"]),
            NONE if row["profit_factor"] is None else f"{row['profit_factor']:.2f}",
        ]
        for row in rows
    ]
    head = ("Costs", "Profit", "Return", "bps a trade", "95%", "Win rate", "Profit factor")
    chart = chart_html(
        figures.sensitivity_figure(rows),
        label="Average net trade at multiples of the costs, in bps",
        height=290,
    )
    return (
        f"<h3>The same trades at other costs</h3><p>{escape(_break_even(summary))}</p>"
        f"{chart}{table_html('The same trades, charged differently', head, table)}"
        + note_html(
            "Fee, spread and slippage are multiplied, funding is not; sizes stay as they were, so gains are not put to work "
            "again, and positions still open are left out. As maker, every order fills at its reference price with the maker "
            "fee: the best case, since orders that wait are filled least when they would gain most."
        )
    )


def _break_even(summary: Mapping[str, Any]) -> str:
    """What the trades can bear."""
    even, paid = summary["break_even_cost_bps"], summary["round_trip_cost_bps"]
    times = summary["costs_split"]["break_even_times"]
    if even is None:
        return "Nothing was traded, so nothing can be borne."
    words = minus(
        f"The average trade breaks even at {even:.1f} bps for a round trip; {paid:.1f} bps are configured."
    )
    if times is not None and times > 0:
        words += f" All trades together would make nothing at {times:.2f} times the costs."
    elif times is not None:
        words += " Even without costs they would have lost."
    return words


def _groups(caption: str, title: str, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    table: list[list[str | Cell]] = [
        [
            plain(str(row[name])),
            f"{row['trades']:,}",
            Cell(signed_money(row["profit"]), _tone(row["profit"])),
            bps(row["average_bps"]),
            share(row["win_rate"]),
            f"{row['minutes']:,.0f}",
        ]
        for row in rows
    ]
    head = (title, "Trades", "Profit", "bps a trade", "Win rate", "Minutes")
    return table_html(caption, head, table)


def _tone(value: float) -> str:
    return "good" if value > 0 else "bad" if value < 0 else ""
