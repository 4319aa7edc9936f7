"""Candle messages as the exchange sent them, taken on their way into ccxt.

ccxt keeps of a candle message the six numbers and drops the exchange's closed flag; and of many symbols that
close together its ``watch_ohlcv_for_symbols`` hands over only one. So the handler that ccxt looks up on its own
instance for every candle message is wrapped: what the exchange said is read first, then ccxt goes on as always.

============  ======================================  ======================  ==================
exchange      closed flag                             time of the message     message
============  ======================================  ======================  ==================
binance*      ``k.x``                                 ``E``                   one bar
okx           ninth value of a row, ``"1"``           none: the newest bar's  a list of rows
                                                      open, or close if final
bybit         ``confirm``                             ``ts``                  a list of bars
============  ======================================  ======================  ==================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from bot.core.closer import CandleUpdate
from bot.core.market import MINUTE_MS, Symbol
from bot.exchange_client import Exchange


class StreamMessage(NamedTuple):
    """What one message says: updates, and a time that the exchange's clock has reached (ms), if it tells any."""

    updates: list[CandleUpdate]
    at_ms: int | None


Parser: TypeAlias = Callable[[Exchange, Mapping[str, Symbol], Any], StreamMessage]
"""Reads one message; symbols go by the exchange's own market ids, and what is not among them is left out."""

MALFORMED = (LookupError, TypeError, ValueError, AttributeError)
"""What a parser raises on a message that is not of the documented form."""


def parse_binance(exchange: Exchange, symbols: Mapping[str, Symbol], message: Any) -> StreamMessage:
    """One ``kline`` event of spot or futures."""
    del exchange
    bar = message["k"]
    at_ms = int(message["E"])
    symbol = symbols.get(bar["s"])
    if symbol is None or bar["i"] != "1m" or message["e"] != "kline":
        return StreamMessage([], at_ms)
    update = CandleUpdate(
        symbol,
        int(bar["t"]),
        float(bar["o"]),
        float(bar["h"]),
        float(bar["l"]),
        float(bar["c"]),
        float(bar["v"]),
        _flag(bar["x"]),
    )
    return StreamMessage([update], at_ms)


def parse_okx(exchange: Exchange, symbols: Mapping[str, Symbol], message: Any) -> StreamMessage:
    """A push of the ``candle1m`` channel; ccxt picks the volume's column, so that it is the one REST gives."""
    subscription = message["arg"]
    symbol = symbols.get(subscription["instId"])
    if symbol is None or subscription["channel"] != "candle1m":
        return StreamMessage([], None)
    market = exchange.market(symbol)
    updates = []
    at_ms = None
    for row in message["data"]:
        closed = {"0": False, "1": True}[row[8]]
        update = update_from_row(symbol, exchange.parse_ohlcv(row, market), closed=closed)
        updates.append(update)
        at_ms = max(at_ms or 0, update.opened_at_ms + MINUTE_MS * closed)
    return StreamMessage(updates, at_ms)


def parse_bybit(exchange: Exchange, symbols: Mapping[str, Symbol], message: Any) -> StreamMessage:
    """A push of a ``kline.1.SYMBOL`` topic."""
    del exchange
    _, interval, market_id = message["topic"].split(".")
    at_ms = int(message["ts"])
    symbol = symbols.get(market_id)
    if symbol is None or interval != "1":
        return StreamMessage([], at_ms)
    updates = [
        CandleUpdate(
            symbol,
            int(bar["start"]),
            float(bar["open"]),
            float(bar["high"]),
            float(bar["low"]),
            float(bar["close"]),
            float(bar["volume"]),
            _flag(bar["confirm"]),
        )
        for bar in message["data"]
    ]
    return StreamMessage(updates, at_ms)


PARSERS: Mapping[str, Parser] = {"binance": parse_binance, "okx": parse_okx, "bybit": parse_bybit}
"""By the name of the ccxt class or of one that it is derived from (``binanceusdm`` is a ``binance``)."""


def parser_of(exchange: Exchange) -> Parser | None:
    """The parser for an exchange's messages, None where no closed flag is known."""
    for kind in type(exchange).__mro__:
        if kind.__module__.startswith("ccxt.") and kind.__name__ in PARSERS:
            return PARSERS[kind.__name__]
    return None


def install_hook(
    exchange: Exchange,
    parser: Parser,
    symbols: Mapping[str, Symbol],
    *,
    monotonic_ns: Callable[[], int],
    take: Callable[[StreamMessage, int], None],
    refuse: Callable[[str], None],
) -> None:
    """Read every candle message of this instance before ccxt does.

    Args:
        exchange: The ccxt instance; its class stays as it is.
        parser: Reads the messages.
        symbols: Unified names by market id.
        monotonic_ns: The local counter.
        take: Called with the message and the count at its arrival.
        refuse: Called with a sentence on a message that cannot be read.
    """
    original = exchange.handle_ohlcv

    def handle_ohlcv(client: Any, message: Any) -> None:
        received_at_ns = monotonic_ns()
        try:
            parsed = parser(exchange, symbols, message)
        except MALFORMED as error:
            parsed = StreamMessage([], None)
            refuse(f"a candle message of {exchange.id} could not be read: {error!r}")
        else:
            take(parsed, received_at_ns)
        original(client, message)
        for update in parsed.updates:
            _let_go(exchange, update.symbol)

    exchange.handle_ohlcv = handle_ohlcv


def _let_go(exchange: Exchange, symbol: Symbol) -> None:
    """Say that the bars were read, as ``watch_ohlcv`` does when it returns: till then ccxt notes the time of each bar."""
    bars = (exchange.ohlcvs.get(symbol) or {}).get("1m")
    if bars is not None:
        bars.getLimit(None, None)


def update_from_row(symbol: Symbol, row: Sequence[Any], *, closed: bool | None) -> CandleUpdate:
    """An update from six values as ccxt returns them; raises one of ``MALFORMED``."""
    opened_at_ms, open_, high, low, close, volume = row
    return CandleUpdate(
        symbol, int(opened_at_ms), float(open_), float(high), float(low), float(close), float(volume), closed
    )


def _flag(value: Any) -> bool:
    """The closed flag, which must be a boolean: text such as "false" would count as true."""
    if value is True or value is False:
        return bool(value)
    raise TypeError(f"closed flag {value!r} is not true or false")
