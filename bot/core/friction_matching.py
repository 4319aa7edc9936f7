"""How one bar fills orders where costs are not plain: what is added to the rules of ``bot.core.matching``.

7. Spread and impact. Half the spread may be estimated (``bot.core.spread``), and an order moves its price by its size
   (``bot.core.slippage``): by candles before the bar, and by the volume of the bar itself.
8. Participation. In one bar the orders of a symbol trade at most their share of its volume, cut to the lot step. What is
   left of an entry is canceled. What is left of an exit, or of a protective order that was reached, is a market order from
   then on: it goes on at the open of each bar that follows. A limit order of which nothing could fill rests on.
9. Latency. A market order arrives so much later than it was decided. Whole minutes move it to a later bar. Within a bar
   nobody knows the path: it fills at the worse for us of the open and of the point of that moment on the straight line
   from open to close. What arrives within a bar comes after whatever in it is worse for us: a stop or a liquidation that
   the bar reaches counts first, a target does not count. A limit order rests from the first open after its arrival.

Order of events in a bar: funding, a liquidation at the open (``bot.core.liquidating``), market orders at the open and what
becomes of limit orders, in the order of submission; stops and liquidation; market orders that arrive within the bar; targets;
limit orders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.costs import Costs, FundingRates
from bot.core.entry import OVER_PARTICIPATION
from bot.core.frictions import Frictions, Moved
from bot.core.market import MINUTE_MS, Candle, Instrument, Symbol, quote_of
from bot.core.matching import BarMatcher, price_beyond, reached_at
from bot.core.orders import (
    Canceled,
    ExecutionReport,
    Fill,
    OrderIntent,
    OrderRecord,
    OrderType,
    Rejected,
    Side,
)
from bot.core.position import Position, held_after

UNMOVED = Moved(0.0, 0.0)


class FrictionMatcher(BarMatcher):
    """The matcher of costs that are not plain; with nothing but plain ones it fills as ``BarMatcher`` does."""

    plain = False

    def __init__(self, costs: Costs, instruments: Mapping[Symbol, Instrument], funding: FundingRates) -> None:
        super().__init__(costs, instruments, funding)
        self._offset_ms = costs.latency_ms % MINUTE_MS
        self._delay_ms = costs.latency_ms - self._offset_ms
        self._limit_delay_ms = self._delay_ms + (MINUTE_MS if self._offset_ms else 0)
        self._frictions = {symbol: Frictions(costs) for symbol in instruments}
        self._filled: dict[str, float] = {}
        self._reached: set[str] = set()
        self._late: list[OrderIntent] = []
        self._room = math.inf

    def warm(self, candles: Sequence[Candle]) -> None:
        """Show it closed candles of one symbol from before the first that is matched."""
        for candle in candles:
            self._frictions[candle.symbol].observe(candle)

    def match(self, candle: Candle) -> list[ExecutionReport]:
        """What a bar does to the orders of its symbol, in the order in which it happens."""
        symbol = candle.symbol
        reports: list[ExecutionReport] = []
        if symbol in self._waiting or symbol in self._held:
            self._play(candle, reports)
        self._frictions[symbol].observe(candle)
        return reports

    def _play(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """One bar; the order of events is that of the module's docstring."""
        symbol = candle.symbol
        cap = self.costs.participation_cap
        self._room = math.inf if cap is None else cap * candle.volume
        if symbol in self._held and symbol in self._funded:
            self._pay_funding(candle, reports)
        self._force_at_open(candle, reports)
        resting = [
            intent for intent in self._waiting.pop(symbol, ()) if self._at_open(intent, candle, reports)
        ]
        late, self._late = self._late, []
        self._worst(candle, reports)
        for intent in late:
            at_ms = candle.opened_at_ms + self._offset_ms
            self._send(intent, self._line_price(intent.side, candle), candle, at_ms, reports)
            self._worst(candle, reports)
        if not late:
            self._targets(candle, reports)
        for intent in resting:
            self._rested(intent, candle, reports)
        if symbol in self._held:
            self._seen_ms[symbol] = candle.opened_at_ms
        else:
            self._seen_ms.pop(symbol, None)

    # --- rule 9: when an order meets the market ---------------------------------------------------------------

    def _at_open(self, intent: OrderIntent, candle: Candle, reports: list[ExecutionReport]) -> bool:
        """What the open of a bar is to an order: too early, just right, or a little early; whether it rests in this bar."""
        if intent.type is OrderType.LIMIT:
            return self._limit_at_open(intent, candle, reports)
        due_ms = intent.decided_at_ms + self._delay_ms
        if candle.opened_at_ms < due_ms:
            self._wait(intent)
        elif candle.opened_at_ms == due_ms and self._offset_ms:
            self._late.append(intent)
        else:
            self._send(intent, candle.open, candle, candle.opened_at_ms, reports)
        return False

    def _wait(self, intent: OrderIntent) -> None:
        """Keep an order for the next bar; what protects goes before what was decided, also after a restart."""
        waiting = self._waiting.setdefault(intent.symbol, [])
        waiting.append(intent)
        if len(waiting) > 1:
            waiting.sort(key=_is_decided)

    def _line_price(self, side: Side, candle: Candle) -> float:
        """Rule 9: what an order that arrives within a bar gets."""
        line = candle.open + (candle.close - candle.open) * self._offset_ms / MINUTE_MS
        return max(candle.open, line) if side is Side.BUY else min(candle.open, line)

    def _send(
        self, intent: OrderIntent, base: float, candle: Candle, at_ms: int, reports: list[ExecutionReport]
    ) -> None:
        """A market order, or a protective one that is at work, has arrived."""
        identity = (intent.client_order_id, intent.symbol, at_ms)
        if intent.reduce_only:
            if intent.symbol in self._held:
                self._take(intent, base, candle, at_ms, reports)
            elif self._has_begun(intent):
                reports.append(Canceled(*identity, "position is flat"))
                self._forget(intent)
            else:
                reports.append(Rejected(*identity, "nothing to reduce"))
        elif candle.opened_at_ms != intent.decided_at_ms + self._delay_ms:
            reports.append(Canceled(*identity, "no candle followed the decision"))
        elif (fill := self._take(intent, base, candle, at_ms, reports)) is not None:
            self._protect(intent, fill, reports)

    # --- rules 7 and 8: at what price, and how much --------------------------------------------------------------

    def _take(
        self, intent: OrderIntent, base: float, candle: Candle, at_ms: int, reports: list[ExecutionReport]
    ) -> Fill | None:
        """Fill what can be filled at market; the rest waits, or is canceled if it would enter."""
        wanted = held_after(intent.quantity, -self._filled.get(intent.client_order_id, 0.0))
        if intent.reduce_only:
            wanted = min(wanted, abs(self._held[intent.symbol]))
        part = self._cut(intent.symbol, wanted)
        fill = None
        if part > 0:
            moved = self._frictions[intent.symbol].moved(part, candle.volume)
            price = moved.price(intent.side, base)
            fill = self._fill(intent, part, (price, self.costs.fee(part * price), moved), at_ms, reports)
        if part < wanted:
            self._keep_or_cancel(intent, at_ms, reports)
        return fill

    def _cut(self, symbol: Symbol, wanted: float) -> float:
        """What of a quantity this bar's volume allows, on the lot step; the bar has that much less from then on."""
        part = wanted
        if self._room < wanted:
            part = min(self._instruments[symbol].cut_quantity(self._room), wanted)
        self._room = max(self._room - part, 0.0)
        return part

    def _keep_or_cancel(self, intent: OrderIntent, at_ms: int, reports: list[ExecutionReport]) -> None:
        """Rule 8: what becomes of the rest of an order."""
        if intent.reduce_only:
            self._wait(intent)
            return
        reports.append(Canceled(intent.client_order_id, intent.symbol, at_ms, OVER_PARTICIPATION))
        self._forget(intent)

    def _fill(
        self,
        intent: OrderIntent,
        quantity: float,
        paid: tuple[float, float, Moved],
        at_ms: int,
        reports: list[ExecutionReport],
    ) -> Fill:
        """Execute a part of an order, or all of it, at a price, for a fee, so far moved."""
        price, fee, moved = paid
        order_id = intent.client_order_id
        # One execution a minute at most: its minute makes the id of a later part unique, and a restart needs no count.
        later = order_id in self._filled
        number = (at_ms - intent.decided_at_ms) // MINUTE_MS + 1 if later else 1
        fill = Fill(
            trade_id=f"{order_id}-{number}",
            client_order_id=order_id,
            symbol=intent.symbol,
            side=intent.side,
            quantity=quantity,
            price=price,
            fee=fee,
            fee_asset=quote_of(intent.symbol),
            filled_at_ms=at_ms,
            spread_bps=moved.spread_bps,
            slippage_bps=moved.slippage_bps,
        )
        reports.append(fill)
        self._book(intent, fill, reports)
        return fill

    def _book(self, intent: OrderIntent, fill: Fill, reports: list[ExecutionReport]) -> None:
        """Count an execution, and cancel what protected a position that is now flat."""
        order_id, at_ms = intent.client_order_id, fill.filled_at_ms
        filled = round(self._filled.get(order_id, 0.0) + fill.quantity, 12)
        held = held_after(self._held.get(intent.symbol, 0.0), fill.quantity * intent.side.sign)
        is_whole = held_after(intent.quantity, -filled) <= 0.0
        if held == 0.0 and not is_whole:
            reports.append(Canceled(order_id, intent.symbol, at_ms, "no more was held"))
        if held == 0.0 or is_whole:
            self._forget(intent)
        else:
            self._filled[order_id] = filled
        if held == 0.0:
            self._unprotect(intent, at_ms, reports)
        else:
            self._held[intent.symbol] = held

    def _has_begun(self, intent: OrderIntent) -> bool:
        """Whether an order has filled in part, or is a protective one that was reached."""
        return intent.client_order_id in self._filled or intent.client_order_id in self._reached

    def _forget(self, intent: OrderIntent) -> None:
        self._filled.pop(intent.client_order_id, None)
        self._reached.discard(intent.client_order_id)

    def _unprotect(self, last: OrderIntent, at_ms: int, reports: list[ExecutionReport]) -> None:
        """Beside what protected it: the rest of orders that were closing it ends too."""
        super()._unprotect(last, at_ms, reports)
        waiting = self._waiting.pop(last.symbol, [])
        if kept := [intent for intent in waiting if not self._has_begun(intent)]:
            self._waiting[last.symbol] = kept
        for intent in waiting:
            if self._has_begun(intent):
                reports.append(Canceled(intent.client_order_id, intent.symbol, at_ms, "position is flat"))
                self._forget(intent)

    def _rested(self, intent: OrderIntent, candle: Candle, reports: list[ExecutionReport]) -> None:
        """Rule 5, once it has arrived and as far as the volume goes."""
        extreme = candle.low if intent.side is Side.BUY else candle.high
        arrived = candle.opened_at_ms >= intent.decided_at_ms + self._limit_delay_ms
        price, part = intent.limit_price, 0.0
        if arrived and price is not None and price_beyond(intent, extreme, strictly=True):
            part = self._cut(intent.symbol, intent.quantity)
        if price is None or part <= 0:
            self._wait(intent)
            return
        at_ms = candle.opened_at_ms + MINUTE_MS - 1
        fill = self._fill(intent, part, (price, self.costs.maker_fee(part * price), UNMOVED), at_ms, reports)
        if part < intent.quantity:
            self._keep_or_cancel(intent, at_ms, reports)
        self._protect(intent, fill, reports)
        self._worst(candle, reports)

    # --- rule 2: what the bar reaches --------------------------------------------------------------------------

    def _force_at_open(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """What an exchange closes by force at the open of a bar: nothing without a margin rule."""

    def _worst(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """What a bar reaches that is against us: stops."""
        while (stop := self._first_reached(candle, OrderType.STOP)) is not None:
            self._trigger(stop, candle, reports)

    def _targets(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """Targets that a bar reaches."""
        while (target := self._first_reached(candle, OrderType.TAKE_PROFIT)) is not None:
            self._trigger(target, candle, reports)

    def _first_reached(self, candle: Candle, kind: OrderType) -> OrderIntent | None:
        for intent in self._protective.get(candle.symbol, ()):
            if intent.type is kind and reached_at(intent, candle) is not None:
                return intent
        return None

    def _trigger(self, intent: OrderIntent, candle: Candle, reports: list[ExecutionReport]) -> None:
        """A protective order is reached: it trades at market, and is at work until it is done."""
        base = reached_at(intent, candle)
        if base is None:
            return
        at_ms = candle.opened_at_ms + MINUTE_MS - 1
        self._reached.add(intent.client_order_id)
        self._take(intent, base, candle, at_ms, reports)
        if intent.symbol in self._held:
            whole = not self._has_begun(intent)
            self._retire(intent, at_ms, reports, "its twin filled" if whole else "its twin was reached")

    # --- restarts ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs beside orders and positions, as JSON values; only between two minutes."""
        return {
            "reached": sorted(self._reached),
            "frictions": {symbol: one.snapshot() for symbol, one in self._frictions.items()},
        }

    def recover(
        self,
        orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        seen_ms: Mapping[Symbol, int],
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Rebuild the book after a restart; what a state does not have begins anew."""
        known = state or {}
        self._late.clear()
        self._reached = set(known.get("reached", ()))
        self._filled = {
            record.intent.client_order_id: record.filled_quantity
            for record in orders
            if record.filled_quantity
        }
        super().recover(orders, positions, seen_ms)
        for waiting in self._waiting.values():
            waiting.sort(key=_is_decided)
        for symbol, one in self._frictions.items():
            one.restore(known.get("frictions", {}).get(symbol, {}))

    def _open_part(self, record: OrderRecord) -> OrderIntent:
        return record.intent

    def _is_working(self, intent: OrderIntent) -> bool:
        return super()._is_working(intent) or self._has_begun(intent)


def _is_decided(intent: OrderIntent) -> bool:
    return intent.type is OrderType.MARKET or intent.type is OrderType.LIMIT
