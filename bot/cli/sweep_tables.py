"""What ``bot sweep`` prints, and the bar while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bot.cli.data_tables import print_table

if TYPE_CHECKING:
    from backtests.sweep_search import Searched

_SHOWN = 10


@contextmanager
def sweep_bar(total: int, where: str, *, quiet: bool) -> Iterator[Callable[[Searched], None]]:
    """Show a search on standard error: a bar on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    live = console.is_terminal and not quiet
    columns = (TextColumn("points"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
               TimeRemainingColumn())  # fmt: skip
    told = 0
    if not quiet:
        console.print(f"{total:,} points, {where}", highlight=False, soft_wrap=True)
    with Progress(*columns, console=console, disable=not live) as progress:
        task = progress.add_task("points", total=total, note="")

        def show(state: Searched) -> None:
            nonlocal told
            progress.update(task, completed=state.done, note=_note(state))
            tenth = state.done * 10 // max(1, total)
            if not quiet and not live and tenth > told:
                console.print(
                    f"{state.done:,} of {total:,} points{_note(state)}", highlight=False, soft_wrap=True
                )
            told = max(told, tenth)

        yield show


def _note(state: Searched) -> str:
    """What else is to be said of where a search stands; no figure of any point."""
    found = f", {state.found:,} were there already" if state.found else ""
    return f"{found}, {len(state.failures)} failed" if state.failures else found


def print_sweep(document: Mapping[str, Any], folder: Path) -> None:
    """Verdict, folds, best points, and where the files are."""
    from backtests.sweep_page import bps, number, percent, share, words

    if document["simulated_market"]:
        typer.secho("SIMULATED MARKET", bold=True)
    _print_best(document)
    print_table(
        ["fold", "chosen", "return in", "return out", "bps in", "bps out", "trades out"],
        [_fold_row(fold) for fold in document["folds"]],
        title="Chosen in sample, scored on the days that follow",
    )
    came, winner, interval = (
        document["out_of_sample"],
        document["winner"],
        document["out_of_sample"]["expectancy_interval_bps"],
    )
    rows = [
        ["return", percent(came["return"])],
        ["Sharpe ratio, a year", number(came["sharpe_yearly"])],
        [
            "net, a trade",
            bps(came["expectancy_bps"])
            + ("" if interval is None else f" ({bps(interval[0])} … {bps(interval[1])})"),
        ],
        ["trades", f"{came['trades']:,}"],
        ["more than luck", share(came["deflated_sharpe"])],
        ["probability of overfitting", share(document["probability_of_overfitting"])],
        ["trials on these minutes", f"{document['trials']:,}, {document['trials_before']:,} of them before"],
        ["best over all days", "none" if winner is None else words(winner["point"])],
        ["… its Sharpe ratio", "–" if winner is None else number(winner["sharpe_yearly"])],
        ["… more than the luck of the best", "–" if winner is None else share(winner["deflated_sharpe"])],
    ]
    print_table(["out of sample", ""], rows, title="Choose, then trade")
    for line in document["warnings"]:
        typer.secho(f"warning: {line}", err=True)
    sentence = document["sentence"]
    typer.echo(f"{sentence[:1].upper()}{sentence[1:]}.")
    typer.echo(f"the results are in {folder}: open {folder / 'sweep.html'}")


def _print_best(document: Mapping[str, Any]) -> None:
    from backtests.sweep_page import bps, percent

    names = [one["name"] for one in document["varied"]]
    rows = [
        [
            *(best["point"][name] for name in names),
            percent(best["in_sample"]["return"]),
            percent(best["out_of_sample"]["return"]),
            bps(best["in_sample"]["expectancy_bps"]),
            bps(best["out_of_sample"]["expectancy_bps"]),
            f"{best['in_sample']['trades']:,}",
            f"{best['out_of_sample']['trades']:,}",
        ]
        for best in document["best"][:_SHOWN]
    ]
    columns = [*names, "return in", "return out", "bps in", "bps out", "trades in", "trades out"]
    print_table(columns, rows, title=f"Best points of the last fold, by {document['objective']}")


def _fold_row(fold: Mapping[str, Any]) -> list[str]:
    from backtests.sweep_page import bps, percent, words

    if fold["point"] is None:
        return [str(fold["number"]), "nothing traded enough", *["–"] * 5]
    inside, outside = fold["in_sample"], fold["out_of_sample"]
    return [
        str(fold["number"]),
        words(fold["point"]),
        percent(inside["return"]),
        percent(outside["return"]),
        bps(inside["expectancy_bps"]),
        bps(outside["expectancy_bps"]),
        f"{outside['trades']:,}",
    ]
