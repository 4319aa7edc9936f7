"""``bot models``: which models there are, what they are made of, whether they are whole, and which one trades."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.model_inspection import inspect
from bot.cli.model_performance import performance
from bot.cli.model_standing import judged, model_standing, newest_changes, print_standing
from bot.cli.train import JsonOption, RootOption, default_models_root

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List, show, verify, inspect, promote and export models."
)

ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="Id, path, champion, challenger or latest (default: champion, else latest).",
    ),
]
NamedArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Id, path, champion, challenger or latest.")
]

WHEN_TRADED = "A daemon that trades the champion changes to it within a minute."
UNPROVEN = "UNPROVEN: {standing}. A daemon refuses it without --unproven."

ReasonOption = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Why; kept in the history and shown by list and show."),
]


class Place(str, Enum):
    """What a model can be named."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


@app.command("list")
def list_command(models_root: RootOption = None, as_json: JsonOption = False) -> None:
    """List the stored models, oldest first, with what their training measured and whether the gate has promoted them.

    Example: bot models list
    """
    from bot.cli.data_tables import print_json
    from bot.errors import ModelError
    from models.registry import NO_TRADE, challenger, champion, list_models, read_verified

    root = models_root or default_models_root()
    chosen, waiting = champion(root), challenger(root)
    changes = newest_changes(root)
    rows: list[dict[str, Any]] = []
    for model_id in list_models(root):
        row: dict[str, Any] = {
            "model_id": model_id,
            "champion": model_id == chosen,
            "challenger": model_id == waiting,
            **judged(root, model_id),
            "why": changes.get(model_id),
        }
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
    if chosen == NO_TRADE:
        typer.echo(
            f"The champion is {NO_TRADE}: {changes.get(NO_TRADE) or 'nothing has beaten the baselines'}."
        )
    if not rows:
        typer.echo(f"No models in {root}; `bot train` makes one.")
        return
    _print_list(rows, root)


@app.command()
def show(model: ModelArgument = None, models_root: RootOption = None, as_json: JsonOption = False) -> None:
    """Show what a model is made of, how its forecasts did on its test slice, and what the gate said of it.

    Example: bot models show latest
    """
    import json

    from bot.cli.data_tables import print_json, print_table, time_words
    from bot.cli.forecast_tables import print_report
    from models.registry import read_verified

    folder = _folder(models_root, model)
    passport, contents = read_verified(folder)
    report = json.loads(contents["metrics.json"])
    standing = model_standing(models_root or default_models_root(), passport.model_id)
    if as_json:
        print_json({"folder": str(folder), "passport": asdict(passport), "report": report, **standing})
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
    print_standing(standing)


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


app.command()(inspect)
app.command()(performance)


@app.command()
def promote(
    model: NamedArgument,
    place: Annotated[Place, typer.Option("--as", help="What to name it.")] = Place.CHAMPION,
    reason: ReasonOption = None,
    models_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a model champion, which trades by default, or challenger; exit code 6 when the model is refused.

    Every byte is checked and the graph runs once before. `no-trade` as champion trades nothing. A model that the gate
    has not promoted can be named, and is said to be unproven. `bot models rollback` takes a champion back.

    Example: bot models promote latest --reason "the weeks of its shadow looked good"

    Example: bot models promote no-trade
    """
    from bot.cli.data_tables import print_json
    from models.registry import NO_TRADE, challenger, champion, member_id
    from models.verdicts import is_proven, standing

    root = models_root or default_models_root()
    nobody = model == NO_TRADE and place is Place.CHAMPION
    model_id = NO_TRADE if nobody else member_id(root, _folder(models_root, model))
    previous = champion(root) if place is Place.CHAMPION else challenger(root)
    changed = _name(root, model_id, place, reason)
    proven = None if nobody else is_proven(root, model_id)
    if as_json:
        told = {"model_id": model_id, "as": place.value, "previous": previous, "changed": changed}
        print_json({**told, "proven": proven, "why": reason})
        return
    if not changed:
        typer.echo(f"{model_id} is {place.value} already; nothing was changed.")
        return
    after = (
        WHEN_TRADED if place is Place.CHAMPION else "The champion stays; nothing trades by the challenger."
    )
    typer.echo(f"{model_id} is {place.value} now (before: {previous or 'none'}). {after}")
    if proven is False:
        typer.echo(UNPROVEN.format(standing=standing(root, model_id)))


@app.command()
def rollback(
    reason: ReasonOption = None, models_root: RootOption = None, as_json: JsonOption = False
) -> None:
    """Bring back the champion before; again brings back the one before that. Exit code 6 when it is refused.

    Example: bot models rollback --reason "it trades too often"
    """
    from bot.cli.data_tables import print_json
    from bot.clock import wall_ms
    from models.champions import rollback as roll_back
    from models.forecaster import load_forecaster
    from models.registry import NO_TRADE
    from models.verdicts import is_proven, standing

    root = models_root or default_models_root()
    change = roll_back(root, at_ms=wall_ms(), verify=load_forecaster, why=reason)
    if as_json:
        print_json(asdict(change))
        return
    typer.echo(f"{change.model_id} is champion again (before: {change.previous}). {WHEN_TRADED}")
    if change.model_id != NO_TRADE and not is_proven(root, change.model_id):
        typer.echo(UNPROVEN.format(standing=standing(root, change.model_id)))


@app.command()
def export(
    model: NamedArgument,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR_OR_ZIP", help="An empty or new folder, or a new .zip."),
    ],
    models_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a verified copy of a model's files, all of it or nothing; exit code 6 when the model is refused.

    A folder holds the files; a .zip holds them in a folder named by the model's id.

    Example: bot models export champion --out champion.zip
    """
    from bot.cli.data_tables import print_json
    from models.artifact_copy import export_artifact

    passport = export_artifact(_folder(models_root, model), out)
    if as_json:
        print_json({"model_id": passport.model_id, "out": str(out), "files": passport.files})
        return
    typer.echo(f"{out} holds {passport.model_id}: {len(passport.files)} files and their passport")


def _name(root: Path, model_id: str, place: Place, why: str | None) -> bool:
    """Check a model and give it its place; False where it has it already."""
    from bot.clock import wall_ms
    from models.champions import promote as promote_model
    from models.forecaster import load_forecaster
    from models.registry import challenger, set_challenger

    if place is Place.CHAMPION:
        change = promote_model(root, model_id, at_ms=wall_ms(), verify=load_forecaster, why=why)
        return change is not None
    load_forecaster(root / model_id)
    if challenger(root) == model_id:
        return False
    set_challenger(root, model_id)
    return True


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
    for name in ("model", "state", "gate", "gain", "direction", "edge", "symbols"):
        table.add_column(name, no_wrap=name != "symbols")
    for row in rows:
        gain, direction = row.get("log_loss_gain_millinats"), row.get("direction_accuracy")
        table.add_row(
            f"{row['model_id']}{' *' if row['champion'] else ''}{' +' if row['challenger'] else ''}",
            row["state"],
            row["gate"],
            "" if gain is None else f"{gain:+.2f}",
            "" if direction is None else f"{direction:.2%}",
            str(row.get("edge", "")).replace("_", " "),
            ", ".join(row.get("symbols", [])),
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # for programs and files: nothing is cut off
    console.print(table)
    for row in rows:
        if row["why"] and row["champion"]:
            console.print(f"champion: {row['why']}", highlight=False, markup=False)
        if "reason" in row:
            console.print(f"refused: {row['reason']}", highlight=False, markup=False)
    if any(row["champion"] for row in rows):
        console.print("* champion", highlight=False)
    if any(row["challenger"] for row in rows):
        console.print("+ challenger", highlight=False)
