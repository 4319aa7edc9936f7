"""Parameters of a request as Binance reads them: which must be there, and what they may hold.

Codes and texts of the refusals are the exchange's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias, TypeVar

from bot.simexchange.orders import Refusal

Params: TypeAlias = Mapping[str, str]

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_Name = TypeVar("_Name", bound=StrEnum)


def needed(params: Params, name: str) -> str:
    """A parameter that must be there; raises Refusal -1102."""
    value = params.get(name)
    if not value:
        raise missing(name)
    return value


def missing(name: str) -> Refusal:
    """What is said of a parameter that is not there."""
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def integer(params: Params, name: str, default: int | None = None) -> int | None:
    """A whole number; raises Refusal -1100."""
    text = params.get(name)
    if text is None:
        return default
    if not text.removeprefix("-").isdecimal() or not text.isascii() or len(text) > 20:
        raise _illegal(name, "^[0-9]{1,20}$")
    return int(text)


def rows(params: Params, default: int, most: int) -> int:
    """The parameter ``limit``: at most ``most``; raises Refusal -1130 for one below 1."""
    limit = integer(params, "limit", default)
    if limit is None or limit < 1:
        raise Refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, most)


def decimal(params: Params, name: str) -> float | None:
    """A number that is not negative, or None; raises Refusal -1100."""
    text = params.get(name)
    if text is None or text == "":
        return None
    if not _DECIMAL.fullmatch(text):
        raise _illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
    return float(text)


def flag(params: Params, name: str) -> bool:
    """Whether a parameter is ``true``, in any case of its letters; raises Refusal -1130 for another word."""
    text = params.get(name, "false").lower()
    if text not in {"true", "false"}:
        raise Refusal(-1130, f"Data sent for parameter '{name}' is not valid.")
    return text == "true"


def word(params: Params, name: str, kind: type[_Name], refusal: Refusal) -> _Name:
    """A parameter that is one of an enum's values; raises ``refusal`` for another."""
    try:
        return kind(needed(params, name))
    except ValueError:
        raise refusal from None


def side(params: Params) -> str:
    """``BUY`` or ``SELL``; raises Refusal."""
    value = needed(params, "side")
    if value not in {"BUY", "SELL"}:
        raise Refusal(-1117, "Invalid side.")
    return value


def span(
    params: Params, now_ms: int, longest_ms: int, too_long: tuple[int, str] | None = None
) -> tuple[int, int]:
    """``startTime`` and ``endTime`` of a history; where one is not given, ``longest_ms`` from the other.

    Raises:
        Refusal: -1023 for a start after the end; ``too_long`` (-4165) for a longer stretch than the exchange looks at.
    """
    since, until = integer(params, "startTime"), integer(params, "endTime")
    if since is None:
        until = now_ms if until is None else until
        return until - longest_ms, until
    if until is None:
        return since, since + longest_ms
    if since > until:
        raise Refusal(-1023, "Start time is greater than end time.")
    if until - since > longest_ms:
        default = (-4165, f"Maximum time interval is {longest_ms // 86_400_000} days.")
        raise Refusal(*(too_long or default))
    return since, until


def _illegal(name: str, legal: str) -> Refusal:
    return Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
