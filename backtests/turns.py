"""What an engine is told between two minutes of a backtest: who predicts from now on, and how large entries are.

In a daemon its succession and its watch say so; a backtest that follows them knows it beforehand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.engine import TradingEngine
from bot.core.engine_config import NO_PREDICTION
from bot.core.market import Symbol


@dataclass(frozen=True, slots=True)
class EngineTurn:
    """One such word.

    Attributes:
        after_ms: It holds for candles that open then or later, ms UTC.
        absent: Why there is no prediction of a symbol that has none.
        size: New entries are multiplied by it, 0 to 1.
        size_reason: Why they are cut; empty where they are not.
        empties: What is held or on its way is closed.
    """

    after_ms: int
    absent: str = NO_PREDICTION
    size: float = 1.0
    size_reason: str = ""
    empties: bool = False


class EngineTurns:
    """The turns of a run that lie ahead.

    Args:
        turns: In order of time.
        symbols: Those that are traded.
    """

    def __init__(self, turns: Iterable[EngineTurn], symbols: Iterable[Symbol]) -> None:
        self._ahead = deque(turns)
        self._symbols = tuple(symbols)
        self.absent = NO_PREDICTION

    def before(self, engine: TradingEngine, opened_at_ms: int) -> None:
        """Tell an engine what holds from the candles that open then, before it sees them."""
        while self._ahead and self._ahead[0].after_ms <= opened_at_ms:
            turn = self._ahead.popleft()
            self.absent = turn.absent
            engine.set_size_factor(turn.size, turn.size_reason)
            if turn.empties and self._holds(engine):
                engine.request_flatten()

    def _holds(self, engine: TradingEngine) -> bool:
        return engine.account.has_positions or any(engine.open_orders(symbol) for symbol in self._symbols)
