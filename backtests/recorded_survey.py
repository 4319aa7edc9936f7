"""One look through a recording: what it met, what moved money, the account's curve, and whether it contradicts itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.overlay import UNEXPLAINED, Difference
from backtests.recorded import Between, Happening, Recording, RulesOf, Start, Swap
from backtests.recorded_moves import Moves
from backtests.recorded_terms import Circumstance, Opening
from bot.core.decision import decision_id
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.orders import ExecutionReport, Funding
from bot.core.position import Position
from bot.core.promotion import NO_TRADE
from bot.core.records import report_from_json
from bot.journal.reader import StoredBatch


@dataclass(slots=True)
class Survey:
    """What a recording holds.

    Attributes:
        present: Circumstances that it met, of those that can be told from the journal alone.
        ts: Close of each minute, int64, ms, shape (n,).
        equity: After it, float64, shape (n,).
        faults: Where its tables contradict its batches.
        moves: What moved money.
        rates: Funding rates by symbol and time; of what an exchange booked, what it comes to.
    """

    present: set[Circumstance]
    ts: npt.NDArray[np.int64]
    equity: npt.NDArray[np.float64]
    faults: list[Difference]
    moves: Moves
    rates: dict[Symbol, dict[int, float]]

    @property
    def final_equity(self) -> float:
        """At the last minute."""
        return float(self.equity[-1])


def _rate(funding: Funding, notional: float) -> float:
    """The rate of a funding; of an exchange's own booking what it comes to."""
    if funding.paid is None:
        return funding.rate
    return funding.paid / notional if notional else 0.0


def survey_of(recording: Recording, rules_of: RulesOf, opening: Opening) -> Survey:
    """Look through a recording that begins with a state."""
    ages = [rules_of(start.row).config.limits.max_prediction_age_seconds for start in recording.starts]
    look = _Look(min(ages) * 1000, recording.starts[0])
    if opening.snapshot is not None:
        look.moves.hold(Position(*row) for row in opening.snapshot["account"]["positions"])
    for one in recording.happenings(opening.batch_ms, settled=opening.settled):
        look.take(one)
    if recording.mode == "live":
        look.present.add(Circumstance.EXECUTION)
    times = np.array(look.ts, dtype=np.int64)
    curve = {point.at_ms: point.equity for point in recording.reader.equity(recording.since_ms + 1)}
    equity = np.array([curve.get(at_ms, np.nan) for at_ms in look.ts], dtype=np.float64)
    return Survey(
        look.present,
        times,
        equity,
        [*_candle_faults(recording, look.candles), *_fill_faults(recording, look.fills)],
        look.moves,
        look.rates(recording.instruments()),
    )


class _Look:
    """Collects; see ``survey_of``."""

    def __init__(self, most_age_ms: float, first: Start) -> None:
        self._most_age_ms = most_age_ms
        self._first = first
        self.present: set[Circumstance] = set()
        self.ts: list[int] = []
        self.moves = Moves()
        self._fundings: list[tuple[Funding, float]] = []
        self.candles: list[Candle] = []
        self.fills: dict[str, dict[str, Any]] = {}

    def take(self, one: Happening) -> None:
        """The next thing that happened."""
        if isinstance(one, StoredBatch):
            self._batch(one)
        elif isinstance(one, Between):
            self._between(one)
        elif isinstance(one, Swap):
            self._predicts(one.model_id)
        else:
            if one is not self._first:
                self.present.add(Circumstance.RESTART)
            self._predicts(one.model_id)

    def _predicts(self, model_id: str) -> None:
        if model_id == NO_TRADE:
            self.present.add(Circumstance.WATCH)

    def _between(self, one: Between) -> None:
        if one.is_command:
            self.present.add(Circumstance.OPERATOR)
        elif one.event is not None:
            self.present.add(Circumstance.RECONCILIATION)
        self._settled(one.reports)

    def _batch(self, batch: StoredBatch) -> None:
        self.ts.append(batch.closed_at_ms)
        if batch.now_ms - batch.closed_at_ms > self._most_age_ms:
            self.present.add(Circumstance.LATENCY)
        if batch.size != (1.0, ""):
            self.present.add(Circumstance.WATCH)
        self.candles += batch.candles
        self.fills |= {row["trade_id"]: row for row in batch.reports if row["kind"] == "fill"}
        self._settled(map(report_from_json, batch.reports))

    def _settled(self, reports: Iterable[ExecutionReport]) -> None:
        for report in reports:
            if isinstance(report, Funding):
                self._fundings.append((report, self.moves.held(report.symbol)))
            self.moves.add([report])

    def rates(self, symbols: Iterable[Symbol]) -> dict[Symbol, dict[int, float]]:
        """Funding rates as they were told; a replay pays them on the open of the minute, so that is what they are of."""
        found: dict[Symbol, dict[int, float]] = {symbol: {} for symbol in symbols}
        opens = {(candle.symbol, candle.opened_at_ms): candle.open for candle in self.candles}
        for report, held in self._fundings:
            minute_ms = report.paid_at_ms // MINUTE_MS * MINUTE_MS
            price = opens.get((report.symbol, minute_ms), 0.0)
            table = found.setdefault(report.symbol, {})
            table[minute_ms] = table.get(minute_ms, 0.0) + _rate(report, held * price)
        return found


def _candle_faults(recording: Recording, candles: list[Candle]) -> list[Difference]:
    """Candles of the batches that the table of candles has otherwise."""
    if not candles:
        return []
    stored = {
        (candle.symbol, candle.opened_at_ms): candle
        for symbol in {candle.symbol for candle in candles}
        for candle in recording.reader.candles(symbol, recording.since_ms, recording.until_ms)
    }
    return [
        Difference(
            "candle",
            "value",
            decision_id(candle.symbol, candle.closed_at_ms),
            candle.closed_at_ms,
            UNEXPLAINED,
            None if other is None else other._asdict(),
            candle._asdict(),
        )
        for candle in candles
        if (other := stored.get((candle.symbol, candle.opened_at_ms))) != candle
    ]


def _fill_faults(recording: Recording, fills: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    """Executions of the batches that the table of executions has otherwise."""
    stored = {
        row["trade_id"]: row
        for row in recording.reader.fills(recording.since_ms - MINUTE_MS, recording.until_ms + MINUTE_MS)
    }
    found = []
    for trade_id, row in fills.items():
        other = stored.get(trade_id)
        told = None if other is None else {name: row[name] for name in other}
        if other != told or other is None:
            at_ms = int(row["filled_at_ms"])
            ref = str(row["client_order_id"])
            found.append(Difference("fill", "value", ref, at_ms, UNEXPLAINED, other, told or dict(row)))
    return found
