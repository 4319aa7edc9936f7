"""Every figure that the daemon gives to Prometheus: name, kind, labels and meaning. docs/metrics.md lists the same."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

DECISION_BUCKETS: Final = (
    0.0005,
    0.001,
    0.0015,
    0.002,
    0.003,
    0.004,
    0.005,
    0.0075,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)
"""Seconds."""

INFERENCE_BUCKETS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
LAG_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
SLIPPAGE_BUCKETS: Final = (-20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Basis points."""


class Families:
    """The figures of one daemon, in a registry of their own: nothing of this process is shared with others.

    Attributes:
        registry: What is collected from; beside what is made here the process's memory, descriptors and processor time.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._candles()
        self._latency()
        self._orders()
        self._account()
        self._model()
        self._replays()
        self._service()
        ProcessCollector(registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _candles(self) -> None:
        gauge, counter = self._gauge, self._counter
        self.candle_age = gauge("bot_candle_age_seconds", "Since the close of the newest candle.", "symbol")
        self.minutes = counter("bot_minutes_decided", "Minutes that were decided.")
        self.candles = counter("bot_candles", "Closed candles, by how they came.", "source")
        self.odd_candles = counter(
            "bot_odd_candles", "Candles that were missing, late, revised or refused.", "kind"
        )
        self.gaps = counter("bot_candle_gaps", "Gaps that were found, filled, or remain.", "stage")
        self.reconnects = counter("bot_feed_reconnects", "Times that the feed was dialled anew.")
        self.disconnects = counter("bot_feed_disconnects", "Times that its line broke.")
        self.stalls = counter("bot_feed_stalls", "Symbols that fell silent.")

    def _latency(self) -> None:
        histogram = self._histogram
        self.close_to_decision = histogram(
            "bot_close_to_decision_seconds",
            "From the message that completed a minute to its commit.",
            DECISION_BUCKETS,
        )
        self.inference = histogram("bot_inference_seconds", "Forecasts of one minute.", INFERENCE_BUCKETS)
        self.loop_lag = histogram(
            "bot_event_loop_lag_seconds", "How late the event loop is woken.", LAG_BUCKETS
        )

    def _orders(self) -> None:
        self.orders = self._counter("bot_orders", "Orders, by what became of them.", "status")
        self.fills = self._counter("bot_fills", "Executions, by what the order was for.", "leg")
        self.slippage = self._histogram(
            "bot_slippage_against_model_bps",
            "Fill against the price that the model of costs gives, basis points; more is worse.",
            SLIPPAGE_BUCKETS,
            "leg",
        )
        # A histogram with buckets below zero has no sum.
        self.slippage_sum = self._gauge(
            "bot_slippage_sum_bps", "The same, added up; over bot_fills_total.", "leg"
        )

    def _account(self) -> None:
        gauge = self._gauge
        self.equity = gauge("bot_equity", "Equity of the account, quote currency.")
        self.cash = gauge("bot_cash", "Cash of the account, quote currency.")
        self.exposure = gauge("bot_exposure", "Notional held, quote currency.")
        self.drawdown = gauge("bot_drawdown_ratio", "Fall from the highest equity, as a fraction.")
        self.day_return = gauge("bot_day_return_ratio", "Change of equity since 00:00 UTC, as a fraction.")
        self.fees = gauge("bot_fees_paid", "Fees since the account began, quote currency.")
        self.funding = gauge("bot_funding_paid", "Funding since the account began, quote currency.")
        self.trades = gauge("bot_trades", "Round trips since the account began.")
        self.position = gauge("bot_position", "Position, signed base units.", "symbol")
        self.notional = gauge("bot_position_notional", "Position, signed quote currency.", "symbol")
        self.risk_state = gauge("bot_risk_state", "1 for the state that the account is in.", "state")
        self.size_factor = gauge("bot_risk_size_factor", "What entries are multiplied by.")

    def _model(self) -> None:
        gauge, counter = self._gauge, self._counter
        self.model = gauge("bot_model_info", "1 for the model that predicts.", "model_id", "recipe", "proven")
        self.model_age = gauge("bot_model_age_seconds", "Since the model that predicts was made.")
        self.model_changes = counter("bot_model_changes", "Models swapped in and rolled back.", "kind")
        self.psi_worst = gauge("bot_drift_psi_worst", "PSI of the feature that drifted farthest.")
        self.psi = gauge("bot_drift_psi", "PSI of each feature over the last day.", "feature")
        self.drift_share = gauge("bot_drift_share", "Share of the features in drift.")
        self.drift_level = gauge("bot_drift_level", "0 none, 1 half the size, 2 no new positions.")
        self.adwin = gauge(
            "bot_drift_adwin_change_timestamp_seconds", "When ADWIN last found the losses worse; 0 never."
        )
        self.slope = gauge("bot_calibration_slope", "Live calibration slope; NaN while unknown.")
        self.retrains = counter(
            "bot_retrain_runs", "Retrainings that finished, failed or were missed.", "outcome"
        )
        self.retraining = gauge("bot_retrain_running", "1 while one is at work.")
        self.retrain_due = gauge(
            "bot_retrain_due_timestamp_seconds",
            "When the next one is due, or was and has not ended; 0 never.",
        )
        self.retrain_success = gauge(
            "bot_retrain_last_success_timestamp_seconds", "When the last one that finished began; 0 never."
        )
        self.retrain_failure = gauge(
            "bot_retrain_last_failure_timestamp_seconds", "When the last one that failed began; 0 never."
        )

    def _replays(self) -> None:
        self.replays = self._counter(
            "bot_replay_runs", "Nightly replays that finished, diverged or failed.", "outcome"
        )
        self.divergences = self._counter(
            "bot_replay_divergences", "Differences that nightly replays found and nothing explains."
        )
        self.replay_success = self._gauge(
            "bot_replay_last_success_timestamp_seconds",
            "When the last one began that found the day as it was recorded; 0 never.",
        )

    def _service(self) -> None:
        self.info = self._gauge("bot_info", "1, with what runs.", "version", "mode", "simulated")
        self.log_lines = self._counter("bot_log_lines", "Lines of level warning and above.", "level")
        self.notifications = self._counter(
            "bot_notifications", "Messages, by what became of them.", "outcome"
        )
        self.tasks = self._gauge("bot_event_loop_tasks", "Tasks of the event loop.")
