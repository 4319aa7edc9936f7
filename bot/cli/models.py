"""``bot models``: which models there are, what they are made of, and whether they are whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.train import JsonOption, RootOption, default_models_root

app = typer.Typer(no_args_is_help=True, help="List, show and verify models.")

ModelArgument = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="Id, path, champion or latest (default: champion, else latest)."),
]


@app.command("list")
def list_command(models_root: RootOption = None, as_json: JsonOption = False) -> None:
    """List the stored models, oldest first, with what their training measured.

    Example: bot models list
    """
    from bot.cli.data_tables import print_json
    from bot.errors import ModelError
    from models.registry import champion, list_models, read_verified

    root = models_root or default_models_root()
    chosen = champion(root)
    rows: list[dict[str, Any]] = []
    for model_id in list_models(root):
        row: dict[str, Any] = {"model_id": model_id, "champion": model_id == chosen}
        try:
            passport, contents = read_verified(root / model_id)
        except ModelError as fault:
            row |= {"state": "refused", "reason": str(fault)}
        else:
            row |= {
                "state": "whole",
                "created_at_ms": passport.created_at_ms,
                "symbols": list(passport.symbols),
            }
            row |= _measured(contents["metrics.json"])
        rows.append(row)
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo(f"No models in {root}; `bot train` makes one.")
        return
    _print_list(rows, root)


@app.command()
def show(model: ModelArgument = None, models_root: RootOption = None, as_json: JsonOption = False) -> None:
    """Show what a model is made of and how its forecasts did on its test slice.

    Example: bot models show latest
    """
    import json

    from bot.cli.data_tables import print_json, print_table, time_words
    from bot.cli.forecast_tables import print_report
    from models.registry import read_verified

    folder = _folder(models_root, model)
    passport, contents = read_verified(folder)
    report = json.loads(contents["metrics.json"])
    if as_json:
        print_json({"folder": str(folder), "passport": asdict(passport), "report": report})
        return
    ranges = [
        [f"{name} slice", f"{time_words(since)} to {time_words(until)}"]
        for name, (since, until) in passport.ranges.items()
    ]
    print_table(
        ["", "value"],
        [
            ["recipe", passport.recipe],
            ["trained", time_words(passport.created_at_ms)],
            ["symbols", ", ".join(passport.symbols)],
            ["features", f"{passport.features}: {', '.join(passport.columns)}"],
            ["window", f"{passport.window} minutes"],
            ["target", f"{passport.target}, {passport.horizon_minutes} minutes ahead"],
            *ranges,
            ["seed", str(passport.seed)],
            *([f"{name} sha256", digest] for name, digest in sorted(passport.hashes.items())),
            [
                "libraries",
                ", ".join(f"{name} {version}" for name, version in sorted(passport.versions.items())),
            ],
        ],
        title=f"{passport.model_id} in {folder}",
    )
    if "forecasts" in report:
        print_report(report)


@app.command()
def verify(model: ModelArgument = None, models_root: RootOption = None, as_json: JsonOption = False) -> None:
    """Check every byte of a model against its passport and run its graph once; exit code 6 when it is refused.

    Example: bot models verify scalping-20240101T120000-1a2b3c
    """
    from bot.cli.data_tables import print_json
    from models.forecaster import load_forecaster

    folder = _folder(models_root, model)
    passport = load_forecaster(folder).passport
    if as_json:
        print_json(
            {"model_id": passport.model_id, "folder": str(folder), "whole": True, "files": passport.files}
        )
        return
    typer.echo(
        f"{passport.model_id} is whole: {len(passport.files)} files are as the passport says, the graph runs"
    )


def _folder(models_root: Path | None, model: str | None) -> Path:
    """The artifact that was asked for."""
    from models.registry import resolve

    return resolve(models_root or default_models_root(), model)


def _measured(metrics: bytes) -> dict[str, Any]:
    """The few figures that the list shows."""
    import json

    report = json.loads(metrics)
    if "forecasts" not in report:
        return {}
    model = report["forecasts"]["model"]
    return {
        "log_loss_gain_millinats": model["log_loss_gain_millinats"],
        "direction_accuracy": model["direction_accuracy"],
        "edge": report["verdict"]["edge"],
    }


def _print_list(rows: list[dict[str, Any]], root: Path) -> None:
    """One line a model; why one is refused stands below the table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"models in {root}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("model", "state", "gain", "direction", "edge", "symbols"):
        table.add_column(name, no_wrap=name != "symbols")
    for row in rows:
        gain, direction = row.get("log_loss_gain_millinats"), row.get("direction_accuracy")
        table.add_row(
            f"{row['model_id']}{' *' if row['champion'] else ''}",
            row["state"],
            "" if gain is None else f"{gain:+.2f}",
            "" if direction is None else f"{direction:.2%}",
            str(row.get("edge", "")).replace("_", " "),
            ", ".join(row.get("symbols", [])),
        )
    console = Console()
    console.print(table)
    for row in rows:
        if "reason" in row:
            console.print(f"refused: {row['reason']}", highlight=False, markup=False)
    if any(row["champion"] for row in rows):
        console.print("* champion", highlight=False)
