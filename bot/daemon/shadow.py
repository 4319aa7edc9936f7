"""A challenger beside the champion: it predicts every minute and trades none, until it has shown that it can.

What is due of it is a forecast for each whole window of its own; where it says nothing of its windows, for each
symbol of a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.core.market import MINUTE_MS, Candle
from bot.core.prediction import Prediction
from bot.daemon.foresight import foresee
from bot.daemon.input_watch import CountsInputs
from bot.daemon.serving import Serving

LEAST_SHARE = 0.95
"""Of the forecasts that are due, so many must be given."""

MOST_SLOW = 3
"""So many forecasts in a row beyond the deadline refuse a challenger, as they end the trading of a champion."""

LEAST_DUE_SHARE = 0.5
"""Of the minutes of its time, in so many a forecast must have been due; else the time is too thin to judge by."""

PATIENCE = 2.0
"""A challenger whose time was too thin is refused after so many times of it."""


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """What a challenger must show.

    Attributes:
        hours: Of market time beside the champion.
        deadline_ms: A forecast that takes longer is too slow.
    """

    hours: float
    deadline_ms: float


@dataclass(slots=True)
class ShadowCount:
    """What a challenger has shown so far; a restart goes on with it.

    Attributes:
        model_id: Who.
        since_ms: Close of the last minute before its first one.
        due: Forecasts that were due.
        given: Forecasts that were given.
        slow: Forecasts beyond the deadline, in a row.
        worst_ms: The slowest one.
    """

    model_id: str
    since_ms: int
    due: int = 0
    given: int = 0
    slow: int = 0
    worst_ms: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class Shadow:
    """A challenger that was warmed, and what it shows.

    Args:
        serving: The challenger.
        rules: What it must show.
        symbol_count: How many symbols are traded.
        count: Where it stands.
    """

    def __init__(self, serving: Serving, rules: ShadowRules, symbol_count: int, count: ShadowCount) -> None:
        self.serving = serving
        self.predictor = serving.predictor
        self.count = count
        self._rules = rules
        self._symbol_count = symbol_count
        self._faults: list[str] = []
        self._windows = 0

    def step(self, candles: Sequence[Candle], monotonic_ns: Callable[[], int]) -> list[Prediction]:
        """Show it a minute that was decided, and let it predict; after a fault it says nothing any more."""
        for candle in candles:
            self.predictor.observe(candle)
        if self._faults:
            return []
        said = foresee(self.predictor, [candle.symbol for candle in candles], monotonic_ns)
        count = self.count
        count.due += self._newly_due(len(candles))
        count.given += len(said.predictions)
        took_ms = said.took_ns / 1e6
        count.worst_ms = round(max(count.worst_ms, took_ms), 3)
        count.slow = count.slow + 1 if took_ms > self._rules.deadline_ms else 0
        if said.fault is not None:
            self._faults.append(said.fault)
        elif count.slow >= MOST_SLOW:
            self._faults.append(
                f"{count.slow} forecasts in a row took longer than {self._rules.deadline_ms:g} ms"
            )
        return said.predictions

    def verdict(self, now_ms: int) -> tuple[str, ...] | None:
        """Why it is refused, nothing when it has shown that it can; None while its time is not over."""
        if self._faults:
            return tuple(self._faults)
        count, rules = self.count, self._rules
        passed_hours = (now_ms - count.since_ms) / (60 * MINUTE_MS)
        if passed_hours < rules.hours:
            return None
        least_due = max(1.0, LEAST_DUE_SHARE * rules.hours * 60 * self._symbol_count)
        if count.due < least_due:
            if passed_hours < PATIENCE * rules.hours + 1:
                return None
            return (f"only {count.due} forecasts were due in {passed_hours:.0f} hours",)
        share = count.given / count.due
        if share < LEAST_SHARE:
            return (
                f"{count.given} of {count.due} forecasts were given ({share:.1%}), {LEAST_SHARE:.0%} are needed",
            )
        return ()

    def _newly_due(self, candle_count: int) -> int:
        """Forecasts that this minute was due."""
        if not isinstance(self.predictor, CountsInputs):
            return candle_count
        before = self._windows
        self._windows = sum(count.windows for count in self.predictor.inputs.values())
        return self._windows - before
