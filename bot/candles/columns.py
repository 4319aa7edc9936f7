"""The rules of a candle over whole columns, and words for the row that breaks one.

The row rules are those of ``bot.core.market.candle_fault``, in its order and with its words; a property test
holds the two together. What only a stretch of rows can break (order, doubled minutes) is added here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import repeat

import numpy as np
import numpy.typing as npt

from bot.core.market import MINUTE_MS, Candle, Symbol
from models.candle_arrays import CandleArrays

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
VALUE_COLUMNS = COLUMNS[1:]

LATEST_TS = 4_102_444_800_000
"""2100-01-01 in milliseconds: a later time is one in microseconds or nanoseconds."""

ROW_FAULTS = (
    "ts is not on a whole minute",
    *(f"{name} is not a finite number" for name in VALUE_COLUMNS),
    "low is not positive",
    "high is below low",
    "open is outside low..high",
    "close is outside low..high",
    "volume is negative",
)
"""What ``candle_fault`` can say, in the order in which it looks."""

_SWAP_FACTOR = 4.0
_SWAP_ROWS = 120


def iso_utc(at_ms: int) -> str:
    """Spell a time as ``2024-05-01T00:17:00Z``; one that no calendar holds as the bare number."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"ts {at_ms}"
    return moment.isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds").replace("+00:00", "Z")


def row_faults(arrays: CandleArrays) -> npt.NDArray[np.int8]:
    """Number the first rule that each row breaks.

    Args:
        arrays: Columns of equal length n, sound or not.

    Returns:
        Shape (n,): an index into ``ROW_FAULTS``, or -1 where the row is a sound candle.
    """
    codes = np.full(len(arrays), -1, dtype=np.int8)
    with np.errstate(invalid="ignore"):
        broken = [
            arrays.ts % MINUTE_MS != 0,
            *(~np.isfinite(getattr(arrays, name)) for name in VALUE_COLUMNS),
            arrays.low <= 0,
            arrays.high < arrays.low,
            (arrays.open < arrays.low) | (arrays.open > arrays.high),
            (arrays.close < arrays.low) | (arrays.close > arrays.high),
            arrays.volume < 0,
        ]
    for code in reversed(range(len(broken))):
        codes[broken[code]] = code
    return codes


def first_fault(arrays: CandleArrays) -> str | None:
    """Say in one clause what is first wrong with a stretch of candles, or None when all is sound.

    Looks at the row rules, at times out of order, doubled or beyond 2100, and at whether ``open`` and
    ``close`` are swapped, which no single row can show.
    """
    row = _first(row_faults(arrays) >= 0)
    if row is not None:
        return f"{ROW_FAULTS[row_faults(arrays.rows(row, row + 1))[0]]} in {row_words(arrays, row)}"
    row = _first((arrays.ts < 0) | (arrays.ts >= LATEST_TS))
    if row is not None:
        return f"ts is no time in milliseconds between 1970 and 2100 in {row_words(arrays, row)}"
    steps = np.diff(arrays.ts)
    row = _first(steps <= 0)
    if row is not None:
        what = "repeats the minute of" if steps[row] == 0 else "is earlier than"
        return f"ts {what} the row before it in {row_words(arrays, row + 1)}"
    if open_and_close_swapped(arrays):
        return f"open and close are swapped (each close continues at the close after next) from {row_words(arrays, 0)}"
    return None


def row_words(arrays: CandleArrays, row: int) -> str:
    """Name a row: its number and its time."""
    return f"row {row} (counted from 0; {iso_utc(int(arrays.ts[row]))})"


def open_and_close_swapped(arrays: CandleArrays) -> bool:
    """Tell whether the columns ``open`` and ``close`` carry each other's name.

    A bar opens about where the bar before it closed. With the names swapped that holds for the wrong pair:
    the sum of |close[t+1] - open[t]| becomes the small one. It must be four times smaller over at least 120
    neighbouring rows. In 71 real files with the right names it was never the smaller one (the least ratio, in a
    thin market, was 1.46 the other way), so a sound file is not refused.
    """
    neighbours = np.diff(arrays.ts) == MINUTE_MS
    if int(neighbours.sum()) < _SWAP_ROWS:
        return False
    as_named = np.abs(arrays.open[1:] - arrays.close[:-1])[neighbours].sum()
    if_swapped = np.abs(arrays.close[1:] - arrays.open[:-1])[neighbours].sum()
    return bool(as_named > _SWAP_FACTOR * if_swapped)


def to_candles(symbol: Symbol, arrays: CandleArrays) -> list[Candle]:
    """Turn columns into candles of one symbol, in order."""
    columns = (getattr(arrays, name).tolist() for name in COLUMNS)
    return list(map(Candle._make, zip(repeat(symbol), *columns, strict=False)))


def from_candles(candles: list[Candle]) -> CandleArrays:
    """Turn candles of one symbol into columns, in the order given."""
    return from_rows([candle[1:] for candle in candles])


def from_rows(rows: list[tuple[int, float, float, float, float, float]]) -> CandleArrays:
    """Turn (ts, open, high, low, close, volume) rows into columns."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    ts, *values = columns
    return CandleArrays(np.array(ts, dtype=np.int64), *(np.array(v, dtype=np.float64) for v in values))


def concatenate(parts: list[CandleArrays]) -> CandleArrays:
    """Join stretches end to end; no parts make an empty stretch."""
    if not parts:
        return from_rows([])
    return CandleArrays(*(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))


def take(arrays: CandleArrays, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> CandleArrays:
    """The rows that an index or a mask picks, as copies."""
    return CandleArrays(*(getattr(arrays, name)[index] for name in COLUMNS))


def _first(mask: npt.NDArray[np.bool_]) -> int | None:
    """The first true index, or None."""
    index = int(mask.argmax()) if len(mask) else 0
    return index if len(mask) and mask[index] else None
