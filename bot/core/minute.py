"""What a batch is: the closed candles of one minute, newer than the last, by name of symbol."""

from __future__ import annotations

from collections.abc import Container, Sequence

from bot.core.market import Candle, Symbol
from bot.errors import EngineProtocolError


def next_minute(candles: Sequence[Candle], after_ms: int, traded: Container[Symbol]) -> int:
    """The open time of a batch.

    Args:
        candles: The batch.
        after_ms: Open time of the batch before it.
        traded: Symbols that it may hold.

    Raises:
        EngineProtocolError: It is empty, not newer, of several minutes, out of order, or of a symbol that is not traded.
    """
    if not candles:
        raise EngineProtocolError("a batch needs at least one candle")
    opened = candles[0].opened_at_ms
    if opened <= after_ms:
        raise EngineProtocolError(f"a batch of {opened} after one of {after_ms}")
    previous = ""
    for candle in candles:
        symbol = candle.symbol
        if candle.opened_at_ms != opened or symbol <= previous:
            raise EngineProtocolError("a batch holds the candles of one minute, by name of symbol")
        if symbol not in traded:
            raise EngineProtocolError(f"{symbol} is not traded here")
        previous = symbol
    return opened
