"""What a backtest leaves behind."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bot.core.account import Account
from bot.core.decision import Decision
from bot.core.market import MINUTE_MS
from bot.core.orders import ExecutionReport, Fill, Funding
from bot.core.position import Trade
from bot.core.risk import StateChange

MinuteOutcome: TypeAlias = tuple[Sequence[ExecutionReport], Sequence[Decision]]
"""What one minute brought: the reports that were settled, then the decisions."""

Sink: TypeAlias = Callable[[Sequence[MinuteOutcome]], None]
"""Takes the outcomes of some thousand minutes at a time, in order, each exactly once."""


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """The account at the close of every minute that had a candle; arrays of length n.

    Attributes:
        ts: int64, close time of the minute, ms.
        equity: float64, cash plus what positions are worth, quote currency.
        cash: float64.
        exposure: float64, notional held, quote currency.
    """

    ts: npt.NDArray[np.int64]
    equity: npt.NDArray[np.float64]
    cash: npt.NDArray[np.float64]
    exposure: npt.NDArray[np.float64]


class EquityRecorder:
    """Collects the curve, eight bytes a value."""

    __slots__ = ("_cash", "_equity", "_exposure", "_ts")

    def __init__(self) -> None:
        self._ts = array("q")
        self._equity = array("d")
        self._cash = array("d")
        self._exposure = array("d")

    def add(self, ts: int, equity: float, cash: float, exposure: float) -> None:
        """One minute."""
        self._ts.append(ts)
        self._equity.append(equity)
        self._cash.append(cash)
        self._exposure.append(exposure)

    def add_all(self, first: int, equities: Sequence[float], cash: float, exposures: Sequence[float]) -> None:
        """Some minutes in a row, the first of which closes at ``first``, with the same cash."""
        count = len(equities)
        closes = np.arange(first, first + count * MINUTE_MS, MINUTE_MS, dtype=np.int64)
        self._ts.frombytes(closes.tobytes())
        self._equity.extend(array("d", equities))  # from a list, twice as fast as ``extend`` by itself
        self._cash.extend(array("d", [cash]) * count)
        self._exposure.extend(array("d", exposures))

    def curve(self) -> EquityCurve:
        """All minutes so far."""
        return EquityCurve(
            np.array(self._ts, dtype=np.int64),
            np.array(self._equity, dtype=np.float64),
            np.array(self._cash, dtype=np.float64),
            np.array(self._exposure, dtype=np.float64),
        )


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A finished backtest.

    Attributes:
        engine: Which driver ran it.
        trades: Round trips in the order in which they ended.
        fills: Every execution, in order.
        fundings: Every funding time that a position was held over, in order.
        equity: The account minute by minute.
        account: As it is after the last candle; positions that are still open are in it.
        state_changes: Moves of the trading state.
        candle_count: Candles decided on, over all symbols.
        hold_reasons: How many decisions sent nothing, by reason; ``None`` counts those that sent an order.
        engine_seconds: Wall time of the driver and the core, without reading, inference and writing.
        second_opinion: What backtrader's own analyzers found, where it was the driver.
    """

    engine: str
    trades: list[Trade]
    fills: list[Fill]
    fundings: list[Funding]
    equity: EquityCurve
    account: Account
    state_changes: list[StateChange]
    candle_count: int
    hold_reasons: Counter[str | None]
    engine_seconds: float
    second_opinion: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bars_per_second(self) -> float:
        """Candles a second of engine time; 0 when no time was taken."""
        return self.candle_count / self.engine_seconds if self.engine_seconds > 0 else 0.0
