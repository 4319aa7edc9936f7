"""Layers put together and checked; whatever is wrong becomes one sentence that names the place and the field."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from bot.bounded_yaml import bounded_text
from bot.errors import ConfigError
from bot.redaction import keep_secret
from bot.settings.layers import (
    FLAG,
    PREFIX,
    FieldPath,
    Layer,
    LayerSource,
    credentials_layer,
    environment_layer,
    flag_layer,
    is_secret,
    secret_fields,
    section_at,
    yaml_layer,
)
from bot.settings.model import DISAGREEMENT, Settings
from bot.settings.presets import preset_layer
from bot.settings.secret_files import private_fault

DEFAULTS_FILE: Final = "config/default.yaml"
STATE_DIR_VARIABLE: Final = "BOT_STATE_DIR"
MOST_TOLD: Final = 10
"""So many wrong settings are named in one error."""
_NUMBER_SIGNS: Final = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_WANTED: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "text",
    "path": "a path",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a section of keys",
    "is": "a section of keys",
}


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and who said each value.

    Attributes:
        settings: The checked values.
        sources: By dotted name of a field: ``default``, a file with its line, a variable or a flag.
    """

    settings: Settings
    sources: dict[str, str]


def load_settings(
    files: Sequence[Path] = (),
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Put the settings together: defaults < preset of costs < files in their order < systemd's credentials < environment < overrides.

    Every secret that any of them holds is kept out of whatever this process writes from then on.

    Args:
        files: YAML files.
        overrides: Flags by dotted name, such as ``{"exchange.id": "okx"}``; None stands for not given.
        environ: The environment; that of the process where it is None.

    Raises:
        ConfigError: One sentence that names the file, variable or flag, the field, and what is wrong.
    """
    return load_with_sources(files, overrides, environ).settings


def load_with_sources(
    files: Sequence[Path] = (),
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """``load_settings``, with the source of every value beside it; the same arguments and errors."""
    variables = os.environ if environ is None else environ
    state_dir = Layer()
    if variables.get(STATE_DIR_VARIABLE):
        state_dir.put(("state_dir",), variables[STATE_DIR_VARIABLE], STATE_DIR_VARIABLE)
    told = [
        state_dir,
        *map(_file_layer, files),
        credentials_layer(variables),
        environment_layer(variables),
        flag_layer(overrides or {}),
    ]
    layers = [yaml_layer(_default_text(), DEFAULTS_FILE), preset_layer(told), *told]
    settings = _assembled(layers)
    return LoadedSettings(settings, dict(_sources_of(settings, (), layers)))


def _default_text() -> str:
    folder, name = DEFAULTS_FILE.split("/")
    return package_files(folder).joinpath(name).read_text(encoding="utf-8")


def _file_layer(file: Path) -> Layer:
    """A settings file; one that holds a secret must be private."""
    layer = yaml_layer(_file_text(file), str(file))
    held = [path for path in secret_fields() if _value_at(layer.tree, path) is not None]
    if held:
        fault = private_fault(file.expanduser().stat(), file)
        if fault is not None:
            raise ConfigError(f"{layer.origins[held[0]]}: {'.'.join(held[0])}: {fault}")
    return layer


def _file_text(file: Path) -> str:
    try:
        return bounded_text(file.expanduser())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: {error}") from error


def _assembled(layers: Sequence[Layer]) -> Settings:
    """Merge and validate; the layers later in the list win. What is secret is hidden first: an error may repeat it."""
    for path in secret_fields():
        keep_secret(*(_words(_value_at(layer.tree, path)) for layer in layers))

    class LayeredSettings(Settings):
        """Settings that read these layers."""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(LayerSource(settings_cls, layer) for layer in reversed(layers))

    try:
        return Settings(**dict(LayeredSettings()))
    except ValidationError as error:
        raise ConfigError(_all_sentences(error.errors(include_url=False), layers)) from error


def _value_at(tree: Mapping[str, Any], path: FieldPath) -> Any:
    """What a layer says of a field, None where it says nothing."""
    value: Any = tree
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _words(value: Any) -> str | None:
    """A secret as text, those of a list in lines."""
    if isinstance(value, (list, tuple)):
        return "\n".join(map(str, value))
    return None if value is None else str(value)


def _origin(path: FieldPath, layers: Sequence[Layer]) -> str | None:
    """Who said the value at a path, or the field that contains it; None when nobody did."""
    for length in range(len(path), 0, -1):
        said = path[:length]
        if length < len(path) and section_at(said) is not None:
            return None
        for layer in reversed(layers):
            if said in layer.origins:
                return layer.origins[said]
    return None


def _sources_of(model: BaseModel, path: FieldPath, layers: Sequence[Layer]) -> list[tuple[str, str]]:
    """Dotted name and source of every field of a section, in the order of the model."""
    rows: list[tuple[str, str]] = []
    for name in type(model).model_fields:
        here, value = (*path, name), getattr(model, name)
        if isinstance(value, BaseModel):
            rows += _sources_of(value, here, layers)
        elif isinstance(value, dict) and value:
            rows += [(".".join((*here, key)), _origin((*here, key), layers) or "default") for key in value]
        else:
            rows.append((".".join(here), _origin(here, layers) or "default"))
    return rows


# --- in words ---------------------------------------------------------------------------------------------


def _all_sentences(errors: Sequence[ErrorDetails], layers: Sequence[Layer]) -> str:
    """Every error in words, so that all can be mended at once; where there are very many, the first of them."""
    told = list(dict.fromkeys(_sentence(error, layers) for error in errors))
    more = [f"and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
    return "; ".join([*told[:MOST_TOLD], *more])


def _sentence(error: ErrorDetails, layers: Sequence[Layer]) -> str:
    """One error in words; the last-said layer is where a person looks first."""
    context = error.get("ctx", {})
    path: FieldPath = tuple(str(part) for part in error["loc"])
    said = path
    if error["type"] == DISAGREEMENT:
        path, said = (tuple(str(context[key]).split(".")) for key in ("field", "said"))
    field = tuple(part for part in path if not part.isdigit())
    origin = _origin(tuple(part for part in said if not part.isdigit()), layers)
    place = {None: "", FLAG: f"{FLAG} "}.get(origin, f"{origin}: ")
    return f"{place}{'.'.join(path)}: {_problem(error, field)}"


def _problem(error: ErrorDetails, path: FieldPath) -> str:
    kind, context = error["type"], error.get("ctx", {})
    value = "" if is_secret(path) else f", not {_shown(error.get('input'))}"
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind in _NUMBER_SIGNS:
        name, words = _NUMBER_SIGNS[kind]
        return f"must be {words} {context[name]:g}{value}"
    if kind == "literal_error":
        return f"must be {context['expected']}{value}"
    if kind == "string_pattern_mismatch":
        return f"must look like {context['pattern']}{value}"
    if kind in {"too_short", "string_too_short"}:
        return "must not be empty"
    if kind == "value_error":
        return str(context["error"])
    if kind == DISAGREEMENT:
        return str(context["problem"])
    wanted = _WANTED.get("finite" if kind == "finite_number" else kind.split("_")[0])
    return f"must be {wanted}{value}" if wanted else f"{error['msg'][:1].lower()}{error['msg'][1:]}{value}"


def _unknown_key(path: FieldPath) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    parent = section_at(path[:-1])
    known = list(parent.model_fields) if parent else []
    nearest = difflib.get_close_matches(path[-1], known, n=1)
    if nearest:
        return f"unknown key; did you mean {'.'.join((*path[:-1], nearest[0]))}?"
    where = ".".join(path[:-1])
    return f"unknown key; {f'{where} has' if where else 'the settings have'} {', '.join(known)}"


def _shown(value: Any) -> str:
    """A wrong value, short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


__all__ = [
    "DEFAULTS_FILE",
    "PREFIX",
    "STATE_DIR_VARIABLE",
    "LoadedSettings",
    "load_settings",
    "load_with_sources",
]
