"""``bot retrain``: a new model, judged by the gate."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.retraining.run import RetrainOutcome, Telling

LOWEST_PRIORITY = 19


def retrain(
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings; later ones win.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="Name, or path of a YAML file.")
    ] = None,
    candles: Annotated[
        list[str] | None,
        typer.Option("--candles", metavar="SYMBOL=FILE", help="Candle file instead of the store; repeat it."),
    ] = None,
    symbol: Annotated[list[str] | None, typer.Option("--symbol", help="Unified name; repeat it.")] = None,
    exchange: Annotated[str | None, typer.Option("--exchange", help="ccxt id, such as binanceusdm.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no exchange; use what is stored.")] = False,
    now: Annotated[
        str | None,
        typer.Option("--now", metavar="DATE", help="Judge as of this time, UTC; nothing after it counts."),
    ] = None,
    now_ms: Annotated[
        int | None, typer.Option("--now-ms", min=0, help="The same in milliseconds.", hidden=True)
    ] = None,
    models: Annotated[Path | None, typer.Option("--models", metavar="DIR", help="Folder of models.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Folder of journal, models, logs.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Train a new model and let the gate judge it; a model that has earned it is named challenger.

    A recipe that is not proven is fitted anew for each of the last weeks, and each week is forecast by the model made
    of what lay before it: that takes one fit a week, of which the next retraining finds all but the last. A refit of
    the recipe that trades is judged beside the champion. Whatever the verdict, it is kept with every reason, and
    `bot models show` shows it.

    Example: bot retrain --recipe scalping --candles BTC/USDT=binance-BTCUSDT-1m-2023-01-01_2025-03-31.parquet
    """
    from bot.cli.run import daemon_settings
    from bot.cli.train import moment_ms
    from bot.clock import monotonic_ns, wall_ms
    from bot.retraining.run import RetrainPlan
    from bot.retraining.run import retrain as retrain_once
    from models.forecast_trades import TradingCosts
    from models.recipe import load_recipe

    os.nice(LOWEST_PRIORITY)
    flags: dict[str, Any] = {
        "mode": "paper",  # it sends no orders, and needs no keys
        "exchange.id": exchange,
        "exchange.symbols": symbol or None,
        "retrain.recipe": recipe,
        "model.root": models,
        "state_dir": state_dir,
    }
    settings = daemon_settings(config or [], flags, setting or [])
    chosen = settings.retrain
    wanted = load_recipe(chosen.recipe)  # before anything is fetched
    at_ms = moment_ms("--now", now, now_ms)
    series, until_ms = _series(settings, candles or [], at_ms, wall_ms(), offline=offline)
    plan = RetrainPlan(
        recipe=wanted,
        root=settings.models_dir,
        now_ms=until_ms,
        train_days=chosen.train_days,
        max_weeks=chosen.max_weeks,
        max_minutes=chosen.max_minutes,
        rules=settings.gate.to_core(),
        costs=TradingCosts(settings.costs.to_core().round_trip),
        empties=not settings.model.unproven,
    )
    for telling in _telling(quiet=as_json):
        outcome = retrain_once(plan, series, monotonic_ns=monotonic_ns, telling=telling)
    _show(outcome, as_json=as_json)


def _series(
    settings: Any, files: list[str], at_ms: int | None, wall_ms: int, *, offline: bool
) -> tuple[dict[str, Any], int]:
    """The candles, and the time to judge as of: that of the last candle where files are given."""
    from bot.cli.retrain_candles import given_series, own_series, span_ms
    from bot.core.market import MINUTE_MS

    if files:
        series = given_series(files, at_ms)
        last = max((int(one.ts[-1]) for one in series.values() if len(one)), default=0)
        return series, at_ms if at_ms is not None else last + MINUTE_MS
    until_ms = wall_ms if at_ms is None else at_ms
    since, until = span_ms(settings.retrain.train_days, settings.retrain.max_weeks, until_ms)
    return own_series(settings, since, until, offline=offline, say=_say), until_ms


def _say(sentence: str) -> None:
    """A line for people, out of the way of what programs read."""
    typer.echo(sentence, err=True)


def _telling(*, quiet: bool) -> Iterator[Telling]:
    """Bars on a terminal, lines elsewhere; nothing but sentences where JSON is wanted."""
    from bot.cli.forecast_tables import training_bar
    from bot.retraining.run import Telling

    with training_bar(quiet=quiet) as fit:

        def week(done: int, total: int) -> None:
            _say(f"walk-forward: week {done} of {total}")

        yield Telling(phase=_say, week=week, fit=fit)


def _show(outcome: RetrainOutcome, *, as_json: bool) -> None:
    """The verdict with every reason."""
    from bot.cli.data_tables import print_json

    if as_json:
        print_json(
            {
                "model_id": outcome.model_id,
                "kind": outcome.kind,
                "promote": outcome.verdict.promote,
                "proven": outcome.verdict.promote,
                "verdict": str(outcome.path),
                "champion": outcome.champion,
                "evidence": asdict(outcome.evidence),
                **outcome.verdict.as_json(),
            }
        )
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=f"The gate on {outcome.model_id} ({outcome.kind})", title_justify="left")
    for heading in ("test", "", "what it found"):
        table.add_column(heading)
    for reason in outcome.verdict.reasons:
        table.add_row(reason.name, "passed" if reason.passed else "failed", reason.sentence)
    console.print(table)
    if outcome.verdict.promote:
        console.print(
            f"Promoted: {outcome.model_id} is the challenger now; the daemon lets it shadow the champion."
        )
    else:
        failed = sum(not reason.passed for reason in outcome.verdict.reasons)
        console.print(
            f"Refused: {failed} of {len(outcome.verdict.reasons)} tests failed. "
            f"The champion stays: {outcome.champion or 'nobody'}."
        )
