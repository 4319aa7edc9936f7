"""The columns of ``scalping`` and ``minmax-close``, computed over one stretch of contiguous candles.

A kernel takes the candles from an anchor up to the newest row wanted and gives the last ``keep`` rows of
every column. It must be causal, and each row may depend only on the candles from the anchor up to it, to the
last bit: recursive and running sums are left to TA-Lib (one C loop from the anchor on), logarithms too, and
numpy does only what IEEE 754 rounds exactly (+, -, *, /, square root, comparisons). That is why a row does
not change with ``keep`` nor with what follows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models import indicators as ta
from models.candle_arrays import CandleArrays

Column: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.float64]
Kernel: TypeAlias = Callable[[CandleArrays, int], tuple[Rows, Column]]
"""(candles, keep) -> (float64 [columns, keep], causal volatility of length keep)."""


@dataclass(frozen=True, slots=True)
class StepKernel:
    """A kernel in two parts, so that a stream computes what a candle gives by itself once, and not every minute.

    Attributes:
        width: How many values ``each`` gives of a candle.
        each: (candles, the anchor's close) -> float64 [width, n]; a value depends on its own candle alone.
        rows: (candles, what ``each`` gave of them, keep) -> as a kernel.
    """

    width: int
    each: Callable[[CandleArrays, float], Rows]
    rows: Callable[[CandleArrays, Rows, int], tuple[Rows, Column]]

    def __call__(self, candles: CandleArrays, keep: int) -> tuple[Rows, Column]:
        """Both parts at once."""
        return self.rows(candles, self.each(candles, float(candles.close[0])), keep)


BPS = 1e4
VOLATILITY_FLOOR_BPS = 0.1
"""Below a tenth of a basis point a minute nothing has traded; dividing by less would only blow up noise."""
Z_LIMIT = 10.0

_MINUTES_A_DAY = 1440
_ANGLES = np.arange(_MINUTES_A_DAY) * (2.0 * math.pi / _MINUTES_A_DAY)
# Tables, since the sine of a vector may differ in its last bit from the sine of one number.
_TIME_SINE: Column = np.array([math.sin(angle) for angle in _ANGLES])
_TIME_COSINE: Column = np.array([math.cos(angle) for angle in _ANGLES])

SCALPING_COLUMNS = (
    "return_1",
    "return_5",
    "return_15",
    "return_60",
    "macd_line",
    "macd_signal",
    "macd_histogram",
    "atr_ratio",
    "range_ratio",
    "bollinger_position",
    "volume_z_60",
    "volume_z_240",
    "volume_imbalance_15",
    "volume_imbalance_60",
    "close_position",
    "rsi_14",
    "log_volatility",
    "volatility_ratio",
    "time_sine",
    "time_cosine",
)
_SPANS = (1, 5, 15, 60)
_MOVES = slice(0, 9)
_MOVE_UNITS: Column = np.array([[math.sqrt(span)] for span in _SPANS] + [[1.0]] * 5)
_QUOTIENTS = slice(9, 14)
_QUOTIENT_LIMITS: Column = np.array([[np.inf], [Z_LIMIT], [Z_LIMIT], [1.0], [1.0]])

MINMAX_CLOSE_COLUMNS = ("close", "volume", "rsi", "macd", "bollinger_upper", "bollinger_lower")


def _scalping_each(candles: CandleArrays, base: float) -> Rows:
    """Close, high and low as basis points of log distance from ``base``, the close position, volume times that.

    So a coin of 1e-5 and one of 1e5 meet the same arithmetic (TA-Lib takes a variance below 1e-14 for none).
    """
    each = np.empty((5, len(candles)))
    each[0], each[1], each[2] = candles.close, candles.high, candles.low
    each[:3] /= base
    each[:3] = ta.LN(each[:3].ravel()).reshape(3, -1)
    each[:3] *= BPS
    each[3] = _close_position(candles)
    np.multiply(candles.volume, each[3], out=each[4])
    return each


def _scalping_rows(candles: CandleArrays, each: Rows, keep: int) -> tuple[Rows, Column]:
    """Twenty columns without a price level: moves and ranges in units of causal volatility.

    RSI, MACD, Bollinger bands and ATR have their usual periods (14; 12, 26, 9; 20 with 2 deviations; 14).
    """
    tail = slice(len(candles) - keep, len(candles))
    close, high, low, position, signed = each
    short, long, scale = volatility_bps(close, tail)

    # One operation over a group of rows costs what it costs over one row: a stream pays by the call.
    rows = np.empty((len(SCALPING_COLUMNS), keep))
    for index, span in enumerate(_SPANS):
        rows[index] = _moved(close, span, tail)
    rows[4:7] = [part[tail] for part in ta.MACD(close, 12, 26, 9)]
    rows[7] = ta.ATR(high, low, close, 14)[tail]
    rows[8] = high[tail] - low[tail]
    rows[_MOVES] /= scale * _MOVE_UNITS
    rows[_QUOTIENTS] = _quotients(close, candles.volume, signed, tail)
    rows[14] = position[tail]
    rows[15] = ta.RSI(close, 14)[tail] / 50.0 - 1.0
    rows[16] = ta.LN(scale)
    rows[17] = ta.LN(np.maximum(short, VOLATILITY_FLOOR_BPS) / long)
    minute = candles.ts[tail] // 60_000 % _MINUTES_A_DAY
    rows[18] = _TIME_SINE[minute]
    rows[19] = _TIME_COSINE[minute]
    return rows, scale / BPS


scalping_kernel = StepKernel(5, _scalping_each, _scalping_rows)


def minmax_close_kernel(candles: CandleArrays, keep: int) -> tuple[Rows, Column]:
    """Close, volume, RSI(14), MACD line (12, 26), Bollinger bands (20, 2): price levels, in price units.

    Prices are brought near 1 by an exact power of two before TA-Lib sees them and back afterwards: for a
    coin of 1e-5 it would take the bands' variance for none.
    """
    tail = slice(len(candles) - keep, len(candles))
    unit = math.ldexp(1.0, math.frexp(float(candles.close[0]))[1])
    close = candles.close / unit
    upper, _, lower = ta.BBANDS(close, 20, 2.0, 2.0, 0)
    macd_line = ta.MACD(close, 12, 26, 9)[0]
    rows = np.empty((len(MINMAX_CLOSE_COLUMNS), keep))
    rows[0] = candles.close[tail]
    rows[1] = candles.volume[tail]
    rows[2] = ta.RSI(close, 14)[tail]
    rows[3] = macd_line[tail] * unit
    rows[4] = upper[tail] * unit
    rows[5] = lower[tail] * unit
    scale = volatility_bps(ta.LN(candles.close / candles.close[0]) * BPS, tail)[2]
    return rows, scale / BPS


def volatility_bps(close_bps: Column, tail: slice) -> tuple[Column, Column, Column]:
    """Deviation of one-minute log returns over 60 and 240 minutes, and the root of their mean square.

    Log closes and results are in basis points. The second and third are never below the floor; the third is
    the causal volatility that all feature sets share. NaN before 241 closes.
    """
    returns = ta.MOM(close_bps, 1)
    short = ta.STDDEV(returns, 60, 1.0)[tail]
    long = np.maximum(ta.STDDEV(returns, 240, 1.0)[tail], VOLATILITY_FLOOR_BPS)
    return short, long, np.maximum(np.sqrt((short * short + long * long) * 0.5), VOLATILITY_FLOOR_BPS)


def _moved(values: Column, span: int, tail: slice) -> Column:
    """Each value less the one ``span`` before it, as TA-Lib's MOM; of a short tail only that is computed."""
    if tail.start < span:
        moved: Column = ta.MOM(values, span)[tail]
        return moved
    return values[tail] - values[tail.start - span : tail.stop - span]


def _close_position(candles: CandleArrays) -> Column:
    """Where the bar closed: -1 at its low, +1 at its high, 0 for a bar without range."""
    span = candles.high - candles.low
    doubled = 2.0 * candles.close - candles.high - candles.low
    flat = span <= 0.0
    return np.where(flat, 0.0, doubled / np.where(flat, 1.0, span))


def _quotients(close: Column, volume: Column, signed: Column, tail: slice) -> Rows:
    """Bollinger position, z-scores of the volume (60, 240 minutes), its lean to high or low closes (15, 60).

    The Bollinger position is ±1 on the bands. The lean is the volume-weighted mean of the close position: a
    proxy of buyers against sellers from OHLCV alone, in the spirit of Chaikin's money flow. A quotient is 0
    where its divisor is too small to mean anything: what a running sum leaves behind after a stretch
    without trades is not volume. Z-scores end at ±10.
    """
    upper, middle, _ = ta.BBANDS(close, 20, 2.0, 2.0, 0)
    recent = volume[tail]
    mean_60 = ta.SMA(volume, 60)[tail]
    mean_240 = ta.SMA(volume, 240)[tail]
    middle = middle[tail]
    shape = (5, len(recent))
    above, below, least = np.empty(shape), np.empty(shape), np.empty(shape)
    above[0], below[0] = close[tail] - middle, upper[tail] - middle
    above[1], below[1] = recent - mean_60, ta.STDDEV(volume, 60, 1.0)[tail]
    above[2], below[2] = recent - mean_240, ta.STDDEV(volume, 240, 1.0)[tail]
    above[3], below[3] = ta.SMA(signed, 15)[tail], ta.SMA(volume, 15)[tail]
    above[4], below[4] = ta.SMA(signed, 60)[tail], mean_60
    least[0] = 1e-6
    # fmax, since a NaN of missing history would let a division by zero through.
    least[1:] = np.fmax(1e-9 * mean_240, 0.0) + 1e-300
    small = below <= least
    below[small] = 1.0
    above[small] = 0.0
    above /= below
    return np.minimum(np.maximum(above, -_QUOTIENT_LIMITS), _QUOTIENT_LIMITS)
