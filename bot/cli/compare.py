"""``bot compare``: forecasts of models beside baselines, or money of variants beside one of them, on the same candles.

With ``--variant`` it compares what is earned (``bot.cli.compare_runs``), else how well is forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.backtest import ConfigOption, FundingOption, RulesOption, SetOption, StrategyOption
from bot.cli.train import (
    FromOption,
    JsonOption,
    RootOption,
    ToOption,
    default_models_root,
    moment_ms,
    read_series,
)
from bot.errors import DataError, UsageError

if TYPE_CHECKING:
    from models.candle_arrays import CandleArrays
    from models.recipe import Recipe

DAY_MS = 86_400_000
LEAST_DAYS = 2
TEST_SHARE = 0.25
"""Without --test-from, the last so much of the time is compared on, in whole days."""


@dataclass(frozen=True, slots=True)
class Split:
    """Candles cut at the first moment that is compared on.

    Attributes:
        test_from_ms: That moment, ms UTC.
        whole: Candles of each symbol.
        before: Those that models and baselines are made from.
        after: Those that they are compared on.
    """

    test_from_ms: int
    whole: dict[str, CandleArrays]
    before: dict[str, CandleArrays]
    after: dict[str, CandleArrays]


def compare(
    candles: Annotated[
        list[str] | None,
        typer.Option("--candles", metavar="PARQUET", help="Candle file, or SYMBOL=FILE; may be repeated."),
    ] = None,
    variant_texts: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            metavar='"NAME: KEY=VALUE ..."',
            help="Compare money: a backtest with strategy=, model=, predictions=, seed=, config= or any key of --set; may be "
            "repeated.",
        ),
    ] = None,
    variants_file: Annotated[
        Path | None,
        typer.Option("--variants", metavar="YAML", help="Variants from a file: name, then key: value."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="NAME", help="The variant to hold the others against (default: the first)."
        ),
    ] = None,
    recipes: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="Recipe to train and compare; may be repeated (default: all, unless --model is given).",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="ID", help="Stored model to compare as it is; may be repeated."),
    ] = None,
    test_from: Annotated[
        str | None,
        typer.Option(
            "--test-from",
            metavar="DATE",
            help="Train on the candles before, compare on those from then on (default: the last quarter).",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set-for", metavar="RECIPE:KEY=VALUE", help="Change a field of one recipe; may be repeated."
        ),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", min=0.01, help="Stop each training after so long."),
    ] = None,
    strategy: StrategyOption = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol", metavar="S", help="Variants: a symbol out of the candle store; may be repeated."
        ),
    ] = None,
    exchange: Annotated[
        str | None, typer.Option("--exchange", metavar="ID", help="Variants: whose candles of the store.")
    ] = None,
    store_root: Annotated[
        Path | None,
        typer.Option(
            "--store", metavar="DIR", help="Variants: candle store (default: BOT_STATE_DIR/candles)."
        ),
    ] = None,
    since: FromOption = None,
    until: ToOption = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", metavar="PARQUET", help="Variants: predictions of those that name none."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Variants: random predictions of those that name none."),
    ] = None,
    settings: SetOption = None,
    configs: ConfigOption = None,
    funding: FundingOption = None,
    rules: RulesOption = None,
    starting_cash: Annotated[
        float | None, typer.Option("--start-cash", min=1.0, help="Variants: quote currency.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Variants: processes at a time (default: one a core).")
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Variants: the candles are of a simulated market: say so.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for models and results; a second start goes on there (default: BOT_STATE_DIR/comparison); of variants "
            "for the table and the page (default: none is written).",
        ),
    ] = None,
    write_docs: Annotated[
        Path | None,
        typer.Option(
            "--write-docs",
            metavar="FILE",
            help="Put the tables between the comparison marks of a Markdown file.",
        ),
    ] = None,
    models_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train recipes on older candles, compare them and stored models on newer ones, beside baselines.

    A second start with the same --out trains only what is missing. Each model compared is a trial in the ledger of
    --models.

    With --variant compare what is earned: strategies, models and settings, each a backtest on the same candles, by the
    paired differences of their daily returns. Each variant is a trial too.

    Example: bot compare --recipe scalping --recipe forest --candles binance-BTCUSDT-1m-2024.parquet --test-from 2024-07-01

    Example: bot compare --candles binance-BTCUSDT-1m-2024.parquet --variant "default:" --variant "wide: stop_loss=0.01"
    """
    from bot.cli.compare_money import compare_money, only_model, refuse_given

    of_forecasts = {
        "--recipe": recipes, "--test-from": test_from, "--set-for": changes, "--max-minutes": max_minutes,
        "--write-docs": write_docs,
    }  # fmt: skip
    of_money = {
        "--baseline": baseline, "--symbol": symbols, "--exchange": exchange, "--store": store_root, "--from": since,
        "--to": until, "--predictions": predictions, "--seed": seed, "--set": settings, "--config": configs,
        "--funding": funding, "--rules": rules, "--start-cash": starting_cash, "--jobs": jobs, "--simulated": simulated,
    }  # fmt: skip
    if variant_texts or variants_file is not None:
        from bot.cli.backtest_input import Wishes

        refuse_given(of_forecasts, "compares forecasts and does not go with --variant")
        wishes = Wishes(
            tapes=candles or (),
            symbols=symbols or (),
            exchange=exchange or "binanceusdm",
            store=store_root,
            since=since,
            until=until,
            model=only_model(models),
            predictions=predictions,
            seed=seed,
            models_root=models_root,
            strategy=strategy,
            changes=settings or (),
            configs=configs or (),
            funding=funding or (),
            rules=rules,
            starting_cash=starting_cash,
        )
        compare_money(
            wishes,
            variant_texts or [],
            variants_file,
            baseline,
            jobs,
            out,
            simulated=simulated,
            as_json=as_json,
        )
        return
    refuse_given(of_money, "belongs to --variant")
    if not candles:
        raise UsageError("say which candles: --candles FILE")
    from bot.cli.backtest_input import Wishes, prepare_on
    from bot.cli.compare_models import chosen_recipes, reused_or_trained
    from bot.cli.compare_report import check_marks, markdown, print_comparison, store
    from bot.cli.compare_work import Entry, compare_entries
    from bot.cli.data_tables import print_json
    from bot.clock import wall_ms
    from models.forecast_trades import TradingCosts
    from models.registry import resolve
    from models.trials import Ledger

    # What is wrong with the words is said before hours of training.
    chosen = chosen_recipes(recipes or (), changes or (), all_of_them=not recipes and not models)
    if write_docs is not None:
        check_marks(write_docs)
    root = models_root or default_models_root()
    folders = [resolve(root, name) for name in models or ()]
    split = _split(candles, test_from)
    money = prepare_on(Wishes(strategy=strategy), split.after)
    target = out or default_models_root().parent / "comparison"
    entries = [Entry(recipe.name, None, recipe) for recipe in chosen]
    entries += [Entry(folder.name, folder, None) for folder in folders]
    _refuse_twins(chosen, [folder.name for folder in folders])
    ready = [
        entry
        if entry.recipe is None
        else Entry(
            entry.name,
            reused_or_trained(
                entry.recipe,
                split.before,
                target / "models",
                max_minutes=max_minutes,
                costs=TradingCosts(money.data.config.costs.round_trip),
                quiet=as_json,
            ),
            None,
        )
        for entry in entries
    ]
    document = compare_entries(ready, split, money, target, Ledger(root, wall_ms()), quiet=as_json)
    store(target, document)
    if write_docs is not None:
        check_marks(write_docs, put=markdown(document))
    if as_json:
        print_json(document)
        return
    print_comparison(document)
    typer.echo(f"comparison.json and comparison.md are in {target}")


def _refuse_twins(recipes: list[Recipe], models: list[str]) -> None:
    """Two entries of one name could not be told apart."""
    names = [recipe.name for recipe in recipes] + models
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{twice[0]} is given twice; give each recipe its own name, and each model once")


def _split(tapes: list[str], test_from: str | None) -> Split:
    """Read the candles and cut them.

    Raises:
        DataError: There is nothing before or too little from the cut on.
        UsageError: The date cannot be read.
    """
    from bot.cli.data_tables import time_words

    series = read_series(tapes, None, None)
    begin = min(int(arrays.ts[0]) for arrays in series.values())
    end = max(int(arrays.ts[-1]) for arrays in series.values())
    default = int(begin + (end - begin) * (1.0 - TEST_SHARE)) // DAY_MS * DAY_MS
    cut = moment_ms("--test-from", test_from, default)
    before = {name: arrays.between(-(2**62), cut) for name, arrays in series.items()}
    after = {name: arrays.between(cut, 2**62) for name, arrays in series.items()}
    for name, arrays in series.items():
        if not len(before[name]):
            raise DataError(
                f"{name}: the candles begin on {time_words(int(arrays.ts[0]))}, not before --test-from "
                f"{time_words(cut)}: there is nothing to train on"
            )
        if not len(after[name]):
            raise DataError(
                f"{name}: the candles end on {time_words(int(arrays.ts[-1]))}, before --test-from "
                f"{time_words(cut)}: there is nothing to compare on"
            )
    if end - cut < LEAST_DAYS * DAY_MS:
        raise DataError(
            f"the candles end {(end - cut) / DAY_MS:.1f} days after --test-from {time_words(cut)}; a comparison "
            f"needs at least {LEAST_DAYS} days, and tells little below a month"
        )
    return Split(cut, series, before, after)
