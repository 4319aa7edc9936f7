"""The engine of a backtest: it may be taken over minutes of which it is known beforehand that nothing is done in them.

Most minutes bring a forecast too small to trade on, or one that leaves a position as it is. Where the strategies can say
so (``ForeseeableStrategy``), such minutes need no decision each: windows, strategies, account and risk are brought to
where ``observe`` and ``decide`` would have brought them. A driver that finds a stretch of them calls

1. ``calm(symbols)``: which forecasts change nothing, as things stand;
2. ``pass_over(stretch)`` for all of them at once, and goes on with ``settle``, ``observe``, ``decide``.

The daemon decides on every candle, and uses ``TradingEngine``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.core.candle_run import CandleRun
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Symbol
from bot.core.run_window import RunWindow
from bot.core.signal import Calm, ForeseeableStrategy, Strategy
from bot.errors import EngineProtocolError


class CalmEngine(TradingEngine):
    """A trading engine that can be taken over calm minutes; its arguments are those of ``TradingEngine``."""

    def __init__(self, config: EngineConfig, make_strategy: Callable[[Symbol], Strategy]) -> None:
        super().__init__(config, make_strategy)
        self._windows = {symbol: RunWindow(config.window_minutes) for symbol in self._desks}
        for symbol, desk in self._desks.items():
            desk.window = self._windows[symbol]

    @property
    def is_foreseeable(self) -> bool:
        """Whether every strategy can say beforehand when it will do nothing."""
        return all(isinstance(desk.strategy, ForeseeableStrategy) for desk in self._desks.values())

    def calm(self, symbols: Sequence[Symbol]) -> list[Calm] | None:
        """Which forecasts of these symbols change nothing, as things stand; None where something is on its way.

        It holds for minutes that follow the last one without a hole, in which these symbols and no others have a
        candle, until an order executes. A candle without any forecast changes nothing either.
        """
        if self._batch or self._flatten or self.risk.reason == "starting":
            return None
        found = []
        for symbol in symbols:
            desk = self._desks[symbol]
            strategy = desk.strategy
            if not desk.window.is_full or (desk.orders and desk.waiting() is not None):
                return None
            position = self.account.position(symbol)
            calm = strategy.calm(position, self._round_trip)  # type: ignore[attr-defined]  # is_foreseeable
            if calm is None:
                return None
            if calm.signal.direction.sign != (position.quantity > 0) - (position.quantity < 0):
                raise EngineProtocolError(
                    f"{calm.signal.reason} on {symbol} would not leave the position as it is"
                )
            found.append(calm)
        return found

    def pass_over(self, stretch: Sequence[CandleRun]) -> tuple[Sequence[float], Sequence[float]]:
        """Take in calm minutes.

        Args:
            stretch: Of each symbol that has candles, all of them; the same minutes for all.

        Returns:
            Equity and notional held at each close, quote currency.

        Raises:
            EngineProtocolError: Between observe and decide, or the minutes do not follow the last one.
        """
        if self._batch:
            raise EngineProtocolError("a stretch before the last batch was decided on: decide first")
        first, last = stretch[0].first_ms, stretch[0].last_ms
        if first <= self._batch_ms:
            raise EngineProtocolError(f"a stretch from {first} after a batch of {self._batch_ms}")
        if any((run.first_ms, run.last_ms) != (first, last) for run in stretch):
            raise EngineProtocolError("a stretch holds the same minutes of every symbol")
        for run in stretch:
            desk = self._desks[run.symbol]
            self._windows[run.symbol].extend(run)
            desk.strategy.observe_all(run)  # type: ignore[attr-defined]  # is_foreseeable
            desk.seen_ms = last
        self._batch_ms = last
        return self._valued(stretch, first + MINUTE_MS)

    def _valued(self, stretch: Sequence[CandleRun], at_ms: int) -> tuple[Sequence[float], Sequence[float]]:
        """Mark the account at every close, and let risk look at it."""
        account = self.account
        equities, notionals = account.over({run.symbol: run.closes for run in stretch}, len(stretch[0]))
        for run in stretch:
            account.mark(run.symbol, run.closes[-1])
        self.equity = equities[-1]
        if changes := self.risk.on_equities(equities, at_ms):
            self._state_changes += changes
        return equities, notionals
