"""``bot models inspect``: what a stored model looks at, what its columns are worth, and what it said beside what came."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.train import (
    CandlesOption,
    FromOption,
    JsonOption,
    RootOption,
    ToOption,
    default_models_root,
    moment_ms,
    read_series,
)
from bot.errors import UsageError

if TYPE_CHECKING:
    from models.attention_profile import AttentionProfile
    from models.candle_arrays import CandleArrays
    from models.importance import ColumnImportance
    from models.inspection import Inspection, InspectionProgress

TOP_STEPS = 8
_NONE = "–"
_SIMULATED_EXCHANGE = "simusdm-"


def inspect(
    candles: CandlesOption,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Id, path, champion, challenger or latest (default: champion, else latest).",
        ),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", metavar="S", help="Only this symbol of the candles.")
    ] = None,
    since: FromOption = None,
    until: ToOption = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Moment to show by itself, UTC (default: near the end of the candles).",
        ),
    ] = None,
    in_sample: Annotated[
        bool,
        typer.Option("--in-sample", help="Keep the time of the training too: the fit, not the forecast."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for the files (default: BOT_STATE_DIR/inspections/MODEL_ID)."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Shuffles of each column.")] = 5,
    windows: Annotated[
        int, typer.Option("--windows", min=2, help="Measure on at most so many windows, evenly spaced.")
    ] = 2000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the shuffles.")] = 0,
    simulated: Annotated[
        bool,
        typer.Option(
            "--simulated", help="The candles are of a simulated market: say so (simusdm-… files are known)."
        ),
    ] = False,
    models_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look inside a model on candles that it was not made from: importance, attention, forecasts, training curves.

    Example: bot models inspect latest --candles binance-BTCUSDT-1m-2024.parquet --from 2024-07-01
    """
    from bot.cli.data_tables import print_json
    from models.inspection import InspectionProgress, InspectionWishes, inspect_artifact, write_inspection
    from models.registry import resolve

    folder = resolve(models_root or default_models_root(), model)
    series = _chosen(read_series(candles, since, until), symbol)
    wishes = InspectionWishes(
        at_ms=moment_ms("--at", at, None),
        windows=windows,
        repeats=repeats,
        seed=seed,
        in_sample=in_sample,
        simulated=simulated or any(_SIMULATED_EXCHANGE in Path(tape).name for tape in candles),
    )
    with inspection_bar(quiet=as_json) as show:
        found = inspect_artifact(folder, series, wishes, show)
        show(InspectionProgress("pictures"))
        place = out or _default_folder() / found.model_id
        written, drawn = write_inspection(place, found)
    if as_json:
        attention = None if found.attention is None else found.attention.as_json()
        document = {
            "importance": found.importance.as_json(),
            "attention": attention,
            "prediction": found.forecasts_json(),
            "files": [str(path) for path in written],
        }
        print_json(found.about() | document)
        return
    _print_inspection(found)
    if not drawn:
        typer.echo("matplotlib is not installed (it comes with the train extra): there are no PNG files.")
    typer.echo(f"{len(written)} files are in {place}: open {place / 'inspection.html'}")


def _default_folder() -> Path:
    """Where inspections are kept unless --out says otherwise."""
    return Path(os.environ.get("BOT_STATE_DIR") or "var") / "inspections"


def _chosen(series: dict[str, CandleArrays], symbol: str | None) -> dict[str, CandleArrays]:
    """The candles of one symbol, or of all; UsageError when there are none of it."""
    if symbol is None:
        return series
    if symbol not in series:
        raise UsageError(f"--symbol {symbol}: the candles are of {', '.join(sorted(series))}")
    return {symbol: series[symbol]}


@contextmanager
def inspection_bar(*, quiet: bool) -> Iterator[Callable[[InspectionProgress], None]]:
    """Show an inspection on standard error: a bar on a terminal, else a line for each phase."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[column]}"),
        TimeRemainingColumn(),
    )
    live = console.is_terminal and not quiet
    with Progress(*columns, console=console, disable=not live) as progress:
        task = progress.add_task("features", total=None, column="")
        phase = ""

        def show(state: InspectionProgress) -> None:
            nonlocal phase
            progress.update(
                task,
                description=state.phase,
                completed=state.done,
                total=state.total or None,
                column=state.column,
            )
            if state.phase != phase and not live and not quiet:
                console.print(state.phase, highlight=False)
            phase = state.phase

        yield show


def _print_inspection(found: Inspection) -> None:
    """The importance of each column, where attention lies, and what has to be known of both."""
    from rich.console import Console

    from models.inspection_words import ATTENTION_TITLE, SIMULATED, sample_words, time_words, warning_words

    console = Console()
    # Lines are wrapped for eyes only: a program that reads them finds each in one piece.
    loose = not console.is_terminal
    title = (
        f"Inside {found.model_id}, on {', '.join(found.symbols)} from {time_words(found.from_ms)} to "
        f"{time_words(found.until_ms)}: {sample_words(found)}"
    )
    if found.simulated:
        console.print(f"[bold red]{SIMULATED}[/]", highlight=False)
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=loose)
    console.print(_importance_table(found.importance.ranked()))
    for line in [*_footnotes(found), *warning_words(found)]:
        console.print(line, markup=False, highlight=False, soft_wrap=loose)
    if found.attention is None:
        console.print("This model has no attention.")
        return
    console.print(f"[bold]{ATTENTION_TITLE}[/]", highlight=False, soft_wrap=loose)
    console.print(_attention_table(found.attention))
    console.print(
        f"Over {found.attention.windows:,} windows; on average a window's weight is spread over "
        f"{found.attention.effective_steps:.1f} of {len(found.attention.mean)} minutes.",
        highlight=False,
        soft_wrap=loose,
    )


def _importance_table(columns: list[ColumnImportance]) -> Any:
    """One line a column, the most important first."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from models.inspection_words import moved_words

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("column", no_wrap=True)
    for name in ("loss +", "±", "95 %", "right −", "moves"):
        table.add_column(name, justify="right", no_wrap=True)
    for column in columns:
        loss, accuracy = column.log_loss, column.accuracy
        table.add_row(
            column.name,
            f"{loss.mean:+.2f}",
            f"{loss.deviation:.2f}",
            _NONE if loss.interval is None else "{:+.2f} … {:+.2f}".format(*loss.interval),
            _NONE if accuracy is None else f"{accuracy.mean:+.2f} ± {accuracy.deviation:.2f}",
            moved_words(column),
        )
    return table


def _footnotes(found: Inspection) -> Iterator[str]:
    """What the columns mean."""
    measured = found.importance
    accuracy = measured.direction_accuracy
    yield (
        "loss +: how much the log loss rises when the column is that of another moment, in millinats: mean and "
        f"deviation of {measured.repeats} shuffles; 95 %: of its mean over market time; right −: percentage points of "
        "direction accuracy lost; moves: how much the model's output changes either way, in shares of its deviation."
    )
    yield (
        f"Measured on {measured.windows:,} of {measured.eligible:,} windows, evenly spaced. As it is: log loss "
        f"{measured.log_loss:.5f} (a coin's is 0.69315), direction right in "
        f"{_NONE if accuracy is None else f'{accuracy:.2%}'}."
    )


def _attention_table(profile: AttentionProfile) -> Any:
    """The minutes that are looked at most."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("minutes", "mean %", "middle half %", "at the moment %"):
        table.add_column(name, justify="right", no_wrap=True)
    for place in profile.top(TOP_STEPS):
        table.add_row(
            str(int(profile.minutes[place])),
            f"{profile.mean[place] * 100:.2f}",
            f"{profile.low_quartile[place] * 100:.2f} … {profile.high_quartile[place] * 100:.2f}",
            f"{profile.moment[place] * 100:.2f}",
        )
    return table
