"""Recipes: features, target, scaler, split, architecture and training of a model, as YAML.

A recipe is found by name in ``config/recipes`` or by the path of a file. Unknown keys are refused, and
``key=value`` pairs such as ``training.batch_size=256`` change single fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.errors import ConfigError
from models.features import FEATURE_SETS
from models.hashing import canonical_json, sha256

Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TargetSection(_Section):
    """What the model says: ``scaled_return`` or ``next_close``, and how many minutes ahead."""

    kind: Literal["scaled_return", "next_close"]
    horizon: Annotated[int, Field(ge=1, le=1440)]


class ScalerSection(_Section):
    """How features are scaled; scaled values beyond ±clip are cut there."""

    kind: Literal["standard", "minmax"]
    clip: Annotated[float, Field(gt=0.0)] | None = None


class SplitSection(_Section):
    """Shares of the windows in order of time; a calibrate share of 0 calibrates on the early-stop slice.

    Attributes:
        embargo: Minutes left out between slices; None takes the longer of window and horizon.
    """

    train: Share
    early_stop: Share
    calibrate: Share
    test: Share
    embargo: Annotated[int, Field(ge=0)] | None = None

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """The four shares in order of time."""
        return self.train, self.early_stop, self.calibrate, self.test


class ArchitectureSection(_Section):
    """Layers: LSTM of each number of units, dropout after each, one linear output."""

    kind: Literal["stacked_lstm"]
    units: Annotated[list[PositiveInt], Field(min_length=1, max_length=8)]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]


class PlateauSection(_Section):
    """When and how far the learning rate falls (ReduceLROnPlateau)."""

    factor: Annotated[float, Field(gt=0.0, lt=1.0)]
    patience: PositiveInt
    min_learning_rate: Annotated[float, Field(ge=0.0)]


class TrainingSection(_Section):
    """How the weights are found.

    Attributes:
        stride: Every n-th training window is used; windows a minute apart share 59 of 60 rows.
        max_minutes: Training stops there and keeps the best checkpoint.
    """

    loss: Literal["huber", "mse"]
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    batch_size: PositiveInt
    max_epochs: PositiveInt
    max_minutes: Annotated[float, Field(gt=0.0)]
    early_stopping_patience: PositiveInt
    plateau: PlateauSection
    stride: PositiveInt = 1
    seed: Annotated[int, Field(ge=0, lt=2**31)]


class Recipe(_Section):
    """All that decides what a model becomes, but for the candles."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    description: str = ""
    features: str
    window: Annotated[int, Field(ge=2, le=1000)]
    target: TargetSection
    scaler: ScalerSection
    split: SplitSection
    architecture: ArchitectureSection
    training: TrainingSection

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.features not in FEATURE_SETS:
            raise ValueError(f"features: {self.features!r} is not one of {', '.join(sorted(FEATURE_SETS))}")
        if abs(sum(self.split.shares) - 1.0) > 1e-9:
            raise ValueError(f"split: the shares add up to {sum(self.split.shares):g}, not to 1")
        if min(self.split.train, self.split.early_stop, self.split.test) <= 0.0:
            raise ValueError("split: train, early_stop and test must be more than 0")
        if self.split.embargo is not None and self.split.embargo < self.least_embargo:
            raise ValueError(f"split.embargo: must be at least {self.least_embargo}, the window or horizon")
        if self.target.kind == "next_close" and "close" not in FEATURE_SETS[self.features].columns:
            raise ValueError(f"target: next_close needs a close column, which {self.features} lacks")
        return self

    @property
    def least_embargo(self) -> int:
        """The longer of window and horizon, minutes."""
        return max(self.window, self.target.horizon)

    @property
    def embargo(self) -> int:
        """Minutes left out between slices."""
        return self.least_embargo if self.split.embargo is None else self.split.embargo

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return sha256(self.to_json())


def load_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe by name or path and apply ``key=value`` overrides.

    Raises:
        ConfigError: The file is missing or malformed, or a field is unknown or out of range; names both.
    """
    where, text = _recipe_text(name)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise ConfigError(f"{where} is not YAML: {' '.join(str(fault).split())}") from fault
    if not isinstance(document, dict):
        raise ConfigError(f"{where} is not a recipe: it must be a table of keys and values")
    for pair in overrides:
        _override(document, pair)
    return parse_recipe(document, where)


def parse_recipe(document: Mapping[str, Any], where: str) -> Recipe:
    """Check a recipe's fields; ConfigError names the place and the first wrong field."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as fault:
        first = fault.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = "is not a field of a recipe" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigError(f"{where}: {f'{field}: ' if field else ''}{reason}") from fault


def recipe_names() -> list[str]:
    """Names of the recipes that come with the program."""
    folder = resources.files("config") / "recipes"
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def _recipe_text(name: str) -> tuple[str, str]:
    """(where it was found, its text)."""
    try:
        if name.endswith((".yaml", ".yml")) or "/" in name:
            return name, Path(name).read_text(encoding="utf-8")
        if name not in recipe_names():
            raise ConfigError(f"there is no recipe {name!r} (known: {', '.join(recipe_names())})")
        entry = resources.files("config") / "recipes" / f"{name}.yaml"
        return f"config/recipes/{name}.yaml", entry.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"the recipe {name} cannot be read: {fault}") from fault


def _override(document: dict[str, Any], pair: str) -> None:
    """Set one field by its dotted name; whether it exists and fits is for the check of the whole to say."""
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set takes key=value, not {pair!r}")
    *parents, last = key.split(".")
    place: Any = document
    for part in parents:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ConfigError(f"--set {pair}: {key} is not a field of a recipe")
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as fault:
        raise ConfigError(f"--set {pair}: the value is not YAML") from fault
