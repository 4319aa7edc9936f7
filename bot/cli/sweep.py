"""``bot sweep``: which parameters would have been chosen, and what would have come of the choice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bot.cli import backtest as options
from bot.cli.backtest_input import Wishes
from bot.errors import UsageError

if TYPE_CHECKING:
    from backtests.sweep_space import Dimension

VaryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="KEY=VALUES",
        help="A list (threshold=0.0003,0.0005), a range (stop_loss=0.002:0.01:0.002) or a span for Optuna "
        "(threshold=0.0002..0.002, with :log at the end for a logarithmic scale); may be repeated.",
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster: HOST:PORT, ray://HOST:PORT, auto, or local, which starts one on this machine.",
    ),
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, max=4096, help="Processes at a time (default: all cores).")
]


def sweep(
    vary: VaryOption = None,
    candles: Annotated[
        list[str] | None,
        typer.Option("--candles", metavar="PARQUET", help="Candle file, or SYMBOL=FILE; may be repeated."),
    ] = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="S", help="A symbol out of the candle store; may be repeated."),
    ] = None,
    since: options.FromOption = None,
    until: options.ToOption = None,
    exchange: Annotated[
        str, typer.Option("--exchange", metavar="ID", help="Whose candles of the store.")
    ] = "binanceusdm",
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Candle store (default: BOT_STATE_DIR/candles)."),
    ] = None,
    model: options.ModelOption = None,
    predictions: options.PredictionsOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Random predictions: what no skill at all would do.")
    ] = None,
    models_root: options.ModelsOption = None,
    strategy: options.StrategyOption = None,
    changes: options.SetOption = None,
    configs: options.ConfigOption = None,
    funding: options.FundingOption = None,
    rules: options.RulesOption = None,
    starting_cash: Annotated[
        float | None, typer.Option("--start-cash", min=1.0, help="Quote currency.")
    ] = None,
    engine: Annotated[
        Literal["auto", "kernel", "fast"],
        typer.Option(
            "--engine",
            help="The compiled kernel where it can (auto), only it, or the exact core; same trades.",
        ),
    ] = "auto",
    search: Annotated[
        Literal["grid", "optuna"] | None,
        typer.Option(
            "--search", help="Every combination, or Optuna's choice (default where a span is varied)."
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", min=2, max=100_000, help="Points of each of Optuna's studies.")
    ] = 60,
    search_seed: Annotated[
        int, typer.Option("--search-seed", min=0, max=2**32 - 1, help="Of Optuna's studies.")
    ] = 1,
    objective: Annotated[
        Literal["sharpe", "return", "expectancy"], typer.Option("--objective", help="What a choice looks at.")
    ] = "sharpe",
    folds: Annotated[int, typer.Option("--folds", min=1, max=52, help="Out-of-sample parts.")] = 5,
    least_trades: Annotated[
        int,
        typer.Option("--min-trades", min=1, help="Parameters with fewer trades in sample are not chosen."),
    ] = 30,
    jobs: JobsOption = None,
    ray: RayOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of the results; the same command goes on there (default: a folder of its own in "
            "BOT_STATE_DIR/sweeps).",
        ),
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="The candles are of a simulated market: say so in the page.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Try many parameters, choose on each part of the past, and say what the choice earned on the part that followed.

    Every point is a trial in the ledger of the models' folder. Ctrl-C keeps the finished points.

    Example: bot sweep --candles binance-BTCUSDT-1m-2024.parquet --model latest --vary threshold=0.0003,0.0005,0.001
    """
    from backtests.cluster import Where
    from backtests.sweep_space import parse_space
    from bot.cli.sweep_input import SweepWishes
    from bot.cli.sweep_work import Order, run_order

    space = parse_space(vary or [])
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
    order = Order(
        wishes=wishes,
        space=space,
        asked=SweepWishes(objective, folds, least_trades, engine),
        search=_search(search, space),
        trials=trials,
        seed=search_seed,
        where=Where(jobs, ray),
        out=out,
        root=Path(os.environ.get("BOT_STATE_DIR") or "var") / "sweeps",
        simulated=simulated,
    )
    run_order(order, as_json=as_json)


def _search(told: str | None, space: tuple[Dimension, ...]) -> str:
    """How to search: as told, else by what is varied."""
    from backtests.sweep_space import is_continuous

    continuous = is_continuous(space)
    if told == "grid" and continuous:
        raise UsageError("--search grid: a span has no grid; give a list or LOW:HIGH:STEP")
    return told or ("optuna" if continuous else "grid")
