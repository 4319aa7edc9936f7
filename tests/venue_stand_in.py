"""A gateway without a network, straight over a simulated account: for quick tests of what trades through one.

It keeps the contract of ``OrderGateway`` and says what ``CcxtGateway`` says of the same account (tests/contracts). Its
answers can be lost before or after they were carried out, questions left open, and its stream taken down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.brokers.ccxt_orders import NOT_EXACT, WOULD_TRIGGER, is_conditional
from bot.core.entry import WOULD_CROSS
from bot.core.market import Symbol
from bot.core.orders import Fill, OrderIntent, OrderType, Side
from bot.core.venue import (
    CancelOrder,
    CancelRefused,
    CommandFailed,
    FundingSeen,
    LookUpOrder,
    OrderAbsent,
    OrderRefused,
    OrderSeen,
    OrderUncertain,
    PlaceOrder,
    PlacePair,
    ReadState,
    ReadTrades,
    StreamLost,
    StreamRestored,
    TradeSeen,
    VenueCommand,
    VenueEvent,
    VenueState,
    VenueStatus,
)
from bot.simexchange.account import SimAccount
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import (
    AccountEvent,
    Income,
    OrderChanged,
    OrderKind,
    OrderRequest,
    OrderStatus,
    Refusal,
    SimOrder,
    SimTrade,
    TimeInForce,
)

BEFORE, AFTER = "before", "after"
"""When an answer is lost: before the account took the request, or after it carried it out."""

Lose = Callable[[VenueCommand], str | None]

_STATUS = {
    OrderStatus.NEW: VenueStatus.OPEN,
    OrderStatus.PARTIALLY_FILLED: VenueStatus.OPEN,
    OrderStatus.TRIGGERED: VenueStatus.OPEN,
    OrderStatus.FILLED: VenueStatus.FILLED,
    OrderStatus.CANCELED: VenueStatus.CANCELED,
    OrderStatus.EXPIRED: VenueStatus.EXPIRED,
    OrderStatus.REJECTED: VenueStatus.REJECTED,
}
_KINDS = {
    OrderType.MARKET: OrderKind.MARKET,
    OrderType.LIMIT: OrderKind.LIMIT,
    OrderType.STOP: OrderKind.STOP_MARKET,
    OrderType.TAKE_PROFIT: OrderKind.TAKE_PROFIT_MARKET,
}


class VenueStandIn:
    """The ``OrderGateway`` port over a ``SimAccount``.

    Args:
        account: What trades; its events are taken from here on.
        market: Spot or perpetuals.
        listings: What is traded, by exchange id.

    Attributes:
        now_ms: Exchange time; the test moves it.
        lose: Says of each command whether its answer is lost, and when; also asked of questions.
        hidden: Client ids of orders that a look-up does not show yet.
        performed: Every command that came in.
    """

    def __init__(
        self, account: SimAccount, market: Market, listings: Mapping[str, Listing], *, now_ms: int = 0
    ) -> None:
        self.account = account
        self.market = market
        self.now_ms = now_ms
        self.lose: Lose = lambda _: None
        self.hidden: set[str] = set()
        self.performed: list[VenueCommand] = []
        self._listings = dict(listings)
        self._names = {listing.unified(market): name for name, listing in self._listings.items()}
        self._symbols = {name: symbol for symbol, name in self._names.items()}
        self._deliver: Callable[[VenueEvent], None] | None = None
        self._down: asyncio.Event | None = None

    # --- the port -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Nothing to read."""

    async def synchronise(self) -> None:
        """There is one clock."""

    async def close(self) -> None:
        """Nothing to close."""

    async def perform(self, command: VenueCommand) -> Sequence[VenueEvent]:
        """Carry out a command at once; what it brought about is on the stream before the answer is."""
        self.performed.append(command)
        lost = self.lose(command)
        if lost == BEFORE:
            return self._unanswered(command)
        answer = self._answer(command)
        self.tell()
        return self._unanswered(command) if lost == AFTER else answer

    async def watch(self, deliver: Callable[[VenueEvent], None]) -> None:
        """Deliver what ``tell`` finds until cancelled."""
        self._deliver = deliver
        deliver(StreamRestored(self.now_ms))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._deliver = None

    # --- what a test does with it -------------------------------------------------------------------------

    def tell(self) -> None:
        """Deliver what happened to the account since; unheard where nobody watches or the stream is down."""
        for event in self.account.take_events():
            for told in self._told(event):
                if self._deliver is not None and self._down is None:
                    self._deliver(told)

    def take_stream_down(self, reason: str = "cut by the test") -> None:
        """What happens from now on is not heard of."""
        self.tell()
        self._down = asyncio.Event()
        if self._deliver is not None:
            self._deliver(StreamLost(self.now_ms, reason))

    def bring_stream_up(self) -> None:
        """What happens from now on is heard of again; what happened meanwhile was missed."""
        self.account.take_events()
        self._down = None
        if self._deliver is not None:
            self._deliver(StreamRestored(self.now_ms))

    # --- commands -----------------------------------------------------------------------------------------

    def _answer(self, command: VenueCommand) -> list[VenueEvent]:
        if isinstance(command, PlaceOrder):
            return [self._place(command.intent)]
        if isinstance(command, PlacePair):
            return self._place_pair(command.stop, command.target)
        if isinstance(command, CancelOrder):
            return [self._cancel(command.intent)]
        if isinstance(command, LookUpOrder):
            return [self._look_up(command.intent)]
        if isinstance(command, ReadTrades):
            return [*self._trades(command.symbol, command.since_ms)]
        return [self._state(command)]

    def _unanswered(self, command: VenueCommand) -> list[VenueEvent]:
        intents: list[OrderIntent] = []
        if isinstance(command, (PlaceOrder, CancelOrder)):
            intents = [command.intent]
        elif isinstance(command, PlacePair):
            intents = [command.stop, command.target]
        if not intents:
            return [CommandFailed(command, self.now_ms, "no answer")]
        return [OrderUncertain(one.client_order_id, one.symbol, self.now_ms, "no answer") for one in intents]

    def _place(self, intent: OrderIntent) -> VenueEvent:
        if self._inexact(intent):
            return self._refused(intent, NOT_EXACT, "not on the step")
        try:
            return self._seen(self.account.place(self._request(intent), self.now_ms), intent.client_order_id)
        except Refusal as refusal:
            return self._not_placed(intent, refusal)

    def _place_pair(self, stop: OrderIntent, target: OrderIntent) -> list[VenueEvent]:
        pair = (stop, target)
        if self.market is not Market.SPOT:
            return [self._refused(intent, "not_supported", "no pairs here") for intent in pair]
        if any(map(self._inexact, pair)) or stop.quantity != target.quantity:
            return [self._refused(intent, NOT_EXACT, "not on the step") for intent in pair]
        list_id = stop.client_order_id[:-1] + "o"
        try:
            asked = (self._request(stop), self._request(target))
            _, first, second = self.account.place_pair(*asked, list_id, self.now_ms)
        except Refusal as refusal:
            return [self._not_placed(intent, refusal) for intent in pair]
        return [self._seen(first, stop.client_order_id), self._seen(second, target.client_order_id)]

    def _cancel(self, intent: OrderIntent) -> VenueEvent:
        try:
            order = self.account.cancel(**self._named(intent), now_ms=self.now_ms)
        except Refusal as refusal:
            text = str(refusal)
            return CancelRefused(intent.client_order_id, intent.symbol, self.now_ms, str(refusal.code), text)
        return self._seen(order, intent.client_order_id)

    def _look_up(self, intent: OrderIntent) -> VenueEvent:
        try:
            if intent.client_order_id in self.hidden:
                raise Refusal(-2013, "Order does not exist.")
            order = self.account.find(**self._named(intent))
        except Refusal:
            return OrderAbsent(intent.client_order_id, intent.symbol, self.now_ms)
        if self._is_algo(order) and order.triggered_order_id:
            order = self.account.find(self._names[intent.symbol], order_id=order.triggered_order_id)
        return self._seen(order, intent.client_order_id)

    def _state(self, command: ReadState) -> VenueState:
        open_orders = self.account.open_orders()
        if self.market is Market.USDM:
            open_orders += self.account.open_orders(conditional=True)
        trades = [
            one for symbol, since in sorted(command.since_ms.items()) for one in self._trades(symbol, since)
        ]
        trades.sort(key=lambda trade: trade.fill.filled_at_ms)
        balances = {balance.asset: balance.free + balance.locked for balance in self.account.balances()}
        held = {one.symbol: one for one in self.account.positions() if one.quantity}
        positions = {self._symbols[name]: one.quantity for name, one in held.items()}
        if self.market is Market.SPOT:
            owned = {symbol: balances.get(symbol.split("/")[0], 0.0) for symbol in self._names}
            positions = {symbol: amount for symbol, amount in owned.items() if amount}
        return VenueState(
            at_ms=self.now_ms,
            orders=tuple(self._seen(order, order.request.client_order_id) for order in open_orders),
            trades=tuple(trades),
            fundings=tuple(self._fundings(command.since_ms)),
            positions=positions,
            wallet=balances.get(next(iter(self._listings.values())).quote, 0.0),
            entry_prices={self._symbols[name]: one.entry_price for name, one in held.items()},
        )

    # --- their words --------------------------------------------------------------------------------------

    def _told(self, event: AccountEvent) -> list[VenueEvent]:
        if not isinstance(event, OrderChanged):
            return []
        order = event.order
        told: list[VenueEvent] = [] if event.trade is None else [self._trade(event.trade)]
        if not (self._is_algo(order) and order.status is OrderStatus.FINISHED):
            told.append(self._seen(order, order.request.client_order_id))
        return told

    def _seen(self, order: SimOrder, client_order_id: str) -> OrderSeen:
        status = _STATUS[order.status]
        unexpected = status in {VenueStatus.EXPIRED, VenueStatus.REJECTED}
        return OrderSeen(
            client_order_id=client_order_id,
            symbol=self._symbols[order.request.symbol],
            at_ms=order.updated_at_ms,
            exchange_id=str(order.order_id),
            status=status,
            filled_quantity=0.0 if self._is_algo(order) else order.executed_quantity,
            quantity=order.request.quantity,
            reason=order.reason if unexpected else "",
        )

    def _trade(self, trade: SimTrade) -> TradeSeen:
        symbol = self._symbols[trade.symbol]
        fill = Fill(
            trade_id=f"{trade.symbol}-{trade.trade_id}",
            client_order_id=trade.client_order_id,
            symbol=symbol,
            side=Side(trade.side.lower()),
            quantity=trade.quantity,
            price=trade.price,
            fee=trade.fee,
            fee_asset=trade.fee_asset,
            filled_at_ms=trade.at_ms,
        )
        return TradeSeen(fill, str(trade.order_id))

    def _trades(self, symbol: Symbol, since_ms: int) -> list[TradeSeen]:
        rows = self.account.trades(self._names[symbol], since_ms=since_ms, limit=10**9)
        return [self._trade(one) for one in rows]

    def _fundings(self, since_ms: Mapping[Symbol, int]) -> list[FundingSeen]:
        found: list[Income] = []
        for symbol, since in since_ms.items():
            found += self.account.income(
                symbol=self._names[symbol], kind="FUNDING_FEE", since_ms=since, limit=10**9
            )
        found.sort(key=lambda line: line.at_ms)
        return [
            FundingSeen(str(line.income_id), self._symbols[line.symbol], 0.0 - line.amount, line.at_ms)
            for line in found
        ]

    def _request(self, intent: OrderIntent) -> OrderRequest:
        return OrderRequest(
            symbol=self._names[intent.symbol],
            side=intent.side.value.upper(),
            kind=_KINDS[intent.type],
            quantity=intent.quantity,
            client_order_id=intent.client_order_id,
            price=intent.limit_price,
            stop_price=intent.stop_price,
            time_in_force=TimeInForce.GTX if intent.type is OrderType.LIMIT else TimeInForce.GTC,
            reduce_only=intent.reduce_only and self.market is Market.USDM,
        )

    def _named(self, intent: OrderIntent) -> dict[str, Any]:
        return {
            "symbol": self._names[intent.symbol],
            "client_order_id": intent.client_order_id,
            "conditional": self.market is Market.USDM and is_conditional(intent),
        }

    def _is_algo(self, order: SimOrder) -> bool:
        return self.market is Market.USDM and order.request.is_conditional

    def _inexact(self, intent: OrderIntent) -> bool:
        listing = self._listings[self._names[intent.symbol]]
        pairs = [
            (intent.quantity, listing.step),
            (intent.stop_price, listing.tick),
            (intent.limit_price, listing.tick),
        ]
        return any(
            value is not None and abs(value / step - round(value / step)) > 1e-6 for value, step in pairs
        )

    def _not_placed(self, intent: OrderIntent, refusal: Refusal) -> VenueEvent:
        text, code = str(refusal), str(refusal.code)
        if "uplicate" in text:
            return OrderUncertain(intent.client_order_id, intent.symbol, self.now_ms, text)
        if intent.type is OrderType.LIMIT and (code == "-5022" or "immediately match" in text):
            code = WOULD_CROSS
        elif is_conditional(intent) and (code == "-2021" or "trigger immediately" in text):
            code = WOULD_TRIGGER
        return self._refused(intent, code, text)

    def _refused(self, intent: OrderIntent, code: str, text: str) -> OrderRefused:
        return OrderRefused(intent.client_order_id, intent.symbol, self.now_ms, code, text)
