"""The trading engine: settle what happened, observe what closed, decide what to do.

One engine serves all symbols of an account. A driver (daemon, replay, backtrader, fast) calls, for the candles of
each minute:

1. ``settle(reports)``: what became of orders, in the order in which it happened;
2. ``observe(candles)``: the closed candles of that minute, by name of symbol;
3. ``decide(predictions, now_ms)``: a decision for each of those candles.

Any other order of calls raises EngineProtocolError. The engine knows no clock: ``now_ms`` comes from the driver
and is journaled, so that a replay decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.core.account import Account
from bot.core.decision import CancelWish, Decision
from bot.core.desk import Desk
from bot.core.engine_config import NO_PREDICTION, EngineConfig
from bot.core.entry import LIMIT_EXPIRED
from bot.core.entry_wish import EntryView, entry_wish
from bot.core.limits import MarketFacts
from bot.core.market import MINUTE_MS, Candle, InstrumentKind, Symbol
from bot.core.minute import next_minute
from bot.core.orders import (
    ApprovedOrder,
    ExecutionReport,
    Leg,
    OrderIntent,
    OrderRecord,
    RefusedOrder,
)
from bot.core.position import Position, Trade
from bot.core.prediction import Prediction
from bot.core.records import order_from_json, order_to_json
from bot.core.risk import RiskGate, Situation, StateChange
from bot.core.signal import MarketView, Signal, Strategy
from bot.core.situation import situation_of
from bot.core.state import StateEvent
from bot.core.window import Window
from bot.errors import EngineProtocolError


class TradingEngine:
    """Candles, predictions and reports in; decisions out.

    Args:
        config: Rules, limits, costs, money.
        make_strategy: Makes the strategy of one symbol.

    Attributes:
        equity: Of the account, at the close of the candles last observed.
    """

    def __init__(self, config: EngineConfig, make_strategy: Callable[[Symbol], Strategy]) -> None:
        self.config = config
        self.account = Account(config.starting_cash, dict(config.instruments))
        self.risk = RiskGate(config.limits, config.starting_cash)
        self.equity = config.starting_cash
        self._desks = {
            symbol: Desk(
                rules,
                make_strategy(symbol),
                Window(config.window_minutes),
                can_short=rules.kind is not InstrumentKind.SPOT,
            )
            for symbol, rules in sorted(config.instruments.items())
        }
        self._round_trip = config.entry.round_trip(config.costs)
        self._max_age_ms = int(config.limits.max_prediction_age_seconds * 1000)
        self._batch: Sequence[Candle] = ()
        self._batch_ms = -1
        self._facts: dict[Symbol, MarketFacts] = {}
        self._flatten = False
        self._state_changes: list[StateChange] = []

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbols that are traded, in the order in which they are decided."""
        return tuple(self._desks)

    @property
    def last_opened_at_ms(self) -> int:
        """Open time of the newest candles observed, -1 before the first."""
        return self._batch_ms

    def open_orders(self, symbol: Symbol) -> list[OrderRecord]:
        """Orders of a symbol that may still trade, in the order in which they were made."""
        return list(self._desks[symbol].orders.values())

    def seen_ms(self) -> dict[Symbol, int]:
        """Open time of the last candle of each symbol that had one."""
        return {symbol: desk.seen_ms for symbol, desk in self._desks.items() if desk.seen_ms >= 0}

    def window(self, symbol: Symbol) -> Window:
        """The lookback of a symbol."""
        return self._desks[symbol].window

    # --- settle -------------------------------------------------------------------------------------------

    def settle(self, reports: Sequence[ExecutionReport]) -> list[Trade]:
        """Book what happened to orders; returns the trades that it completed.

        Raises:
            EngineProtocolError: A report of an order that was never sent, or an illegal transition; then none of
                the reports is booked.
        """
        if self._batch:
            raise EngineProtocolError("settle after observe: decide on the candles first")
        if not reports:
            return []
        account = self.account.kept()
        orders = {symbol: dict(desk.orders) for symbol, desk in self._desks.items() if desk.orders}
        try:
            trades = [
                trade
                for report in reports
                if (trade := self._desk(report.symbol).book(report, self.account)) is not None
            ]
        except EngineProtocolError:
            self.account.put_back(account)
            for symbol, desk in self._desks.items():
                desk.orders = orders.get(symbol, {})
            raise
        self.risk.guards.on_settled(trades, reports)
        return trades

    def _desk(self, symbol: Symbol) -> Desk:
        desk = self._desks.get(symbol)
        if desk is None:
            raise EngineProtocolError(f"{symbol} is not traded here")
        return desk

    # --- observe ------------------------------------------------------------------------------------------

    def observe(self, candles: Sequence[Candle]) -> None:
        """Take in the closed candles of one minute.

        Raises:
            EngineProtocolError: Not decided on the last batch yet, several minutes mixed, symbols out of order,
                or a minute that is not newer than the last.
        """
        opened = self._next_minute(candles)
        for candle in candles:
            self._desks[candle.symbol].observe(candle)
            self.account.mark(candle.symbol, candle.close)
        self._batch, self._batch_ms = candles, opened
        account = self.account
        self.equity = account.equity() if account.has_positions else account.cash
        if changes := self.risk.on_equity(self.equity, opened + MINUTE_MS):
            self._state_changes += changes

    def _next_minute(self, candles: Sequence[Candle]) -> int:
        """The open time of a batch; raises EngineProtocolError when it is not the next one."""
        if self._batch:
            raise EngineProtocolError("a batch before the last was decided on: decide first")
        return next_minute(candles, self._batch_ms, self._desks)

    def warm(self, candles: Sequence[Candle]) -> None:
        """Show windows and strategies the candles of a minute before the first that is decided on.

        Raises:
            EngineProtocolError: As ``observe``.
        """
        opened = self._next_minute(candles)
        for candle in candles:
            self._desks[candle.symbol].observe(candle)
            self.account.mark(candle.symbol, candle.close)
        self._batch_ms = opened

    # --- decide -------------------------------------------------------------------------------------------

    def decide(
        self,
        predictions: Sequence[Prediction],
        now_ms: int,
        absent: str = NO_PREDICTION,
        facts: Sequence[MarketFacts] = (),
    ) -> list[Decision]:
        """Decide on every candle observed, in the order of symbol names.

        Args:
            predictions: Made on these candles; those of other candles count as stale.
            now_ms: The exchange's time; a backtest passes the close of the candles.
            absent: Why there is no prediction of a symbol that has none.
            facts: What else is known of the markets; an entry's guards look at it.

        Raises:
            EngineProtocolError: Nothing was observed.
        """
        if not self._batch:
            raise EngineProtocolError("decide needs candles: observe them first")
        by_symbol = {prediction.symbol: prediction for prediction in predictions}
        self._facts = {one.symbol: one for one in facts}
        closed_at_ms = self._batch_ms + MINUTE_MS
        late = now_ms - closed_at_ms > self._max_age_ms
        decisions = [
            self._decide_one(candle, by_symbol.get(candle.symbol), closed_at_ms, late, absent)
            for candle in self._batch
        ]
        self._batch = ()
        # An entry that is on its way when flattening is asked for is closed too.
        self._flatten = self._flatten and (
            self.account.has_positions or any(desk.orders for desk in self._desks.values())
        )
        return decisions

    def _decide_one(
        self, candle: Candle, prediction: Prediction | None, closed_at_ms: int, late: bool, absent: str
    ) -> Decision:
        symbol = candle.symbol
        desk = self._desks[symbol]
        if desk.orders and (waiting := desk.waiting()) is not None:
            cancel = self._cancel_resting(desk, closed_at_ms)
            return Decision(symbol, closed_at_ms, prediction, None, (), (), waiting, cancel)
        position = self.account.position(symbol)
        if self._flatten:
            if position.quantity == 0.0:
                return Decision(symbol, closed_at_ms, prediction, None, (), (), "flattening")
            intent = desk.exit_intent(self.config.run_id, position, closed_at_ms, Leg.FLATTEN, "flatten")
            return self._reviewed(desk, candle, prediction, None, intent, self._situation(candle))
        if not desk.window.is_full:
            return Decision(symbol, closed_at_ms, prediction, None, (), (), "warming_up")
        if self.risk.reason == "starting":
            self._state_changes += self.risk.on_event(StateEvent.WARMED, closed_at_ms)
        if prediction is None:
            return Decision(symbol, closed_at_ms, None, None, (), (), absent)
        if prediction.closed_at_ms != closed_at_ms:
            return Decision(symbol, closed_at_ms, prediction, None, (), (), "stale_prediction")
        if not math.isfinite(prediction.expected_return):
            return Decision(symbol, closed_at_ms, prediction, None, (), (), "prediction_not_finite")
        if late:
            return Decision(symbol, closed_at_ms, prediction, None, (), (), "late_candle")
        view = MarketView(symbol, candle, prediction, position, desk.can_short, self._round_trip)
        signal = desk.strategy.decide(view)
        return self._act(desk, candle, prediction, signal, position)

    def _act(
        self, desk: Desk, candle: Candle, prediction: Prediction, signal: Signal, position: Position
    ) -> Decision:
        """Turn the wanted position into an order, if it differs from the one held."""
        held_sign = (position.quantity > 0) - (position.quantity < 0)
        wanted_sign = signal.direction.sign
        closed_at_ms = candle.closed_at_ms
        if wanted_sign == held_sign:
            return Decision(candle.symbol, closed_at_ms, prediction, signal, (), (), signal.reason)
        at = self._situation(candle)
        if held_sign:
            intent = desk.exit_intent(self.config.run_id, position, closed_at_ms, Leg.EXIT, signal.reason)
        elif self.risk.size_factor == 0.0:
            return Decision(candle.symbol, closed_at_ms, prediction, signal, (), (), self.risk.size_reason)
        elif self.config.sizing.share(prediction.volatility) is None:
            return Decision(candle.symbol, closed_at_ms, prediction, signal, (), (), "volatility_unknown")
        else:
            view = EntryView(candle, prediction, signal, self._facts.get(candle.symbol))
            intent, at = entry_wish(self.config, self.risk, self._desks, self.account, view, at)
        return self._reviewed(desk, candle, prediction, signal, intent, at)

    def _reviewed(
        self,
        desk: Desk,
        candle: Candle,
        prediction: Prediction | None,
        signal: Signal | None,
        intent: OrderIntent,
        at: Situation,
    ) -> Decision:
        """Let risk look at an intent; an approved order counts as sent from here on."""
        verdict = self.risk.review(intent, desk.instrument, at)
        if isinstance(verdict, RefusedOrder):
            return Decision(
                candle.symbol,
                candle.closed_at_ms,
                prediction,
                signal,
                (),
                (verdict,),
                f"refused_{verdict.reason}",
            )
        desk.orders[intent.client_order_id] = OrderRecord(intent)
        return Decision(candle.symbol, candle.closed_at_ms, prediction, signal, (verdict,), (), None)

    def _situation(self, candle: Candle) -> Situation:
        return situation_of(
            candle.symbol, candle.close, candle.closed_at_ms, self.equity, self.account, self._desks
        )

    def _cancel_resting(self, desk: Desk, at_ms: int) -> tuple[CancelWish, ...]:
        """An entry rests no longer than its time, nor than risk may be taken on."""
        reason = LIMIT_EXPIRED
        if self._flatten:
            reason = "flatten"
        elif not self.risk.may_open:
            reason = self.risk.state.value
        elif self.risk.size_factor == 0.0:
            reason = self.risk.size_reason
        return desk.cancel_resting(at_ms, reason)

    # --- commands and restarts ----------------------------------------------------------------------------

    def command(self, event: StateEvent, at_ms: int) -> None:
        """A person pauses, halts or resumes."""
        self._state_changes += self.risk.on_event(event, at_ms, equity=self.account.equity())

    def take_state_changes(self) -> list[StateChange]:
        """Changes of the trading state since this was last called."""
        changes, self._state_changes = self._state_changes, []
        return changes

    def request_flatten(self) -> None:
        """From the next decision on, close every position and open none until nothing is held or on its way."""
        self._flatten = True

    def flatten(self, at_ms: int) -> list[ApprovedOrder]:
        """``request_flatten``, with the exits of what can be closed at once; only between two batches.

        Args:
            at_ms: The exchange's time.
        """
        if self._batch:
            raise EngineProtocolError("flatten between observe and decide")
        self._flatten = True
        minute_ms = at_ms // MINUTE_MS * MINUTE_MS
        orders = []
        for position in self.account.positions():
            desk = self._desks[position.symbol]
            if desk.waiting() is not None:  # closed by the decision that follows
                continue
            intent = desk.exit_intent(self.config.run_id, position, minute_ms, Leg.FLATTEN, "flatten")
            price = self.account.mark_price(position.symbol)
            at = situation_of(position.symbol, price, minute_ms, self.equity, self.account, self._desks)
            verdict = self.risk.review(intent, desk.instrument, at)
            if isinstance(verdict, ApprovedOrder):
                desk.orders[intent.client_order_id] = OrderRecord(intent)
                orders.append(verdict)
        return orders

    def cancel_resting(self, at_ms: int) -> list[CancelWish]:
        """After a command: what shall not rest until the next decision would cancel it; only between two batches."""
        if self._batch:
            raise EngineProtocolError("cancel between observe and decide")
        return [wish for desk in self._desks.values() for wish in self._cancel_resting(desk, at_ms)]

    def set_size_factor(self, factor: float, reason: str) -> None:
        """Multiply the size of entries by 0 to 1 from the next decision on; see ``RiskGate.set_size_factor``."""
        if self._batch:
            raise EngineProtocolError("a size factor between observe and decide")
        self.risk.set_size_factor(factor, reason)

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs beside the last candles, as JSON values; only between two batches."""
        if self._batch:
            raise EngineProtocolError("snapshot between observe and decide")
        return {
            "batch_ms": self._batch_ms,
            "flatten": self._flatten,
            "seen_ms": self.seen_ms(),
            "account": self.account.snapshot(),
            "risk": self.risk.snapshot(),
            "orders": [
                order_to_json(record) for desk in self._desks.values() for record in desk.orders.values()
            ],
            "strategies": {symbol: desk.strategy.snapshot() for symbol, desk in self._desks.items()},
        }

    def restore(self, state: dict[str, Any], recent: Mapping[Symbol, Sequence[Candle]]) -> None:
        """Take up a snapshot and the candles of each window, the newest last.

        A symbol that the snapshot does not know starts empty. Raises EngineProtocolError, and changes nothing,
        when the snapshot holds a position or an order of a symbol that is not traded any more.
        """
        if self._batch:
            raise EngineProtocolError("restore between observe and decide")
        records = [order_from_json(row) for row in state["orders"]]
        for symbol in {row[0] for row in state["account"]["positions"]} | {r.intent.symbol for r in records}:
            self._desk(symbol)
        self.account.restore(state["account"])
        self.risk.restore(state["risk"])
        self.equity = self.account.equity()
        self._batch_ms = state["batch_ms"]
        self._flatten = state["flatten"]
        for symbol, desk in self._desks.items():
            desk.orders.clear()
            if symbol in state["strategies"]:
                desk.strategy.restore(state["strategies"][symbol])
            desk.seen_ms = state["seen_ms"].get(symbol, -1)
            desk.window.refill(recent.get(symbol, ()), desk.seen_ms)
        for record in records:
            self._desks[record.intent.symbol].orders[record.intent.client_order_id] = record
