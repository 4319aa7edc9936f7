"""A route of the REST API: what answers it, what it weighs, and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from bot.simexchange.parameters import Params
from bot.simexchange.signing import Security

Handler: TypeAlias = Callable[[Params], Any]
"""Answers with JSON values, or with text that is JSON already; raises Refusal."""


def one(params: Params) -> int:
    """The weight of most requests."""
    del params
    return 1


def weighing(weight: int, without_symbol: int | None = None) -> Callable[[Params], int]:
    """A weight, and that of a request for every symbol at once."""

    def weigh(params: Params) -> int:
        return weight if without_symbol is None or "symbol" in params else without_symbol

    return weigh


class Route(NamedTuple):
    """What is done with a request.

    Attributes:
        answer: Its handler.
        weight: Against the rate limit.
        security: Who may ask.
        orders: How many orders it makes, against the limit of those.
    """

    answer: Handler
    weight: Callable[[Params], int] = one
    security: Security = Security.NONE
    orders: int = 0


Routes: TypeAlias = dict[tuple[str, str], Route]
"""By method and path."""


def read(answer: Handler, weight: int = 1, without_symbol: int | None = None) -> Route:
    """A signed route that changes nothing."""
    return Route(answer, weighing(weight, without_symbol), Security.READ)


def trade(answer: Handler, weight: int = 1, *, orders: int = 0) -> Route:
    """A signed route that trades, or changes how it is traded."""
    return Route(answer, weighing(weight), Security.TRADE, orders)
