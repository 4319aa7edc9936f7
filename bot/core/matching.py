"""How one bar fills orders: the rules of the market, in one place, for every driver.

1. A market order decided on candle t fills at the open of t+1, moved against us by half the spread plus
   slippage; the taker fee is charged on the filled notional. An entry whose next minute has no candle is
   canceled; an exit waits for the next candle there is.
2. Protective orders live from the entry's fill, the entry bar included. When a bar reaches both, the stop is
   taken first. A bar that opens beyond a level fills it at the open. Both trade as market orders once reached.
3. Prices of protective orders are on the tick, quantities on the lot step.
4. A perpetual held over a funding time pays or receives it, before anything else of that bar.

Order of events in a bar: funding, market orders in the order of submission, protective orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
    OrderType,
    Rejected,
    Side,
)
from bot.core.records import intent_from_json, intent_to_json
from bot.core.risk import protective_orders, restored

FUNDING_INTERVAL_MS = 8 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs, in basis points of the notional (1 bp = 0.01 %).

    Attributes:
        taker_fee_bps: Fee of a market order.
        half_spread_bps: Half the distance between bid and ask.
        slippage_bps: What a market order moves beyond that.
        funding_rate: Per 8 hours, as a fraction, for a perpetual whose rates are not given.
    """

    taker_fee_bps: float = 4.0
    half_spread_bps: float = 0.5
    slippage_bps: float = 1.0
    funding_rate: float = 0.0001

    @property
    def round_trip(self) -> float:
        """Cost of entering and leaving at market, as a fraction of the notional."""
        return 2 * (self.taker_fee_bps + self.half_spread_bps + self.slippage_bps) / 10_000

    def market_price(self, side: Side, price: float) -> float:
        """A price moved against us by half the spread plus slippage."""
        return price * (1 + side.sign * (self.half_spread_bps + self.slippage_bps) / 10_000)

    def fee(self, notional: float) -> float:
        """The taker fee, quote currency."""
        return notional * self.taker_fee_bps / 10_000


@dataclass(slots=True)
class FundingRates:
    """Which rate is paid when.

    Attributes:
        constant: Rate per 8 hours, paid at 00:00, 08:00 and 16:00 UTC, where a symbol has no table.
        tables: Per symbol: rate by payment time, cut to the whole minute.
    """

    constant: float
    tables: dict[Symbol, dict[int, float]] = field(default_factory=dict)

    def between(self, symbol: Symbol, after_ms: int, until_ms: int) -> list[tuple[int, float]]:
        """Payment times with after_ms < time <= until_ms, and their rates, in order."""
        table = self.tables.get(symbol)
        if table is not None:
            return sorted((at, rate) for at, rate in table.items() if after_ms < at <= until_ms)
        first = after_ms // FUNDING_INTERVAL_MS + 1
        last = until_ms // FUNDING_INTERVAL_MS
        return [(index * FUNDING_INTERVAL_MS, self.constant) for index in range(first, last + 1)]


class BarMatcher:
    """An exchange reduced to closed bars: takes approved orders, gives reports.

    It keeps market orders until the next bar, protective orders until one of them is reached or the position
    is flat.
    """

    def __init__(self, costs: Costs, instruments: Mapping[Symbol, Instrument], funding: FundingRates) -> None:
        self.costs = costs
        self.funding = funding
        self._instruments = dict(instruments)
        self._market: dict[Symbol, list[OrderIntent]] = {}
        self._protective: dict[Symbol, list[OrderIntent]] = {}
        self._held: dict[Symbol, float] = {}
        self._seen_ms: dict[Symbol, int] = {}

    def submit(self, order: ApprovedOrder) -> None:
        """Take in a market order; it fills in the next bar of its symbol."""
        self._market.setdefault(order.intent.symbol, []).append(order.intent)

    def match(self, candle: Candle) -> list[ExecutionReport]:
        """What a bar does to the orders of its symbol, in the order in which it happens."""
        symbol = candle.symbol
        if symbol not in self._market and symbol not in self._held:
            return []
        reports: list[ExecutionReport] = []
        if symbol in self._held:
            self._pay_funding(candle, reports)
        for intent in self._market.pop(symbol, ()):
            self._at_open(intent, candle, reports)
        if symbol in self._protective:
            self._within(candle, reports)
        if symbol in self._held:
            self._seen_ms[symbol] = candle.opened_at_ms
        else:
            self._seen_ms.pop(symbol, None)
        return reports

    def _pay_funding(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        if self._instruments[candle.symbol].kind is InstrumentKind.SPOT:
            return
        seen = self._seen_ms[candle.symbol]
        for paid_at_ms, rate in self.funding.between(candle.symbol, seen, candle.opened_at_ms):
            reports.append(Funding(candle.symbol, rate, candle.open, paid_at_ms))

    def _at_open(self, intent: OrderIntent, candle: Candle, reports: list[ExecutionReport]) -> None:
        """Rule 1."""
        at_ms = candle.opened_at_ms
        identity = (intent.client_order_id, intent.symbol, at_ms)
        if intent.reduce_only:
            held = self._held.get(intent.symbol, 0.0)
            if held == 0.0:
                reports.append(Rejected(*identity, "nothing to reduce"))
                return
            self._execute(intent, min(intent.quantity, abs(held)), candle.open, at_ms, reports)
        elif at_ms != intent.decided_at_ms:
            reports.append(Canceled(*identity, "no candle followed the decision"))
        else:
            fill = self._execute(intent, intent.quantity, candle.open, at_ms, reports)
            self._protect(intent, fill, reports)

    def _protect(self, entry: OrderIntent, fill: Fill, reports: list[ExecutionReport]) -> None:
        """Rule 2, first sentence."""
        orders = protective_orders(entry, fill, self._instruments[entry.symbol])
        for order in orders:
            intent = order.intent
            self._protective.setdefault(entry.symbol, []).append(intent)
            reports.append(Accepted(intent.client_order_id, intent.symbol, fill.filled_at_ms, intent))

    def _within(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """Rule 2: stops before targets, a gap at the open."""
        resting = sorted(
            self._protective[candle.symbol], key=lambda intent: intent.type is not OrderType.STOP
        )
        for intent in resting:
            price = _reached(intent, candle)
            if price is not None:
                held = abs(self._held[candle.symbol])
                inside = candle.opened_at_ms + MINUTE_MS - 1
                self._execute(intent, min(intent.quantity, held), price, inside, reports)
                if candle.symbol not in self._held:
                    return

    def _execute(
        self, intent: OrderIntent, quantity: float, base: float, at_ms: int, reports: list[ExecutionReport]
    ) -> Fill:
        """Fill an order, and cancel what protected a position that is now flat."""
        price = self.costs.market_price(intent.side, base)
        fill = Fill(
            trade_id=f"{intent.client_order_id}-1",
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            side=intent.side,
            quantity=quantity,
            price=price,
            fee=self.costs.fee(quantity * price),
            fee_asset=quote_of(intent.symbol),
            filled_at_ms=at_ms,
        )
        reports.append(fill)
        held = round(self._held.get(intent.symbol, 0.0) + quantity * intent.side.sign, 12)
        if held != 0.0:
            self._held[intent.symbol] = held
            return fill
        self._held.pop(intent.symbol, None)
        reports.extend(
            Canceled(other.client_order_id, other.symbol, at_ms, "position is flat")
            for other in self._protective.pop(intent.symbol, ())
            if other.client_order_id != intent.client_order_id
        )
        return fill

    def snapshot(self) -> dict[str, Any]:
        """Open orders and what is held, as JSON values."""
        return {
            "market": [intent_to_json(intent) for orders in self._market.values() for intent in orders],
            "protective": [
                intent_to_json(intent) for orders in self._protective.values() for intent in orders
            ],
            "held": dict(self._held),
            "seen_ms": dict(self._seen_ms),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""
        self._market.clear()
        self._protective.clear()
        for row in state["market"]:
            self.submit(restored(intent_from_json(row)))
        for row in state["protective"]:
            intent = intent_from_json(row)
            self._protective.setdefault(intent.symbol, []).append(intent)
        self._held = dict(state["held"])
        self._seen_ms = dict(state["seen_ms"])


def _reached(intent: OrderIntent, candle: Candle) -> float | None:
    """The price at which a bar triggers a protective order, or None.

    A selling stop and a buying target trigger from above, the other two from below.
    """
    level = intent.stop_price
    if level is None:
        return None
    falling = (intent.side is Side.SELL) == (intent.leg is Leg.STOP)
    if falling:
        if candle.open <= level:
            return candle.open
        return level if candle.low <= level else None
    if candle.open >= level:
        return candle.open
    return level if candle.high >= level else None
