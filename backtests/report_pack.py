"""Candles and trades in few bytes, for the page's script to unpack: a year of minutes would be tens of megabytes.

Series of whole numbers are kept as differences, folded so that small ones of either sign are small (0, -1, 1, -2, ...
become 0, 1, 2, 3, ...), as four planes of bytes, compressed by zlib, in base 64. Prices are whole numbers of a step.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from backtests.inputs import BacktestInput, Floats
from backtests.report_costs import BPS, Level, Levels
from bot.core.market import MINUTE_MS, Symbol
from bot.core.position import Trade
from models.candle_arrays import CandleArrays

SPANS = (1, 5, 15, 60, 240, 1440)
"""Minutes of a bar that candles may be joined to."""

MOST_BARS = 120_000
"""Bars over all symbols that a page carries of the whole run."""

MOST_NEAR = 160_000
"""Minutes around trades that a page carries beside them."""

PADS = (45, 20, 8)
"""Minutes shown before and after a trade, as many as there is room for."""

MOST_TRADES = 20_000
"""Trades that a page lists; the first ones, where there are more."""

_LARGEST = 2**30
Integers = npt.NDArray[np.int64]


def packed_json(value: Any) -> str:
    """JSON, compressed, in base 64."""
    return base64.b64encode(zlib.compress(orjson.dumps(value), 6)).decode()


def packed_steps(steps: Integers) -> str:
    """Whole numbers from -2^30 to 2^30, best small ones; an empty text for none."""
    if not len(steps):
        return ""
    folded = np.where(steps >= 0, steps * 2, -2 * steps - 1).astype("<u4")
    planes = np.ascontiguousarray(folded.view(np.uint8).reshape(-1, 4).T)
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode()


def unpacked_steps(text: str) -> Integers:
    """What ``packed_steps`` was given: what the page's script does, for whoever wants to check it."""
    if not text:
        return np.zeros(0, dtype=np.int64)
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8).reshape(4, -1)
    folded = np.ascontiguousarray(planes.T).view("<u4").ravel().astype(np.int64)
    return np.where(folded % 2 == 0, folded // 2, -(folded + 1) // 2).astype(np.int64)


def packed_market(data: BacktestInput, trades: Sequence[Trade]) -> dict[str, Any]:
    """Candles of every symbol: the whole run in bars of ``span`` minutes, and the minutes around its trades."""
    span = next(
        (one for one in SPANS if sum(_bar_count(a, one) for a in data.candles.values()) <= MOST_BARS),
        SPANS[-1],
    )
    pad = 0 if span == 1 else _pad(data, trades)
    return {
        "span": span,
        "symbols": [
            {
                "symbol": symbol,
                "whole": packed_bars(joined(data.candles[symbol], span), _step(data, symbol)),
                "near": packed_bars(_near(data.candles[symbol], symbol, trades, pad), _step(data, symbol))
                if pad
                else None,
            }
            for symbol in data.symbols
        ],
    }


def joined(arrays: CandleArrays, span: int) -> CandleArrays:
    """Candles joined to bars of ``span`` minutes, which begin at whole multiples of it; none where no candle is."""
    if span == 1:
        return arrays
    bars = arrays.ts // (span * MINUTE_MS)
    begins = np.flatnonzero(np.diff(bars, prepend=bars[0] - 1))
    ends = np.append(begins[1:], len(bars)) - 1
    return CandleArrays(
        bars[begins] * span * MINUTE_MS,
        arrays.open[begins],
        np.maximum.reduceat(arrays.high, begins),
        np.minimum.reduceat(arrays.low, begins),
        arrays.close[ends],
        np.add.reduceat(arrays.volume, begins),
    )


def packed_bars(bars: CandleArrays, step: float) -> dict[str, Any]:
    """Bars as packed columns; prices are rounded to ``step``.

    Times and closes are differences to the bar before, the open is one to the close before, high and low are what
    lies beyond open and close.
    """
    opened, high, low, close = (
        np.rint(column / step).astype(np.int64) for column in (bars.open, bars.high, bars.low, bars.close)
    )
    before = np.concatenate([[0], close[:-1]])[: len(close)]
    return {
        "count": len(bars),
        "step": step,
        "minutes": packed_steps(np.diff(bars.ts // MINUTE_MS, prepend=0)),
        "close": packed_steps(close - before),
        "open": packed_steps(opened - before),
        "high": packed_steps(high - np.maximum(opened, close)),
        "low": packed_steps(np.minimum(opened, close) - low),
    }


def packed_trades(trades: Sequence[Trade], symbols: Sequence[Symbol], levels: Levels) -> str:
    """The columns of the table of trades, with stop and target where they are known."""
    shown = trades[:MOST_TRADES]
    places = {symbol: place for place, symbol in enumerate(symbols)}
    reasons = sorted({trade.exit_reason for trade in shown})
    guarded = protections(shown, levels)
    return packed_json(
        {
            "symbol": [places.get(trade.symbol, 0) for trade in shown],
            "long": [int(trade.direction == "long") for trade in shown],
            "entryAt": [trade.entry_at_ms for trade in shown],
            "entry": [_short(trade.entry_price) for trade in shown],
            "exitAt": [trade.exit_at_ms for trade in shown],
            "exit": [_short(trade.exit_price) for trade in shown],
            "quantity": [_short(trade.quantity) for trade in shown],
            "fees": [_short(trade.fees) for trade in shown],
            "funding": [_short(trade.funding) for trade in shown],
            "pnl": [_short(trade.pnl) for trade in shown],
            "bps": [
                _short(round(trade.pnl / (trade.entry_price * trade.quantity) * BPS, 2)) for trade in shown
            ],
            "reason": [reasons.index(trade.exit_reason) for trade in shown],
            "reasons": [reason.replace("_", " ") for reason in reasons],
            "stop": [stop for stop, _ in guarded],
            "target": [target for _, target in guarded],
        }
    )


def protections(trades: Sequence[Trade], levels: Levels) -> list[tuple[float | None, float | None]]:
    """The first stop and target of each trade that came to life while it was held; None where none is known."""
    by_symbol: dict[Symbol, list[Level]] = {}
    for level in sorted(levels.values(), key=lambda level: level.since_ms):
        by_symbol.setdefault(level.symbol, []).append(level)
    begins = {symbol: np.array([level.since_ms for level in mine]) for symbol, mine in by_symbol.items()}
    return [_protection(trade, by_symbol.get(trade.symbol, []), begins.get(trade.symbol)) for trade in trades]


def _protection(
    trade: Trade, levels: Sequence[Level], begins: Integers | None
) -> tuple[float | None, float | None]:
    if begins is None:
        return None, None
    first = int(np.searchsorted(begins, trade.entry_at_ms))
    last = int(np.searchsorted(begins, trade.exit_at_ms, "right"))
    # An order that followed in the same millisecond belongs to the next trade: the side of the entry tells.
    mine = [
        level
        for level in levels[first:last]
        if _guards(level, is_long=trade.direction == "long", entry=trade.entry_price)
    ]
    stop = next((level.price for level in mine if not level.is_target), None)
    return stop, next((level.price for level in mine if level.is_target), None)


def _guards(level: Level, *, is_long: bool, entry: float) -> bool:
    """Whether a level lies on the side of the entry where that of such a trade would."""
    return (level.price > entry) == (level.is_target == is_long)


def _bar_count(arrays: CandleArrays, span: int) -> int:
    return len(arrays) if span == 1 else len(np.unique(arrays.ts // (span * MINUTE_MS)))


def _pad(data: BacktestInput, trades: Sequence[Trade]) -> int:
    """How many minutes around each trade there is room for; 0 where there is none."""
    for pad in PADS:
        if sum(int(_is_near(a, s, trades, pad).sum()) for s, a in data.candles.items()) <= MOST_NEAR:
            return pad
    return 0


def _near(arrays: CandleArrays, symbol: Symbol, trades: Sequence[Trade], pad: int) -> CandleArrays:
    kept = _is_near(arrays, symbol, trades, pad)
    prices = (arrays.open[kept], arrays.high[kept], arrays.low[kept], arrays.close[kept], arrays.volume[kept])
    return CandleArrays(arrays.ts[kept], *prices)


def _is_near(
    arrays: CandleArrays, symbol: Symbol, trades: Sequence[Trade], pad: int
) -> npt.NDArray[np.bool_]:
    """Which candles lie around a trade of their symbol."""
    mine = [trade for trade in trades if trade.symbol == symbol]
    steps = np.zeros(len(arrays) + 1, dtype=np.int64)
    since = np.array([trade.entry_at_ms for trade in mine], dtype=np.int64) - pad * MINUTE_MS
    until = np.array([trade.exit_at_ms for trade in mine], dtype=np.int64) + pad * MINUTE_MS
    np.add.at(steps, np.searchsorted(arrays.ts, since), 1)
    np.add.at(steps, np.searchsorted(arrays.ts, until, side="right"), -1)
    return np.cumsum(steps[:-1]) > 0


def _step(data: BacktestInput, symbol: Symbol) -> float:
    """The step that prices are rounded to: a tenth of the tick, or what keeps the highest below 2^30 steps."""
    highest = float(data.candles[symbol].high.max())
    tick = data.config.instruments[symbol].tick_size / 10
    least = 10.0 ** math.ceil(math.log10(highest / _LARGEST)) if highest > 0 else tick
    return max(tick, least)


def _short(value: float) -> float:
    """A number with ten digits, which is more than is shown."""
    return float(f"{value:.10g}")


def typed(values: Floats) -> dict[str, str]:
    """Numbers as plotly reads them packed: float32 in base 64."""
    return {"dtype": "f4", "bdata": base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()}
