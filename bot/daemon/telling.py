"""The log lines of a batch: what arrived, what was booked, what was predicted and decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bot.core.decision import Decision
from bot.core.market import MINUTE_MS, Symbol
from bot.core.orders import Accepted, Adopted, Canceled, ExecutionReport, Fill, Funding, Rejected, Unknown
from bot.core.risk import StateChange
from bot.core.state import TradingState
from bot.ports import BatchRecord, InterimRecord


class Log(Protocol):
    """The part of a structlog logger that the loop needs."""

    def debug(self, event: str, **fields: Any) -> Any:
        """A line that only a search for a fault needs."""

    def info(self, event: str, **fields: Any) -> Any:
        """A line that tells what happened."""

    def warning(self, event: str, **fields: Any) -> Any:
        """A line that a person should look at."""

    def error(self, event: str, **fields: Any) -> Any:
        """A line that a person must look at."""


class Notebook(Protocol):
    """Keeps events; the journal is one."""

    def note(self, kind: str, at_ms: int, fields: Mapping[str, Any]) -> None:
        """Append an event."""


class Listener(Protocol):
    """Hears of what was committed, after it was acted upon; must be quick, and has no say."""

    def on_batch(self, record: BatchRecord, latency_ns: int | None, inference_ns: int | None) -> None:
        """A minute was decided; how long after its last message (None: it did not come by the stream), and forecast."""

    def on_interim(self, record: InterimRecord) -> None:
        """Something was settled between two minutes."""


_ORDER_EVENTS: dict[type[ExecutionReport], str] = {
    Accepted: "order.accepted",
    Rejected: "order.rejected",
    Canceled: "order.canceled",
    Unknown: "order.unknown",
}


def tell_batch(log: Log, missing: Sequence[Symbol], record: BatchRecord, latency_us: int) -> None:
    """Write the lines of one committed batch.

    Args:
        log: Bound with run_id and mode.
        missing: Symbols that had no candle in this minute.
        record: What was committed.
        latency_us: From the message that completed the batch to the commit.
    """
    opened_at_ms = record.closed_at_ms - MINUTE_MS
    for symbol in missing:
        log.warning("candle.missing", symbol=symbol, candle_at_ms=opened_at_ms)
    for candle, source in zip(record.candles, record.sources, strict=True):
        log.info(
            "candle.closed",
            symbol=candle.symbol,
            candle_at_ms=opened_at_ms,
            close=candle.close,
            volume=candle.volume,
            source=source,
        )
    for report in record.reports:
        _tell_report(log, report)
    for trade in record.trades:
        log.info("trade.closed", **trade._asdict())
    for change in record.state_changes:
        tell_state_change(log, change)
    for decision in record.decisions:
        _tell_decision(log, decision, opened_at_ms, record.equity, latency_us)


def tell_interim(log: Log, record: InterimRecord) -> None:
    """Write the lines of what was settled between two batches."""
    for report in record.reports:
        _tell_report(log, report)
    for trade in record.trades:
        log.info("trade.closed", **trade._asdict())
    for change in record.state_changes:
        tell_state_change(log, change)
    for order in record.approved:
        intent = order.intent
        log.info(
            "order.made",
            symbol=intent.symbol,
            client_order_id=intent.client_order_id,
            side=intent.side.value,
            quantity=intent.quantity,
            reason=intent.reason,
        )


def tell_state_change(log: Log, change: StateChange) -> None:
    """One line for a move of the trading state."""
    fields = {"before": change.before.value, "after": change.after.value, "reason": change.reason}
    if change.after is TradingState.HALTED:
        log.warning("risk.halted", **fields)
    elif change.after is TradingState.TRADING:
        log.info("risk.state_changed", **fields)  # nothing that a person must look at
    else:
        log.warning("risk.state_changed", **fields)


def _tell_decision(log: Log, decision: Decision, opened_at_ms: int, equity: float, latency_us: int) -> None:
    prediction, signal = decision.prediction, decision.signal
    shared = {
        "symbol": decision.symbol,
        "candle_at_ms": opened_at_ms,
        "decision_id": decision.decision_id,
        "model_id": None if prediction is None else prediction.model_id,
    }
    if prediction is not None:
        log.info(
            "prediction.made",
            **shared,
            expected_return=prediction.expected_return,
            probability_up=prediction.probability_up,
            uncertainty=prediction.uncertainty,
            volatility=prediction.volatility,
            horizon_minutes=prediction.horizon_minutes,
        )
    log.info(
        "decision.made",
        **shared,
        expected_return=None if prediction is None else prediction.expected_return,
        direction=None if signal is None else signal.direction.value,
        reason=decision.hold_reason or (signal.reason if signal else "flatten"),
        orders=[order.intent.client_order_id for order in decision.approved],
        equity=round(equity, 2),
        latency_us=latency_us,
    )
    for refused in decision.refused:
        log.warning(
            "order.refused", symbol=decision.symbol, decision_id=decision.decision_id, reason=refused.reason
        )


def _tell_report(log: Log, report: ExecutionReport) -> None:
    if isinstance(report, Fill):
        log.info(
            "order.filled",
            symbol=report.symbol,
            client_order_id=report.client_order_id,
            side=report.side.value,
            quantity=report.quantity,
            price=report.price,
            fee=report.fee,
            filled_at_ms=report.filled_at_ms,
        )
    elif isinstance(report, Funding):
        # Of an exchange's own booking the sum is known and not the rate: each is told where it is.
        known = {"rate": report.rate} if report.paid is None else {"paid": report.paid}
        log.info("funding.paid", symbol=report.symbol, **known, paid_at_ms=report.paid_at_ms)
    elif isinstance(report, Adopted):
        log.warning(
            "position.adopted",
            symbol=report.symbol,
            quantity=report.quantity,
            price=report.price,
            at_ms=report.at_ms,
        )
    else:
        log.info(
            _ORDER_EVENTS[type(report)],
            symbol=report.symbol,
            client_order_id=report.client_order_id,
            reason=getattr(report, "reason", None),
        )


class Teller:
    """Tells what happens to models in the log, and keeps it in the journal under the same name.

    Args:
        log: Bound with run_id and mode.
        journal: Where it is kept.
        now_ms: The exchange's time.
    """

    def __init__(self, log: Log, journal: Notebook, now_ms: Callable[[], int]) -> None:
        self._log = log
        self._journal = journal
        self._now_ms = now_ms

    def tell(self, event: str, **fields: Any) -> None:
        """What is in order."""
        self._log.info(event, **fields)
        self.note(event, **fields)

    def warn(self, event: str, **fields: Any) -> None:
        """What a person should look at."""
        self._log.warning(event, **fields)
        self.note(event, **fields)

    def note(self, event: str, **fields: Any) -> None:
        """What only the journal needs."""
        self._journal.note(event, self._now_ms(), fields)

    def debug(self, event: str, **fields: Any) -> None:
        """What only the log needs, when it is asked for all."""
        self._log.debug(event, **fields)
