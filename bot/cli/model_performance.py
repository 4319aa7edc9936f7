"""``bot models performance``: what a model's live forecasts were worth, beside what its training measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.train import JsonOption, RootOption
from bot.errors import DataError, NotRunningError

if TYPE_CHECKING:
    from bot.core.performance import Matured

FIGURES = (
    ("log_loss_gain_millinats", "log-loss gain over the base rate, millinats", "{:+.3f}"),
    ("direction_accuracy", "direction accuracy, ties left out", "{:.2%}"),
    ("probability_slope", "calibration slope of P(up)", "{:+.2f}"),
    ("auc", "AUC", "{:.4f}"),
    ("brier", "Brier score", "{:.5f}"),
)
_NONE = "–"


def performance(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="Id, champion, challenger or latest (default: the latest that predicted)."
        ),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", metavar="N", min=0.01, help="Only the last N days of its forecasts."),
    ] = None,
    state_dir: Annotated[
        Path,
        typer.Option(
            "--state-dir", envvar="BOT_STATE_DIR", help="The folder that the daemon keeps its state in."
        ),
    ] = Path("var"),
    models_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a model's live forecasts were worth, beside the figures of its own test slice.

    Live figures come from the journal and are made by the same code, with 95 % intervals.

    Example: bot models performance champion --days 7
    """
    from bot.cli.data_tables import print_json
    from bot.journal.reader import JournalReader

    root = models_root or state_dir / "models"
    reader = JournalReader(state_dir / "journal.sqlite")
    try:
        model_id = _model_id(reader.performing_models(), model, root)
        rows = reader.performance(model_id)
        watch = reader.watch_report(model_id)
    finally:
        reader.close()
    document = describe(model_id, _newest(rows, days), offline_figures(root / model_id)) | {"watch": watch}
    if as_json:
        print_json(document)
        return
    _print(document)


def describe(model_id: str, rows: list[Matured], offline: dict[str, Any] | None) -> dict[str, Any]:
    """Counts and figures of live forecasts as JSON values; ``live`` is None where none has a known outcome.

    Raises:
        DataError: The model has made no forecast whose horizon has passed.
    """
    if not rows:
        raise DataError(f"no live forecast of {model_id} has come to its horizon yet")
    known = [row for row in rows if row.realized is not None]
    roles = {row.forecast.role for row in rows}
    return {
        "model_id": model_id,
        "symbols": sorted({row.forecast.symbol for row in rows}),
        "from_ms": min(row.forecast.closed_at_ms for row in rows),
        "until_ms": max(row.forecast.closed_at_ms for row in rows),
        "horizon_minutes": rows[0].forecast.horizon_minutes,
        "forecasts": len(rows),
        "unknown": len(rows) - len(known),
        "roles": {role: sum(row.forecast.role == role for row in rows) for role in sorted(roles)},
        "live": live_figures(known) if known else None,
        "offline": offline,
    }


def live_figures(rows: list[Matured]) -> dict[str, Any]:
    """The figures of forecasts with a known outcome, under the names that an evaluation gives them."""
    import numpy as np

    from models.forecast_metrics import metrics_of
    from models.forecast_sample import Forecast, Sample

    said = [row.forecast for row in rows]
    symbols = sorted({one.symbol for one in said})
    expected = np.array([one.expected_return for one in said], np.float64)
    probability = None
    if all(one.probability_up is not None for one in said):
        probability = np.array([one.probability_up for one in said], np.float64)
    sample = Sample(
        ts=np.array([one.closed_at_ms for one in said], np.int64),
        symbol=np.array([symbols.index(one.symbol) for one in said], np.int16),
        close=np.array([one.close for one in said], np.float64),
        realized=np.array([row.realized for row in rows], np.float64),
        last_return=np.full(len(said), np.nan),
        horizon=said[0].horizon_minutes,
    )
    return metrics_of(sample, Forecast("model", expected, expected, probability), said[0].base_rate)


def offline_figures(folder: Path) -> dict[str, Any] | None:
    """What the model's own test slice measured; None where the model is no longer stored or was not measured."""
    import json

    from models.registry import read_verified

    if not folder.is_dir():
        return None
    _, contents = read_verified(folder)
    found: dict[str, Any] | None = json.loads(contents["metrics.json"]).get("forecasts", {}).get("model")
    return found


def _model_id(performing: list[str], model: str | None, root: Path) -> str:
    """The id of the model that was asked for."""
    from models.registry import resolve

    if not performing:
        raise NotRunningError("no model has predicted live here yet: start the bot with `bot run` first")
    if model is None:
        return performing[-1]
    return model if model in performing else resolve(root, model).name


def _newest(rows: list[Matured], days: float | None) -> list[Matured]:
    """The last days of the forecasts."""
    if days is None or not rows:
        return rows
    since_ms = max(row.forecast.closed_at_ms for row in rows) - int(days * 86_400_000)
    return [row for row in rows if row.forecast.closed_at_ms > since_ms]


def _print(document: dict[str, Any]) -> None:
    """Live beside offline, one figure a line."""
    from bot.cli.data_tables import print_table, time_words

    live, offline = document["live"] or {}, document["offline"] or {}
    table = [
        [label, _figure(live, name, spelled), _figure(offline, name, spelled)]
        for name, label, spelled in FIGURES
    ]
    print_table(
        ["", "live (95 % interval)", "test slice (95 % interval)"],
        table,
        title=f"{document['model_id']}, {document['horizon_minutes']} minutes ahead",
    )
    since, until = time_words(document["from_ms"]), time_words(document["until_ms"])
    typer.echo(
        f"{document['forecasts']:,} live forecasts from {since} to {until}, {', '.join(document['symbols'])}; "
        f"{document['unknown']:,} with a missing minute in their horizon"
    )
    if document["watch"] is not None and document["watch"]["reasons"]:
        typer.echo(
            f"the watch: {', '.join(document['watch']['reasons'])} {document['watch']['detail']}".rstrip()
        )


def _figure(figures: dict[str, Any], name: str, spelled: str) -> str:
    """A figure with its interval, in words."""
    from models.forecast_metrics import interval_name

    value = figures.get(name)
    if value is None:
        return _NONE
    bounds = figures.get(interval_name(name))
    return spelled.format(value) + (
        "" if bounds is None else f" ({spelled.format(bounds[0])} … {spelled.format(bounds[1])})"
    )
