"""What ``bot data`` prints: tables, JSON, progress bars."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bot.errors import BotError

if TYPE_CHECKING:
    from bot.candles.download import DownloadProgress
    from bot.candles.importing import BadRow
    from bot.candles.quality import QualityReport

_LISTED = 10


def time_words(at_ms: int | None) -> str:
    """Spell a time to the minute, nothing for None."""
    return "" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def print_json(value: Any) -> None:
    """Print JSON values on standard output."""
    typer.echo(json.dumps(value, indent=2))


def failed_after_json(error: BotError) -> typer.Exit:
    """End a command whose one document is on standard output already: the sentence goes to standard error alone."""
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(error.exit_code)


def print_table(columns: list[str], rows: list[list[Any]], *, title: str) -> None:
    """Print a table, numbers to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, not str: brackets in a path or a row are no markup.
    table = Table(title=Text(title), title_justify="left")
    for index, name in enumerate(columns):
        numeric = bool(rows) and isinstance(rows[0][index], int)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    Console().print(table)


def show_bad_rows(path: Path, bad_rows: list[BadRow]) -> None:
    """List every bad row of a file."""
    print_table(
        ["row", "reason"], [[row.number, row.reason] for row in bad_rows], title=f"Bad rows of {path.name}"
    )


def print_report(source: str, report: QualityReport) -> None:
    """Print what is noteworthy about one file or series."""
    from bot.candles.columns import iso_utc
    from bot.candles.quality import gap_words

    rows: list[list[Any]] = [
        ["candles", f"{report.rows:,} from {time_words(report.first_ms)} to {time_words(report.last_ms)}"],
        ["sound", "yes" if report.sound else "NO"],
        ["bad rows", _some(report.bad_rows, [f"row {f.row}: {f.reason}" for f in report.faults[:_LISTED]])],
        [
            "doubled minutes",
            _some(report.duplicate_minutes, [iso_utc(ts) for ts in report.duplicates[:_LISTED]]),
        ],
        ["out of order", str(report.out_of_order)],
        ["open, close swapped", "YES" if report.swapped else "no"],
        ["gaps", _some(report.gap_count, [gap_words(gap) for gap in report.gaps[:_LISTED]])],
        ["missing minutes", f"{report.missing_minutes:,}"],
        [
            "odd moves",
            _some(
                report.outlier_count,
                [
                    f"{o.log_return:+.2%} at {iso_utc(o.opened_at_ms)} ({o.scales:.0f} deviations)"
                    for o in report.outliers[:_LISTED]
                ],
            ),
        ],
        ["no volume", f"{report.zero_volume_share:.2%}"],
        [
            "flat stretches",
            _some(
                report.flat_run_count,
                [f"{run.minutes} min from {iso_utc(run.start_ms)}" for run in report.flat_runs[:_LISTED]],
            ),
        ],
        ["constant price", "YES" if report.constant_price else "no"],
    ]
    print_table(["", "found"], rows, title=f"{source}: {report.symbol}")


def _some(count: int, entries: list[str]) -> str:
    """A count, and the first few of what was counted."""
    more = [f"… and {count - len(entries):,} more"] if count > len(entries) and entries else []
    return "\n".join([f"{count:,}", *entries, *more])


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Callable[[str], Callable[[DownloadProgress], None]]]:
    """Give a maker of progress bars, one a symbol, on standard error; silent unless that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:

        def bar(symbol: str) -> Callable[[DownloadProgress], None]:
            task = progress.add_task(symbol, total=None)

            def show(state: DownloadProgress) -> None:
                progress.update(task, completed=state.done_minutes, total=state.total_minutes)

            return show

        yield bar
