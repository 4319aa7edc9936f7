"""A recording as what a backtest leaves behind, so that it has the same pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from backtests.inputs import BacktestInput, PredictionColumns
from backtests.recorded import Between, Recording, Rules, RulesOf, predictions_of
from backtests.recorded_terms import Opening
from backtests.results import BacktestResult, EquityCurve
from bot.core.account import Account
from bot.core.market import MINUTE_MS, Candle, Symbol, quote_of
from bot.core.orders import Adopted, ExecutionReport, Fill, Funding, Side
from bot.core.prediction import Prediction
from bot.core.records import report_from_json
from bot.core.risk import StateChange
from bot.core.state import TradingState
from bot.errors import DataError
from bot.journal.reader import StoredBatch
from models.candle_arrays import CandleArrays

CARRIED = "carried"
"""Order id of the fill that stands for a position held when the recording begins."""

RowSink = Callable[[Sequence[ExecutionReport], Sequence[Mapping[str, Any]]], None]
"""Takes what was settled before a minute and its decisions, as they were stored."""


class RecordedRun(NamedTuple):
    """A recording, told as a backtest.

    Attributes:
        result: What it left behind.
        data: What it was fed with; the money is that at the start of the recording.
        reports: Everything that was settled, in order.
        carried: Symbols of positions that were held at the start.
    """

    result: BacktestResult
    data: BacktestInput
    reports: list[ExecutionReport]
    carried: tuple[Symbol, ...]


@dataclass(slots=True)
class _Columns:
    """What a symbol's minutes were."""

    candles: list[Candle] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)


def recorded_run(
    recording: Recording, rules_of: RulesOf, opening: Opening, sink: RowSink | None = None
) -> RecordedRun:
    """Read a recording as a run.

    Args:
        recording: The minutes.
        rules_of: Makes rules of a journaled row.
        opening: The state before the first minute.
        sink: Gets each minute as it comes.

    Raises:
        DataError: Nothing was recorded in that time.
    """
    rules = rules_of({**opening.rules, "instruments": recording.instruments()})
    reading = _Reading(rules, opening)
    for one in recording.happenings(opening.batch_ms, settled=opening.settled):
        reading.take(one, sink)
    if not reading.minutes:
        raise DataError("the journal holds no decided minute of that time")
    data = reading.data(rules)
    result = BacktestResult(
        engine=f"recorded, {recording.mode}",
        trades=[
            trade
            for trade in reversed(recording.reader.trades())
            if recording.since_ms <= trade.exit_at_ms < recording.until_ms
        ],
        fills=reading.fills,
        fundings=reading.fundings,
        equity=_curve(recording),
        account=reading.account,
        state_changes=reading.state_changes,
        candle_count=reading.hold_reasons.total(),
        hold_reasons=reading.hold_reasons,
        engine_seconds=0.0,
    )
    return RecordedRun(result, data, reading.reports, reading.carried)


class _Reading:
    """Collects; see ``recorded_run``."""

    def __init__(self, rules: Rules, opening: Opening) -> None:
        self.account = Account(rules.config.starting_cash, dict(rules.config.instruments))
        if opening.snapshot is not None:
            self.account.restore(dict(opening.snapshot["account"]))
        self.start_equity = self.account.equity()
        # Of the recording alone: what was paid before is not its cost.
        self.account.fees_paid = self.account.funding_paid = 0.0
        self.carried = tuple(position.symbol for position in self.account.positions())
        self._uncounted = set(self.carried)
        self.minutes = 0
        self.fills: list[Fill] = []
        self.fundings: list[Funding] = []
        self.reports: list[ExecutionReport] = []
        self.state_changes: list[StateChange] = []
        self.hold_reasons: Counter[str | None] = Counter()
        self._columns: dict[Symbol, _Columns] = {}
        self._pending: list[ExecutionReport] = []

    def take(self, one: object, sink: RowSink | None) -> None:
        """The next thing that happened."""
        if isinstance(one, Between):
            self._settle(one.reports)
            self.state_changes += one.state_changes
        elif isinstance(one, StoredBatch):
            self._carry(one)
            self._settle([report_from_json(row) for row in one.reports])
            self._minute(one)
            if sink is not None:
                sink(self._pending, one.decisions)
            self._pending = []

    def _carry(self, batch: StoredBatch) -> None:
        """A fill without cost for a position that was there before, at the first open."""
        for candle in batch.candles:
            if candle.symbol in self._uncounted:
                self._uncounted.discard(candle.symbol)
                held = self.account.position(candle.symbol).quantity
                side = Side.BUY if held > 0 else Side.SELL
                quote = quote_of(candle.symbol)
                at_ms = candle.opened_at_ms
                if held:
                    carried = (side, abs(held), candle.open, 0.0, quote, at_ms)
                    self.fills.insert(0, Fill(CARRIED, CARRIED, candle.symbol, *carried))

    def _settle(self, reports: Sequence[ExecutionReport]) -> None:
        for report in reports:
            if isinstance(report, Fill):
                self.account.apply_fill(report, "")
                self.fills.append(report)
            elif isinstance(report, Funding):
                self.account.apply_funding(report)
                self.fundings.append(report)
            elif isinstance(report, Adopted):
                self.account.adopt(report)
        self.reports += reports
        self._pending += reports

    def _minute(self, batch: StoredBatch) -> None:
        self.minutes += 1
        self.state_changes += [
            StateChange(TradingState(before), TradingState(after), reason, at_ms)
            for before, after, reason, at_ms in batch.state_changes
        ]
        for candle in batch.candles:
            self.account.mark(candle.symbol, candle.close)
            self._columns.setdefault(candle.symbol, _Columns()).candles.append(candle)
        for row in batch.decisions:
            self.hold_reasons[row["hold_reason"]] += 1
        for prediction in predictions_of(batch):
            if prediction.closed_at_ms == batch.closed_at_ms:
                self._columns[prediction.symbol].predictions.append(prediction)

    def data(self, rules: Rules) -> BacktestInput:
        """Candles and forecasts, and the rules with the money at the start."""
        config = rules.config
        traded = {symbol: rule for symbol, rule in config.instruments.items() if symbol in self._columns}
        return BacktestInput(
            {symbol: arrays_of(columns.candles) for symbol, columns in sorted(self._columns.items())},
            {
                symbol: made
                for symbol, columns in sorted(self._columns.items())
                if (made := _predictions(columns.predictions)) is not None
            },
            replace(config, instruments=traded, starting_cash=self.start_equity),
            rules.make_strategy,
        )


def arrays_of(candles: Sequence[Candle]) -> CandleArrays:
    """Candles of one symbol, in order of time, as columns."""
    table = np.array([candle[2:] for candle in candles], dtype=np.float64)
    ts = np.array([candle.opened_at_ms for candle in candles], dtype=np.int64)
    return CandleArrays(ts, *(np.ascontiguousarray(table[:, place]) for place in range(5)))


def _predictions(made: Sequence[Prediction]) -> PredictionColumns | None:
    """Forecasts as columns: those of the horizon that most of them have, since a column has one."""
    if not made:
        return None
    horizon, _ = Counter(one.horizon_minutes for one in made).most_common(1)[0]
    kept = [one for one in made if one.horizon_minutes == horizon]

    def column(name: str) -> Any:
        values = [getattr(one, name) for one in kept]
        return None if all(value is None for value in values) else np.array(values, dtype=np.float64)

    names = {one.model_id for one in kept}
    return PredictionColumns(
        ts=np.array([one.closed_at_ms - MINUTE_MS for one in kept], dtype=np.int64),
        expected_return=np.array([one.expected_return for one in kept], dtype=np.float64),
        model_id=kept[-1].model_id,
        horizon_minutes=horizon,
        probability_up=column("probability_up"),
        raw=column("raw"),
        uncertainty=column("uncertainty"),
        volatility=column("volatility"),
        models=np.array([one.model_id for one in kept], dtype=object) if len(names) > 1 else None,
    )


def _curve(recording: Recording) -> EquityCurve:
    points = [
        point
        for point in recording.reader.equity(recording.since_ms + 1)
        if point.at_ms <= recording.until_ms
    ]
    ts, *money = zip(*points, strict=True)
    return EquityCurve(np.array(ts, dtype=np.int64), *(np.array(one, dtype=np.float64) for one in money))
