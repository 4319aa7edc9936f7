"""A route of OKX's REST API, how its parameters are read, and how often it may be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from bot.simexchange.orders import Refusal
from bot.simexchange.signing import Security

Given: TypeAlias = Mapping[str, Any]
"""Parameters: texts of a query, JSON values of a body."""

Rows: TypeAlias = list[Any]
"""What an answer has under ``data``."""

MOST_ROWS = 100
STRETCH_S = 2.0


class OkxRoute(NamedTuple):
    """What is done with a request.

    Attributes:
        answer: Its handler; raises Refusal.
        security: Who may ask.
        echo: Of a route that trades: what its answer repeats of each order, and where it is refused all that it has. Such
            a route takes one order or a list of them, and its handler is called for each.
        per_stretch: How often it may be asked in two seconds.
    """

    answer: Callable[[Given], Rows]
    security: Security = Security.NONE
    echo: Callable[[Given], dict[str, Any]] | None = None
    per_stretch: int = 20


OkxRoutes: TypeAlias = dict[tuple[str, str], OkxRoute]
"""By method and path."""


class OkxLimits:
    """Counts requests by route in stretches of two wall seconds."""

    def __init__(self, *, enforced: bool) -> None:
        """Limits that are not enforced refuse nothing."""
        self._enforced = enforced
        self._counts: dict[str, tuple[int, int]] = {}

    def charge(self, now_s: float, name: str, most: int) -> None:
        """Count a request; raises Refusal 50011 (429) for one too many."""
        stretch = int(now_s // STRETCH_S)
        before, used = self._counts.get(name, (stretch, 0))
        used = used + 1 if before == stretch else 1
        self._counts[name] = (stretch, used)
        if self._enforced and used > most:
            raise Refusal(50011, "Too Many Requests", 429)


def text(given: Given, name: str) -> str:
    """A parameter as text; empty where it is not given."""
    value = given.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def whole(given: Given, name: str) -> int | None:
    """A whole number that is not negative, or None; raises Refusal 51000."""
    value = text(given, name)
    if not value:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 20:
        raise wrong(name)
    return int(value)


def number_of_rows(given: Given, usual: int = MOST_ROWS, most: int = MOST_ROWS) -> int:
    """The parameter ``limit``: at most ``most``."""
    asked = whole(given, "limit")
    if asked == 0:
        raise wrong("limit")
    return min(asked or usual, most)


def wrong(name: str) -> Refusal:
    """What is said of a parameter that is missing or no good."""
    return Refusal(51000, f"Parameter {name} error", 200)
