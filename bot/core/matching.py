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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
)
from bot.core.position import Position, held_after
from bot.core.risk import protective_orders

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
        tables: Per symbol: rate by payment time, which must be cut to the whole minute.
    """

    constant: float
    tables: dict[Symbol, dict[int, float]] = field(default_factory=dict)

    def between(self, symbol: Symbol, after_ms: int, until_ms: int) -> list[tuple[int, float]]:
        """Payment times with after_ms < time <= until_ms, and their rates, in order."""
        table = self.tables.get(symbol)
        if table is not None:
            next_ms = (after_ms // MINUTE_MS + 1) * MINUTE_MS
            return [(at, table[at]) for at in range(next_ms, until_ms + 1, MINUTE_MS) if at in table]
        first = after_ms // FUNDING_INTERVAL_MS + 1
        last = until_ms // FUNDING_INTERVAL_MS
        if first > last:  # nearly always
            return []
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
        self._funded = {s for s, rules in instruments.items() if rules.kind is not InstrumentKind.SPOT}
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
        if symbol in self._held and symbol in self._funded:
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
            self._rest(intent)
            reports.append(Accepted(intent.client_order_id, intent.symbol, fill.filled_at_ms, intent))

    def _rest(self, intent: OrderIntent) -> None:
        """Keep a protective order, stops before targets."""
        book = self._protective.setdefault(intent.symbol, [])
        book.append(intent)
        book.sort(key=_is_target)

    def _within(self, candle: Candle, reports: list[ExecutionReport]) -> None:
        """Rule 2: stops before targets, a gap at the open."""
        for intent in self._protective.get(candle.symbol, ()):
            price = _reached(intent, candle)
            if price is not None:
                held = abs(self._held[candle.symbol])
                inside = candle.opened_at_ms + MINUTE_MS - 1
                self._execute(intent, min(intent.quantity, held), price, inside, reports)
                if candle.symbol in self._held:
                    self._retire(intent, inside, reports)
                    self._within(candle, reports)
                return

    def _retire(self, done: OrderIntent, at_ms: int, reports: list[ExecutionReport]) -> None:
        """Drop a protective order that filled while something is still held, and cancel its twin."""
        resting = self._protective.pop(done.symbol)
        rest = [other for other in resting if other.client_order_id[:-1] != done.client_order_id[:-1]]
        if rest:
            self._protective[done.symbol] = rest
        reports.extend(
            Canceled(other.client_order_id, other.symbol, at_ms, "its twin filled")
            for other in resting
            if other not in rest and other.client_order_id != done.client_order_id
        )

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
        if held_after(intent.quantity, -quantity) > 0:
            reports.append(Canceled(intent.client_order_id, intent.symbol, at_ms, "no more was held"))
        held = held_after(self._held.get(intent.symbol, 0.0), quantity * intent.side.sign)
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

    def recover(
        self, orders: Sequence[OrderRecord], positions: Sequence[Position], seen_ms: Mapping[Symbol, int]
    ) -> None:
        """Rebuild the book after a restart.

        Args:
            orders: Every order that may still trade, in the order in which they were made.
            positions: What is held.
            seen_ms: Open time of the last candle matched, per symbol held.
        """
        self._market.clear()
        self._protective.clear()
        for record in orders:
            intent = record.intent
            if intent.type is OrderType.MARKET:
                self._market.setdefault(intent.symbol, []).append(intent)
            else:
                self._rest(intent)
        self._held = {position.symbol: position.quantity for position in positions}
        self._seen_ms = {symbol: seen_ms[symbol] for symbol in self._held}


_SELL, _STOP = Side.SELL, Leg.STOP  # read on every bar of a position


def _is_target(intent: OrderIntent) -> bool:
    return intent.type is not OrderType.STOP


def _reached(intent: OrderIntent, candle: Candle) -> float | None:
    """The price at which a bar triggers a protective order, or None.

    A selling stop and a buying target trigger from above, the other two from below.
    """
    level = intent.stop_price
    if level is None:
        return None
    if (intent.side is _SELL) == (intent.leg is _STOP):
        return min(candle.open, level) if candle.low <= level else None
    return max(candle.open, level) if candle.high >= level else None
