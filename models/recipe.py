"""Recipes: features, target, scaler, split, architecture and training of a model, as YAML.

A recipe is found by name in ``config/recipes`` or by the path of a file. Unknown keys are refused, and
``key=value`` pairs such as ``training.batch_size=256`` change single fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from bot.bounded_yaml import bounded_load, bounded_text
from bot.errors import ConfigError
from models.features import FEATURE_SETS
from models.hashing import canonical_json, sha256
from models.recipe_sections import (
    ArchitectureSection,
    ScalerSection,
    Section,
    SplitSection,
    TargetSection,
    TrainingSection,
)


class Recipe(Section):
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
        self._parts_fit()
        return self

    def _parts_fit(self) -> None:
        """Refuse targets, losses and architectures that do not go together."""
        kind, target, loss = self.architecture.kind, self.target.kind, self.training.loss
        if (kind == "attention_multitask") != (target == "trend_and_direction"):
            raise ValueError(
                "architecture: attention_multitask and the target trend_and_direction need each other"
            )
        if kind in ("forest", "ensemble") and target != "scaled_return":
            raise ValueError(f"target: a {kind} learns scaled_return, not {target}")
        if kind in ("forest", "ensemble") and self.scaler.kind == "rolling":
            raise ValueError(f"scaler: rolling is computed inside a network, which a {kind} is not")
        fitting = {"direction": ("binary_crossentropy",), "trend_and_direction": ("multitask",)}
        if kind != "forest" and loss not in fitting.get(target, ("huber", "mse")):
            raise ValueError(f"training.loss: {loss} does not fit the target {target}")

    @property
    def least_embargo(self) -> int:
        """The longer of window and horizon, minutes."""
        return max(self.window, self.target.reach)

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
        document = bounded_load(text)
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
            return name, bounded_text(Path(name))
        if name not in recipe_names():
            raise ConfigError(f"there is no recipe {name!r} (known: {', '.join(recipe_names())})")
        entry = resources.files("config") / "recipes" / f"{name}.yaml"
        return f"config/recipes/{name}.yaml", entry.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
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
        place[last] = bounded_load(value)
    except yaml.YAMLError as fault:
        raise ConfigError(f"--set {pair}: the value is not YAML") from fault
