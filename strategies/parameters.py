"""Parameters of a strategy as people give them: a named set, single values in place of its own, and what is wrong."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from bot.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

P = TypeVar("P", bound="DataclassInstance")


def chosen_parameters(strategy: str, sets: Mapping[str, P], name: str, overrides: Mapping[str, Any]) -> P:
    """A named set with some values replaced, each in the type of the one that it replaces.

    Args:
        strategy: The name that sentences begin with.
        sets: The strategy's sets by name.
        name: Of the set.
        overrides: Values by name of parameter; text is read.

    Raises:
        ConfigError: Unknown set or parameter, or a value of the wrong type.
    """
    if name not in sets:
        raise ConfigError(f"{strategy} has no parameter set {name!r}: use {', '.join(sets)}")
    base = sets[name]
    known = {field.name for field in fields(base)}
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known))}"
            raise ConfigError(f"{strategy} has no parameter {key!r}: {hint}")
        values[key] = _converted(f"{strategy}.{key}", value, getattr(base, key))
    return replace(base, **values)


def refuse_negative(strategy: str, parameters: DataclassInstance) -> None:
    """Raise ConfigError where any parameter is below 0."""
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if value < 0:
            raise ConfigError(f"{strategy}.{field.name} must not be negative, and is {value}")


def refuse_wide(strategy: str, parameters: DataclassInstance, *names: str) -> None:
    """Raise ConfigError where a distance is no fraction of the price."""
    for name in names:
        if not 0 < getattr(parameters, name) < 1:
            raise ConfigError(f"{strategy}.{name} must lie between 0 and 1 (0.005 is 0.5 %)")


def _converted(name: str, value: Any, like: Any) -> Any:
    """A value in the type of the one it replaces."""
    if isinstance(like, bool):
        words = {"true": True, "false": False}
        if isinstance(value, bool) or str(value).lower() in words:
            return value if isinstance(value, bool) else words[str(value).lower()]
        raise ConfigError(f"{name} must be true or false, not {value!r}")
    if isinstance(value, bool):
        raise ConfigError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{name} must be a number, not {value!r}") from error
    if not math.isfinite(number):
        raise ConfigError(f"{name} must be a finite number, not {value!r}")
    if isinstance(like, int) and not number.is_integer():
        raise ConfigError(f"{name} must be a whole number, not {value!r}")
    return type(like)(number)
