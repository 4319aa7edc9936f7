"""Runs the core over a recording again, with as many of its circumstances as are asked for.

With all of them it must do what was done; each that is left out shows what it was worth. The minutes, their forecasts and
what was known of the markets are always those of the record, unless others are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from backtests.recorded import Between, Recording, Rules, RulesOf, Start, Swap, absent_of, predictions_of
from backtests.recorded_moves import Moves
from backtests.recorded_terms import (
    BROKER_KEY,
    LIVE,
    PAPER,
    Circumstance,
    Finals,
    Forecasts,
    Listener,
    Opening,
    Rerun,
)
from bot.core.decision import decision_to_json
from bot.core.engine import TradingEngine
from bot.core.engine_config import NO_PREDICTION
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.matchers import matcher_of
from bot.core.matching import BarMatcher, FundingRates
from bot.core.orders import ApprovedOrder, ExecutionReport
from bot.core.prediction import Prediction
from bot.core.promotion import NO_TRADE
from bot.core.records import report_from_json
from bot.core.state import StateEvent
from bot.errors import DifferenceError, EngineProtocolError
from bot.journal.reader import StoredBatch


def opening_of(recording: Recording, rules_of: RulesOf) -> Opening:
    """The state at the start of a recording: a snapshot that the journal kept, run on from there as it was recorded.

    Raises:
        DifferenceError: The journal can't be followed up to there.
    """
    reader, since_ms = recording.reader, recording.since_ms
    kept = reader.day_snapshot(since_ms)
    times = reader.batch_times()
    first_ms = since_ms if times is None else times[0] - MINUTE_MS
    if kept is None:
        begin = Opening(recording.starts[0].row, None, -1, settled=False)
    else:
        begin = Opening(_rules_before(recording, kept["batch_ms"]), kept, kept["batch_ms"], settled=True)
        first_ms = max(kept["batch_ms"] + MINUTE_MS, first_ms)
    before = Recording(reader, first_ms, since_ms, recording.starts[0].row)
    newest = None
    for batch in before.minutes():
        newest = batch.closed_at_ms - MINUTE_MS
    if newest is None:
        return begin
    run = rerun(before, begin, rules_of, LIVE if recording.mode == "live" else PAPER)
    if run.broke is not None:
        raise DifferenceError(f"the journal can't be followed up to where this begins: {run.broke}")
    return Opening(recording.rules_row, run.snapshot, newest, settled=False)


def _rules_before(recording: Recording, batch_ms: int) -> Mapping[str, Any]:
    before = [start for start in recording.starts if start.batch_ms < batch_ms]
    return (before[-1] if before else recording.starts[0]).row


def rerun(
    recording: Recording,
    opening: Opening,
    rules_of: RulesOf,
    told: AbstractSet[Circumstance],
    *,
    listener: Listener | None = None,
    forecasts: Forecasts | None = None,
    finals: Finals | None = None,
    funding: FundingRates | None = None,
) -> Rerun:
    """Run the core over a recording.

    Args:
        recording: The minutes, and what came between them.
        opening: The state before the first.
        rules_of: Makes rules of a journaled row.
        told: Circumstances that are put back.
        listener: Hears of each minute that was recorded.
        forecasts: Without ``MODEL``: these instead of the recorded ones.
        finals: Without ``CANDLES``: these candles instead of those decided on, and where none were.
        funding: Rates that are paid, where the reports are not those of the record.
    """
    runner = _Runner(recording, opening, rules_of, frozenset(told), forecasts, finals or {}, funding)
    return runner.run(listener)


class _Runner:
    """One run; see ``rerun``."""

    def __init__(
        self,
        recording: Recording,
        opening: Opening,
        rules_of: RulesOf,
        told: frozenset[Circumstance],
        forecasts: Forecasts | None,
        finals: Finals,
        funding: FundingRates | None,
    ) -> None:
        self._recording = recording
        self._opening = opening
        self._rules_of = rules_of
        self._told = told
        self._forecasts = None if Circumstance.MODEL in told else forecasts
        self._finals = {} if Circumstance.CANDLES in told else dict(finals)
        self._reported = Circumstance.EXECUTION in told
        self._restarts = Circumstance.RESTART in told
        row = opening.rules if self._restarts else {**opening.rules, "instruments": recording.instruments()}
        self._funding = funding
        self._ts: list[int] = []
        self._equity: list[float] = []
        self._moves = Moves()
        self._adopted_symbols: set[Symbol] = set()
        self._adopted = 0.0
        self._engine, self._matcher = self._built(rules_of(row), opening.snapshot)
        self._start_equity = self._engine.account.equity()

    # --- engine and exchange ------------------------------------------------------------------------------

    def _built(self, rules: Rules, snapshot: Mapping[str, Any] | None) -> tuple[TradingEngine, BarMatcher]:
        """A new engine and a new exchange that take up a snapshot, as a start of the daemon does."""
        config = rules.config
        engine = TradingEngine(config, rules.make_strategy)
        funding = self._funding or FundingRates(config.costs.funding_rate)
        matcher = matcher_of(config.costs, config.instruments, funding, config.starting_cash)
        if snapshot is None:
            self._warm(engine, matcher)
            return engine, matcher
        until_ms = snapshot["batch_ms"] + MINUTE_MS
        recent = {
            symbol: self._recording.history(symbol, until_ms, config.window_minutes)
            for symbol in engine.symbols
        }
        engine.restore(dict(snapshot), recent)
        orders = [record for symbol in engine.symbols for record in engine.open_orders(symbol)]
        state = snapshot.get(BROKER_KEY) or {}
        matcher.recover(orders, engine.account.positions(), engine.seen_ms(), state)
        if "ledger" in state or not state:  # an exchange's own: the model of the market begins anew
            for candles in recent.values():
                matcher.warm(candles)
        self._moves.hold(engine.account.positions())
        return engine, matcher

    def _warm(self, engine: TradingEngine, matcher: BarMatcher) -> None:
        """Show both what was read as history before the first decision."""
        minutes: dict[int, list[Candle]] = {}
        for symbol in engine.symbols:
            history = self._recording.reader.candles(symbol, 0, self._recording.since_ms)
            matcher.warm(history)
            for candle in history:
                minutes.setdefault(candle.opened_at_ms, []).append(candle)
        for opened_ms in sorted(minutes):
            engine.warm(minutes[opened_ms])

    def _state(self) -> dict[str, Any]:
        """Of both, as the journal would hold it."""
        return self._engine.snapshot() | {BROKER_KEY: self._matcher.snapshot()}

    # --- what happened ------------------------------------------------------------------------------------

    def run(self, listener: Listener | None) -> Rerun:
        """From the first minute to the last, or to where it can't go on."""
        broke = None
        try:
            self._go(listener)
        except EngineProtocolError as error:
            broke = str(error)
        snapshot = {} if broke is not None else self._state()
        return Rerun(
            np.array(self._ts, dtype=np.int64),
            np.array(self._equity, dtype=np.float64),
            self._moves,
            self._adopted + self._held_adopted(),
            broke,
            self._start_equity,
            snapshot,
        )

    def _go(self, listener: Listener | None) -> None:
        opening = self._opening
        left = sorted({opened_ms for _, opened_ms in self._finals})
        for one in self._recording.happenings(opening.batch_ms, settled=opening.settled):
            if isinstance(one, Start):
                self._begin(one)
            elif isinstance(one, Swap):
                self._swap(one.model_id)
            elif isinstance(one, Between):
                self._between(one)
            else:
                opened_ms = one.closed_at_ms - MINUTE_MS
                while left and left[0] < opened_ms:
                    self._unseen(left.pop(0))
                if left and left[0] == opened_ms:
                    left.pop(0)
                decisions = self._minute(one, self._candles(one.candles, opened_ms))
                if listener is not None:
                    listener(one, decisions)

    def _begin(self, start: Start) -> None:
        if self._restarts:
            self._engine, self._matcher = self._built(self._rules_of(start.row), self._state())
        self._swap(start.model_id)

    def _swap(self, model_id: str) -> None:
        """Where nobody predicts any more, what is held or on its way is closed (``bot.daemon.handover``)."""
        engine = self._engine
        if model_id != NO_TRADE or Circumstance.WATCH not in self._told:
            return
        if engine.account.has_positions or any(map(engine.open_orders, engine.symbols)):
            engine.request_flatten()

    def _between(self, one: Between) -> None:
        """A command, or what an exchange said."""
        engine = self._engine
        if self._reported and one.reports:
            self._settle(one.reports)
        cause = Circumstance.OPERATOR if one.is_command else Circumstance.RECONCILIATION
        if cause not in self._told or (one.event is None and not one.flatten):
            return
        if one.event is not None:
            engine.command(StateEvent(one.event), one.at_ms)
        made: Sequence[ApprovedOrder] = engine.flatten(one.at_ms) if one.flatten else ()
        wishes = engine.cancel_resting(one.at_ms)
        if not self._reported:
            for order in made:
                self._matcher.submit(order)
            for wish in wishes:
                self._matcher.cancel(wish)

    def _candles(self, decided_on: Sequence[Candle], opened_ms: int) -> tuple[Candle, ...]:
        """The candles of a minute, as the exchange has them now where that is asked for."""
        if not self._finals:
            return tuple(decided_on)
        by_symbol = {candle.symbol: candle for candle in decided_on}
        for symbol in self._engine.symbols:
            if (final := self._finals.get((symbol, opened_ms))) is not None:
                by_symbol[symbol] = final
        return tuple(by_symbol[symbol] for symbol in sorted(by_symbol))

    def _unseen(self, opened_ms: int) -> None:
        """A minute that was never decided."""
        if candles := self._candles((), opened_ms):
            closed_ms = opened_ms + MINUTE_MS
            self._minute(StoredBatch(closed_ms, closed_ms, list(candles), [], []), candles)

    def _minute(self, batch: StoredBatch, candles: tuple[Candle, ...]) -> list[dict[str, Any]]:
        """Settle, observe, decide: the walk of one minute."""
        engine, matcher = self._engine, self._matcher
        if self._reported:
            reports = [report_from_json(row) for row in batch.reports]
        else:
            reports = [report for candle in candles for report in matcher.match(candle)]
        size, reason = batch.size if Circumstance.WATCH in self._told else (1.0, "")
        if (engine.risk.size_factor, engine.risk.size_reason) != (size, reason):
            engine.set_size_factor(size, reason)
        self._settle(reports)
        engine.observe(candles)
        late_ms = batch.now_ms if Circumstance.LATENCY in self._told else batch.closed_at_ms
        predictions, absent = self._said(batch, candles)
        decisions = engine.decide(predictions, late_ms, absent, batch.facts)
        self._ts.append(batch.closed_at_ms)
        self._equity.append(engine.account.equity())
        if not self._reported:
            for decision in decisions:
                for order in decision.approved:
                    matcher.submit(order)
                for wish in decision.cancel:
                    matcher.cancel(wish)
        return [decision_to_json(decision) for decision in decisions]

    def _said(self, batch: StoredBatch, candles: Sequence[Candle]) -> tuple[list[Prediction], str]:
        """The forecasts on a minute's candles, and why a symbol has none."""
        if self._forecasts is None:
            return list(predictions_of(batch)), absent_of(batch)
        wanted = ((candle.symbol, batch.closed_at_ms) for candle in candles)
        return [self._forecasts[key] for key in wanted if key in self._forecasts], NO_PREDICTION

    def _settle(self, reports: Sequence[ExecutionReport]) -> None:
        trades = self._engine.settle(reports)
        adopted = self._moves.add(reports)
        self._adopted_symbols |= adopted
        for trade in trades:
            if trade.symbol in self._adopted_symbols:
                self._adopted_symbols.discard(trade.symbol)
                self._adopted += trade.pnl

    def _held_adopted(self) -> float:
        """What adopted positions that are still held have brought so far."""
        account = self._engine.account
        held = [account.position(symbol) for symbol in sorted(self._adopted_symbols)]
        return sum(
            one.realized - one.fees - one.funding + one.unrealized(account.mark_price(one.symbol))
            for one in held
        )
