"""Live forecasts and what came of them: kept until their horizon has passed, and in the journal for good."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.performance import LiveForecast, Matured
from bot.core.prediction import Prediction
from bot.journal.performance import WatchState
from models.base_rate import stored_base_rate

CHAMPION, SHADOW = "champion", "shadow"
"""The roles that a model can predict in."""

EVEN = 0.5
"""The base rate of a model that was stored without one."""


class PerformanceJournal(Protocol):
    """The part of the journal that this needs."""

    def store_performance(
        self,
        forecasts: Sequence[LiveForecast],
        matured: Sequence[Matured],
        watch: WatchState | None = None,
    ) -> None:
        """Store a minute's rows in one transaction."""

    def pending_forecasts(self) -> list[LiveForecast]:
        """Forecasts whose outcome is not known yet."""

    def newest_predictions(self) -> list[tuple[Prediction, float]]:
        """The champion's predictions of the last batch, with their closes."""

    def recent_candles(self, symbol: Symbol, count: int) -> list[Candle]:
        """The newest candles of a symbol, oldest first."""


def base_rate_of(folder: Path) -> float:
    """P(up) of a model's training data; even odds where the model was stored without.

    Raises:
        ModelError: What is stored is no base rate.
    """
    rate = stored_base_rate(folder)
    return EVEN if rate is None else rate


class PerformanceLog:
    """Follows every forecast to its outcome.

    Each minute: ``on_batch`` after the orders have left, then ``store``. A forecast without a probability is followed
    too; one that is not finite is not: the watch ends its model.

    Args:
        journal: Where rows are kept.
    """

    def __init__(self, journal: PerformanceJournal) -> None:
        self._journal = journal
        self._due: dict[int, list[LiveForecast]] = {}
        self._since: dict[Symbol, int] = {}
        self._last: dict[Symbol, int] = {}
        self._forecasts: list[LiveForecast] = []
        self._matured: list[Matured] = []

    @property
    def pending(self) -> int:
        """How many forecasts wait for their outcome."""
        return sum(len(rows) for rows in self._due.values())

    def following_minutes(self, symbol: Symbol) -> int:
        """How many of a symbol's last minutes follow each other, as far as they were looked at."""
        if symbol not in self._last:
            return 0
        return (self._last[symbol] - self._since[symbol]) // MINUTE_MS + 1

    def recover(
        self,
        decided_ms: int,
        symbols: Sequence[Symbol],
        base_rates: Mapping[str, float],
        *,
        history_minutes: int = 0,
    ) -> list[Matured]:
        """Take up what the journal holds, and complete and store what can be known by now.

        Args:
            decided_ms: Close of the last minute that was decided.
            symbols: Those that are traded.
            base_rates: Of each model, for forecasts of the last minute that a kill left unwritten.
            history_minutes: How far ``following_minutes`` looks back from here.

        Returns:
            What came of forecasts between the last minute stored and the last one decided.

        Raises:
            StorageError: The disk refused.
        """
        lost = [
            _row(said, CHAMPION, close, base_rates.get(said.model_id, EVEN))
            for said, close in self._journal.newest_predictions()
            if _is_finite(said)
        ]
        waiting = {row[:3]: row for row in (*lost, *self._journal.pending_forecasts())}
        oldest = min((row.closed_at_ms for row in waiting.values()), default=decided_ms)
        count = max((decided_ms - oldest) // MINUTE_MS + 2, history_minutes)
        histories = {
            symbol: {
                candle.closed_at_ms: candle.close for candle in self._journal.recent_candles(symbol, count)
            }
            for symbol in {*symbols, *(row.symbol for row in waiting.values())}
        }
        for symbol, closes in histories.items():
            self._take_up(symbol, closes)
        found = []
        for row in sorted(waiting.values(), key=lambda row: (row.due_ms, row.symbol, row.model_id)):
            if row.due_ms > decided_ms:
                self._due.setdefault(row.due_ms, []).append(row)
                continue
            found.append(Matured(row, _realized(row, histories[row.symbol]), decided_ms))
        self._journal.store_performance(lost, found)
        return found

    def on_batch(
        self,
        closed_at_ms: int,
        candles: Sequence[Candle],
        said: Mapping[str, Sequence[Prediction]],
        base_rates: Mapping[str, float],
    ) -> list[Matured]:
        """Take in a minute: what came of forecasts that were due, and the new ones.

        Args:
            closed_at_ms: Close of its candles; later than that of the call before.
            candles: Those of the batch.
            said: The predictions made on them, by role.
            base_rates: Of each model that predicts, by id.
        """
        closes = {candle.symbol: candle.close for candle in candles}
        for symbol in closes:
            if self._last.get(symbol) != closed_at_ms - MINUTE_MS:
                self._since[symbol] = closed_at_ms
            self._last[symbol] = closed_at_ms
        found = [
            Matured(row, self._came(row, closed_at_ms, closes), closed_at_ms)
            for due_ms in sorted(due_ms for due_ms in self._due if due_ms <= closed_at_ms)
            for row in self._due.pop(due_ms)
        ]
        for role, predictions in said.items():
            for one in predictions:
                if not _is_finite(one) or one.closed_at_ms != closed_at_ms or one.symbol not in closes:
                    continue
                row = _row(one, role, closes[one.symbol], base_rates[one.model_id])
                self._due.setdefault(row.due_ms, []).append(row)
                self._forecasts.append(row)
        self._matured += found
        return found

    def store(self, watch: WatchState | None = None) -> None:
        """Write what was taken in since the last call, in one transaction.

        Raises:
            StorageError: The disk refused; nothing is lost, the next call tries again.
        """
        self._journal.store_performance(self._forecasts, self._matured, watch)
        self._forecasts, self._matured = [], []

    def _came(self, row: LiveForecast, now_ms: int, closes: Mapping[Symbol, float]) -> float | None:
        """The return over a horizon that ends now; None where one of its minutes was missing."""
        whole = (
            row.due_ms == now_ms
            and row.symbol in closes
            and self._since.get(row.symbol, now_ms) <= row.closed_at_ms
        )
        return math.log(closes[row.symbol] / row.close) if whole else None

    def _take_up(self, symbol: Symbol, closes: Mapping[int, float]) -> None:
        """Remember since when a symbol's minutes follow each other."""
        if not closes:
            return
        last = since = max(closes)
        while since - MINUTE_MS in closes:
            since -= MINUTE_MS
        self._last[symbol], self._since[symbol] = last, since


def _realized(row: LiveForecast, closes: Mapping[int, float]) -> float | None:
    """The return over a forecast's horizon; None where one of its minutes is missing."""
    if any(at_ms not in closes for at_ms in range(row.closed_at_ms, row.due_ms + 1, MINUTE_MS)):
        return None
    return math.log(closes[row.due_ms] / row.close)


def _row(said: Prediction, role: str, close: float, base_rate: float) -> LiveForecast:
    return LiveForecast(
        said.model_id,
        said.symbol,
        said.closed_at_ms,
        role,
        said.horizon_minutes,
        said.probability_up,
        said.expected_return,
        base_rate,
        close,
    )


def _is_finite(said: Prediction) -> bool:
    """Whether a prediction is made of numbers."""
    return math.isfinite(said.expected_return) and (
        said.probability_up is None or math.isfinite(said.probability_up)
    )
