"""``bot train``, ``bot evaluate`` and ``bot predict``: make a model, measure it, and write down what it says."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, overload

import typer

from bot.cli import train_options as options
from bot.cli import train_tracking as tracking
from bot.errors import DataError, UsageError

if TYPE_CHECKING:
    from bot.inference import PredictionSeries
    from models.candle_arrays import CandleArrays

CandlesOption = Annotated[
    list[str],
    typer.Option(
        "--candles", metavar="FILE", help="Candle file, Parquet or CSV, or SYMBOL=FILE; may be repeated."
    ),
]
FromOption = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day or time, UTC.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="DATE", help="End, not included.")]
RootOption = Annotated[
    Path | None,
    typer.Option("--models", metavar="DIR", help="Folder of models (default: BOT_STATE_DIR/models)."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="ID",
        help="Id, path, champion, challenger or latest (default: champion, else latest).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def default_models_root() -> Path:
    """Where models are kept unless a command says otherwise."""
    return Path(os.environ.get("BOT_STATE_DIR") or "var") / "models"


def train(
    candles: options.TrainCandles = None,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="Name, or path of a YAML file.")
    ] = "scalping",
    list_recipes: options.ListRecipes = False,
    symbols: options.Symbols = None,
    exchange: options.Exchange = None,
    store: options.Store = None,
    since: FromOption = None,
    until: ToOption = None,
    sequence_length: options.SequenceLength = None,
    horizon: options.Horizon = None,
    batch_size: options.BatchSize = None,
    units: options.LayerUnits = None,
    dropout: options.Dropout = None,
    learning_rate: options.LearningRate = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a field of the recipe; stands above the options."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="At most so many epochs.")] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", min=0.01, help="Stop after so long and keep the best epoch."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="In place of the recipe's.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            max=32,
            help="Train so many models by seeds that follow one another, average their forecasts, report the spread.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="With --seeds: each seed on a core of a Ray cluster (HOST:PORT, ray://HOST:PORT, auto, or local).",
        ),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Begin anew where an interrupted run of the same kind could be gone on with."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of models (default: BOT_STATE_DIR/models)."),
    ] = None,
    tensorboard: tracking.TensorBoardDir = None,
    mlflow: tracking.MlflowUri = None,
    mlflow_experiment: tracking.MlflowExperiment = None,
    configs: options.Configs = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model by a recipe and print its forecasts' quality beside baselines.

    Ctrl-C keeps the best epoch; the same command then goes on after the last whole epoch, as it does after a crash.

    Example: bot train --recipe scalping --candles binance-BTCUSDT-1m-2024.parquet --from 2024-01-01 --to 2024-07-01
    """
    if list_recipes:
        options.print_recipes(as_json=as_json)
        return
    from bot.cli.candle_input import stored_series
    from bot.cli.data_tables import print_json
    from bot.cli.forecast_tables import print_report, training_bar
    from bot.clock import monotonic_ns, wall_ms
    from models.recipe import load_recipe
    from models.run_tracking import run_facts, tracked_run
    from models.training import train as train_model
    from models.training import with_training

    told = tracking.trackers(tensorboard, mlflow, mlflow_experiment)
    shorthands = options.Shorthands(sequence_length, horizon, batch_size, units, dropout, learning_rate)
    chosen = load_recipe(recipe, [*shorthands.overrides(recipe), *(changes or ())])
    max_seconds = None if max_minutes is None else max_minutes * 60.0
    chosen = with_training(chosen, max_epochs=epochs, max_seconds=max_seconds, seed=seed, seeds=seeds)
    elsewhere = None if ray is None else options.seeds_on_ray(ray, chosen)
    costs = options.trading_costs(configs or [])
    if options.takes_files(candles, symbols, exchange, store):
        series = read_series(candles or [], since, until)
    else:
        bounds = moment_ms("--from", since, None), moment_ms("--to", until, None)
        series = stored_series(symbols or [], exchange, store, *bounds)
    began, warnings = wall_ms(), tracking.Warnings()
    with tracked_run(told, run_facts(chosen, series, began), warnings.say) as run:
        with training_bar(quiet=as_json) as show:
            trained = train_model(
                chosen,
                series,
                out or default_models_root(),
                created_at_ms=began,
                monotonic_ns=monotonic_ns,
                resume=not restart,
                costs=costs,
                on_progress=run.beside(show),
                elsewhere=elsewhere,
            )
        places = run.finished(trained)
    if as_json:
        print_json(
            {
                "model_id": trained.model_id,
                "folder": str(trained.folder),
                "training": trained.history,
                "report": trained.report,
                "tracking": places,
                "warnings": warnings,
            }
        )
        return
    typer.echo(f"{trained.model_id} is stored in {trained.folder}")
    if trained.history.get("stopped_because") == "interrupted":
        typer.echo("It is the best epoch until you interrupted; the same command goes on from there.")
    tracking.print_places(places)
    print_report(trained.report)


def evaluate(
    candles: CandlesOption,
    model: ModelOption = None,
    since: FromOption = None,
    until: ToOption = None,
    in_sample: Annotated[
        bool,
        typer.Option("--in-sample", help="Keep the time of the training too: the fit, not the forecast."),
    ] = False,
    models_root: RootOption = None,
    configs: options.Configs = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model's forecasts beside baselines, net of costs too, on candles that it was not made from.

    The look is written into the trial ledger of the models' folder: what was tried before on the same minutes makes
    the verdict ask for more.

    Example: bot evaluate --model latest --candles binance-BTCUSDT-1m-2024.parquet --from 2024-07-01
    """
    from bot.cli.data_tables import print_json
    from bot.cli.forecast_tables import print_report
    from bot.clock import wall_ms
    from models.assessment import evaluate_artifact
    from models.registry import resolve
    from models.trials import Ledger

    root = models_root or default_models_root()
    report = evaluate_artifact(
        resolve(root, model),
        read_series(candles, since, until),
        in_sample=in_sample,
        costs=options.trading_costs(configs or []),
        ledger=Ledger(root, wall_ms()),
    )
    if as_json:
        print_json(report)
    else:
        print_report(report)


def predict(
    candles: CandlesOption,
    out: Annotated[Path, typer.Option("--out", metavar="PARQUET", help="File to write.")],
    model: ModelOption = None,
    since: FromOption = None,
    until: ToOption = None,
    models_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what a model forecasts on each candle: ts, expected_return, probability_up and more, symbol.

    ``ts`` is the open time of the candle on whose close the prediction is known; a row is there for each
    candle whose window is whole.

    Example: bot predict --model latest --candles binance-BTCUSDT-1m-2024.parquet --out predictions.parquet
    """
    from bot.cli.data_tables import print_json
    from bot.inference import forecast_series
    from models.forecaster import load_forecaster
    from models.registry import resolve

    forecaster = load_forecaster(resolve(models_root or default_models_root(), model), threads=2)
    series = read_series(candles, since, until)
    found = [forecast_series(forecaster, symbol, series[symbol]) for symbol in sorted(series)]
    rows = sum(len(one.ts) for one in found)
    abstained = sum(one.abstained for one in found)
    if not rows and abstained:
        raise DataError(
            f"model {forecaster.passport.model_id} abstains on all {abstained:,} windows: more than 1 % of each "
            "lies beyond what was seen in training; train on candles like these"
        )
    if not rows:
        raise DataError(
            f"the candles hold no whole window: model {forecaster.passport.model_id} needs "
            f"{240 + forecaster.passport.window} contiguous minutes"
        )
    write_predictions(out, found)
    counts: dict[str, Any] = {one.symbol: {"rows": len(one.ts), "abstained": one.abstained} for one in found}
    if as_json:
        print_json({"model_id": forecaster.passport.model_id, "file": str(out), "symbols": counts})
        return
    for symbol, count in counts.items():
        typer.echo(
            f"{symbol}: {count['rows']:,} predictions, none in {count['abstained']:,} minutes beyond "
            "what was seen in training"
        )
    typer.echo(f"{out} holds {rows:,} predictions of {forecaster.passport.model_id}")


def read_series(tapes: list[str], since: str | None, until: str | None) -> dict[str, CandleArrays]:
    """Candles by symbol out of files, cut to [since, until); files of one symbol are joined in order of time.

    Raises:
        DataError: A file is refused, two overlap, or nothing is left.
        UsageError: A date cannot be read, or the end is not after the start.
    """
    from bot.candles.columns import concatenate
    from bot.candles.store import parse_tape
    from bot.cli.candle_input import read_candle_file

    bounds = (moment_ms("--from", since, -(2**62)), moment_ms("--to", until, 2**62))
    if bounds[1] <= bounds[0]:
        raise UsageError(f"--to {until} is not after --from {since}")
    parts: dict[str, list[tuple[Path, CandleArrays]]] = {}
    for tape in tapes:
        symbol, path = parse_tape(tape)
        parts.setdefault(symbol, []).append((path, read_candle_file(path).between(*bounds)))
    series = {}
    for symbol, found in parts.items():
        kept = sorted((one for one in found if len(one[1])), key=lambda one: int(one[1].ts[0]))
        if not kept:
            raise DataError(f"{symbol}: {found[0][0]} holds no candles of the time asked for")
        for (first, before), (second, after) in itertools.pairwise(kept):
            if after.ts[0] <= before.ts[-1]:
                raise DataError(
                    f"{symbol}: {first} and {second} overlap in time; give one of them for each minute"
                )
        series[symbol] = kept[0][1] if len(kept) == 1 else concatenate([arrays for _, arrays in kept])
    return series


def write_predictions(path: Path, found: list[PredictionSeries]) -> None:
    """Write predictions in one step, in order of symbol and time.

    Raises:
        StorageError: The disk refused; a file that was there is as it was.
    """
    import numpy as np

    from models.durable import disk, replace_file
    from models.predictions_table import about_model, parquet_bytes, predictions_table

    table = predictions_table(
        np.concatenate([one.ts for one in found]),
        np.concatenate([one.expected_return for one in found]),
        np.concatenate([one.probability_up for one in found]),
        {one.symbol: len(one.ts) for one in found},
        about_model(found[0].model_id, found[0].horizon_minutes),
        uncertainty=np.concatenate([one.uncertainty for one in found]),
        volatility=np.concatenate([one.volatility for one in found]),
        return_low=np.concatenate([one.return_low for one in found]),
        return_high=np.concatenate([one.return_high for one in found]),
    )
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, parquet_bytes(table))


@overload
def moment_ms(option: str, text: str | None, default: int) -> int: ...
@overload
def moment_ms(option: str, text: str | None, default: None) -> int | None: ...
def moment_ms(option: str, text: str | None, default: int | None) -> int | None:
    """Read a day or a time as ms UTC."""
    from bot.candles.rawrows import time_ms

    if text is None:
        return default
    try:
        return time_ms(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: write a day or a time, 2024-01-31 or 2024-01-31T12:00Z"
        ) from error
