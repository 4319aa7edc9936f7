"""What the gate said of a model and when it was champion, for ``bot models list`` and ``show``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def judged(root: Path, model_id: str) -> dict[str, Any]:
    """Whether a model is proven, and a word for the list; a damaged verdict proves nothing."""
    from bot.errors import ModelError
    from models.verdicts import read_verdict

    try:
        verdict = read_verdict(root, model_id)
    except ModelError as fault:
        return {"proven": False, "gate": "damaged", "gate_fault": str(fault)}
    if verdict is None:
        return {"proven": False, "gate": "not judged"}
    return {"proven": verdict.promote, "gate": "proven" if verdict.promote else "refused"}


def newest_changes(root: Path) -> dict[str, str]:
    """Why each model became champion when it last did, as far as somebody said."""
    from models.champions import read_history

    newest = {change.model_id: change.why for change in read_history(root)}
    return {model_id: why for model_id, why in newest.items() if why}


def model_standing(root: Path, model_id: str) -> dict[str, Any]:
    """The verdict with every reason, and each time that a model became champion or ceased to be, as JSON values."""
    from dataclasses import asdict

    from models.champions import read_history
    from models.verdicts import read_verdict

    verdict = read_verdict(root, model_id)
    changes = [asdict(one) for one in read_history(root) if model_id in {one.model_id, one.previous}]
    return {
        "proven": verdict is not None and verdict.promote,
        "verdict": None if verdict is None else asdict(verdict),
        "history": changes,
    }


def print_standing(standing: dict[str, Any]) -> None:
    """The verdict and the history as text."""
    from bot.cli.data_tables import print_table, time_words

    verdict = standing["verdict"]
    if verdict is None:
        typer.echo("UNPROVEN: the gate has never judged this model.")
    else:
        word = "Proven" if verdict["promote"] else "UNPROVEN"
        kind = "a new recipe" if verdict["kind"] == "recipe" else "a refit"
        beside = verdict["champion_then"] or "nobody"
        print_table(
            ["", "test", "says"],
            [
                ["holds" if one["passed"] else "FAILS", one["name"], one["sentence"]]
                for one in verdict["reasons"]
            ],
            title=f"{word}: judged as {kind} on {time_words(verdict['at_ms'])}, champion then: {beside}",
        )
    for one in standing["history"]:
        why = f": {one['why']}" if one["why"] else ""
        before = one["previous"] or "none"
        typer.echo(
            f"{time_words(one['at_ms'])} {one['model_id']} became champion, {one['reason']} (before: {before}){why}"
        )
