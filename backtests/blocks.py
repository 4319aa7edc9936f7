"""The candles and predictions of some thousand minutes, side by side, for a driver that looks ahead.

A block holds for each symbol and minute the candle, or None, and the expected return predicted on it. Predictions become
core values only where a decision is made on them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.inputs import (
    BacktestInput,
    Floats,
    PredictionColumns,
    candle_values,
    prediction_rows,
    prediction_values,
)
from bot.core.calm_matching import Idle
from bot.core.decision import Decision
from bot.core.engine_config import NO_PREDICTION
from bot.core.market import DAY_MS, MINUTE_MS, Candle, Symbol
from bot.core.prediction import Prediction
from bot.core.signal import Calm
from bot.errors import EngineProtocolError

BLOCK_MINUTES = 4096


@dataclass(slots=True)
class Lane:
    """One symbol's part of a block; lists of one entry a minute.

    Attributes:
        symbol: Whose.
        candles: None where there is none.
        lows: Their lows, NaN where there is none.
        highs: Their highs, likewise.
        returns: The expected return predicted on each; NaN where there is no prediction.
        rows: Which row of the columns the prediction is, -1 where there is none.
        columns: The predictions of the symbol.
        is_gappy: Whether a minute has no prediction.
    """

    symbol: Symbol
    candles: list[Candle | None]
    lows: Floats
    highs: Floats
    returns: Floats
    rows: npt.NDArray[np.intp]
    columns: PredictionColumns | None
    is_gappy: bool
    _loud: dict[tuple[float, float], list[int]] = field(default_factory=dict)

    def candle(self, minute: int) -> Candle:
        """A candle that is there."""
        candle = self.candles[minute]
        if candle is None:
            raise EngineProtocolError(f"{self.symbol} has no candle there")
        return candle

    def stretch(self, since: int, until: int) -> Sequence[Candle]:
        """The candles of some minutes, each of which has one."""
        return self.candles[since:until]  # type: ignore[return-value]  # a stretch ends where one is missing

    def calm_until(self, calm: Calm, since: int, until: int) -> int:
        """The first minute from ``since`` on whose forecast may change something, at most ``until``."""
        _, least, most, until_ms = calm
        if until_ms is not None:
            # Those that close before the time: minutes of a stretch have no hole.
            count = (until_ms - self.candle(since).opened_at_ms - 1) // MINUTE_MS
            until = min(until, since + max(count, 0))
        loud = self._loud.get((least, most))
        if loud is None:
            # NaN, which is no forecast, is neither below nor above.
            outside = (self.returns < least) | (self.returns > most)
            loud = self._loud[least, most] = np.flatnonzero(outside).tolist()
        place = bisect_left(loud, since)
        return min(until, loud[place]) if place < len(loud) else until

    def idle_until(self, idle: Idle, since: int, until: int) -> int:
        """The first minute from ``since`` on in which an order may execute, at most ``until``."""
        above, below, until_ms = idle
        if until_ms is not None:
            count = -((self.candle(since).opened_at_ms - until_ms) // MINUTE_MS)
            until = min(until, since + max(count, 0))
        if (above == -math.inf and below == math.inf) or until == since:
            return until
        reached = (self.lows[since:until] <= above) | (self.highs[since:until] >= below)
        first = int(reached.argmax())
        return since + first if reached[first] else until

    def prediction(self, minute: int) -> Prediction | None:
        """The prediction made on the candle of a minute, counted from the block's first."""
        row = self.rows.item(minute)
        if row < 0 or self.columns is None:
            return None
        return self.columns.value(self.symbol, row)

    def count_silent(self, since: int, until: int) -> int:
        """How many of some minutes have no prediction."""
        if not self.is_gappy:
            return 0
        return int(np.count_nonzero(self.rows[since:until] < 0))

    def calm_decisions(self, calm: Calm, since: int, until: int) -> list[Decision]:
        """What the engine decides on minutes of which each has a candle, and a forecast that leaves things as they are."""
        opened_at_ms = self.candle(since).opened_at_ms
        closes = range(opened_at_ms + MINUTE_MS, opened_at_ms + (until - since + 1) * MINUTE_MS, MINUTE_MS)
        symbol, signal = self.symbol, calm.signal
        if self.columns is None:
            return [Decision(symbol, at_ms, None, None, (), (), NO_PREDICTION) for at_ms in closes]
        forecasts = prediction_values(symbol, self.columns, self.rows[since:until])
        reason = signal.reason
        return [
            Decision(symbol, at_ms, None, None, (), (), NO_PREDICTION)
            if forecast is None
            else Decision(symbol, at_ms, forecast, signal, (), (), reason)
            for at_ms, forecast in zip(closes, forecasts, strict=True)
        ]


@dataclass(slots=True)
class Block:
    """Some minutes in a row, those without a candle of any symbol left out.

    Attributes:
        minutes: Their open times, ms.
        lanes: A part for each symbol, in the order in which they are decided.
        breaks: Ascending places of the minutes that do not continue the one before: after a hole, with candles of other
            symbols than it, or the first that closes on another day.
    """

    minutes: list[int]
    lanes: list[Lane]
    breaks: list[int]

    def lanes_at(self, minute: int) -> list[Lane]:
        """The lanes that have a candle in a minute."""
        return self.lanes if len(self.lanes) == 1 else [lane for lane in self.lanes if lane.candles[minute]]

    def next_break(self, since: int) -> int:
        """The first minute after ``since`` that does not continue the one before; the block's length when all do."""
        place = bisect_left(self.breaks, since + 1)
        return self.breaks[place] if place < len(self.breaks) else len(self.minutes)

    def candles(self, minute: int) -> list[Candle]:
        """The candles of a minute by name of symbol."""
        return [candle for lane in self.lanes if (candle := lane.candles[minute]) is not None]

    def predictions(self, minute: int) -> list[Prediction]:
        """The predictions made on them."""
        return [made for lane in self.lanes if (made := lane.prediction(minute)) is not None]


class Stretch(NamedTuple):
    """Minutes of a block in which the strategies leave things as they are.

    Attributes:
        lanes: Of the symbols that have candles in them.
        calms: What each strategy is sure to answer.
        since: The first minute.
        until: The first minute behind them.
    """

    lanes: Sequence[Lane]
    calms: Sequence[Calm]
    since: int
    until: int


def blocks(data: BacktestInput) -> Iterator[Block]:
    """All minutes of an input in order of time, ``BLOCK_MINUTES`` at a time."""
    minutes = _minutes(data)
    before = np.zeros(len(data.candles), dtype=bool)
    last_ms = -1
    for start in range(0, len(minutes), BLOCK_MINUTES):
        part = minutes[start : start + BLOCK_MINUTES]
        lanes, present = [], np.empty((len(data.candles), len(part)), dtype=bool)
        for place, symbol in enumerate(data.symbols):
            lane = _lane(data, symbol, part)
            lanes.append(lane)
            present[place] = [candle is not None for candle in lane.candles]
        breaks = _breaks(part, present, last_ms, before)
        yield Block(part.tolist(), lanes, np.flatnonzero(breaks).tolist())
        before, last_ms = present[:, -1], int(part[-1])


def _minutes(data: BacktestInput) -> npt.NDArray[np.int64]:
    columns = [arrays.ts for arrays in data.candles.values()]
    return columns[0] if len(columns) == 1 else np.unique(np.concatenate(columns))


def _breaks(
    minutes: npt.NDArray[np.int64],
    present: npt.NDArray[np.bool_],
    last_ms: int,
    before: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    known = np.concatenate([before[:, None], present], axis=1)
    times = np.concatenate([[last_ms], minutes])
    days = (times + MINUTE_MS) // DAY_MS
    others = (known[:, 1:] != known[:, :-1]).any(axis=0)
    broken: npt.NDArray[np.bool_] = (np.diff(times) != MINUTE_MS) | (np.diff(days) != 0) | others
    return broken


def _lane(data: BacktestInput, symbol: Symbol, minutes: npt.NDArray[np.int64]) -> Lane:
    arrays, columns = data.candles[symbol], data.predictions.get(symbol)
    first, last = np.searchsorted(arrays.ts, [minutes[0], minutes[-1] + 1])
    part = arrays.rows(int(first), int(last))
    candles: list[Candle | None] = list(candle_values(symbol, part))
    rows = np.full(len(part), -1) if columns is None else prediction_rows(columns, part.ts)
    lows, highs = part.low, part.high
    if len(part) != len(minutes):
        places = np.searchsorted(minutes, part.ts)
        found = dict(zip(places.tolist(), candles, strict=True))
        candles = [found.get(place) for place in range(len(minutes))]
        lows, highs = (_spread(column, places, len(minutes), np.nan) for column in (lows, highs))
        rows = _spread(rows, places, len(minutes), -1)
    returns = np.full(len(minutes), np.nan)
    if columns is not None:
        known = rows >= 0
        returns[known] = columns.expected_return[rows[known]]
    return Lane(symbol, candles, lows, highs, returns, rows, columns, bool((rows < 0).any()))


def _spread(column: Any, places: npt.NDArray[np.intp], count: int, nothing: float) -> Any:
    """A column of ``count`` rows with these values at their places, and nothing between them."""
    whole = np.full(count, nothing, dtype=column.dtype)
    whole[places] = column
    return whole
