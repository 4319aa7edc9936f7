"""The replay driver: feeds the engine what a run has recorded, batch by batch; no exchange takes part.

Reports come from the record, so a replay shows whether the engine would decide the same again: after a change of
code, on another processor, or from the journal of a daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from backtests.inputs import BacktestInput, minute_batches
from backtests.results import BacktestResult, Sink
from backtests.session import CoreRun, Session
from bot.core.engine_config import NO_PREDICTION, EngineConfig
from bot.core.limits import MarketFacts
from bot.core.market import MINUTE_MS, Candle
from bot.core.orders import ExecutionReport
from bot.core.prediction import Prediction
from bot.core.records import report_from_json, report_to_json
from bot.core.signal import Strategy
from bot.errors import DifferenceError, EngineProtocolError


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """All that went into the engine in one minute.

    Attributes:
        candles: Who was in the batch, by name of symbol.
        reports: What was settled before them, in order.
        predictions: Made on them.
        now_ms: The time at which it was decided.
        absent: Why a symbol without a prediction had none.
        facts: What was known of the markets beside candles.
    """

    candles: tuple[Candle, ...]
    reports: tuple[ExecutionReport, ...]
    predictions: tuple[Prediction, ...]
    now_ms: int
    absent: str = NO_PREDICTION
    facts: tuple[MarketFacts, ...] = ()


def record(data: BacktestInput) -> Iterator[RecordedBatch]:
    """Run the core over an input and tell batch by batch what went into its engine."""
    session = Session(data)
    for candles, predictions in minute_batches(data):
        reports = session.match(candles)
        now_ms = candles[0].opened_at_ms + MINUTE_MS
        yield RecordedBatch(candles, tuple(reports), predictions, now_ms)
        session.observe(candles, reports)
        session.decide(predictions, now_ms)


def replay(
    records: Iterable[RecordedBatch],
    config: EngineConfig,
    make_strategy: Callable[[str], Strategy],
    *,
    sink: Sink | None = None,
) -> BacktestResult:
    """Feed recorded batches to a new engine.

    Raises:
        DifferenceError: A recorded report does not fit what the engine decided, as that of an order which this
            engine never sent; the sink has what came before.
    """
    run = CoreRun(config, make_strategy, sink=sink)
    for batch in records:
        try:
            run.observe(batch.candles, batch.reports)
        except EngineProtocolError as error:
            run.flush()
            raise DifferenceError(f"the replay can't follow the record: {error}") from error
        run.decide(batch.predictions, batch.now_ms, batch.absent, batch.facts)
    return run.result("replay")


def batch_to_line(batch: RecordedBatch) -> bytes:
    """A batch as one line of JSON, exact."""
    row: dict[str, Any] = {
        "candles": [list(candle) for candle in batch.candles],
        "reports": [report_to_json(report) for report in batch.reports],
        "predictions": [list(prediction) for prediction in batch.predictions],
        "now_ms": batch.now_ms,
        "absent": batch.absent,
        "facts": [list(known) for known in batch.facts],
    }
    return orjson.dumps(row)


def batch_from_line(line: bytes) -> RecordedBatch:
    """The batch that ``batch_to_line`` wrote."""
    row = orjson.loads(line)
    return RecordedBatch(
        tuple(Candle(*values) for values in row["candles"]),
        tuple(report_from_json(report) for report in row["reports"]),
        tuple(Prediction(*values) for values in row["predictions"]),
        row["now_ms"],
        row.get("absent", NO_PREDICTION),
        tuple(MarketFacts(*values) for values in row.get("facts", ())),
    )
