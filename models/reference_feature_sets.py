"""The feature sets of the reference recipes: ``deep-price`` (32 columns) and ``direction`` (9).

The rules of ``models.feature_sets`` hold here as well: no look ahead, every row from the anchor on, TA-Lib for
whatever recurs or runs. No column's memory is longer than MACD's, so that what is true of ``scalping`` after a
gap is true of these. Every column is free of the price level and of the unit of volume.
"""

from __future__ import annotations

import math

import numpy as np

from models import indicators as ta
from models.candle_arrays import CandleArrays
from models.feature_sets import BPS, SCALPING_COLUMNS, Z_LIMIT, Column, Rows, scalping_kernel, volatility_bps

DEEP_PRICE_COLUMNS = (
    *SCALPING_COLUMNS,
    "return_2",
    "return_3",
    "return_10",
    "return_30",
    "return_120",
    "ema_spread_9_21",
    "mean_distance_50",
    "upper_shadow",
    "lower_shadow",
    "rsi_7",
    "stochastic_14",
    "range_position_60",
)
_SPANS = (2, 3, 10, 30, 120)
_MOVES = slice(len(SCALPING_COLUMNS), len(SCALPING_COLUMNS) + 9)
_MOVE_UNITS: Column = np.array([[math.sqrt(span)] for span in _SPANS] + [[1.0]] * 4)

DIRECTION_COLUMNS = (
    "return_1",
    "volume_change",
    "rsi",
    "macd",
    "bollinger_position",
    "open",
    "high",
    "low",
    "volume_z_60",
)
_BAND_FLOOR_BPS = 2e-6
"""Bands closer together than this hold rounding, not prices."""


def deep_price_kernel(candles: CandleArrays, keep: int) -> tuple[Rows, Column]:
    """The twenty columns of ``scalping`` and twelve more.

    - ``return_2``, ``_3``, ``_10``, ``_30``, ``_120``: log return over n minutes over volatility · sqrt(n).
    - ``ema_spread_9_21``: EMA(9) less EMA(21) of the log close, in units of volatility.
    - ``mean_distance_50``: log close less its plain mean over 50 minutes, in units of volatility. (An EMA of 50
      would still know its start after the lead that a block is given.)
    - ``upper_shadow``, ``lower_shadow``: from the body to the high and to the low, in units of volatility, never
      negative in a sound candle.
    - ``rsi_7``: from -1 to 1, as ``relative_strength`` gives it.
    - ``stochastic_14``, ``range_position_60``: where the close lies between the lowest low and the highest high
      of 14 minutes (the fast %K of G. Lane) and of 60 (W. Williams' %R): -1 at the low, 1 at the high, 0 where
      there is no range.
    """
    tail = slice(len(candles) - keep, len(candles))
    rows = np.empty((len(DEEP_PRICE_COLUMNS), keep))
    rows[: len(SCALPING_COLUMNS)], volatility = scalping_kernel(candles, keep)
    close = ta.LN(candles.close / candles.close[0]) * BPS
    moves = rows[_MOVES]
    for index, span in enumerate(_SPANS):
        moves[index] = ta.MOM(close, span)[tail]
    moves[5] = ta.EMA(close, 9)[tail] - ta.EMA(close, 21)[tail]
    moves[6] = close[tail] - ta.SMA(close, 50)[tail]
    opened, closed = candles.open[tail], candles.close[tail]
    moves[7] = ta.LN(candles.high[tail] / np.maximum(opened, closed)) * BPS
    moves[8] = ta.LN(np.minimum(opened, closed) / candles.low[tail]) * BPS
    moves /= volatility * BPS * _MOVE_UNITS
    rows[29] = relative_strength(close, 7)[tail]
    rows[30] = _range_position(candles, 14, tail)
    rows[31] = _range_position(candles, 60, tail)
    return rows, volatility


def direction_kernel(candles: CandleArrays, keep: int) -> tuple[Rows, Column]:
    """What the direction of the next move is read from: nine columns of one bar against its recent past.

    - ``return_1``: change of the close over the close before it, in units of volatility, cut at ±10.
    - ``volume_change``: (v - v') / (v + v') of the volume v after v': -1 … 1, and 0 for none after none. It is
      tanh of half the logarithm of v / v', which no market without trades can make infinite.
    - ``rsi``: over 14 minutes, from -1 to 1, as ``relative_strength`` gives it.
    - ``macd``: the line (12, 26) of the log close, in units of volatility.
    - ``bollinger_position``: (close - lower) / (upper - lower) of the bands (20, 2) of the log close: 0 on the
      lower, 1 on the upper; one half where the bands have no width; cut at -1 and 2.
    - ``open``, ``high``, ``low``: their log distance from the close, in units of volatility.
    - ``volume_z_60``: volume less its mean over 60 minutes, in standard deviations, cut at ±10.
    """
    tail = slice(len(candles) - keep, len(candles))
    close = ta.LN(candles.close / candles.close[0]) * BPS
    scale = volatility_bps(close, tail)[2]
    rows = np.empty((len(DIRECTION_COLUMNS), keep))
    rows[0] = _cut(ta.ROCP(candles.close, 1)[tail] * BPS / scale, -Z_LIMIT, Z_LIMIT)
    rows[1] = _volume_change(candles.volume)[tail]
    rows[2] = relative_strength(close, 14)[tail]
    rows[3] = ta.MACD(close, 12, 26, 9)[0][tail] / scale
    rows[4] = _band_position(close, tail)
    for index, price in enumerate((candles.open, candles.high, candles.low), start=5):
        rows[index] = ta.LN(price[tail] / candles.close[tail]) * BPS / scale
    rows[8] = _volume_score(candles.volume, tail)
    return rows, scale / BPS


def relative_strength(close: Column, period: int) -> Column:
    """RSI from -1 to 1, and 0 while nothing moves at all.

    TA-Lib calls a market in which nothing has risen and nothing has fallen an RSI of 0: as weak as can be.
    """
    index = ta.RSI(close, period)
    still = (index == 0.0) & (ta.MAX(close, period + 1) <= ta.MIN(close, period + 1))
    return np.where(still, 0.0, index / 50.0 - 1.0)


def _range_position(candles: CandleArrays, period: int, tail: slice) -> Column:
    """Where the close lies in the range of ``period`` minutes, -1 … 1; 0 where there is none."""
    lowest = ta.MIN(candles.low, period)[tail]
    span = ta.MAX(candles.high, period)[tail] - lowest
    flat = span <= 0.0
    share = (candles.close[tail] - lowest) / np.where(flat, 1.0, span)
    return np.where(flat, 0.0, 2.0 * share - 1.0)


def _volume_change(volume: Column) -> Column:
    """(v - v') / (v + v'); NaN in the first row, which has no volume before it."""
    change = np.full(len(volume), np.nan)
    total = volume[1:] + volume[:-1]
    none = total <= 0.0
    change[1:] = (volume[1:] - volume[:-1]) / np.where(none, 1.0, total)
    return change


def _band_position(close: Column, tail: slice) -> Column:
    """Position between the Bollinger bands, 0 … 1 within them.

    Whether the bands have a width is asked of the closes themselves: the running sums behind a deviation may
    leave a trace of earlier prices where the last twenty are all the same.
    """
    upper, _, lower = (band[tail] for band in ta.BBANDS(close, 20, 2.0, 2.0, 0))
    width = upper - lower
    flat = (ta.MAX(close, 20)[tail] <= ta.MIN(close, 20)[tail]) | (width <= _BAND_FLOOR_BPS)
    position = (close[tail] - lower) / np.where(flat, 1.0, width)
    return np.where(flat, 0.5, _cut(position, -1.0, 2.0))


def _volume_score(volume: Column, tail: slice) -> Column:
    """Z-score of the volume over 60 minutes; 0 where the volume does not vary."""
    above = volume[tail] - ta.SMA(volume, 60)[tail]
    deviation = ta.STDDEV(volume, 60, 1.0)[tail]
    flat = ta.MAX(volume, 60)[tail] <= ta.MIN(volume, 60)[tail]
    # What a running sum leaves behind after a burst is no deviation. fmax passes over missing history.
    flat |= deviation <= np.fmax(1e-9 * ta.SMA(volume, 240)[tail], 0.0) + 1e-300
    return np.where(flat, 0.0, _cut(above / np.where(flat, 1.0, deviation), -Z_LIMIT, Z_LIMIT))


def _cut(column: Column, least: float, most: float) -> Column:
    """The column within bounds; NaN stays NaN."""
    return np.minimum(np.maximum(column, least), most)
