"""Bars as the exchange shows them: unfinished ones, and the JSON of REST rows and stream messages.

A tape holds five numbers a minute. What else Binance shows of a bar (number of trades, quote volume, taker
volume) is made up from them, the same each time; prices and volume are written so that they parse back to
the identical float.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

MINUTE_MS = 60_000


class Bar(NamedTuple):
    """One bar of one symbol; prices in quote currency, volume in base units, time in ms UTC."""

    opened_at_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def turns(bar: Bar) -> tuple[float, float, float, float]:
    """The prices between which a bar's price is taken to go in straight lines, a third of the minute each."""
    first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    return bar.open, first, second, bar.close


def partial_bar(bar: Bar, elapsed_ms: int) -> Bar:
    """The bar as it stood ``elapsed_ms`` (0 < elapsed < 60 000) after its open.

    The price is taken to go in straight lines open → low → high → close in a rising bar and open → high → low
    → close otherwise, a third of the minute each, and the volume to come in evenly. Prices stay on the grid
    of the bar's own decimals and inside its range.
    """
    share = elapsed_ms / MINUTE_MS
    points = turns(bar)
    leg = min(int(share * 3), 2)
    price = points[leg] + (points[leg + 1] - points[leg]) * (share * 3 - leg)
    digits = max(_decimals(value) for value in points)
    price = min(max(round(price, digits), bar.low), bar.high)
    seen = (*points[: leg + 1], price)
    return Bar(bar.opened_at_ms, bar.open, max(seen), min(seen), price, round(bar.volume * share, 8))


def number(value: float) -> str:
    """A float as plain decimal digits that parse back to the identical float."""
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def rest_row(bar: Bar, duration_ms: int = MINUTE_MS) -> str:
    """A bar as a row of the REST endpoint ``klines``, as JSON text (a page has 1,500 of them)."""
    opened, open_, high, low, close, volume = bar
    trades, quote, taker, taker_quote = _made_up(bar)
    prices = f'"{open_!r}","{high!r}","{low!r}","{close!r}","{volume!r}"'
    if "e" in prices:
        prices = ",".join(f'"{number(value)}"' for value in bar[1:])
    return f'[{opened},{prices},{opened + duration_ms - 1},"{quote}",{trades},"{taker}","{taker_quote}","0"]'


def kline_message(symbol: str, bar: Bar, event_ms: int, *, closed: bool) -> str:
    """A bar as the payload of a ``kline_1m`` stream; written by hand since thousands go out in a second."""
    trades, quote, taker, taker_quote = _made_up(bar)
    first = bar.opened_at_ms // MINUTE_MS * 10_000 if trades else -1
    last = first + trades - 1 if trades else -1
    return (
        f'{{"e":"kline","E":{event_ms},"s":"{symbol}","k":{{"t":{bar.opened_at_ms},'
        f'"T":{bar.opened_at_ms + MINUTE_MS - 1},"s":"{symbol}","i":"1m","f":{first},"L":{last},'
        f'"o":"{number(bar.open)}","c":"{number(bar.close)}","h":"{number(bar.high)}","l":"{number(bar.low)}",'
        f'"v":"{number(bar.volume)}","n":{trades},"x":{"true" if closed else "false"},"q":"{quote}",'
        f'"V":"{taker}","Q":"{taker_quote}","B":"0"}}}}'
    )


def _made_up(bar: Bar) -> tuple[int, str, str, str]:
    """Trades, quote volume, taker's buy volume, its quote volume."""
    if bar.volume == 0:
        return 0, "0.00000000", "0.00000000", "0.00000000"
    _, open_, high, low, close, volume = bar
    quote = volume * (open_ + high + low + close) / 4
    share = 0.5 + 0.4 * (close - open_) / (high - low) if high > low else 0.5
    trades = 1 + int(min(quote / 1_000, 9_998))
    return trades, f"{quote:.8f}", f"{volume * share:.8f}", f"{quote * share:.8f}"


def _decimals(value: float) -> int:
    """How many decimals the shortest text of a float has."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
