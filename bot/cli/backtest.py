"""``bot backtest``: what would have been."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from bot.cli import backtest_walk_options as walk
from bot.cli.backtest_input import Wishes, prepare
from bot.cli.backtest_walk import prepare_walk, print_walk
from bot.cli.out_folder import refuse_unwritable
from bot.errors import UsageError

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
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME[@SYMBOL]",
        help="name, name:set, or your own package.module:factory; @SYMBOL for that symbol alone; may be repeated.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter of the strategy (threshold=0.001, for one symbol threshold@ETH/USDT:USDT=0.001), or costs.*, "
        "risk.*, sizing.*.",
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
    context: typer.Context,
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
        Literal["backtrader", "fast", "kernel"],
        typer.Option("--engine", help="All make the same trades; kernel is compiled, for lstm_scalping."),
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
    tearsheet: Annotated[
        bool, typer.Option("--tearsheet", help="Also write tearsheet.html by quantstats; needs --out.")
    ] = False,
    walk_forward: walk.WalkOption = False,
    recipe: walk.RecipeOption = None,
    weeks: walk.WeeksOption = None,
    train_days: walk.TrainDaysOption = None,
    max_minutes: walk.MaxMinutesOption = None,
    fit_minutes: walk.FitMinutesOption = None,
    schedule: walk.ScheduleOption = None,
    gate: walk.GateOption = None,
    cache: walk.CacheOption = None,
    jobs: walk.JobsOption = None,
    ray: walk.RayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the strategy over stored candles, through the very core that trades.

    Example: bot backtest --candles binance-BTCUSDT-1m-2024.parquet --model latest --set threshold=0.001 --out report
    """
    wishes = Wishes(
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
    flags = walk.WalkWishes(
        recipe, weeks, train_days, max_minutes, fit_minutes, schedule, gate, cache, jobs, ray
    )
    if out is not None:
        refuse_unwritable(out)
    if tearsheet:
        _check_tearsheet(out)
    prepared = prepare_walk(wishes, flags, engine) if walk_forward else prepare(walk.plain(wishes, flags))
    call = _Call(tuple(context.obj or ()), out, tearsheet=tearsheet, simulated=simulated, quiet=as_json)
    summary = _run(prepared, engine, call)
    if as_json:
        from bot.cli.data_tables import print_json

        print_json(summary)
        return
    _print_summary(summary)
    if out is not None:
        for words in summary.get("left_out", ()):
            typer.echo(f"left out: {words}")
        typer.echo(f"the report is in {out}: open {out / 'report.html'}")


class _Call(NamedTuple):
    """How the command was called, as far as the report asks.

    Attributes:
        words: After ``bot``, as they were typed.
        out: Folder for the report.
        tearsheet: Whether quantstats writes its page too.
        simulated: Whether the market was a simulated one.
        quiet: Whether there is no progress bar.
    """

    words: tuple[str, ...]
    out: Path | None
    tearsheet: bool
    simulated: bool
    quiet: bool


def _check_tearsheet(out: Path | None) -> None:
    """Say at once what a tear sheet lacks."""
    from backtests.report_tearsheet import require_quantstats

    if out is None:
        raise UsageError("--tearsheet writes a file: say where with --out DIR")
    require_quantstats()


def _run(prepared: Prepared, engine: str, call: _Call) -> dict[str, Any]:
    """Run it and write the report, if one is wanted; returns the summary."""
    from backtests.report import ReportFolder
    from backtests.run import run_backtest
    from bot.clock import monotonic_ns, wall_ms

    data = prepared.data
    with _progress_bar(data.minute_count(), quiet=call.quiet) as progress:
        if call.out is None:
            result = run_backtest(data, engine=engine, monotonic_ns=monotonic_ns, progress=progress)
            return _summary(prepared, result, simulated=call.simulated)
        with ReportFolder(call.out) as folder:
            result = run_backtest(
                data, engine=engine, sink=folder, monotonic_ns=monotonic_ns, progress=progress
            )
            return folder.finish(
                result,
                data,
                _summary(prepared, result, simulated=call.simulated),
                simulated=call.simulated,
                argv=call.words,
                made_at_ms=wall_ms(),
                tearsheet=call.tearsheet,
            )


def _summary(prepared: Prepared, result: BacktestResult, *, simulated: bool) -> dict[str, Any]:
    from backtests.by_strategy import split_by_strategy
    from backtests.report import summarize

    summary = summarize(
        result,
        prepared.data,
        strategy=prepared.strategy,
        parameters=prepared.parameters,
        warnings=prepared.warnings,
        simulated=simulated,
    )
    summary |= {"by_strategy": split_by_strategy(result.trades, prepared.choices)}
    if prepared.model_folder is not None:
        summary["unproven"] = _unproven(prepared.model_folder)
    return summary | (prepared.further(result) if prepared.further is not None else {})


def _unproven(folder: Path) -> str | None:
    """Why live trading would refuse the model; None where the gate has promoted it."""
    from models.verdicts import is_proven, standing

    if is_proven(folder.parent, folder.name):
        return None
    return f"{folder.name}: {standing(folder.parent, folder.name)}, and live trading takes no such model."


def _print_summary(summary: Mapping[str, Any]) -> None:
    from backtests.report_page import summary_rows
    from bot.cli.data_tables import print_table

    if summary["simulated_market"]:
        typer.secho("SIMULATED MARKET", bold=True)
    title = f"{', '.join(summary['symbols'])}, {summary['from']} to {summary['to']}, {summary['strategy']}"
    print_table(["figure", "value"], [list(row) for row in summary_rows(summary)], title=title)
    if len(summary["by_strategy"]) > 1:
        print_table(
            list(_STRATEGY_COLUMNS),
            [_strategy_row(one) for one in summary["by_strategy"]],
            title="by strategy",
        )
    if "walk_forward" in summary:
        print_walk(summary["walk_forward"])
    for words in summary["warnings"]:
        typer.secho(f"warning: {words}", err=True)


_STRATEGY_COLUMNS = ("strategy", "symbols", "trades", "win rate", "net bps a trade", "profit")


def _strategy_row(one: Mapping[str, Any]) -> list[str]:
    """A strategy's own trades, as words."""
    changed = " ".join(f"{key}={value}" for key, value in one["parameters"].items())
    return [
        f"{one['strategy']} {changed}".strip(),
        ", ".join(one["symbols"]),
        f"{one['trades']:,}",
        "–" if one["win_rate"] is None else f"{one['win_rate']:.1%}",
        "–" if one["average_trade_bps"] is None else f"{one['average_trade_bps']:+.1f}",
        f"{one['profit']:+,.2f}",
    ]


@contextmanager
def _progress_bar(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that counts minutes; silent unless that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("minutes", total=total)
        yield lambda done: progress.update(task, completed=done)
