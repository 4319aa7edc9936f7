"""The model that trades, followed minute by minute: forecasts and outcomes kept, size cut, and its end called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.core.engine import TradingEngine
from bot.core.market import MINUTE_MS, Symbol
from bot.core.performance import Matured
from bot.core.prediction import Prediction
from bot.core.promotion import NO_TRADE
from bot.core.skill_watch import Outcome, WatchRules
from bot.daemon.foresight import DecidedMinute
from bot.daemon.input_watch import CountsInputs
from bot.daemon.model_watch import ModelMinute, ModelWatch, WatchVerdict
from bot.daemon.performance import CHAMPION, SHADOW, PerformanceLog
from bot.daemon.serving import Serving
from bot.daemon.telling import Log
from bot.daemon.watch_lines import tell_watch
from bot.journal.journal import SqliteJournal
from bot.journal.performance import WatchState


class LiveWatch:
    """Follows whoever predicts, and the challenger's forecasts beside.

    Args:
        engine: Whose entries are cut.
        journal: Where forecasts, outcomes and the watch's state are kept.
        log: Bound with run_id and mode.
        rules: When to doubt; None only keeps forecasts and outcomes.
        exposure: Notional held at most, as a fraction of equity.
        on_verdict: Told what was found of each minute.
    """

    def __init__(
        self,
        engine: TradingEngine,
        journal: SqliteJournal,
        log: Log,
        rules: WatchRules | None,
        exposure: float,
        on_verdict: Callable[[WatchVerdict], None] | None = None,
    ) -> None:
        self._on_verdict = on_verdict
        self._engine = engine
        self._journal = journal
        self._log = log
        self._rules = rules
        self._exposure = exposure
        self._performance = PerformanceLog(journal)
        self._base_rates: dict[str, float] = {}
        self._serving: Serving | None = None
        self._watch: ModelWatch | None = None
        self._verdict: WatchVerdict | None = None
        self._abstained: dict[Symbol, int] = {}

    def recover(self, serving: Serving) -> None:
        """Take up what the journal holds, and go on watching the model that predicted before."""
        engine = self._engine
        decided_ms = engine.last_opened_at_ms + MINUTE_MS
        self._base_rates[serving.model_id] = serving.facts.base_rate
        self._performance.recover(
            decided_ms,
            engine.symbols,
            self._base_rates,
            history_minutes=serving.predictor.history_minutes,
        )
        same = self._engine_had(serving.model_id)
        self._begin(serving)
        state = self._journal.watch_state(serving.model_id)
        if self._watch is None or state is None or not same:
            self._size(1.0, "")
            return
        self._watch.restore(dict(state.payload))
        since_ms = state.at_ms - 2 * serving.predictor.horizon_minutes * MINUTE_MS
        came = self._journal.matured_after(serving.model_id, engine.symbols, state.at_ms, since_ms)
        self._watch.on_outcomes(_outcomes(came))

    def begin(self, serving: Serving) -> None:
        """Somebody else predicts from now on; nothing that was said of another is held against it."""
        self._begin(serving)
        self._size(1.0, "")

    def stand_beside(self, serving: Serving) -> None:
        """A challenger's forecasts will be told."""
        self._base_rates[serving.model_id] = serving.facts.base_rate

    def on_minute(self, minute: DecidedMinute, beside: Sequence[Prediction]) -> str | None:
        """Take in a minute that was decided; returns why the model's trading ends, None while it does not."""
        said = {CHAMPION: minute.foresight.predictions, SHADOW: beside}
        found = self._performance.on_batch(minute.closed_at_ms, minute.candles, said, self._base_rates)
        watch = self._watch
        if watch is None or watch.model_id != minute.model_id:
            return None
        watch.on_outcomes(_outcomes([one for one in found if one.forecast.model_id == watch.model_id]))
        watch.on_minute(self._seen(minute))
        before, verdict = self._verdict, watch.verdict(minute.closed_at_ms)
        self._verdict = verdict
        if before is None or verdict.entry_size != before.entry_size:
            self._size(verdict.entry_size, "" if verdict.entry_size == 1.0 else verdict.reasons[0])
        tell_watch(self._log, self._journal, watch.model_id, minute.closed_at_ms, before, verdict)
        if self._on_verdict is not None:
            self._on_verdict(verdict)
        if verdict.rollback_reason is None:
            return None
        return f"{verdict.rollback_reason}: {verdict.detail}"

    def store(self, closed_at_ms: int) -> None:
        """Write the minute's forecasts, outcomes and the watch's state, when no decision waits."""
        watch, state = self._watch, None
        if watch is not None and self._verdict is not None:
            payload = watch.snapshot() | {"report": self._verdict.report}
            state = WatchState(watch.model_id, closed_at_ms, payload)
        self._performance.store(state)

    def _begin(self, serving: Serving) -> None:
        self._serving = serving
        self._base_rates[serving.model_id] = serving.facts.base_rate
        self._abstained = {}
        self._verdict = None
        self._watch = None
        if self._rules is not None and serving.model_id != NO_TRADE:
            facts = serving.facts
            self._watch = ModelWatch(
                serving.model_id,
                self._rules,
                bins=facts.bins,
                drawdown_path=facts.drawdown_path,
                exposure=self._exposure,
            )

    def _engine_had(self, model_id: str) -> bool:
        """Whether the last minute was decided by this model, as far as the journal can tell."""
        snapshot = self._journal.snapshot() or {}
        return bool(snapshot.get("models", {}).get("model_id", model_id) == model_id)

    def _seen(self, minute: DecidedMinute) -> ModelMinute:
        """What the model did, as its watch wants it."""
        serving = self._serving
        symbols = [candle.symbol for candle in minute.candles]
        history = 0 if serving is None else serving.predictor.history_minutes
        due = [one for one in symbols if self._performance.following_minutes(one) >= max(history, 1)]
        predictor = None if serving is None else serving.predictor
        newest = getattr(predictor, "newest_rows", None)
        return ModelMinute(
            minute.closed_at_ms,
            len(due),
            len(minute.foresight.predictions),
            abstained=sum(self._abstains(predictor, symbol) for symbol in due),
            inference_ms=minute.foresight.took_ns / 1e6,
            fault=minute.foresight.fault,
            rows=() if newest is None else newest(due),
            equity=self._engine.equity,
        )

    @staticmethod
    def _abstains(predictor: object, symbol: Symbol) -> bool:
        """Whether the newest window of a symbol got no forecast for being too far from the training."""
        if not isinstance(predictor, CountsInputs):
            return False
        count = predictor.inputs.get(symbol)
        return count is not None and count.abstains

    def _size(self, factor: float, reason: str) -> None:
        self._engine.set_size_factor(factor, reason)


def _outcomes(came: Sequence[Matured]) -> list[Outcome]:
    """Those that a watch can judge."""
    return [outcome for one in came if (outcome := one.outcome) is not None]
