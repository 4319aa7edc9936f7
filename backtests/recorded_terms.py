"""The words of a replay: what a run met, what a replay is given, begins with and leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from backtests.recorded_moves import Moves
from bot.core.market import Candle, Symbol
from bot.core.prediction import Prediction
from bot.journal.reader import StoredBatch


class Circumstance(str, Enum):
    """What a run met and a backtest does not, in the order in which an overlay puts them back."""

    MODEL = "model"
    CANDLES = "candles"
    LATENCY = "late_candle"
    WATCH = "model_watch"
    OPERATOR = "operator"
    RECONCILIATION = "reconciliation"
    RESTART = "restart"
    FUNDING = "funding"
    EXECUTION = "execution"


PAPER: Final = frozenset(Circumstance) - {Circumstance.EXECUTION}
"""On paper the matcher fills orders, in a replay as in the run: all of it must come out the same."""

LIVE: Final = frozenset(Circumstance)

BROKER_KEY: Final = "broker"
"""Where a snapshot has what the broker needs."""

Forecasts: TypeAlias = Mapping[tuple[Symbol, int], Prediction]
"""By symbol and close of the candle."""

Finals: TypeAlias = Mapping[tuple[Symbol, int], Candle]
"""Candles as the exchange has them, where that is not what was decided on, by symbol and open time."""

Listener: TypeAlias = Callable[[StoredBatch, list[dict[str, Any]]], None]
"""Takes a minute as it was recorded and the decisions that were made again."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The state that a recording begins with.

    Attributes:
        rules: In force.
        snapshot: Of the engine; None begins an account.
        batch_ms: Open time of the minute that the snapshot is of.
        settled: Whether what was settled right after that minute is in it.
    """

    rules: Mapping[str, Any]
    snapshot: Mapping[str, Any] | None
    batch_ms: int
    settled: bool


@dataclass(slots=True)
class Rerun:
    """What a run of the core over a recording left behind.

    Attributes:
        ts: Close of each minute, int64, ms, shape (n,).
        equity: float64, shape (n,).
        moves: Executions and fundings.
        adopted: What positions brought that were none of ours and were taken as ours, quote currency.
        broke: Why it could not go on, where it could not.
        start_equity: Before the first minute.
        snapshot: Of the engine after the last minute.
    """

    ts: npt.NDArray[np.int64]
    equity: npt.NDArray[np.float64]
    moves: Moves
    adopted: float
    broke: str | None
    start_equity: float
    snapshot: dict[str, Any] = field(default_factory=dict)

    @property
    def final_equity(self) -> float:
        """At the last minute; what it began with where it did not come to any."""
        return float(self.equity[-1]) if len(self.equity) else self.start_equity
