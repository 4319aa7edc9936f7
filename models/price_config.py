"""The configuration of ``LSTMPricePredictor``: a YAML file, kept as a dictionary that the user may edit."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bot.bounded_yaml import bounded_load, bounded_text
from bot.errors import ConfigError
from models.recipe_sections import PlateauSection, StackedLstmSection, TrainingSection

DEFAULT_CONFIG = "config/config.yaml"

_ARCHITECTURE_FIELDS = {"units": "lstm_units", "dropout": "dropout_rate"}
_TRAINING_FIELDS = {"learning_rate": "learning_rate", "max_epochs": "epochs", "batch_size": "batch_size"}


def load_config(config_path: str) -> dict[str, Any]:
    """Read a configuration file and check its ``model`` table; other tables are left as they are.

    Args:
        config_path: A YAML file. ``config/config.yaml`` means the packaged file where the working folder has none.

    Raises:
        ConfigError: The file is missing or no YAML, or a field is missing or out of range; names file and field.
    """
    try:
        document = bounded_load(_text(config_path))
    except yaml.YAMLError as fault:
        raise ConfigError(f"{config_path} is not YAML: {' '.join(str(fault).split())}") from fault
    if not isinstance(document, dict):
        raise ConfigError(f"{config_path} must be a table with a table named model in it")
    architecture(document, where=config_path)
    training(document, where=config_path)
    return document


def architecture(config: Mapping[str, Any], *, where: str = "config") -> StackedLstmSection:
    """The layers that a configuration asks for.

    Raises:
        ConfigError: ``lstm_units`` or ``dropout_rate`` is missing or out of range.
    """
    chosen = _chosen(config, _ARCHITECTURE_FIELDS, where)
    try:
        return StackedLstmSection.model_validate({"kind": "stacked_lstm", **chosen})
    except ValidationError as fault:
        raise _refusal(fault, _ARCHITECTURE_FIELDS, where) from fault


def training(config: Mapping[str, Any], *, where: str = "config") -> TrainingSection:
    """The training that a configuration asks for; what it cannot say is as the recipe minmax-close has it.

    Raises:
        ConfigError: ``learning_rate``, ``epochs`` or ``batch_size`` is missing or out of range.
    """
    chosen = _chosen(config, _TRAINING_FIELDS, where)
    fixed = {
        "loss": "mse",
        "early_stopping_patience": 10,
        "plateau": PlateauSection(factor=0.5, patience=5, min_learning_rate=1e-7),
    }
    try:
        return TrainingSection.model_validate(fixed | chosen)
    except ValidationError as fault:
        raise _refusal(fault, _TRAINING_FIELDS, where) from fault


def _text(config_path: str) -> str:
    """What the file holds, or the packaged file in place of a default that is not there."""
    path = Path(config_path)
    try:
        if config_path == DEFAULT_CONFIG and not path.exists():
            return (resources.files("config") / "config.yaml").read_text(encoding="utf-8")
        return bounded_text(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else fault
        raise ConfigError(f"the configuration {config_path} cannot be read: {reason}") from fault


def _chosen(config: Mapping[str, Any], fields: Mapping[str, str], where: str) -> dict[str, Any]:
    """The documents' fields of the table ``model`` under the names that the sections give them."""
    table = config.get("model")
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: there must be a table named model")
    for name in fields.values():
        if name not in table:
            raise ConfigError(f"{where}: model.{name} is missing")
    return {ours: table[theirs] for ours, theirs in fields.items()}


def _refusal(fault: ValidationError, fields: Mapping[str, str], where: str) -> ConfigError:
    """The first wrong field, in the documents' words."""
    first = fault.errors()[0]
    name, *rest = (str(part) for part in first["loc"])
    return ConfigError(f"{where}: model.{'.'.join([fields.get(name, name), *rest])}: {first['msg']}")
