"""The candles and predictions of some thousand minutes, side by side, for a driver that looks ahead.

A block holds for each symbol and minute the prices of the candle, if there is one, and the expected return predicted on it.
Candles and predictions become core values only where a decision is made on them.
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
    prediction_rows,
    prediction_values,
)
from bot.core.calm_matching import Idle
from bot.core.candle_run import CandleRun
from bot.core.decision import Decision
from bot.core.engine_config import NO_PREDICTION
from bot.core.market import DAY_MS, MINUTE_MS, Candle, Symbol
from bot.core.prediction import Prediction
from bot.core.signal import Calm
from bot.errors import EngineProtocolError

BLOCK_MINUTES = 4096


@dataclass(slots=True)
class Lane:
    """One symbol's part of a block; columns of one entry a minute, NaN where there is no candle.

    Attributes:
        symbol: Whose.
        minutes: Open times, ms.
        closes: Closes as Python floats.
        opens, highs, lows, volumes: The other columns.
        present: Whether there is a candle; None where there is one in every minute.
        returns: The expected return predicted on each; NaN where there is no prediction.
        rows: Which row of the columns the prediction is, -1 where there is none.
        columns: The predictions of the symbol.
        is_gappy: Whether a minute has no prediction.
    """

    symbol: Symbol
    minutes: list[int]
    closes: list[float]
    opens: Floats
    highs: Floats
    lows: Floats
    volumes: Floats
    present: list[bool] | None
    returns: Floats
    rows: npt.NDArray[np.intp]
    columns: PredictionColumns | None
    is_gappy: bool
    _loud: dict[tuple[float, float], list[int]] = field(default_factory=dict)

    def has(self, minute: int) -> bool:
        """Whether there is a candle in a minute."""
        return self.present is None or self.present[minute]

    def candle(self, minute: int) -> Candle:
        """A candle that is there."""
        if not self.has(minute):
            raise EngineProtocolError(f"{self.symbol} has no candle there")
        return Candle(
            self.symbol,
            self.minutes[minute],
            self.opens.item(minute),
            self.highs.item(minute),
            self.lows.item(minute),
            self.closes[minute],
            self.volumes.item(minute),
        )

    def run(self, since: int, until: int) -> CandleRun:
        """The candles of some minutes, each of which has one and follows the last."""
        columns = (self.opens, self.highs, self.lows, self.volumes)
        return CandleRun(self.symbol, self.minutes[since], self.closes[since:until], columns, since)

    def calm_until(self, calm: Calm, since: int, until: int) -> int:
        """The first minute from ``since`` on whose forecast may change something, at most ``until``."""
        _, least, most, until_ms = calm
        if until_ms is not None:
            # Those that close before the time: minutes of a stretch have no hole.
            count = (until_ms - self.minutes[since] - 1) // MINUTE_MS
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
            count = -((self.minutes[since] - until_ms) // MINUTE_MS)
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
        opened_at_ms = self.minutes[since]
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
        return self.lanes if len(self.lanes) == 1 else [lane for lane in self.lanes if lane.has(minute)]

    def next_break(self, since: int) -> int:
        """The first minute after ``since`` that does not continue the one before; the block's length when all do."""
        place = bisect_left(self.breaks, since + 1)
        return self.breaks[place] if place < len(self.breaks) else len(self.minutes)

    def candles(self, minute: int) -> list[Candle]:
        """The candles of a minute by name of symbol."""
        return [lane.candle(minute) for lane in self.lanes if lane.has(minute)]

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
        opened = part.tolist()
        lanes = [_lane(data, symbol, part, opened) for symbol in data.symbols]
        present = np.ones((len(lanes), len(part)), dtype=bool)
        for place, lane in enumerate(lanes):
            if lane.present is not None:
                present[place] = lane.present
        breaks = _breaks(part, present, last_ms, before)
        yield Block(opened, lanes, np.flatnonzero(breaks).tolist())
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


def _lane(data: BacktestInput, symbol: Symbol, minutes: npt.NDArray[np.int64], opened: list[int]) -> Lane:
    arrays, columns = data.candles[symbol], data.predictions.get(symbol)
    first, last = np.searchsorted(arrays.ts, [minutes[0], minutes[-1] + 1])
    part = arrays.rows(int(first), int(last))
    rows = np.full(len(part), -1) if columns is None else prediction_rows(columns, part.ts)
    prices = [part.close, part.open, part.high, part.low, part.volume]
    present = None
    if len(part) != len(minutes):
        places = np.searchsorted(minutes, part.ts)
        prices = [_spread(column, places, len(minutes), np.nan) for column in prices]
        rows = _spread(rows, places, len(minutes), -1)
        present = _spread(np.ones(len(part), dtype=bool), places, len(minutes), 0).tolist()
    returns = np.full(len(minutes), np.nan)
    if columns is not None:
        known = rows >= 0
        returns[known] = columns.expected_return[rows[known]]
    closes, opens, highs, lows, volumes = prices
    return Lane(
        symbol,
        opened,
        closes.tolist(),
        opens,
        highs,
        lows,
        volumes,
        present,
        returns,
        rows,
        columns,
        is_gappy=bool((rows < 0).any()),
    )


def _spread(column: Any, places: npt.NDArray[np.intp], count: int, nothing: float) -> Any:
    """A column of ``count`` rows with these values at their places, and nothing between them."""
    whole = np.full(count, nothing, dtype=column.dtype)
    whole[places] = column
    return whole
