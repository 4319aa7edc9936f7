"""A predictor that says what it is told to, and a counter of nanoseconds that is wound by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.prediction import Prediction
from tests.core_builders import at, predicted


class Scripted:
    """A predictor that says what it is told to, minute by minute."""

    horizon_minutes = 15
    history_minutes = 0

    def __init__(self, says: float | Exception | None = 0.001, model_id: str = "model") -> None:
        self.says = says
        self.model_id = model_id
        self.seen: list[Candle] = []

    def warm(self, symbol: Symbol, candles: Sequence[Candle]) -> None:
        self.seen += candles

    def observe(self, candle: Candle) -> None:
        self.seen.append(candle)

    def predict(self, symbols: Sequence[Symbol]) -> list[Prediction]:
        if isinstance(self.says, Exception):
            raise self.says
        if self.says is None:
            return []
        minute = (self.seen[-1].closed_at_ms - at(0)) // MINUTE_MS
        return [predicted(minute, self.says, symbol)._replace(model_id=self.model_id) for symbol in symbols]


def ticks(milliseconds: float = 0.0) -> Callable[[], int]:
    """A counter that goes on by so much with each call."""
    now = 0

    def read() -> int:
        nonlocal now
        now += int(milliseconds * 1e6)
        return now

    return read
