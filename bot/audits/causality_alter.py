"""Another future for a market: everything up to a moment is as it was, every candle behind it is not.

Pure: all randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from bot.audits.causality import Market, Times
from bot.core.closer import CandleUpdate
from bot.core.market import MINUTE_MS
from models.candle_arrays import CandleArrays

Floats = npt.NDArray[np.float64]

KINDS = ("another walk", "mirrored")
"""How the prices go on: by other random moves of another size, or by the true ones turned round and tripled."""

_STEP = 0.002
_LARGEST_STEP = 0.05


def with_another_future(
    market: Market, moment_ms: int, generator: np.random.Generator, *, kind: str = KINDS[0]
) -> dict[str, CandleArrays]:
    """The same minutes, with other prices and volumes in every candle that closes after the moment.

    The open of a bar that is under way at the moment stays: it was known.

    Args:
        market: Is left as it is; what is returned shares no memory with it.
        moment_ms: An instant, ms UTC.
        generator: Draws the future.
        kind: One of ``KINDS``.
    """
    return {
        symbol: _altered(candles, moment_ms, generator, kind) for symbol, candles in sorted(market.items())
    }


def cut_off(market: Market, moment_ms: int) -> dict[str, CandleArrays]:
    """Only what had closed by the moment; a symbol without such a candle is left out."""
    cut = {
        symbol: _copy(candles.between(-(2**62), moment_ms - MINUTE_MS + 1))
        for symbol, candles in market.items()
    }
    return {symbol: candles for symbol, candles in cut.items() if len(candles)}


def delisted(market: Market, symbol: str, moment_ms: int) -> dict[str, CandleArrays]:
    """The market in which one symbol has no candle after the moment; the others go on as they did."""
    found = copied(market)
    return {**found, **cut_off({symbol: found[symbol]}, moment_ms)}


def moved(market: Market, shift_ms: int) -> dict[str, CandleArrays]:
    """The same candles at another time."""
    return {
        symbol: CandleArrays(candles.ts + shift_ms, *(column.copy() for column in _columns(candles)))
        for symbol, candles in market.items()
    }


def copied(market: Market) -> dict[str, CandleArrays]:
    """The same candles in memory of their own: a pipeline may write into what it is given."""
    return {symbol: _copy(candles) for symbol, candles in market.items()}


def with_holes(
    market: Market, generator: np.random.Generator, *, share: float = 0.0004
) -> dict[str, CandleArrays]:
    """The market with some minutes missing, as exchanges miss them: a few single ones and one of an hour.

    Args:
        market: Is left as it is.
        generator: Draws which.
        share: Of the single ones.
    """
    found = {}
    for symbol, candles in sorted(market.items()):
        size = len(candles)
        keep = generator.random(size) >= share
        start = int(generator.integers(size // 3, max(size // 3 + 1, size // 2)))
        keep[start : start + min(60, size // 50)] = False
        keep[[0, -1]] = True
        found[symbol] = CandleArrays(candles.ts[keep], *(column[keep] for column in _columns(candles)))
    return found


def hole_moments(market: Market) -> Times:
    """The instants at which a gap of any symbol had lasted for half its time, ms, in order."""
    found = []
    for candles in market.values():
        places = np.flatnonzero(np.diff(candles.ts) > MINUTE_MS)
        start, end = candles.ts[places] + MINUTE_MS, candles.ts[places + 1]
        found.append(start + (end - start) // (2 * MINUTE_MS) * MINUTE_MS)
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def updates_of(
    market: Mapping[str, CandleArrays], until_ms: int, *, flagged: bool = True
) -> Iterator[CandleUpdate]:
    """What an exchange tells while these candles come to be: two unfinished bars a minute, then the finished one.

    What an unfinished bar says is a function of the bar's open and time alone, never of how the bar will end.

    Args:
        market: Candles by symbol.
        until_ms: The last minute told closes by then.
        flagged: Whether the exchange says of a bar that it is finished; else ``closed`` is None.
    """
    parts = {
        symbol: candles.between(-(2**62), until_ms - MINUTE_MS + 1)
        for symbol, candles in sorted(market.items())
    }
    order = sorted(
        (ts, symbol, place) for symbol, part in parts.items() for place, ts in enumerate(part.ts.tolist())
    )
    for ts, symbol, place in order:
        part = parts[symbol]
        open_, high, low, close, volume = (float(column[place]) for column in _columns(part))
        for step in (1, 2):
            price = open_ * (1.0 + 1e-4 * step * (1.0 if ts // MINUTE_MS % 2 else -1.0))
            unfinished = (open_, max(open_, price), min(open_, price), price, 0.5 * step)
            yield CandleUpdate(symbol, ts, *unfinished, closed=False if flagged else None)
        yield CandleUpdate(symbol, ts, open_, high, low, close, volume, closed=True if flagged else None)


def _altered(
    candles: CandleArrays, moment_ms: int, generator: np.random.Generator, kind: str
) -> CandleArrays:
    """One symbol with another future."""
    made = _copy(candles)
    first = int(np.searchsorted(candles.ts, moment_ms - MINUTE_MS, side="right"))
    size = len(candles) - first
    if size == 0:
        return made
    begin = float(candles.close[first - 1]) if first else float(candles.open[0])
    under_way = bool(candles.ts[first] < moment_ms)
    closes = begin * np.exp(np.cumsum(_steps(candles, first, generator, kind)))
    opens = np.concatenate([[begin], closes[:-1]]) * np.exp(1e-5 * generator.standard_normal(size))
    if under_way:
        opens[0] = candles.open[first]
    reach = np.exp(np.abs(generator.standard_normal((2, size))) * _STEP / 2.0)
    made.close[first:], made.open[first:] = closes, opens
    made.high[first:] = np.maximum(opens, closes) * reach[0]
    made.low[first:] = np.minimum(opens, closes) / reach[1]
    size_of_trades = float(np.exp(2.0 * generator.standard_normal())) * max(
        float(candles.volume.mean()), 1e-9
    )
    made.volume[first:] = size_of_trades * generator.lognormal(0.0, 1.0, size)
    return made


def _steps(candles: CandleArrays, first: int, generator: np.random.Generator, kind: str) -> Floats:
    """Log returns of the new future; they end where prices would leave what floats can say."""
    size = len(candles) - first
    if kind == "mirrored":
        before = np.concatenate(
            [[candles.close[first - 1] if first else candles.open[0]], candles.close[first:]]
        )
        true: Floats = np.diff(np.log(before))
        # A hair of noise, so that a bar that did not move is altered too.
        return np.clip(-3.0 * true + 1e-6 * generator.standard_normal(size), -_LARGEST_STEP, _LARGEST_STEP)
    wide = _STEP * float(np.exp(generator.uniform(-1.0, 1.0)))
    return np.clip(wide * generator.standard_t(4, size), -_LARGEST_STEP, _LARGEST_STEP)


def _columns(candles: CandleArrays) -> tuple[Floats, ...]:
    return candles.open, candles.high, candles.low, candles.close, candles.volume


def _copy(candles: CandleArrays) -> CandleArrays:
    return CandleArrays(candles.ts.copy(), *(column.copy() for column in _columns(candles)))
