"""Candles in columns: a run of them, one a minute, each made only when it is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, SupportsFloat, TypeAlias, overload

from bot.core.market import MINUTE_MS, Candle, Symbol


class Column(Protocol):
    """Numbers by place: a list, or an array of a library that the core does not know."""

    def __getitem__(self, place: int, /) -> SupportsFloat:
        """The number at a place."""


Columns: TypeAlias = tuple[Column, Column, Column, Column]
"""Open, high, low and volume."""


class CandleRun(Sequence[Candle]):
    """Closed candles of one symbol without a hole; a sequence of ``Candle``, and a slice of it is one too.

    Args:
        symbol: Whose.
        first_ms: Open time of the first, ms.
        closes: Closes as floats.
        columns: The other columns; the run begins at ``start`` of them.
        start: Where.

    Attributes:
        symbol: Whose.
        first_ms: Open time of the first, ms.
        closes: Closes as floats, in order.
    """

    __slots__ = ("_columns", "_start", "closes", "first_ms", "symbol")

    def __init__(
        self, symbol: Symbol, first_ms: int, closes: Sequence[float], columns: Columns, start: int = 0
    ) -> None:
        self.symbol = symbol
        self.first_ms = first_ms
        self.closes = closes
        self._columns = columns
        self._start = start

    @classmethod
    def of(cls, candles: Sequence[Candle]) -> CandleRun:
        """A run of candles that are there; at least one."""
        symbols, times, opens, highs, lows, closes, volumes = zip(*candles, strict=True)
        return cls(symbols[0], times[0], closes, (opens, highs, lows, volumes))

    @property
    def last_ms(self) -> int:
        """Open time of the last, ms."""
        return self.first_ms + (len(self.closes) - 1) * MINUTE_MS

    def __len__(self) -> int:
        return len(self.closes)

    @overload
    def __getitem__(self, place: int) -> Candle: ...
    @overload
    def __getitem__(self, place: slice) -> CandleRun: ...
    def __getitem__(self, place: int | slice) -> Candle | CandleRun:
        if isinstance(place, slice):
            return self._part(*place.indices(len(self.closes)))
        place = range(len(self.closes))[place]
        row = self._start + place
        opens, highs, lows, volumes = self._columns
        return Candle(
            self.symbol,
            self.first_ms + place * MINUTE_MS,
            float(opens[row]),
            float(highs[row]),
            float(lows[row]),
            self.closes[place],
            float(volumes[row]),
        )

    def _part(self, start: int, stop: int, step: int) -> CandleRun:
        if step != 1:
            raise ValueError("a run has no hole: its slices go from minute to minute")
        return CandleRun(
            self.symbol,
            self.first_ms + start * MINUTE_MS,
            self.closes[start:stop],
            self._columns,
            self._start + start,
        )

    def __iter__(self) -> Iterator[Candle]:
        return map(self.__getitem__, range(len(self.closes)))

    def __repr__(self) -> str:
        return f"CandleRun({self.symbol!r}, {self.first_ms}, {len(self)} candles)"
