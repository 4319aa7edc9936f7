"""The models of a comparison: recipes by their words, and each trained unless an earlier start did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bot.errors import ModelError, UsageError

if TYPE_CHECKING:
    from models.candle_arrays import CandleArrays
    from models.forecast_trades import TradingCosts
    from models.recipe import Recipe


def chosen_recipes(names: Sequence[str], changes: Iterable[str], *, all_of_them: bool) -> list[Recipe]:
    """The recipes asked for, each with its own changes.

    Args:
        names: Names or paths.
        changes: ``RECIPE:KEY=VALUE``, with the recipe as it is written in ``names``, or by its name.
        all_of_them: Take every recipe that comes with the bot.

    Raises:
        UsageError: A change is not written so, or is for a recipe that is not compared.
        ConfigError: There is no such recipe, or a field is unknown or out of range.
    """
    from models.recipe import load_recipe, recipe_names

    wanted = recipe_names() if all_of_them else list(names)
    overrides: dict[str, list[str]] = {name: [] for name in wanted}
    for change in changes:
        recipe, colon, pair = change.partition(":")
        if not colon or "=" not in pair:
            raise UsageError(
                f"--set-for {change}: write RECIPE:KEY=VALUE, such as forest:architecture.trees=50"
            )
        if recipe not in overrides:
            known = ", ".join(wanted) or "none"
            raise UsageError(f"--set-for {change}: {recipe} is not among the recipes compared ({known})")
        overrides[recipe].append(pair)
    return [load_recipe(name, pairs) for name, pairs in overrides.items()]


def reused_or_trained(
    recipe: Recipe,
    series: Mapping[str, CandleArrays],
    root: Path,
    *,
    max_minutes: float | None,
    costs: TradingCosts,
    quiet: bool,
) -> Path:
    """The folder of a model of this recipe and these candles: one that is there, or a new one.

    Raises:
        KeyboardInterrupt: The training was interrupted; what it kept is stored, and is not compared.
    """
    from bot.cli.forecast_tables import training_bar
    from bot.clock import monotonic_ns, wall_ms
    from models.hashing import data_digest
    from models.training import train, with_training

    seconds = None if max_minutes is None else max_minutes * 60.0
    limited = with_training(recipe, max_seconds=seconds)
    found = trained_before(root, limited, data_digest(series))
    if found is not None:
        tell(f"{recipe.name}: {found.name} is there already", quiet=quiet)
        return found
    tell(f"{recipe.name}: training", quiet=quiet)
    with training_bar(quiet=quiet) as show:
        trained = train(
            limited,
            series,
            root,
            created_at_ms=wall_ms(),
            monotonic_ns=monotonic_ns,
            costs=costs,
            on_progress=show,
        )
    if was_interrupted(trained.history):
        tell(f"{recipe.name}: interrupted; start the same command again to go on", quiet=quiet)
        raise KeyboardInterrupt
    return trained.folder


def trained_before(root: Path, recipe: Recipe, data_hash: str) -> Path | None:
    """The newest whole model under a root with this recipe and data whose training was not interrupted."""
    from models.registry import list_models, read_verified, recipe_of

    for model_id in reversed(list_models(root)):
        if recipe_of(model_id) != recipe.name:
            continue
        try:
            passport, contents = read_verified(root / model_id)
        except ModelError as fault:
            tell(f"{model_id} is not used again: {fault}", quiet=False)
            continue
        same = passport.hashes.get("config") == recipe.digest() and passport.hashes.get("data") == data_hash
        if same and not was_interrupted(json.loads(contents.get("training_history.json", b"{}"))):
            return root / model_id
    return None


def was_interrupted(history: Any) -> bool:
    """Whether a training, or that of any member or seed of it, was stopped by hand."""
    if isinstance(history, Mapping):
        return history.get("stopped_because") == "interrupted" or any(map(was_interrupted, history.values()))
    return False


def tell(words: str, *, quiet: bool) -> None:
    """A line of progress on standard error."""
    if not quiet:
        typer.echo(words, err=True)
