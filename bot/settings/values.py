"""Kinds of value that settings are made of: what each takes, and what it says to the rest.

A validator raises ValueError, TypeErrors being none of pydantic's business; the loader makes the sentence.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bot.core.market import Symbol

MAX_MONEY: Final = 1e12
"""More than any account holds, quote currency."""

_SYMBOL = re.compile(r"[^\s/:]+/([^\s/:]+)(?::([^\s/:]+))?")


def _no_truth(value: Any) -> Any:
    """Refuse true and false where a number is wanted: pydantic would read them as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - pydantic wants it
    return value


def _listed(value: Any) -> Any:
    """Words of an environment variable or a flag: a JSON list, or separated by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json(value, "a list")
    return [word.strip() for word in value.split(",") if word.strip()]


def _parameters(value: Any) -> Any:
    """A mapping of plain values; in an environment variable or a flag it is written as JSON."""
    values = mapping_of_json(value)
    if isinstance(values, Mapping):
        for key, single in values.items():
            if not isinstance(single, (bool, int, float, str)):
                raise ValueError(f"{key} must be a number, a word, true or false")  # noqa: TRY004 - likewise
    return values


def mapping_of_json(value: Any) -> Any:
    """A mapping; in an environment variable or a flag it is written as JSON."""
    return _json(value, 'a JSON object such as {"threshold": 0.001}') if isinstance(value, str) else value


def _json(text: str, wanted: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"must be {wanted}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"must be {wanted}: it nests without end") from error


def _loopback(value: str) -> str:
    """Refuse an address that is not of this machine."""
    host, _, port = value.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        right = address.is_loopback and 0 < int(port) < 65_536
    except ValueError:
        right = False
    if not right:
        raise ValueError("must be an address of this machine and a port, such as 127.0.0.1:8443")
    return value


def _symbols(names: tuple[str, ...]) -> tuple[Symbol, ...]:
    """Refuse names that are not unified, that come twice, or that settle in another currency."""
    for name in names:
        match = _SYMBOL.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} must be a unified name such as BTC/USDT (spot) or BTC/USDT:USDT")
        quote, settle = match.groups()
        if settle not in {None, quote}:
            raise ValueError(f"{name!r} settles in {settle}: only linear contracts and spot are traded")
        if names.count(name) > 1:
            raise ValueError(f"{name!r} must not be named twice")
    return names


Number = Annotated[float, BeforeValidator(_no_truth)]
Whole = Annotated[int, BeforeValidator(_no_truth)]
Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Symbols = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_symbols), Field(min_length=1)]
LocalAddress = Annotated[str, AfterValidator(_loopback)]
HomePath = Annotated[Path, AfterValidator(Path.expanduser)]
Parameters = Annotated[dict[str, bool | int | float | str], BeforeValidator(_parameters)]


class Section(BaseModel):
    """A group of settings: frozen, and with no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)
