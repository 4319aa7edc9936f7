"""``bot verify-parity``: is it the same whoever drives?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bot.cli.backtest import (
    ConfigOption,
    FromOption,
    FundingOption,
    JsonOption,
    ModelOption,
    ModelsOption,
    PredictionsOption,
    RulesOption,
    SetOption,
    StrategyOption,
    ToOption,
)
from bot.cli.backtest_input import Wishes, prepare
from bot.errors import DataError, DifferenceError

if TYPE_CHECKING:
    from backtests.inputs import BacktestInput
    from backtests.parity import ParityReport

DEFAULT_SEED = 1
CONVINCING_TRADES = 100
"""Fewer trades than this, and equality proves little."""


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
        str | None,
        typer.Option(
            "--engines",
            metavar="NAMES",
            help="fast, backtrader, replay, kernel, daemon: some of them, separated by commas (default: all).",
        ),
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
    from backtests.parity import run_parity

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
    named = [name.strip() for name in (engines or "").split(",") if name.strip()]
    chosen = named or _every_engine(prepared.data, planted=plant is not None)
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


def _every_engine(data: BacktestInput, *, planted: bool) -> list[str]:
    """All that can run this; a plant goes into one of those that run everything."""
    from backtests.kernel_scope import kernel_fault
    from backtests.parity import KERNEL, PARITY_ENGINES

    if planted:
        return list(PARITY_ENGINES)
    if (why := kernel_fault(data)) is not None:
        typer.secho(f"the compiled kernel is left out: {why}", err=True)
        return _with_daemon(list(PARITY_ENGINES))
    return _with_daemon([*PARITY_ENGINES, KERNEL])


def _with_daemon(names: list[str]) -> list[str]:
    """Those of this process, and the one with a journal and sockets."""
    return [*names, "daemon"]


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
