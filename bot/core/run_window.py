"""The lookback of a backtest: it takes in runs of candles without making each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.candle_run import CandleRun
from bot.core.market import MINUTE_MS, Candle
from bot.core.window import Window
from bot.errors import EngineProtocolError

MOST_PARTS = 64
"""How many runs and candles are kept apart before the newest candles are made of them."""


class RunWindow(Window):
    """A ``Window`` that can be extended by runs; what it holds is the same."""

    __slots__ = ("_late", "_late_count")

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._late: list[Sequence[Candle]] = []
        self._late_count = 0

    def __len__(self) -> int:
        return min(self.size, len(self._candles) + self._late_count)

    @property
    def is_full(self) -> bool:
        """Whether it holds ``size`` contiguous candles."""
        return len(self._candles) + self._late_count >= self.size

    @property
    def candles(self) -> tuple[Candle, ...]:
        """The candles, oldest first."""
        self._gather()
        return super().candles

    def recent(self, count: int) -> tuple[Candle, ...]:
        """The newest ``count`` candles, or as many as there are, oldest first."""
        if not self._late or count > self.size or len(self._late[-1]) < count:
            self._gather()
            return super().recent(count)
        return tuple(self._late[-1][-count:])

    def push(self, candle: Candle) -> bool:
        """Append the next closed candle; returns False when a gap emptied the window first.

        Raises:
            EngineProtocolError: The candle is not newer than the last one; nothing changes.
        """
        if not self._late or candle.opened_at_ms != self._next_ms:
            self._gather()
            return super().push(candle)
        self._append((candle,), candle.opened_at_ms + MINUTE_MS)
        return True

    def extend(self, run: CandleRun) -> None:
        """Append candles that follow the last one.

        Raises:
            EngineProtocolError: They do not; nothing changes.
        """
        if run.first_ms != self._next_ms:
            raise EngineProtocolError(
                f"a run of {run.symbol} from {run.first_ms} does not follow {self._next_ms}"
            )
        self._append(run, run.last_ms + MINUTE_MS)

    def refill(self, candles: Iterable[Candle], seen_ms: int = -1) -> None:
        """Start over from these candles; as ``Window.refill``."""
        self._late.clear()
        self._late_count = 0
        super().refill(candles, seen_ms)

    def _append(self, part: Sequence[Candle], next_ms: int) -> None:
        self._late.append(part)
        self._late_count += len(part)
        self._next_ms = next_ms
        if len(self._late) >= MOST_PARTS:
            self._gather()

    def _gather(self) -> None:
        """Make the newest candles of what came late."""
        parts, needed = [], self.size
        for part in reversed(self._late):
            if needed <= 0:
                break
            parts.append(part[-needed:])
            needed -= len(part)
        for part in reversed(parts):
            self._candles.extend(part)
        self._late.clear()
        self._late_count = 0
