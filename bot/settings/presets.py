"""Costs of an exchange by name: a settings file that comes with the bot, below every file of a person."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files as package_files
from typing import Final

from bot.errors import ConfigError
from bot.settings.layers import FieldPath, Layer, yaml_layer

PRESETS_FOLDER: Final = "costs"
"""Folder of the presets in the package ``config``."""

PRESET: Final[FieldPath] = ("costs", "preset")


def preset_names() -> tuple[str, ...]:
    """The presets that there are."""
    folder = package_files("config").joinpath(PRESETS_FOLDER)
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".yaml")))


def preset_layer(layers: Sequence[Layer]) -> Layer:
    """The values of the preset that the last of these layers to name one wants; an empty layer where none does.

    Raises:
        ConfigError: There is no such preset.
    """
    for layer in reversed(layers):
        costs = layer.tree.get(PRESET[0])
        if not isinstance(costs, dict) or PRESET[1] not in costs:
            continue
        name = costs[PRESET[1]]
        if not isinstance(name, str):  # null takes none; anything else is refused as every wrong value is
            return Layer()
        return _read(name, layer.origins.get(PRESET, ""))
    return Layer()


def _read(name: str, origin: str) -> Layer:
    known = preset_names()
    if name not in known:
        place = {"": "", "flag": "flag "}.get(origin, f"{origin}: ")
        raise ConfigError(f"{place}costs.preset: there is no preset {name!r}; use {', '.join(known)}")
    file = package_files("config").joinpath(PRESETS_FOLDER, f"{name}.yaml")
    return yaml_layer(file.read_text(encoding="utf-8"), f"config/{PRESETS_FOLDER}/{name}.yaml")
