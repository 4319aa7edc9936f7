"""``bot backtest`` and ``bot verify-parity``: what would have been, and is it the same whoever drives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bot.cli.backtest_input import Wishes, prepare
from bot.errors import DataError, DifferenceError

if TYPE_CHECKING:
    from backtests.parity import ParityReport
    from backtests.results import BacktestResult
    from bot.cli.backtest_input import Prepared

DEFAULT_SEED = 1
CONVINCING_TRADES = 100
"""Fewer trades than this, and equality proves little."""

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


def verify_parity(
    tapes: Annotated[
        list[str],
        typer.Option("--tape", metavar="PARQUET", help="Candle file, or SYMBOL=FILE; may be repeated."),
    ],
    since: FromOption = None,
    until: ToOption = None,
    model: ModelOption = None,
    predictions: PredictionsOption = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Random predictions (default: seed 1 when no model is named)."),
    ] = None,
    models_root: ModelsOption = None,
    engines: Annotated[
        str | None, typer.Option("--engines", metavar="NAMES", help="Separated by commas (default: all).")
    ] = None,
    strategy: StrategyOption = None,
    changes: SetOption = None,
    configs: ConfigOption = None,
    funding: FundingOption = None,
    rules: RulesOption = None,
    min_trades: Annotated[
        int, typer.Option("--min-trades", min=0, help="Refuse to call fewer trades than this a proof.")
    ] = 1,
    plant: Annotated[
        Literal["candle", "fee"] | None,
        typer.Option("--plant", help="Change one in one engine: it must be found."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that every driver decides the same on a tape: one hash for all, or the first difference (exit code 8).

    Example: bot verify-parity --tape binance-BTCUSDT-1m-2021.parquet --from 2021-05-19 --to 2021-05-21 --seed 1
    """
    from backtests.parity import PARITY_ENGINES, run_parity

    everything = PARITY_ENGINES if plant else (*PARITY_ENGINES, "daemon")  # a plant goes into one of ours
    chosen = [name.strip() for name in engines.split(",") if name.strip()] if engines else everything
    if seed is None and model is None and predictions is None:
        seed = DEFAULT_SEED
    prepared = prepare(
        Wishes(
            tapes=tapes,
            since=since,
            until=until,
            model=model,
            predictions=predictions,
            seed=seed,
            models_root=models_root,
            batch=1,  # as the daemon infers: other batches may differ in the last digit on some processors
            strategy=strategy,
            changes=changes or (),
            configs=configs or (),
            funding=funding or (),
            rules=rules,
        )
    )
    if "daemon" not in chosen:
        report = run_parity(prepared.data, engines=chosen, plant=plant)
    else:
        from backtests.replay_driver import batch_to_line
        from bot.cli.daemon_stream import daemon_run, decision_stream, recorded_batches

        typer.secho("running the daemon over the tape, candle by candle", err=True)
        with daemon_run(prepared, tuple(funding or ())) as journal:
            report = run_parity(
                prepared.data,
                engines=chosen,
                sources={"daemon": decision_stream(journal)},
                recorded=lambda: map(batch_to_line, recorded_batches(journal)),
                plant=plant,
            )
    _judge(report, min_trades)
    _print_parity(report, as_json=as_json)


def _judge(report: ParityReport, min_trades: int) -> None:
    """Raise when the streams differ, and when too little happened for equality to mean something."""
    if report.difference is not None:
        planted = f"planted: {report.planted}; found: " if report.planted else ""
        raise DifferenceError(f"{planted}{report.difference}")
    if report.planted is not None:
        raise DifferenceError(f"planted: {report.planted}; the comparison did not find it")
    if report.trade_count < min_trades:
        raise DataError(
            f"only {report.trade_count} trades happened, and --min-trades asks for {min_trades}: equality of "
            "nothing proves nothing"
        )


def _print_parity(report: ParityReport, *, as_json: bool) -> None:
    few = report.trade_count < CONVINCING_TRADES
    warning = f"only {report.trade_count} trades: equality of nothing proves nothing" if few else None
    if as_json:
        from bot.cli.data_tables import print_json

        print_json(
            {
                "sha256": next(iter(report.digests.values())).sha256,
                "engines": list(report.digests),
                "events": next(iter(report.digests.values())).line_count,
                "candles": report.candle_count,
                "trades": report.trade_count,
                "fills": report.fill_count,
                "warnings": [warning] if warning else [],
            }
        )
        return
    for name, digest in report.digests.items():
        typer.echo(f"{digest.sha256}  {name}")
    typer.echo(
        f"{len(report.digests)} engines decided the same on {report.candle_count:,} candles: "
        f"{report.trade_count:,} trades, {report.fill_count:,} fills"
    )
    if warning:
        typer.secho(f"warning: {warning}", err=True)
