"""Replies looked at before ccxt reads them.

ccxt makes an empty list of a page of HTML, and leaves out the rows of a list that it cannot read: an account with open
orders would look like one without. So every reply must be JSON, and where rows are asked for a list of structures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from bot.errors import DataError

Exchange: TypeAlias = Any
"""A ``ccxt`` exchange; ccxt ships no types."""


TIMELESS = (2**62, None, None, None, None, None)
"""A row without a time, so that it comes last, and is refused as no candle."""


def guard_candles(exchange: Exchange) -> None:
    """Have this instance raise DataError for an empty text, and hand on rows of candles that have no time.

    ccxt reads the one as an answer without a candle, and leaves the others out unsaid: both look like a hole.
    """
    guard_replies(exchange, frozenset())
    parse = exchange.parse_ohlcv

    def parse_ohlcv(row: Any, market: Any = None) -> list[Any]:
        values: list[Any] = parse(row, market)
        return values if values and values[0] is not None else list(TIMELESS)

    exchange.parse_ohlcv = parse_ohlcv


def guard_replies(
    exchange: Exchange,
    list_paths: AbstractSet[str],
    check: Callable[[Exchange, str, str, Any], None] | None = None,
) -> None:
    """Have this instance raise DataError for a reply that is not of its form.

    Args:
        exchange: The ccxt instance.
        list_paths: Are answered with rows.
        check: Raises what is wrong with a reply, given path and method, on exchanges whose errors look like answers.
    """
    ask = exchange.request

    async def request(
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Any:
        reply = await ask(path, api, method, params or {}, config=config or {})
        rows = method == "GET" and path in list_paths
        if rows and not (isinstance(reply, list) and all(isinstance(row, dict) for row in reply)):
            raise DataError(f"{method} {path} was not answered with rows but with {_form(reply)}")
        if not rows and not isinstance(reply, (dict, list)):
            raise DataError(f"{method} {path} was not answered with JSON but with {_form(reply)}")
        if check is not None:
            check(exchange, path, method, reply)
        return reply

    exchange.request = request


def _form(reply: Any) -> str:
    if isinstance(reply, list):
        return f"a list of {', '.join(sorted({type(row).__name__ for row in reply}))}"
    return f"a text that begins {reply[:40]!r}" if isinstance(reply, str) else type(reply).__name__
