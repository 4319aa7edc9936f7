"""What is known of orders, trades and positions on an exchange, and what the engine is told of it.

Every trade is booked once, by its id, for the order that it belongs to. A report goes to the engine only where its
tables allow it; what they do not allow is a person's to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from bot.core.execution_rules import Alarm
from bot.core.live_order import LiveOrder, Move, live_order_from_json, live_order_to_json
from bot.core.market import Instrument, InstrumentKind, Symbol
from bot.core.orders import (
    Accepted,
    Adopted,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    OrderRecord,
    OrderState,
    Rejected,
    Unknown,
)
from bot.core.position import Position, adopted_position, apply_fill
from bot.core.records import report_from_json, report_to_json
from bot.core.venue import FundingSeen, TradeSeen

_DUST = 1e-12
ORPHAN_MS = 20_000
"""How long a trade may wait for the order that it belongs to."""


class Orphan(NamedTuple):
    """A trade of which it is not known yet whose order it was."""

    trade: TradeSeen
    since_ms: int


class LiveLedger:
    """Orders, trades, positions, and the reports and alarms that wait to be taken.

    Attributes:
        orders: By client id: all that live, and those lately over.
        positions: What is held, by symbol; nothing flat.
        reports: For the engine, in order.
        alarms: For a person.
        floors: By symbol: trades and fundings before this exchange time are all known.
        wallet: What the exchange's wallet must show by our count; None before it was seen.
        bookings: How many trades and fundings were booked; tells whether something moved between two looks.
    """

    def __init__(self, instruments: Mapping[Symbol, Instrument]) -> None:
        self.instruments = dict(instruments)
        self.orders: dict[str, LiveOrder] = {}
        self.positions: dict[Symbol, Position] = {}
        self.reports: list[ExecutionReport] = []
        self.alarms: list[Alarm] = []
        self.floors: dict[Symbol, int] = {}
        self.wallet: float | None = None
        self.bookings = 0
        self._trades: dict[Symbol, dict[str, int]] = {}
        self._payments: dict[str, int] = {}
        self._orphans: dict[tuple[Symbol, str], Orphan] = {}

    # --- questions ----------------------------------------------------------------------------------------

    def held(self, symbol: Symbol) -> float:
        """Signed base units."""
        position = self.positions.get(symbol)
        return 0.0 if position is None else position.quantity

    def live(self, symbol: Symbol) -> list[LiveOrder]:
        """Orders of a symbol that are not over, in the order in which they were made."""
        return [order for order in self.orders.values() if order.is_live and order.intent.symbol == symbol]

    def active_symbols(self) -> list[Symbol]:
        """Where something is held or may still happen, by name."""
        living = {order.intent.symbol for order in self.orders.values() if order.is_live}
        return sorted(living | set(self.positions))

    def find(self, symbol: Symbol, client_order_id: str, exchange_id: str) -> LiveOrder | None:
        """An order by its client id, or else by the exchange's number."""
        order = self.orders.get(client_order_id)
        if order is not None and order.intent.symbol == symbol:
            return order
        if not exchange_id:
            return None
        for order in self.orders.values():
            if order.intent.symbol == symbol and exchange_id in order.exchange_ids:
                return order
        return None

    @property
    def has_orphans(self) -> bool:
        """Whether a trade waits for its order."""
        return bool(self._orphans)

    # --- telling ------------------------------------------------------------------------------------------

    def alarm(self, event: str, *, halt: bool = False, **fields: Any) -> None:
        """Something that a person must read."""
        self.alarms.append(Alarm(event, fields, halt))

    def tell_accepted(self, order: LiveOrder, at_ms: int) -> bool:
        """The exchange has it; of an order that the engine did not send only while it shrinks what is held.

        Returns:
            Whether the engine knows of the order now.
        """
        intent, record = order.intent, order.record
        if record is None:
            if not intent.reduce_only or self.held(intent.symbol) * intent.side.sign >= 0:
                return False
            order.record = OrderRecord(intent, OrderState.ACCEPTED)
            self.reports.append(Accepted(order.id, intent.symbol, at_ms, intent))
        elif record.state in {OrderState.SENT, OrderState.UNKNOWN}:
            self._tell(order, Accepted(order.id, intent.symbol, at_ms))
        return True

    def tell_new(self, order: LiveOrder, at_ms: int) -> None:
        """An order of our own making is on its way: the engine hears of it before it is sent."""
        order.record = OrderRecord(order.intent, OrderState.ACCEPTED)
        self.reports.append(Accepted(order.id, order.intent.symbol, at_ms, order.intent))

    def tell_unknown(self, order: LiveOrder, at_ms: int, reason: str) -> None:
        """It is not known what became of it."""
        if order.record is not None and order.record.is_open and order.record.state is not OrderState.UNKNOWN:
            self._tell(order, Unknown(order.id, order.intent.symbol, at_ms, reason))

    def tell_end(self, order: LiveOrder, at_ms: int, reason: str, *, rejected: bool = False) -> None:
        """Nothing more will trade of it; after a fill it was canceled, not rejected."""
        if order.record is None or not order.record.is_open:
            return
        kind = Rejected if rejected and order.record.filled_quantity == 0.0 else Canceled
        if kind is Rejected and order.record.state is OrderState.PARTIALLY_FILLED:
            kind = Canceled
        self._tell(order, kind(order.id, order.intent.symbol, at_ms, reason))

    def _tell(self, order: LiveOrder, report: Accepted | Rejected | Canceled | Unknown | Fill) -> None:
        if order.record is not None:
            order.record = order.record.after(report)
            self.reports.append(report)

    # --- trades -------------------------------------------------------------------------------------------

    def on_trade(self, seen: TradeSeen, now_ms: int) -> LiveOrder | None:
        """Book a trade, if it is new and ours; returns the order that it moved."""
        fill = seen.fill
        if fill.trade_id in self._trades.get(fill.symbol, {}):
            return None
        order = self.find(fill.symbol, fill.client_order_id, seen.exchange_order_id)
        known_before = fill.filled_at_ms < self.floors.get(fill.symbol, 0)
        if order is None or order.intent.side is not fill.side:
            if known_before:
                return None
            if order is None and self._may_be_ours(fill):
                self._orphans.setdefault((fill.symbol, fill.trade_id), Orphan(seen, now_ms))
            else:
                self._stranger(seen)
            return None
        if not order.is_live and known_before:
            return None
        self._remember(fill)
        if seen.exchange_order_id and seen.exchange_order_id not in order.exchange_ids:
            order.exchange_ids.append(seen.exchange_order_id)
        self._book(order, replace(fill, client_order_id=order.id))
        return order

    def _may_be_ours(self, fill: Fill) -> bool:
        """Whether it may turn out whose it is: no id of ours came with it, and an order's number is not known."""
        if fill.client_order_id:
            return False
        return any(not order.exchange_ids for order in self.live(fill.symbol))

    def claim_orphans(self, now_ms: int) -> list[LiveOrder]:
        """Look again for the orders of trades that came before them; returns those that were found."""
        moved = []
        for key, orphan in list(self._orphans.items()):
            fill = orphan.trade.fill
            order = self.find(fill.symbol, fill.client_order_id, orphan.trade.exchange_order_id)
            late = now_ms - orphan.since_ms >= ORPHAN_MS
            if order is not None or late or not self._may_be_ours(fill):
                del self._orphans[key]
                if key[1] in self._trades.get(key[0], {}):
                    continue
                if order is None:
                    self._stranger(orphan.trade)
                elif (booked := self.on_trade(orphan.trade, now_ms)) is not None:
                    moved.append(booked)
        return moved

    def _stranger(self, seen: TradeSeen) -> None:
        fill = seen.fill
        self._remember(fill)
        self.alarm(
            "account.foreign_trade", halt=True, exchange_order_id=seen.exchange_order_id, **_words_of(fill)
        )

    def _remember(self, fill: Fill) -> None:
        self._trades.setdefault(fill.symbol, {})[fill.trade_id] = fill.filled_at_ms

    def _book(self, order: LiveOrder, fill: Fill) -> None:
        """A trade of ours, seen for the first time."""
        fault = self._booking_fault(order, fill)
        if fault is None and order.record is None and not self.tell_accepted(order, fill.filled_at_ms):
            fault = "order.unexpected_fill"
        order.filled = round(order.filled + fill.quantity, 12)
        order.move(Move.SEEN)
        if fault is not None:
            self.alarm(fault, halt=True, **_words_of(fill))
            return
        self._tell(order, fill)
        self._move_position(fill)
        self.bookings += 1

    def _booking_fault(self, order: LiveOrder, fill: Fill) -> str | None:
        """Why the engine can't hear of a trade, by the name of the alarm."""
        if not (fill.quantity > 0 and fill.price > 0):
            return "order.unsound_fill"
        if order.record is not None and not order.record.is_open:
            return "order.late_fill"
        if round(order.filled + fill.quantity, 12) > order.intent.quantity * (1 + _DUST):
            return "order.overfilled"
        spot = self.instruments[fill.symbol].kind is InstrumentKind.SPOT
        held = self.held(fill.symbol)
        if spot and fill.side.sign < 0 and fill.quantity > held * (1 + _DUST):
            return "order.unexpected_fill"
        return None

    def _move_position(self, fill: Fill) -> None:
        before = self.positions.get(fill.symbol) or Position(fill.symbol)
        after, gain, _ = apply_fill(before, fill, "")
        if after.is_flat:
            self.positions.pop(fill.symbol, None)
        else:
            self.positions[fill.symbol] = after
        if fill.side.sign * before.quantity < 0 and after.quantity * before.quantity < 0:
            self.alarm("position.unexpected", halt=True, held=after.quantity, **_words_of(fill))
        if self.wallet is not None:
            spot = self.instruments[fill.symbol].kind is InstrumentKind.SPOT
            self.wallet += (-fill.side.sign * fill.quantity * fill.price if spot else gain) - fill.fee

    # --- money and strangers' positions -------------------------------------------------------------------

    def on_funding(self, seen: FundingSeen) -> None:
        """Book a funding payment, once, exactly as the exchange did."""
        known_before = seen.paid_at_ms < self.floors.get(seen.symbol, 0)
        if seen.payment_id in self._payments or known_before or seen.symbol not in self.instruments:
            return
        self._payments[seen.payment_id] = seen.paid_at_ms
        self.reports.append(Funding(seen.symbol, 0.0, 0.0, seen.paid_at_ms, seen.paid))
        if seen.symbol in self.positions:
            self.positions[seen.symbol] = self.positions[seen.symbol].with_funding(seen.paid)
        if self.wallet is not None:
            self.wallet -= seen.paid
        self.bookings += 1

    def adopt(self, symbol: Symbol, quantity: float, price: float, at_ms: int) -> None:
        """Take a stranger's position as ours."""
        adopted = Adopted(symbol, quantity, price, at_ms)
        self.reports.append(adopted)
        self.positions[symbol] = adopted_position(adopted)
        self.bookings += 1

    # --- housekeeping -------------------------------------------------------------------------------------

    def settle_floor(self, symbol: Symbol, at_ms: int, now_ms: int, keep_ms: int) -> None:
        """Everything of a symbol before this exchange time is known: forget what only told old from new.

        Args:
            symbol: The market.
            at_ms: Exchange time.
            now_ms: Execution's time.
            keep_ms: How long an order that is over is kept, for the sake of words that come late.
        """
        if at_ms <= self.floors.get(symbol, 0):
            return
        self.floors[symbol] = at_ms
        trades = self._trades.get(symbol, {})
        self._trades[symbol] = {name: when for name, when in trades.items() if when >= at_ms}
        oldest = min(self.floors.values())
        self._payments = {name: when for name, when in self._payments.items() if when >= oldest}
        for order in list(self.orders.values()):
            if order.intent.symbol == symbol and not order.is_live and order.done_ms < now_ms - keep_ms:
                del self.orders[order.id]

    def snapshot(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "orders": [live_order_to_json(order) for order in self.orders.values()],
            "positions": [list(position) for _, position in sorted(self.positions.items())],
            "reports": [report_to_json(report) for report in self.reports],
            "alarms": [[alarm.event, dict(alarm.fields), alarm.halt] for alarm in self.alarms],
            "floors": dict(self.floors),
            "wallet": self.wallet,
            "bookings": self.bookings,
            "trades": {symbol: dict(trades) for symbol, trades in self._trades.items()},
            "payments": dict(self._payments),
            "orphans": [
                [report_to_json(one.trade.fill), one.trade.exchange_order_id, one.since_ms]
                for one in self._orphans.values()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a snapshot."""
        orders = [live_order_from_json(row) for row in state["orders"]]
        self.orders = {order.id: order for order in orders}
        self.positions = {row[0]: Position(*row) for row in state["positions"]}
        self.reports = [report_from_json(row) for row in state["reports"]]
        self.alarms = [Alarm(*row) for row in state["alarms"]]
        self.floors = dict(state["floors"])
        self.wallet, self.bookings = state["wallet"], state["bookings"]
        self._trades = {symbol: dict(trades) for symbol, trades in state["trades"].items()}
        self._payments = dict(state["payments"])
        self._orphans = {}
        for row, exchange_order_id, since_ms in state["orphans"]:
            fill = report_from_json(row)
            if isinstance(fill, Fill):
                self._orphans[fill.symbol, fill.trade_id] = Orphan(
                    TradeSeen(fill, exchange_order_id), since_ms
                )


def _words_of(fill: Fill) -> dict[str, Any]:
    """A trade as the fields of an alarm."""
    return {
        "symbol": fill.symbol,
        "client_order_id": fill.client_order_id,
        "trade_id": fill.trade_id,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": fill.price,
    }
