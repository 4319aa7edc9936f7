"""Options of ``bot train`` that are short for fields of the recipe, and the list of recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.errors import UsageError

if TYPE_CHECKING:
    from models.forecast_trades import TradingCosts
    from models.learners import SeedLearner
    from models.recipe import Recipe
    from models.recipe_sections import ArchitectureSection

TrainCandles = Annotated[
    list[str] | None,
    typer.Option(
        "--candles", metavar="FILE", help="Candle file, Parquet or CSV, or SYMBOL=FILE; may be repeated."
    ),
]
ListRecipes = Annotated[bool, typer.Option("--list", help="List the recipes and train nothing.")]
Symbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", metavar="S", help="A symbol out of the candle store; may be repeated."),
]
Configs = Annotated[
    list[Path] | None,
    typer.Option("--config", metavar="F", help="Settings file, for the costs; may be repeated."),
]
Exchange = Annotated[
    str | None,
    typer.Option("--exchange", metavar="ID", help="Whose candles of the store (default: binanceusdm)."),
]
Store = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Candle store (default: BOT_STATE_DIR/candles).")
]
SequenceLength = Annotated[
    int | None,
    typer.Option(
        "--sequence-length",
        "--input-seq-length",
        metavar="MINUTES",
        min=2,
        max=1000,
        help="Minutes that the model looks back (window).",
    ),
]
Horizon = Annotated[
    int | None,
    typer.Option(
        "--horizon",
        "--forecast-horizon",
        metavar="MINUTES",
        min=1,
        max=1440,
        help="Minutes ahead that it forecasts (target.horizon).",
    ),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", min=1, help="Windows a batch (training.batch_size).")
]
LayerUnits = Annotated[
    str | None,
    typer.Option(
        "--units",
        "--lstm-units",
        metavar="N,N,...",
        help="Units of each LSTM layer, such as 64,32 (architecture.units).",
    ),
]
Dropout = Annotated[
    float | None, typer.Option("--dropout", help="Share dropped, 0 to below 1 (architecture.dropout).")
]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", help="Above 0, at most 1 (training.learning_rate).")
]

_MOST_UNITS = 4096
_MOST_LAYERS = 8


@dataclass(frozen=True, slots=True)
class Shorthands:
    """What was given by option; None leaves the recipe's value.

    Attributes:
        sequence_length: Minutes of the window.
        horizon: Minutes ahead.
        batch_size: Windows.
        units: Units of the layers, as written.
        dropout: Share.
        learning_rate: Of the optimizer.
    """

    sequence_length: int | None = None
    horizon: int | None = None
    batch_size: int | None = None
    units: str | None = None
    dropout: float | None = None
    learning_rate: float | None = None

    def overrides(self, recipe: str) -> list[str]:
        """The options as ``key=value`` for ``load_recipe``.

        Args:
            recipe: Name or path, to know which architecture units and dropout are for.

        Raises:
            UsageError: A value cannot be, or the recipe has nothing that it could set.
            ConfigError: There is no such recipe.
        """
        values = {
            "window": self.sequence_length,
            "target.horizon": self.horizon,
            "training.batch_size": self.batch_size,
            "training.learning_rate": self._checked_rate(),
        }
        found = [f"{key}={_plain(value)}" for key, value in values.items() if value is not None]
        if self.units is None and self.dropout is None:
            return found
        from models.recipe import load_recipe

        architecture = load_recipe(recipe).architecture
        if self.units is not None:
            found += _units(self.units, architecture, recipe)
        if self.dropout is not None:
            found.append(_dropout(self.dropout, architecture, recipe))
        return found

    def _checked_rate(self) -> float | None:
        """The learning rate, within its bounds."""
        if self.learning_rate is not None and not 0.0 < self.learning_rate <= 1.0:
            raise UsageError(f"--learning-rate {self.learning_rate:g}: it must be above 0 and at most 1")
        return self.learning_rate


def takes_files(
    candles: list[str] | None, symbols: list[str] | None, exchange: str | None, store: Path | None
) -> bool:
    """Whether candles come out of files; otherwise out of the store.

    Raises:
        UsageError: Neither or both were given, or options of the one with the other.
    """
    if bool(candles) == bool(symbols):
        raise UsageError(
            "say which candles: --candles FILE, or --exchange ID --symbol S with --from and --to for stored ones"
        )
    if candles and (exchange is not None or store is not None):
        raise UsageError("--exchange and --store go with --symbol, not with --candles")
    return bool(candles)


def print_recipes(*, as_json: bool) -> None:
    """Every recipe that comes with the program: its name, what it says, and its shape in a line."""
    from bot.cli.data_tables import print_json
    from models.recipe import load_recipe, recipe_names

    recipes = [load_recipe(name) for name in recipe_names()]
    if as_json:
        print_json(
            [
                {
                    "name": recipe.name,
                    "description": recipe.description,
                    "features": recipe.features,
                    "window": recipe.window,
                    "target": recipe.target.kind,
                    "horizon": recipe.target.horizon,
                    "scaler": recipe.scaler.kind,
                    "architecture": recipe.architecture.kind,
                }
                for recipe in recipes
            ]
        )
        return
    for recipe in recipes:
        typer.echo(f"{recipe.name}: {' '.join(recipe.description.split())}")
        typer.echo(
            f"  {recipe.architecture.kind} on {recipe.window} minutes of {recipe.features} ({recipe.scaler.kind}) "
            f"-> {recipe.target.kind}, {recipe.target.horizon} minutes ahead"
        )


def _units(text: str, architecture: ArchitectureSection, recipe: str) -> list[str]:
    """Overrides for the layers; an architecture of equal layers takes one number, repeated once a layer."""
    try:
        numbers = [int(part) for part in text.strip().strip("[]").split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= _MOST_LAYERS or not all(1 <= number <= _MOST_UNITS for number in numbers):
        raise UsageError(
            f"--units {text}: write 1 to {_MOST_LAYERS} whole numbers from 1 to {_MOST_UNITS}, such as 64,32"
        )
    now = getattr(architecture, "units", None)
    if now is None:
        raise UsageError(f"--units {text}: recipe {recipe} ({architecture.kind}) has no layers of units")
    if isinstance(now, list):
        return [f"architecture.units={numbers}"]
    if len(set(numbers)) > 1:
        raise UsageError(f"--units {text}: the layers of recipe {recipe} all have the same number of units")
    layers = [f"architecture.layers={len(numbers)}"] if len(numbers) > 1 else []
    return [f"architecture.units={numbers[0]}", *layers]


def _dropout(share: float, architecture: ArchitectureSection, recipe: str) -> str:
    """The override for the dropout."""
    if not 0.0 <= share < 1.0:
        raise UsageError(f"--dropout {share:g}: it must be at least 0 and below 1")
    if getattr(architecture, "dropout", None) is None:
        raise UsageError(f"--dropout {share:g}: recipe {recipe} ({architecture.kind}) has no dropout")
    return f"architecture.dropout={_plain(share)}"


def _plain(value: float) -> str:
    """A number as YAML reads it: 1e-05 without a point would be a text there."""
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def trading_costs(configs: Sequence[Path]) -> TradingCosts:
    """What a round trip costs by the settings.

    Raises:
        ConfigError: A file or a value is refused.
    """
    from bot.settings import load_settings
    from models.forecast_trades import TradingCosts

    return TradingCosts(load_settings(configs, {"mode": "paper"}).costs.to_core().round_trip)


def seeds_on_ray(address: str, recipe: Recipe) -> SeedLearner:
    """What learns the seeds of a recipe on a Ray cluster.

    Raises:
        UsageError: There is one seed only.
    """
    from backtests.cluster import Where
    from backtests.cluster_seeds import spread_seeds
    from models.seed_shipping import seeds_elsewhere

    if recipe.training.seeds < 2:
        raise UsageError("--ray goes with --seeds N: one seed is learnt in one process")
    return seeds_elsewhere(spread_seeds(Where(ray=address)))
