"""Keeps the figures that Prometheus reads: fed by each minute and by each line of the log, never asking the engine.

``on_batch`` runs right after a decision, so it only keeps the record and counts; what can be worked out of the record is
worked out when somebody reads.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector

from bot.core.market import Symbol
from bot.core.orders import Accepted, Canceled, ExecutionReport, Fill, Rejected, Unknown
from bot.core.state import TradingState
from bot.daemon.drift_watch import FREEZE, OK, SHRINK
from bot.daemon.loop import MODELS_KEY
from bot.daemon.metric_families import Families
from bot.daemon.model_watch import WatchVerdict
from bot.daemon.slippage import SlippageBook
from bot.ports import BatchRecord, InterimRecord

FRESH_NS: Final = 500_000_000
"""A page this young is given out again: whoever reads without a pause costs trading next to nothing."""

_MODEL_ID: Final = re.compile(r"(?P<recipe>.+)-(?P<made>\d{8}T\d{6})-[0-9a-f]{6}")
_LEVELS: Final = {OK: 0, SHRINK: 1, FREEZE: 2}
_STATUS: Final[dict[type, str]] = {
    Accepted: "accepted",
    Rejected: "rejected",
    Canceled: "canceled",
    Unknown: "unknown",
    Fill: "filled",
}


class Metrics:
    """The figures of one daemon.

    Args:
        symbols: What is traded.
        modelled_bps: What a market order is taken to cost beyond its reference price: half the spread and slippage.
        now_ms: The exchange's time.
        wall_ms: This machine's.
        monotonic_ns: A counter that never goes back.
    """

    def __init__(
        self,
        symbols: Sequence[Symbol],
        modelled_bps: float,
        *,
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.families = Families()
        self._symbols = tuple(symbols)
        self._now_ms, self._wall_ms, self._monotonic_ns = now_ms, wall_ms, monotonic_ns
        self._closed_ms: dict[Symbol, int] = {}
        self._last: BatchRecord | None = None
        self._snapshot: Mapping[str, Any] = {}
        self._made_ms: int | None = None
        self._psi: Mapping[str, float] | None = None
        self._slippage = SlippageBook(modelled_bps)
        self._page, self._page_ns = b"", -FRESH_NS
        self._making = asyncio.Lock()
        self._by_event = self._counted_events()
        self.families.slope.set(math.nan)
        self.families.model_age.set(math.nan)
        self._begin_counters()

    def _begin_counters(self) -> None:
        """Counters that alerts watch are there from the start: the growth from nothing to one shows no growth."""
        families = self.families
        for family, values in (
            (families.orders, ("sent", "refused", *_STATUS.values())),
            (families.retrains, ("finished", "failed", "missed")),
            (families.replays, ("finished", "diverged", "failed")),
            (families.notifications, ("sent", "failed", "dropped", "muted")),
            (families.log_lines, ("warning", "error")),
        ):
            for value in values:
                family.labels(value)

    # --- taps ---------------------------------------------------------------------------------------------

    def on_batch(self, record: BatchRecord, latency_ns: int | None, inference_ns: int | None) -> None:
        """A minute was decided and is on disk.

        Args:
            record: What was committed; it is kept until the next.
            latency_ns: From the message that completed the minute to the commit; None where none came by the stream.
            inference_ns: How long the forecasts took; None where nobody predicts.
        """
        families = self.families
        self._last, self._snapshot = record, record.snapshot
        families.minutes.inc()
        for candle, source in zip(record.candles, record.sources, strict=True):
            self._closed_ms[candle.symbol] = record.closed_at_ms
            families.candles.labels(source).inc()
        if latency_ns is not None:
            families.close_to_decision.observe(latency_ns / 1e9)
        if inference_ns is not None:
            families.inference.observe(inference_ns / 1e9)
        if record.reports:
            self._count_reports(record.reports)
        self._slippage.on_candles(record.candles)
        for decision in record.decisions:
            for order in decision.approved:
                self._slippage.on_order(order.intent)
                families.orders.labels("sent").inc()
            if decision.refused:
                families.orders.labels("refused").inc(len(decision.refused))

    def on_interim(self, record: InterimRecord) -> None:
        """Something happened between two minutes and is on disk."""
        self._snapshot = record.snapshot
        for order in record.approved:
            self._slippage.on_order(order.intent)
            self.families.orders.labels("sent").inc()
        self._count_reports(record.reports)

    def on_line(self, event: str, level: str, fields: Mapping[str, Any]) -> None:
        """A line of the log, in any thread."""
        if level != "info":
            self.families.log_lines.labels(level).inc()
        count = self._by_event.get(event)
        if count is not None:
            count(fields)

    def on_verdict(self, verdict: WatchVerdict) -> None:
        """The watch over the model has judged a minute."""
        families, drift = self.families, verdict.drift
        families.slope.set(math.nan if drift.slope is None else drift.slope)
        families.drift_share.set(drift.drifted_share)
        families.drift_level.set(_LEVELS[drift.level])
        families.adwin.set((drift.adwin_change_at_ms or 0) / 1000)
        if drift.psi is self._psi:  # it is made anew every quarter of an hour
            return
        self._psi = drift.psi
        families.psi.clear()
        for feature, value in drift.psi.items():
            families.psi.labels(feature).set(value)
        families.psi_worst.set(max(drift.psi.values(), default=0.0))

    def on_lag(self, seconds: float) -> None:
        """The event loop was woken so late."""
        self.families.loop_lag.observe(seconds)

    def on_notification(self, outcome: str) -> None:
        """A message was ``sent``, ``failed``, ``dropped`` or ``muted`` (told lately); in any thread."""
        self.families.notifications.labels(outcome).inc()

    def describe(self, *, version: str, mode: str, simulated: bool) -> None:
        """What runs."""
        self.families.info.labels(version, mode, str(simulated).lower()).set(1)

    def recover_retrainings(self, succeeded_ms: int | None, failed_ms: int | None) -> None:
        """When retrainings of earlier lives began."""
        self.families.retrain_success.set((succeeded_ms or 0) / 1000)
        self.families.retrain_failure.set((failed_ms or 0) / 1000)

    def recover_replays(self, succeeded_ms: int | None) -> None:
        """When the last nightly replay of earlier lives began that found nothing."""
        self.families.replay_success.set((succeeded_ms or 0) / 1000)

    # --- reading ------------------------------------------------------------------------------------------

    async def exposition(self) -> bytes:
        """The page in Prometheus' text format.

        The whole of it takes two milliseconds: after each family the event loop gets a turn, so that no candle waits.
        """
        async with self._making:
            if self._monotonic_ns() - self._page_ns >= FRESH_NS:
                self._work_out()
                parts = []
                for family in self.families.registry.collect():
                    parts.append(generate_latest(_Collected(family)))
                    await asyncio.sleep(0)
                self._page, self._page_ns = b"".join(parts), self._monotonic_ns()
            return self._page

    def _work_out(self) -> None:
        """Figures that follow from what is kept."""
        families, now_ms = self.families, self._now_ms()
        for symbol, closed_ms in self._closed_ms.items():
            families.candle_age.labels(symbol).set(max(now_ms - closed_ms, 0) / 1000)
        if self._made_ms is not None:
            families.model_age.set(max(self._wall_ms() - self._made_ms, 0) / 1000)
        families.tasks.set(len(asyncio.all_tasks()))
        if self._last is not None:
            families.equity.set(self._last.equity)
            families.cash.set(self._last.cash)
            families.exposure.set(self._last.exposure)
            self._work_out_risk(self._last.equity, self._snapshot["risk"])
        if self._snapshot:
            self._work_out_account(self._snapshot["account"])
            due_ms = (self._snapshot.get(MODELS_KEY) or {}).get("next_retrain_ms")
            families.retrain_due.set((due_ms or 0) / 1000)

    def _work_out_risk(self, equity: float, risk: Mapping[str, Any]) -> None:
        families = self.families
        for state in TradingState:
            families.risk_state.labels(state.value).set(state.value == risk["state"])
        peak, day_start = risk["peak_equity"], risk["day_start_equity"]
        families.drawdown.set(max(1 - equity / peak, 0.0) if peak > 0 else 0.0)
        families.day_return.set(equity / day_start - 1 if day_start > 0 else 0.0)
        families.size_factor.set(risk["size"][0])

    def _work_out_account(self, account: Mapping[str, Any]) -> None:
        families, marks = self.families, account["marks"]
        families.fees.set(account["fees_paid"])
        families.funding.set(account["funding_paid"])
        families.trades.set(account["trade_count"])
        held = {row[0]: (row[1], marks.get(row[0], row[2])) for row in account["positions"]}
        for symbol in {*self._symbols, *held}:
            quantity, mark = held.get(symbol, (0.0, 0.0))
            families.position.labels(symbol).set(quantity)
            families.notional.labels(symbol).set(quantity * mark)

    # --- counting -----------------------------------------------------------------------------------------

    def _count_reports(self, reports: Sequence[ExecutionReport]) -> None:
        families = self.families
        for report in reports:
            status = _STATUS.get(type(report))
            if status is not None:
                families.orders.labels(status).inc()
            if isinstance(report, Accepted) and report.intent is not None:
                self._slippage.on_order(report.intent)
            elif isinstance(report, Fill):
                leg, bps = self._slippage.on_fill(report)
                families.fills.labels(leg).inc()
                if bps is not None:
                    families.slippage.labels(leg).observe(bps)
                    families.slippage_sum.labels(leg).inc(bps)

    def _counted_events(self) -> dict[str, Callable[[Mapping[str, Any]], None]]:
        """What each event of the log counts."""
        families = self.families
        plain: dict[str, Any] = {
            "feed.reconnected": families.reconnects,
            "feed.disconnected": families.disconnects,
            "feed.stalled": families.stalls,
            "model.rolled_back": families.model_changes.labels("rolled_back"),
            "retrain.missed": families.retrains.labels("missed"),
            "candle.gap_found": families.gaps.labels("found"),
            "candle.gap_filled": families.gaps.labels("filled"),
            "candle.gap_remains": families.gaps.labels("remains"),
            "candle.missing": families.odd_candles.labels("missing"),
            "candle.late": families.odd_candles.labels("late"),
            "candle.revised": families.odd_candles.labels("revised"),
            "candle.refused": families.odd_candles.labels("refused"),
        }
        counting = {event: _adding_to(counter) for event, counter in plain.items()}
        return counting | {
            "service.ready": self._serve,
            "model.swapped": self._swap,
            "retrain.started": lambda _: families.retraining.set(1),
            "retrain.finished": lambda fields: self._retrained("finished", families.retrain_success, fields),
            "retrain.failed": lambda fields: self._retrained("failed", families.retrain_failure, fields),
            "replay.finished": self._replayed,
            "replay.diverged": self._diverged,
            "replay.failed": lambda _: families.replays.labels("failed").inc(),
        }

    def _replayed(self, fields: Mapping[str, Any]) -> None:
        self.families.replays.labels("finished").inc()
        self.families.replay_success.set(fields["began_ms"] / 1000)

    def _diverged(self, fields: Mapping[str, Any]) -> None:
        self.families.replays.labels("diverged").inc()
        self.families.divergences.inc(fields["unexplained"])

    def _retrained(self, outcome: str, when: Any, fields: Mapping[str, Any]) -> None:
        self.families.retrains.labels(outcome).inc()
        self.families.retraining.set(0)
        when.set(fields["began_ms"] / 1000)

    def _swap(self, fields: Mapping[str, Any]) -> None:
        self.families.model_changes.labels("swapped").inc()
        self._serve(fields)

    def _serve(self, fields: Mapping[str, Any]) -> None:
        """Somebody predicts from now on."""
        model_id, proven = str(fields["model_id"]), fields["proven"]
        known = _MODEL_ID.fullmatch(model_id)
        recipe = "" if known is None else known["recipe"]
        self._made_ms = None
        self.families.model_age.set(math.nan)
        if known is not None:
            made = datetime.strptime(known["made"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            self._made_ms = int(made.timestamp() * 1000)
        self.families.model.clear()
        self.families.model.labels(model_id, recipe, "" if proven is None else str(proven).lower()).set(1)


class _Collected(Collector):
    """One family, as if it were a registry."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        """It alone."""
        return (self._family,)


def _adding_to(counter: Any) -> Callable[[Mapping[str, Any]], None]:
    return lambda _: counter.inc()
