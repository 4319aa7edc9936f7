"""What ``bot compare --variant`` shows: a table and its verdicts, on the terminal, as Markdown, JSON and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from backtests.comparison import VariantRun
    from bot.cli.compare_runs import Field

HEAD = (
    "variant", "return", "Sharpe", "drawdown", "trades", "wins", "net bps a trade", "break-even bps",
    "difference, bps a day (95 %)", "as one of many", "told apart",
)  # fmt: skip
_NONE = "–"


def print_runs(document: Mapping[str, Any]) -> None:
    """The table and the verdicts on standard output, the warnings on standard error."""
    from rich.console import Console

    from bot.cli.compare_report import print_rows

    if document["simulated_market"]:
        typer.secho("SIMULATED MARKET", bold=True)
    console = Console()
    typer.echo(_what(document))
    print_rows(console, HEAD, rows_of(document))
    for line in about(document):
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)
    for words in document["warnings"]:
        typer.secho(f"warning: {words}", err=True)


def store_runs(out: Path, document: Mapping[str, Any], found: Field) -> None:
    """Write ``comparison.json``, ``comparison.md`` and ``comparison.html``; each is the old one or the new one.

    Raises:
        StorageError: The disk refused.
    """
    from models.durable import disk, replace_file
    from models.hashing import canonical_json

    made = {
        "comparison.json": canonical_json(document),
        "comparison.md": markdown(document).encode(),
        "comparison.html": page(document, found.runs, _starts(found)).encode(),
    }
    with disk(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        with disk(out / name):
            replace_file(out / name, content)


def _starts(found: Field) -> dict[str, float]:
    return {name: one.data.config.starting_cash for name, one in found.prepared.items()}


def markdown(document: Mapping[str, Any]) -> str:
    """The comparison as Markdown, without a heading."""
    lines = [f"| {' | '.join(HEAD)} |", f"|---|{'---:|' * (len(HEAD) - 1)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows_of(document)]
    doubts = [f"- warning: {words}" for words in document["warnings"]]
    return (
        "\n\n".join([_what(document), "\n".join(lines), *about(document), "\n".join(doubts)]).strip() + "\n"
    )


def page(document: Mapping[str, Any], runs: Mapping[str, VariantRun], start: Mapping[str, float]) -> str:
    """The comparison as one HTML file."""
    from backtests.comparison_page import comparison_page

    return comparison_page(
        f"Comparison on {', '.join(document['symbols'])}",
        [_what(document), *about(document)],
        HEAD,
        rows_of(document),
        document["warnings"],
        runs,
        start=start,
        simulated=document["simulated_market"],
    )


def rows_of(document: Mapping[str, Any]) -> list[list[str]]:
    """The table, a row a variant and at the end buy-and-hold."""
    rows = [_row(one, document["baseline"]) for one in document["variants"]]
    hold = document["variants"][0]["buy_and_hold_return"]
    return [*rows, ["buy and hold", f"{hold:+.2%}", *[_NONE] * (len(HEAD) - 2)]]


def _row(one: Mapping[str, Any], baseline: str) -> list[str]:
    difference = one["difference"]
    cells = [_NONE, _NONE, "baseline"]
    if difference is not None:
        low, high = difference["low_bps"], difference["high_bps"]
        alone = "" if low is None else f" ({low:+.1f} … {high:+.1f})"
        sure_low, sure_high = difference["sure_low_bps"], difference["sure_high_bps"]
        cells = [
            f"{difference['mean_bps']:+.1f}{alone}",
            _NONE if sure_low is None else f"{sure_low:+.1f} … {sure_high:+.1f}",
            {True: "yes", False: "no", None: "too few days"}[difference["excludes_zero"]],
        ]
    return [
        one["name"] if one["name"] != baseline else f"{one['name']} *",
        f"{one['return']:+.2%}",
        _figure(one["sharpe"], ".2f"),
        f"{one['max_drawdown']:.2%}",
        f"{one['trades']:,}",
        _figure(one["win_rate"], ".1%"),
        _figure(one["average_trade_bps"], "+.1f"),
        _figure(one["break_even_cost_bps"], "+.1f"),
        *cells,
    ]


def _figure(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _what(document: Mapping[str, Any]) -> str:
    return (
        f"{', '.join(document['symbols'])}, {document['from']} to {document['to']}, {document['candles']:,} candles; "
        f"the baseline is {document['baseline']} (*)"
    )


def about(document: Mapping[str, Any]) -> Sequence[str]:
    """The verdicts, and what the columns mean."""
    return [
        *document["verdicts"],
        (
            "Difference: mean of the variant's daily return less the baseline's on the same day; interval from weeks of days "
            "drawn anew. As one of many: the same interval widened for "
            f"{document['comparisons']:,} comparison{'' if document['comparisons'] == 1 else 's'} (Šidák), since the ledger has "
            f"{document['trials']:,} different trials on these minutes; told apart: it does not hold 0. Returns are after fees, "
            "spread, slippage and funding; buy-and-hold is without costs."
        ),
    ]
