"""Which candles are decided together: those of one minute, once all have arrived or the deadline has passed.

Pure: it knows the exchange's time only from what it is told. Batches leave in order of time. A candle that comes
after its minute was decided is late: it is named, and never traded on.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.ports import CandleClosed


class Batch(NamedTuple):
    """The candles of one minute, by name of symbol.

    Attributes:
        opened_at_ms: Their open time.
        arrivals: One for each symbol that made it.
        missing: Symbols that did not.
    """

    opened_at_ms: int
    arrivals: tuple[CandleClosed, ...]
    missing: tuple[Symbol, ...]

    @property
    def candles(self) -> tuple[Candle, ...]:
        """The candles alone."""
        return tuple(arrival.candle for arrival in self.arrivals)


class MinuteBatcher:
    """Gathers closed candles into batches.

    Args:
        symbols: All that are traded.
        deadline_ms: How long after the close a batch waits for the rest.
        decided_ms: Open time of the last minute that was decided before; candles up to it are late.
    """

    def __init__(self, symbols: tuple[Symbol, ...], deadline_ms: int, decided_ms: int) -> None:
        self._symbols = symbols
        self._deadline_ms = deadline_ms
        self._decided_ms = decided_ms
        self._waiting: dict[int, dict[Symbol, CandleClosed]] = {}

    @property
    def next_deadline_ms(self) -> int | None:
        """When the oldest incomplete batch stops waiting, on the exchange's clock."""
        return min(self._waiting) + MINUTE_MS + self._deadline_ms if self._waiting else None

    def is_late(self, candle: Candle) -> bool:
        """Whether the minute of a candle was already decided."""
        return candle.opened_at_ms <= self._decided_ms

    def add(self, arrival: CandleClosed) -> None:
        """Take in a candle that is not late."""
        candle = arrival.candle
        self._waiting.setdefault(candle.opened_at_ms, {})[candle.symbol] = arrival

    def pop_ready(self, now_ms: int, catching_up: AbstractSet[Symbol] = frozenset()) -> Batch | None:
        """The oldest batch, if it is whole or its deadline has passed; call until it gives None.

        A missing symbol whose earlier candles are being fetched is waited for beyond the deadline.
        """
        if not self._waiting:
            return None
        opened = min(self._waiting)
        arrived = self._waiting[opened]
        whole = len(arrived) == len(self._symbols)
        if not whole:
            if now_ms < opened + MINUTE_MS + self._deadline_ms:
                return None
            if any(symbol in catching_up for symbol in self._symbols if symbol not in arrived):
                return None
        del self._waiting[opened]
        self._decided_ms = opened
        return Batch(
            opened,
            tuple(arrived[symbol] for symbol in sorted(arrived)),
            tuple(symbol for symbol in self._symbols if symbol not in arrived),
        )
