"""``bot backtest``: what would have been."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bot.cli.backtest_input import Wishes, prepare

if TYPE_CHECKING:
    from backtests.results import BacktestResult
    from bot.cli.backtest_input import Prepared

FromOption = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day or time, UTC.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="DATE", help="End, not included.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="ID", help="Id, path, champion or latest (default: champion, else latest)."
    ),
]
PredictionsOption = Annotated[
    Path | None,
    typer.Option("--predictions", metavar="PARQUET", help="Predictions from a file instead of a model."),
]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", metavar="DIR", help="Folder of models (default: BOT_STATE_DIR/models)."),
]
StrategyOption = Annotated[
    str | None,
    typer.Option("--strategy", metavar="NAME", help="name, name:set, or your own package.module:factory."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter of the strategy (threshold=0.001), or costs.*, risk.*, sizing.*.",
    ),
]
ConfigOption = Annotated[
    list[Path] | None, typer.Option("--config", metavar="F", help="Settings file; may be repeated.")
]
FundingOption = Annotated[
    list[str] | None,
    typer.Option("--funding", metavar="PARQUET", help="Funding rates (ts, funding_rate), or SYMBOL=FILE."),
]
RulesOption = Annotated[
    Path | None,
    typer.Option("--rules", metavar="JSON", help="Tick, lot step and minima of each symbol."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def backtest(
    candles: Annotated[
        list[str] | None,
        typer.Option("--candles", metavar="PARQUET", help="Candle file, or SYMBOL=FILE; may be repeated."),
    ] = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="S", help="A symbol out of the candle store; may be repeated."),
    ] = None,
    since: FromOption = None,
    until: ToOption = None,
    exchange: Annotated[
        str, typer.Option("--exchange", metavar="ID", help="Whose candles of the store.")
    ] = "binanceusdm",
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Candle store (default: BOT_STATE_DIR/candles)."),
    ] = None,
    model: ModelOption = None,
    predictions: PredictionsOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Random predictions: what no skill at all would do.")
    ] = None,
    models_root: ModelsOption = None,
    strategy: StrategyOption = None,
    changes: SetOption = None,
    configs: ConfigOption = None,
    engine: Annotated[
        Literal["backtrader", "fast"], typer.Option("--engine", help="Both make the same trades.")
    ] = "backtrader",
    funding: FundingOption = None,
    rules: RulesOption = None,
    starting_cash: Annotated[
        float | None, typer.Option("--start-cash", min=1.0, help="Quote currency.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the report.")] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="The candles are of a simulated market: say so in the report.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the strategy over stored candles, through the very core that trades.

    Example: bot backtest --candles binance-BTCUSDT-1m-2024.parquet --model latest --set threshold=0.001 --out report
    """
    prepared = prepare(
        Wishes(
            tapes=candles or (),
            symbols=symbols or (),
            exchange=exchange,
            store=store,
            since=since,
            until=until,
            model=model,
            predictions=predictions,
            seed=seed,
            models_root=models_root,
            strategy=strategy,
            changes=changes or (),
            configs=configs or (),
            funding=funding or (),
            rules=rules,
            starting_cash=starting_cash,
        )
    )
    summary = _run(prepared, engine, out, simulated=simulated, quiet=as_json)
    if as_json:
        from bot.cli.data_tables import print_json

        print_json(summary)
        return
    _print_summary(summary)
    if out is not None:
        typer.echo(f"the report is in {out}: open {out / 'report.html'}")


def _run(
    prepared: Prepared, engine: str, out: Path | None, *, simulated: bool, quiet: bool
) -> dict[str, Any]:
    """Run it and write the report, if one is wanted; returns the summary."""
    from backtests.report import ReportFolder
    from backtests.run import run_backtest
    from bot.clock import monotonic_ns

    data = prepared.data
    with _progress_bar(data.minute_count(), quiet=quiet) as progress:
        if out is None:
            result = run_backtest(data, engine=engine, monotonic_ns=monotonic_ns, progress=progress)
            return _summary(prepared, result, simulated=simulated)
        with ReportFolder(out) as folder:
            result = run_backtest(
                data, engine=engine, sink=folder, monotonic_ns=monotonic_ns, progress=progress
            )
            return folder.finish(
                result, data, _summary(prepared, result, simulated=simulated), simulated=simulated
            )


def _summary(prepared: Prepared, result: BacktestResult, *, simulated: bool) -> dict[str, Any]:
    from backtests.report import summarize

    return summarize(
        result,
        prepared.data,
        strategy=prepared.strategy,
        parameters=prepared.parameters,
        warnings=prepared.warnings,
        simulated=simulated,
    )


def _print_summary(summary: Mapping[str, Any]) -> None:
    from backtests.report_page import summary_rows
    from bot.cli.data_tables import print_table

    if summary["simulated_market"]:
        typer.secho("SIMULATED MARKET", bold=True)
    title = f"{', '.join(summary['symbols'])}, {summary['from']} to {summary['to']}, {summary['strategy']}"
    print_table(["figure", "value"], [list(row) for row in summary_rows(summary)], title=title)
    for words in summary["warnings"]:
        typer.secho(f"warning: {words}", err=True)


@contextmanager
def _progress_bar(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that counts minutes; silent unless that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("minutes", total=total)
        yield lambda done: progress.update(task, completed=done)
