"""How one bar fills orders: the rules of the market, in one place, for every driver.

1. A market order decided on candle t fills at the open of t+1, moved against us by half the spread plus
   slippage; the taker fee is charged on the filled notional. An entry whose next minute has no candle is
   canceled; an exit waits for the next candle there is.
2. Protective orders live from the entry's fill, the entry bar included. When a bar reaches both, the stop is
   taken first. A bar that opens beyond a level fills it at the open. Both trade as market orders once reached.
3. Prices of protective orders are on the tick, quantities on the lot step.
4. A perpetual held over a funding time pays or receives it, before anything else of that bar.
5. A limit order (an entry, post-only) decided on candle t rests from the open of t+1 on. If that open is at its
   price or beyond, it is canceled. It fills when a bar goes through its price, not when it only gets there: at its
   price, with the maker fee, at the bar's last millisecond. In that bar its stop counts and its target does not: the
   high of a bar may be older than the fill. After its minutes, those without a candle counted, it is canceled. Where
   it may fall back, a market order takes its place at the open at which it was canceled, by rule 1.
6. A cancel decided on candle t comes before anything that the next bar does to the order.

Order of events in a bar: funding, market orders and what becomes of limit orders at the open in the order of
submission, protective orders, limit orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.costs import FUNDING_INTERVAL_MS, Costs, FundingRates
from bot.core.decision import CancelWish
from bot.core.entry import LIMIT_EXPIRED, WOULD_CROSS, fallback_intent
from bot.core.market import MINUTE_MS, Candle, Instrument, InstrumentKind, Symbol, quote_of
from bot.core.orders import (
    Accepted,
    ApprovedOrder,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderType,
    Rejected,
    Side,
    protective_id,
)
from bot.core.position import Position, held_after
from bot.core.risk import protective_orders
from bot.errors import EngineProtocolError

__all__ = ["FUNDING_INTERVAL_MS", "BarMatcher", "Costs", "FundingRates"]


class BarMatcher:
    """An exchange reduced to closed bars: takes approved orders, gives reports.

    It keeps market orders until the next bar, limit orders until they fill or are canceled, protective orders until
    one of them is reached or the position is flat.

    It plays by plain costs alone; ``bot.core.friction_matching.matcher_of`` gives the matcher of any costs.

    Raises:
        EngineProtocolError: Costs that are not plain.
    """

    plain = True
    """Whether estimated spreads, impact, participation, latency and liquidation are unknown to it."""

    _limit_delay_ms = 0

    def __init__(self, costs: Costs, instruments: Mapping[Symbol, Instrument], funding: FundingRates) -> None:
        if self.plain and not costs.is_plain:
            raise EngineProtocolError("these costs need the matcher that matcher_of makes")
        self.costs = costs
        self.funding = funding
        self._instruments = dict(instruments)
        self._funded = {s for s, rules in instruments.items() if rules.kind is not InstrumentKind.SPOT}
        self._waiting: dict[Symbol, list[OrderIntent]] = {}
        self._canceling: dict[str, str] = {}
        self._protective: dict[Symbol, list[OrderIntent]] = {}
        self._held: dict[Symbol, float] = {}
        self._seen_ms: dict[Symbol, int] = {}

    def submit(self, order: ApprovedOrder) -> None:
        """Take in an order: a market order fills in the next bar of its symbol, a limit order may."""
        self._waiting.setdefault(order.intent.symbol, []).append(order.intent)

    def cancel(self, wish: CancelWish) -> None:
        """Cancel a limit order at the next open of its symbol; one that is not open any more stays as it is."""
        if any(one.client_order_id == wish.client_order_id for one in self._waiting.get(wish.symbol, ())):
            self._canceling[wish.client_order_id] = wish.reason

    def match(self, candle: Candle) -> list[ExecutionReport]:
        """What a bar does to the orders of its symbol, in the order in which it happens."""
        symbol = candle.symbol
        if symbol not in self._waiting and symbol not in self._held:
            return []
        reports: list[ExecutionReport] = []
        if symbol in self._held and symbol in self._funded:
            self._pay_funding(candle, reports)
        resting = [
            intent for intent in self._waiting.pop(symbol, ()) if self._at_open(intent, candle, reports)
        ]
        if symbol in self._protective:
            self._within(candle, reports)
        for intent in resting:
            self._rested(intent, candle, reports)
        if symbol in self._held:
            self._seen_ms[symbol] = candle.opened_at_ms
        else:
            self._seen_ms.pop(symbol, None)
        return reports

    def _pay_funding(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        seen = self._seen_ms[candle.symbol]
        for paid_at_ms, rate in self.funding.between(candle.symbol, seen, candle.opened_at_ms):
            reports.append(Funding(candle.symbol, rate, candle.open, paid_at_ms))

    def _at_open(self, intent: OrderIntent, candle: Candle, reports: list[ExecutionReport]) -> bool:
        """Rules 1 and 6, and the beginning and end of 5; whether the order rests in this bar."""
        if intent.type is _LIMIT:
            return self._limit_at_open(intent, candle, reports)
        at_ms = candle.opened_at_ms
        identity = (intent.client_order_id, intent.symbol, at_ms)
        if intent.reduce_only:
            held = self._held.get(intent.symbol, 0.0)
            if held == 0.0:
                reports.append(Rejected(*identity, "nothing to reduce"))
            else:
                price = self.costs.market_price(intent.side, candle.open)
                self._execute(intent, min(intent.quantity, abs(held)), price, at_ms, reports)
        elif at_ms != intent.decided_at_ms:
            reports.append(Canceled(*identity, "no candle followed the decision"))
        else:
            price = self.costs.market_price(intent.side, candle.open)
            fill = self._execute(intent, intent.quantity, price, at_ms, reports)
            self._protect(intent, fill, reports)
        return False

    def _limit_at_open(self, intent: OrderIntent, candle: Candle, reports: list[ExecutionReport]) -> bool:
        """What the open of a bar does to a limit order; whether it rests in this bar."""
        wished = self._canceling.pop(intent.client_order_id, LIMIT_EXPIRED)
        at_ms = candle.opened_at_ms
        if wished != LIMIT_EXPIRED:
            reports.append(Canceled(intent.client_order_id, intent.symbol, at_ms, wished))
        elif intent.expires_at_ms is not None and at_ms >= intent.expires_at_ms:
            self._give_up(intent, candle, intent.expires_at_ms, LIMIT_EXPIRED, reports)
        elif at_ms != intent.decided_at_ms + self._limit_delay_ms:
            return True
        elif price_beyond(intent, candle.open, strictly=False):
            self._give_up(intent, candle, at_ms, WOULD_CROSS, reports)
        else:
            reports.append(Accepted(intent.client_order_id, intent.symbol, at_ms))
            return True
        return False

    def _give_up(
        self, limit: OrderIntent, candle: Candle, at_ms: int, reason: str, reports: list[ExecutionReport]
    ) -> None:
        """Cancel a limit order that has not filled; a market order takes its place where it may."""
        canceled = Canceled(limit.client_order_id, limit.symbol, at_ms, reason)
        if not limit.taker_fallback:
            reports.append(canceled)
            return
        market = fallback_intent(limit, at_ms)
        reports += (Accepted(market.client_order_id, market.symbol, at_ms, market), canceled)
        self._at_open(market, candle, reports)

    def _rested(self, intent: OrderIntent, candle: Candle, reports: list[ExecutionReport]) -> None:
        """Rule 5: a bar goes through the price of a limit order, or the order rests on."""
        extreme = candle.low if intent.side is Side.BUY else candle.high
        if intent.limit_price is None or not price_beyond(intent, extreme, strictly=True):
            self._waiting.setdefault(intent.symbol, []).append(intent)
            return
        inside = candle.opened_at_ms + MINUTE_MS - 1
        fill = self._execute(intent, intent.quantity, intent.limit_price, inside, reports)
        self._protect(intent, fill, reports)
        self._within(candle, reports, born_of=intent)

    def _protect(self, entry: OrderIntent, fill: Fill, reports: list[ExecutionReport]) -> None:
        """Rule 2, first sentence."""
        orders = protective_orders(entry, fill, self._instruments[entry.symbol])
        for order in orders:
            intent = order.intent
            self._rest(intent)
            reports.append(Accepted(intent.client_order_id, intent.symbol, fill.filled_at_ms, intent))

    def _rest(self, intent: OrderIntent) -> None:
        """Keep a protective order, stops before targets."""
        book = self._protective.setdefault(intent.symbol, [])
        book.append(intent)
        book.sort(key=_is_target)

    def _within(
        self, candle: Candle, reports: list[ExecutionReport], born_of: OrderIntent | None = None
    ) -> None:
        """Rule 2: stops before targets, a gap at the open; of a limit order's own bar only its stop."""
        for intent in self._protective.get(candle.symbol, ()):
            if born_of is not None and intent.client_order_id != protective_id(
                born_of.client_order_id, Leg.STOP
            ):
                continue
            base = reached_at(intent, candle)
            if base is not None:
                held = abs(self._held[candle.symbol])
                inside = candle.opened_at_ms + MINUTE_MS - 1
                price = self.costs.market_price(intent.side, base)
                self._execute(intent, min(intent.quantity, held), price, inside, reports)
                if candle.symbol in self._held:
                    self._retire(intent, inside, reports)
                    if born_of is None:
                        self._within(candle, reports)
                return

    def _retire(
        self,
        done: OrderIntent,
        at_ms: int,
        reports: list[ExecutionReport],
        reason: str = "its twin filled",
    ) -> None:
        """Drop a protective order that filled while something is still held, and cancel its twin."""
        resting = self._protective.pop(done.symbol)
        rest = [other for other in resting if other.client_order_id[:-1] != done.client_order_id[:-1]]
        if rest:
            self._protective[done.symbol] = rest
        reports.extend(
            Canceled(other.client_order_id, other.symbol, at_ms, reason)
            for other in resting
            if other not in rest and other.client_order_id != done.client_order_id
        )

    def _execute(
        self, intent: OrderIntent, quantity: float, price: float, at_ms: int, reports: list[ExecutionReport]
    ) -> Fill:
        """Fill an order, and cancel what protected a position that is now flat."""
        notional = quantity * price
        fill = Fill(
            trade_id=f"{intent.client_order_id}-1",
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            side=intent.side,
            quantity=quantity,
            price=price,
            fee=self.costs.maker_fee(notional) if intent.type is _LIMIT else self.costs.fee(notional),
            fee_asset=quote_of(intent.symbol),
            filled_at_ms=at_ms,
        )
        reports.append(fill)
        if held_after(intent.quantity, -quantity) > 0:
            reports.append(Canceled(intent.client_order_id, intent.symbol, at_ms, "no more was held"))
        held = held_after(self._held.get(intent.symbol, 0.0), quantity * intent.side.sign)
        if held != 0.0:
            self._held[intent.symbol] = held
            return fill
        self._unprotect(intent, at_ms, reports)
        return fill

    def _unprotect(self, last: OrderIntent, at_ms: int, reports: list[ExecutionReport]) -> None:
        """Nothing is held any more: cancel what protected it, but for the order that was the last to fill."""
        self._held.pop(last.symbol, None)
        reports.extend(
            Canceled(other.client_order_id, other.symbol, at_ms, "position is flat")
            for other in self._protective.pop(last.symbol, ())
            if other.client_order_id != last.client_order_id
        )

    def warm(self, candles: Sequence[Candle]) -> None:
        """Show it closed candles of one symbol from before the first that is matched; plain costs ask for none."""

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs beside orders and positions, as JSON values; nothing with plain costs."""
        return {}

    def recover(
        self,
        orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        seen_ms: Mapping[Symbol, int],
        state: Mapping[str, Any] | None = None,  # noqa: ARG002 - there is none with plain costs
    ) -> None:
        """Rebuild the book after a restart.

        Args:
            orders: Every order that may still trade, in the order in which they were made.
            positions: What is held.
            seen_ms: Open time of the last candle matched, per symbol held.
            state: What ``snapshot`` gave.
        """
        self._waiting.clear()
        self._canceling.clear()
        self._protective.clear()
        for record in orders:
            intent = self._open_part(record)
            if self._is_working(intent):
                self._waiting.setdefault(intent.symbol, []).append(intent)
            else:
                self._rest(intent)
            if record.cancel_reason is not None:
                self._canceling[intent.client_order_id] = record.cancel_reason
        self._held = {position.symbol: position.quantity for position in positions}
        self._seen_ms = {symbol: seen_ms[symbol] for symbol in self._held}

    def _open_part(self, record: OrderRecord) -> OrderIntent:
        """What an order may still trade; costs that are not plain may have filled a part of it before the restart."""
        if not record.filled_quantity:
            return record.intent
        return replace(record.intent, quantity=held_after(record.intent.quantity, -record.filled_quantity))

    def _is_working(self, intent: OrderIntent) -> bool:
        """Whether an order is no protective one that waits for its price."""
        return intent.type is OrderType.MARKET or intent.type is _LIMIT


_SELL, _STOP, _LIMIT = Side.SELL, Leg.STOP, OrderType.LIMIT  # read on every bar of a position


def price_beyond(limit: OrderIntent, price: float, *, strictly: bool) -> bool:
    """Whether a price is on the far side of a limit order's, or just at it where that is enough."""
    level = limit.limit_price
    if level is None:
        return False
    if price == level:
        return not strictly
    return (price < level) == (limit.side is not _SELL)


def _is_target(intent: OrderIntent) -> bool:
    return intent.type is not OrderType.STOP


def reached_at(intent: OrderIntent, candle: Candle) -> float | None:
    """The price at which a bar triggers a protective order, or None.

    A selling stop and a buying target trigger from above, the other two from below.
    """
    level = intent.stop_price
    if level is None:
        return None
    if (intent.side is _SELL) == (intent.leg is _STOP):
        return min(candle.open, level) if candle.low <= level else None
    return max(candle.open, level) if candle.high >= level else None
