"""``bot evidence``: what can be foretold of some markets, and what cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.candle_arrays import CandleArrays

_HEADINGS = (
    "minutes",
    "forecast",
    "gain, millinats",
    "AUC",
    "right %",
    "trades",
    "net bps a trade",
    "at 2× costs",
)
_NAMES = {
    "base_rate": "base rate",
    "persistence": "persistence",
    "last_return_sign": "last return's sign",
    "logistic_regression": "logistic regression",
    "lightgbm": "LightGBM",
    "ridge": "ridge regression",
    "lstm": "LSTM",
}
_NONE = "–"


def evidence(
    candles: Annotated[
        list[str], typer.Option("--candles", metavar="SYMBOL=FILE", help="Candle file; repeat it.")
    ],
    horizon: Annotated[
        list[int] | None,
        typer.Option("--horizon", min=1, max=1440, help="Minutes ahead; repeat it (default: 5, 15, 30, 60)."),
    ] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=520, help="Weeks out of sample.")] = 26,
    train_weeks: Annotated[
        int, typer.Option("--train-weeks", min=2, max=520, help="Weeks that each fit looks back.")
    ] = 16,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="DATE", help="End, not included; that of the candles by default."),
    ] = None,
    network: Annotated[
        bool, typer.Option("--lstm/--no-lstm", help="Whether an LSTM is fitted each week as well.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the LSTM.")] = 7,
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings, for the costs; later ones win.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat it.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write everything as JSON there.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Forecast direction and volatility week by week, each week by what was fitted before it, net of costs.

    Example: bot evidence --candles BTC/USDT=binance-BTCUSDT-1m-2023-01-01_2025-03-31.parquet --weeks 26
    """
    from bot.cli.data_tables import print_json
    from bot.cli.retrain_candles import given_series
    from bot.cli.run import daemon_settings
    from bot.cli.train import moment_ms
    from bot.errors import DataError
    from bot.retraining.folds import week_starts
    from bot.retraining.predictability import Question, predictability
    from models.forecast_trades import TradingCosts

    series = given_series(candles, moment_ms("--to", until, None))
    costs = TradingCosts(daemon_settings(config or [], {}, setting or []).costs.to_core().round_trip)
    end_ms = min(int(one.ts[-1]) for one in series.values()) + 60_000
    starts = tuple(week_starts(series, end_ms, train_days=7 * train_weeks + 2, most=weeks))
    if len(starts) < weeks:
        raise DataError(
            f"the candles hold {len(starts)} weeks after {train_weeks} weeks of training, not {weeks}; "
            "give more candles, or smaller --weeks and --train-weeks"
        )
    reports = []
    for minutes in horizon or [5, 15, 30, 60]:
        question = Question(minutes, starts, train_weeks * 10_080, costs)
        maker = _network(seed, train_weeks) if network else None
        reports.append(
            predictability(question, series, network=maker, on_week=_telling(minutes, weeks, quiet=as_json))
        )
    document = {"costs_bps": costs.round_trip * 1e4, "train_weeks": train_weeks, "horizons": reports}
    if out is not None:
        _write(out, document)
    if as_json:
        print_json(document)
    else:
        _show(document, markdown=markdown)


def _network(seed: int, train_weeks: int) -> Callable[[Mapping[str, CandleArrays], int], Any]:
    """Makes the LSTM of each horizon."""
    from bot.audits.lstm import LstmLearner

    return lambda series, horizon: LstmLearner(
        series, seed=seed, horizon=horizon, train_minutes=train_weeks * 10_080
    )


def _telling(minutes: int, weeks: int, *, quiet: bool) -> Callable[[int], None]:
    """A line for each week."""

    def told(number: int) -> None:
        if not quiet:
            typer.echo(f"{minutes} minutes ahead: week {number} of {weeks}", err=True)

    return told


def _write(path: Path, document: dict[str, Any]) -> None:
    """Everything as JSON, in one step."""
    from models.durable import disk, replace_file
    from models.hashing import canonical_json

    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, canonical_json(document) + b"\n")


def _show(document: dict[str, Any], *, markdown: bool) -> None:
    """Two tables and a sentence for each horizon."""
    direction = [row for report in document["horizons"] for row in _direction_rows(report)]
    volatility = [
        _volatility_row(report) for report in document["horizons"] if report["volatility"] is not None
    ]
    _table(_HEADINGS, direction, markdown=markdown)
    headings = ("minutes", "R² of log variance", "as it was", "gain", "QLIKE", "as it was", "gain")
    _table(headings, volatility, markdown=markdown)
    for report in document["horizons"]:
        verdict = report["direction"]["verdict"]["sentence"]
        typer.echo(f"{'- ' if markdown else ''}{report['horizon_minutes']} minutes: {verdict}")


def _direction_rows(report: dict[str, Any]) -> list[list[str]]:
    """The forecasters of one horizon."""
    rows = []
    for name, label in _NAMES.items():
        figures = report["direction"]["forecasts"].get(name)
        if figures is None:
            continue
        earned = figures.get("expectancy") or {}
        rows.append(
            [
                str(report["horizon_minutes"]),
                label,
                _figure(figures, "log_loss_gain_millinats", "+.2f", interval="log_loss_gain_interval"),
                _figure(figures, "auc", ".4f"),
                _figure(figures, "direction_accuracy", ".2f", 100.0, interval="direction_interval"),
                f"{earned['trades']:,}" if earned else _NONE,
                *(_money(earned.get(key)) for key in ("at_1x", "at_2x")),
            ]
        )
    return rows


def _figure(
    figures: dict[str, Any], key: str, form: str, factor: float = 1.0, *, interval: str | None = None
) -> str:
    """A figure with its interval."""
    value, bounds = figures.get(key), figures.get(interval or f"{key}_interval")
    if value is None:
        return _NONE
    if bounds is None:
        return f"{value * factor:{form}}"
    return f"{value * factor:{form}} ({bounds[0] * factor:{form}} … {bounds[1] * factor:{form}})"


def _money(earned: dict[str, Any] | None) -> str:
    """Net return of a trade with its interval."""
    if not earned or earned["net_bps"] is None:
        return _NONE
    return _figure(earned, "net_bps", "+.1f", interval="net_interval")


def _volatility_row(report: dict[str, Any]) -> list[str]:
    """What is known of volatility at one horizon."""
    found = report["volatility"]
    r2, loss = found["r2_log_variance"], found["qlike"]
    return [
        str(report["horizon_minutes"]),
        f"{r2['model']:.3f}",
        f"{r2['naive']:.3f}",
        _gain(found["r2_gain"]),
        f"{loss['model']:.3f}",
        f"{loss['naive']:.3f}",
        _gain(found["qlike_gain"]),
    ]


def _gain(interval: dict[str, float] | None) -> str:
    """A gain with its interval."""
    if interval is None:
        return _NONE
    return f"{interval['mean']:+.3f} ({interval['low']:+.3f} … {interval['high']:+.3f})"


def _table(headings: tuple[str, ...], rows: list[list[str]], *, markdown: bool) -> None:
    """Print a table."""
    if markdown:
        typer.echo(f"| {' | '.join(headings)} |")
        typer.echo(f"|{'|'.join(['---:', '---', *['---:'] * (len(headings) - 2)])}|")
        for row in rows:
            typer.echo(f"| {' | '.join(row)} |")
        typer.echo("")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for place, heading in enumerate(headings):
        table.add_column(
            heading, justify="left" if place == 1 and len(headings) == len(_HEADINGS) else "right"
        )
    for row in rows:
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)
