"""Where values come from: a YAML file, the environment, flags. Each is a layer that knows who said what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from bot.bounded_yaml import BoundedLoader
from bot.errors import ConfigError
from bot.settings.model import Settings
from bot.settings.secret_files import CREDENTIALS_VARIABLE, read_secret

PREFIX: Final = "BOT__"
FLAG: Final = "flag"
FieldPath: TypeAlias = tuple[str, ...]
"""A field by the names that lead to it, such as ``("risk", "max_orders_per_minute")``."""


@dataclass(slots=True)
class Layer:
    """The values of one source.

    Attributes:
        tree: Values by section and key, as a source of pydantic-settings gives them.
        origins: Who said a value, for a person (``live.yaml line 4``, ``BOT__EXCHANGE__ID``).
    """

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[FieldPath, str] = field(default_factory=dict)

    def put(self, path: FieldPath, value: Any, origin: str) -> None:
        """Set one value, making the sections that lead to it."""
        branch = self.tree
        for depth, name in enumerate(path[:-1], 1):
            self.origins.setdefault(path[:depth], origin)
            branch = branch.setdefault(name, {})
            if not isinstance(branch, dict):
                raise ConfigError(
                    f"{origin}: {'.'.join(path)}: {'.'.join(path[:depth])} has a value itself; give one of the two"
                )
        branch[path[-1]] = value
        self.origins[path] = origin


class LayerSource(PydanticBaseSettingsSource):
    """A layer as pydantic-settings takes it."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """The layer's value of a field; part of the library's contract, though it asks for all at once."""
        return self._layer.tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Everything that the layer says."""
        return self._layer.tree


# --- YAML -------------------------------------------------------------------------------------------------


def yaml_layer(text: str, name: str) -> Layer:
    """Read a settings file.

    Args:
        text: Its content.
        name: How it is called in errors.

    Raises:
        ConfigError: Malformed YAML (with line and column), a key that comes twice, no mapping at the top.
    """
    try:
        loader = BoundedLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Layer()
            return _YamlReader(loader, name).read(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f" line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name}{at}: malformed YAML: {_joined(error.problem or error.context)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: malformed YAML: {_joined(str(error))}") from error
    except ValueError as error:  # such as a date of a thirteenth month
        raise ConfigError(f"{name}: malformed YAML: {_joined(str(error))}") from error
    except RecursionError as error:
        raise ConfigError(
            f"{name}: malformed YAML: it nests without end; settings nest two or three deep"
        ) from error


class _YamlReader:
    """Turns YAML nodes into a layer; keeps the line of every key."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self._loader = loader
        self._name = name
        self._layer = Layer()

    def read(self, root: yaml.Node) -> Layer:
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{self._name}: the file must hold sections and keys, such as 'mode: paper'")
        self._layer.tree = self._mapping(root, ())
        return self._layer

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            origin = f"{self._name} line {key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{origin}: a key must be a word, such as mode")
            key = str(key_node.value)
            below = (*path, key)
            if key in values:
                raise ConfigError(f"{origin}: {'.'.join(below)}: the key comes twice; keep one")
            self._layer.origins[below] = origin
            if isinstance(value_node, yaml.MappingNode):
                values[key] = self._mapping(value_node, below)
            else:
                values[key] = self._loader.construct_object(value_node, deep=True)
            if values[key] is None and section_at(below) is not None:
                values[key] = {}  # a section whose keys are all commented out
        return values


def _joined(text: str | None) -> str:
    """An error's text on one line."""
    return " ".join((text or "it cannot be read").split())


# --- environment ------------------------------------------------------------------------------------------


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Read ``BOT__SECTION__KEY``, and ``BOT__SECTION__KEY_FILE`` for secrets.

    ``null`` stands for no value; a list is separated by commas or written as JSON.

    Raises:
        ConfigError: A secret's file that can't be read, or a secret that is given twice.
    """
    layer = Layer()
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        path = tuple(variable[len(PREFIX) :].lower().split("__"))
        secret = (*path[:-1], path[-1].removesuffix("_file"))
        if secret != path and is_secret(secret):
            if variable.removesuffix("_FILE") in environ:
                raise ConfigError(f"{variable}: {'.'.join(secret)}: it is set without _FILE too; keep one")
            said = f"{variable}: {'.'.join(secret)}"
            layer.put(secret, read_secret(Path(environ[variable]).expanduser(), said), variable)
        else:
            layer.put(path, from_text(environ[variable]), variable)
    return layer


def credentials_layer(environ: Mapping[str, str]) -> Layer:
    """Read secrets that systemd hands over: the file ``exchange_api_key`` of its folder is ``exchange.api_key``.

    Raises:
        ConfigError: A credential that is there and can't be read.
    """
    layer = Layer()
    folder = environ.get(CREDENTIALS_VARIABLE)
    for path in secret_fields() if folder else ():
        file = Path(folder or "") / "_".join(path)
        if file.exists():
            origin = f"${CREDENTIALS_VARIABLE}/{file.name}"
            layer.put(path, read_secret(file, f"{origin}: {'.'.join(path)}", of_system=True), origin)
    return layer


def from_text(value: Any) -> Any:
    """A value of the environment or of a flag: itself, or None for the word ``null``."""
    return None if value == "null" else value


# --- flags ------------------------------------------------------------------------------------------------


def flag_layer(overrides: Mapping[str, Any]) -> Layer:
    """Read dotted names and their values, as the command line gives them; what is None was not given."""
    layer = Layer()
    for name, value in overrides.items():
        if value is not None:
            layer.put(tuple(name.split(".")), from_text(value), FLAG)
    return layer


# --- the shape --------------------------------------------------------------------------------------------


def section_at(path: FieldPath) -> type[BaseModel] | None:
    """The model class that a path leads to, or None when it leads to a field or nowhere."""
    here: type[BaseModel] = Settings
    names = iter(path)
    for name in names:
        below = here.model_fields.get(name)
        kind = None if below is None else below.annotation
        each = _values_of_mapping(kind)
        if each is not None and next(names, None) is not None:  # a mapping's own keys are any
            kind = each
        if not isinstance(kind, type) or not issubclass(kind, BaseModel):
            return None
        here = kind
    return here


def _values_of_mapping(kind: Any) -> Any:
    """What the values of a mapping's type are; None for another type."""
    return get_args(kind)[1] if get_origin(kind) is dict else None


def is_secret(path: FieldPath) -> bool:
    """Whether a path leads to a field whose value is never shown."""
    parent = section_at(path[:-1])
    known = parent.model_fields.get(path[-1]) if parent else None
    return known is not None and SecretStr in (known.annotation, *get_args(known.annotation))


def secret_fields(above: FieldPath = ()) -> Iterator[FieldPath]:
    """Every field whose value is never shown."""
    here = section_at(above)
    for name in here.model_fields if here is not None else ():
        if section_at((*above, name)) is not None:
            yield from secret_fields((*above, name))
        elif is_secret((*above, name)):
            yield (*above, name)
