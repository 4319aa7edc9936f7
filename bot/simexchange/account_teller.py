"""What the private streams tell of the account: its events as Binance's messages, in order. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from bot.simexchange import futures_messages, spot_messages
from bot.simexchange.account import SimAccount
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import AccountChanged, AccountEvent, OrderChanged, SimOrder

Message = dict[str, Any]

ORDERS_OF_A_PAIR = 2


class Teller(Protocol):
    """Turns events into messages."""

    def messages(self, event: AccountEvent) -> Iterator[Message]:
        """The messages of one event; events must come in order, and each once."""
        ...


class FuturesTeller:
    """``ORDER_TRADE_UPDATE``, ``ALGO_UPDATE``, ``ACCOUNT_UPDATE``, and ``TRADE_LITE`` before an execution."""

    def __init__(
        self,
        account: SimAccount,
        price: Callable[[str, int], float | None],
        listings: Mapping[str, Listing],
    ) -> None:
        self._account = account
        self._price = price
        self._listings = listings
        self._wallets = {balance.asset: balance.free for balance in account.balances()}
        self._realized: dict[str, float] = {}

    def messages(self, event: AccountEvent) -> Iterator[Message]:
        """The messages of one event."""
        if isinstance(event, AccountChanged):
            yield self._account_message(event)
            return
        order = event.order
        if order.request.is_conditional:
            yield futures_messages.algo_event(event, self._child(order))
            return
        if event.trade is not None:
            before = self._realized.get(order.request.symbol, 0.0)
            self._realized[order.request.symbol] = before + event.trade.realized
            yield futures_messages.trade_event(event.trade, order)
        yield futures_messages.order_event(event, self._listings[order.request.symbol].quote)

    def _account_message(self, event: AccountChanged) -> Message:
        balances = []
        for balance in event.balances:
            before = self._wallets.get(balance.asset, 0.0)
            self._wallets[balance.asset] = balance.free
            # profits and fees of trades are not counted as a change of the balance
            change = 0.0 if event.reason == "ORDER" else balance.free - before
            balances.append(futures_messages.balance_part(balance, change))
        positions = [
            futures_messages.position_part(
                position,
                self._price(position.symbol, event.at_ms) or position.entry_price,
                self._realized.get(position.symbol, 0.0),
                self._listings[position.symbol].quote,
            )
            for position in event.positions
        ]
        return futures_messages.account_event(event.reason, event.at_ms, balances, positions)

    def _child(self, order: SimOrder) -> SimOrder | None:
        if not order.triggered_order_id:
            return None
        return self._account.find(order.request.symbol, order_id=order.triggered_order_id)


class SpotTeller:
    """``executionReport``, ``outboundAccountPosition``, and ``listStatus`` at the start and the end of a pair.

    Attributes:
        cancel_ids: By order number: the client id of the request that cancels it.
    """

    def __init__(self, account: SimAccount) -> None:
        self.cancel_ids: dict[int, str] = {}
        self._account = account
        self._begun: set[int] = set()
        self._ended: dict[int, set[int]] = {}

    def messages(self, event: AccountEvent) -> Iterator[Message]:
        """The messages of one event."""
        if isinstance(event, AccountChanged):
            yield spot_messages.account_event(event.at_ms, event.balances)
            return
        order = event.order
        if order.list_id >= 0 and event.execution == "NEW" and order.list_id not in self._begun:
            self._begun.add(order.list_id)
            yield self._list_message(event)
        yield spot_messages.order_event(event, self.cancel_id(order))
        if order.list_id >= 0 and not order.is_open and self._is_last(order):
            yield self._list_message(event)

    def cancel_id(self, order: SimOrder) -> str:
        """The client id of the request that canceled an order; of the exchange's own where it gave none."""
        return self.cancel_ids.get(order.order_id) or f"cancel{order.order_id}"

    def _is_last(self, order: SimOrder) -> bool:
        """Whether the end of this order ended its pair."""
        ended = self._ended.setdefault(order.list_id, set())
        ended.add(order.order_id)
        return len(ended) == ORDERS_OF_A_PAIR

    def _list_message(self, event: OrderChanged) -> Message:
        pair = self._account.pair(event.order.list_id)
        ids = (pair.stop_id, pair.target_id)
        orders = [self._account.find(pair.symbol, order_id=number) for number in ids]
        return spot_messages.list_event(pair, orders, event.at_ms, done=not event.order.is_open)
