"""What the compiled kernel wrote as numbers, told again in the core's own values: reports, decisions, account, trades.

Ids, intents, protective orders and the account's books are made by the core from the kernel's quantities, prices, fees
and codes. That the core then finds the very trades which the kernel booked is asked in every run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backtests.inputs import BacktestInput
from backtests.kernel_codes import (
    AS_THE_SIGNAL,
    CANCEL_WORDS,
    ENTERED,
    ENTRY_CANCELED,
    EXITED,
    FELL_BACK,
    FIRST_REFUSAL,
    FORECAST_DOWN,
    FORECAST_UP,
    FUNDED,
    KEEP_LONG,
    KEEP_SHORT,
    LIMIT_ACCEPTED,
    LIMIT_CANCELED,
    LIMIT_FILLED,
    ORDER_SENT,
    OUTCOME_WORDS,
    SIGNAL_WORDS,
    TARGET_MET,
)
from bot.core.account import Account
from bot.core.decision import CancelWish, Decision
from bot.core.desk import Desk
from bot.core.entry import fallback_intent
from bot.core.limits import RiskLimits, Situation
from bot.core.market import MINUTE_MS, InstrumentKind, Symbol, quote_of
from bot.core.orders import (
    EXIT_REASONS,
    Accepted,
    ApprovedOrder,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    Protection,
    RefusedOrder,
)
from bot.core.position import Trade
from bot.core.prediction import Prediction
from bot.core.risk import RiskGate, protective_orders
from bot.core.signal import Direction, Signal
from bot.core.state import StateEvent
from bot.core.window import Window
from bot.errors import EngineProtocolError
from strategies.lstm_scalping import ScalpingParameters

_DIRECTIONS = {
    FORECAST_UP: Direction.LONG,
    KEEP_LONG: Direction.LONG,
    FORECAST_DOWN: Direction.SHORT,
    KEEP_SHORT: Direction.SHORT,
}
_UNLIMITED = RiskLimits(
    max_symbol_notional_fraction=math.inf,
    max_total_notional_fraction=math.inf,
    max_daily_loss_fraction=1.0,
    max_drawdown_fraction=1.0,
    max_orders_per_minute=10**9,
    max_trade_risk_fraction=None,
    max_jump_fraction=None,
    max_stale_minutes=None,
)


@dataclass(slots=True)
class _Book:
    """One symbol: its desk, the order that waits or rests, and the protective orders of what is held."""

    desk: Desk
    own_protection: bool
    waiting: OrderIntent | None = None
    protective: list[OrderIntent] = field(default_factory=list)


class KernelStory:
    """Tells a recorded run, row by row in the order of the tape.

    Args:
        data: What was run.
        parameters: Of each symbol's strategy.

    Attributes:
        account: Booked by the core as the story goes.
        trades: Round trips that the core found.
        fills: Every execution, in order.
        fundings: Every funding.
    """

    def __init__(self, data: BacktestInput, parameters: Mapping[Symbol, ScalpingParameters]) -> None:
        self._config = data.config
        self.account = Account(data.config.starting_cash, dict(data.config.instruments))
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.fundings: list[Funding] = []
        # Every order here has passed the kernel's review; this one only makes it an approved order.
        self._gate = RiskGate(_UNLIMITED, 1.0)
        self._gate.on_event(StateEvent.WARMED, 0)
        self._books = [_book(data, symbol, parameters[symbol]) for symbol in data.symbols]

    # --- reports --------------------------------------------------------------------------------------------

    def reports(self, place: int, event: Any) -> list[ExecutionReport]:
        """What one ``EVENT`` of a symbol was to the engine, booked."""
        book, kind, at_ms = self._books[place], event["kind"], int(event["at_ms"])
        symbol = book.desk.instrument.symbol
        if kind == FUNDED:
            funding = Funding(symbol, float(event["quantity"]), float(event["price"]), at_ms)
            self.account.apply_funding(funding)
            self.fundings.append(funding)
            return [funding]
        if kind in {ENTERED, LIMIT_FILLED}:
            return self._entered(book, _order(book), event)
        if kind == FELL_BACK:
            limit = _order(book)
            book.waiting = market = fallback_intent(limit, at_ms)
            accepted = Accepted(market.client_order_id, symbol, at_ms, market)
            return [accepted, Canceled(limit.client_order_id, symbol, at_ms, CANCEL_WORDS[event["reason"]])]
        if kind == LIMIT_ACCEPTED:
            return [Accepted(_order(book).client_order_id, symbol, at_ms)]
        if kind in {LIMIT_CANCELED, ENTRY_CANCELED}:
            order, book.waiting = _order(book), None
            words = CANCEL_WORDS[event["reason"]] or "no candle followed the decision"
            return [Canceled(order.client_order_id, symbol, at_ms, words)]
        return self._left(book, event)

    def _entered(self, book: _Book, order: OrderIntent, event: Any) -> list[ExecutionReport]:
        fill = self._filled(order, event)
        orders = protective_orders(order, fill, book.desk.instrument)
        book.waiting, book.protective = None, [one.intent for one in orders]
        return [
            fill,
            *(Accepted(one.client_order_id, one.symbol, fill.filled_at_ms, one) for one in book.protective),
        ]

    def _left(self, book: _Book, event: Any) -> list[ExecutionReport]:
        stop, target = book.protective
        order = _order(book) if event["kind"] == EXITED else target if event["kind"] == TARGET_MET else stop
        fill = self._filled(order, event)
        others = [one for one in book.protective if one is not order]
        book.waiting, book.protective = None, []
        at_ms = fill.filled_at_ms
        return [
            fill,
            *(Canceled(one.client_order_id, one.symbol, at_ms, "position is flat") for one in others),
        ]

    def _filled(self, order: OrderIntent, event: Any) -> Fill:
        fill = Fill(
            trade_id=f"{order.client_order_id}-1",
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=float(event["quantity"]),
            price=float(event["price"]),
            fee=float(event["fee"]),
            fee_asset=quote_of(order.symbol),
            filled_at_ms=int(event["at_ms"]),
        )
        trade = self.account.apply_fill(fill, EXIT_REASONS.get(order.leg, order.reason))
        if trade is not None:
            self.trades.append(trade)
        self.fills.append(fill)
        return fill

    # --- decisions ------------------------------------------------------------------------------------------

    def decision(self, bar: Any, noted: Any, prediction: Prediction | None) -> Decision:
        """What one ``DECISION`` on a ``BAR`` was, with the orders that it sends from here on."""
        book, outcome = self._books[bar["symbol"]], int(noted["outcome"])
        symbol, closed_at_ms = book.desk.instrument.symbol, int(bar["ts"]) + MINUTE_MS
        signal = _signal(noted, own_protection=book.own_protection)
        self.account.mark(symbol, float(bar["close"]))
        cancel: tuple[CancelWish, ...] = ()
        if noted["cancel"]:
            words = CANCEL_WORDS[noted["cancel"]]
            cancel = (CancelWish(_order(book).client_order_id, symbol, closed_at_ms, words),)
        if outcome != ORDER_SENT and outcome < FIRST_REFUSAL:
            words = signal.reason if outcome == AS_THE_SIGNAL and signal else OUTCOME_WORDS[outcome]
            return Decision(symbol, closed_at_ms, prediction, signal, (), (), words, cancel)
        if signal is None:
            raise EngineProtocolError("the kernel sent an order without a signal")
        intent = self._intent(book, signal, float(bar["close"]), float(noted["quantity"]), closed_at_ms)
        if outcome != ORDER_SENT:
            words = OUTCOME_WORDS[outcome]
            refused = (RefusedOrder(intent, words),)
            return Decision(symbol, closed_at_ms, prediction, signal, (), refused, f"refused_{words}")
        book.waiting = intent
        approved = (self._approved(book, intent, float(bar["close"]), closed_at_ms),)
        return Decision(symbol, closed_at_ms, prediction, signal, approved, (), None)

    def _intent(
        self, book: _Book, signal: Signal, close: float, quantity: float, closed_at_ms: int
    ) -> OrderIntent:
        config, desk = self._config, book.desk
        if signal.direction is Direction.FLAT:
            position = self.account.position(desk.instrument.symbol)
            return desk.exit_intent(config.run_id, position, closed_at_ms, Leg.EXIT, signal.reason)
        intent = desk.entry_intent(config.run_id, closed_at_ms, signal, quantity)
        return config.entry.applied(intent, close, config.costs, desk.instrument)

    def _approved(self, book: _Book, intent: OrderIntent, price: float, closed_at_ms: int) -> ApprovedOrder:
        held = self.account.position(intent.symbol).quantity
        at = Situation(closed_at_ms, price, 1.0, math.inf, held, 0.0, 0.0, 0.0)
        verdict = self._gate.review(intent, book.desk.instrument, at)
        if isinstance(verdict, RefusedOrder):
            raise EngineProtocolError(f"the kernel sent an order that is none: {verdict.reason}")
        return verdict


def _book(data: BacktestInput, symbol: Symbol, parameters: ScalpingParameters) -> _Book:
    rules = data.config.instruments[symbol]
    can_short = rules.kind is not InstrumentKind.SPOT
    desk = Desk(rules, data.make_strategy(symbol), Window(1), can_short=can_short)
    return _Book(desk, own_protection=parameters.stop_volatility > 0.0)


def _order(book: _Book) -> OrderIntent:
    if book.waiting is None:
        raise EngineProtocolError(
            f"the kernel tells of an order of {book.desk.instrument.symbol} that it never sent"
        )
    return book.waiting


def _signal(noted: Any, *, own_protection: bool) -> Signal | None:
    """The strategy's signal by its code; None where it was not asked."""
    code = int(noted["signal"])
    if not code:
        return None
    direction = _DIRECTIONS.get(code, Direction.FLAT)
    protection = None
    if own_protection and code in {FORECAST_UP, FORECAST_DOWN}:
        protection = Protection(float(noted["stop_fraction"]), float(noted["target_fraction"]))
    return Signal(direction, 0.0 if direction is Direction.FLAT else 1.0, SIGNAL_WORDS[code], protection)
