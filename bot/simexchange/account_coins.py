"""Money on spot: coins owned, of which open orders lock a part.

Fees are charged in the quote currency, on either side (Binance takes a buyer's fee from what was bought, unless it is
paid in BNB): so a bought quantity can be sold whole. An open buying order therefore locks its maker fee as well.
"""

from __future__ import annotations

from typing import Any

from bot.core.position import held_after
from bot.simexchange.account_book import OrderBook
from bot.simexchange.account_ledger import PriceNow
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import (
    AccountChanged,
    AccountTerms,
    OrderRequest,
    Refusal,
    SimBalance,
    SimOrder,
    SimPosition,
)

_SHORT = "Account has insufficient balance for requested action."


class CoinLedger:
    """How much of each asset is owned; what is locked follows from the open orders, so that it never drifts."""

    def __init__(self, terms: AccountTerms, book: OrderBook) -> None:
        self._book = book
        self._listings = terms.listings
        self._fee_share = terms.maker_fee_bps / 10_000
        self._owned = dict(terms.balances)

    def admit(self, request: OrderRequest, fill: float | None, fee: float, _price: PriceNow, /) -> None:
        """Refuse an order for which the free coins or the free money do not suffice."""
        asset, amount = self._needed(request, request.quantity, fill, fee)
        if amount > self.free(asset):
            raise Refusal(-2010, _SHORT)

    def covers(self, order: SimOrder, fill: float, fee: float, _price: PriceNow, /) -> str:
        """Why a triggered order can't execute: its price ran further away than what it had locked."""
        asset, amount = self._needed(order.request, order.remaining, fill, fee)
        own = self._locks(order)
        freed = own[1] if own[0] == asset else 0.0
        return "" if amount <= self.free(asset) + freed else _SHORT

    def available_to(self, order: SimOrder) -> float:
        """All that is left of it."""
        return order.remaining

    def book(self, listing: Listing, side: str, quantity: float, price: float, fee: float) -> float:
        """Swap money for coins, or back; spot realizes nothing."""
        signed = quantity if side == "BUY" else -quantity
        self._owned[listing.base] = held_after(self._owned.get(listing.base, 0.0), signed)
        money = self._owned.get(listing.quote, 0.0)
        money -= signed * price
        self._owned[listing.quote] = money - fee
        return 0.0

    def changed(self, listing: Listing, reason: str, at_ms: int) -> AccountChanged:
        """Both assets of the symbol."""
        assets = sorted({listing.base, listing.quote})
        return AccountChanged(reason, at_ms, tuple(self._balance(asset) for asset in assets))

    def balances(self) -> list[SimBalance]:
        """Every asset that there was ever some of."""
        return [self._balance(asset) for asset in sorted(self._owned)]

    def positions(self) -> list[SimPosition]:
        """None: what spot holds are balances."""
        return []

    def free(self, asset: str) -> float:
        """What of an asset no open order locks."""
        owned, locked = self._owned.get(asset, 0.0), self.locked(asset)
        return held_after(owned, -locked) if locked else owned  # money that is not locked keeps every digit

    def locked(self, asset: str) -> float:
        """What of an asset open orders lock; a pair locks once, by the order of it that needs more."""
        single, pairs = 0.0, dict[int, float]()
        for order in self._book.open_orders():
            name, amount = self._locks(order)
            if name != asset:
                continue
            if order.list_id < 0:
                single += amount
            else:
                pairs[order.list_id] = max(amount, pairs.get(order.list_id, 0.0))
        return single + sum(pairs.values())

    def state(self) -> dict[str, Any]:
        """What is owned."""
        return {"owned": dict(self._owned)}

    def load(self, state: dict[str, Any]) -> None:
        """Own that."""
        self._owned = dict(state["owned"])

    def _balance(self, asset: str) -> SimBalance:
        return SimBalance(asset, self.free(asset), self.locked(asset))

    def _locks(self, order: SimOrder) -> tuple[str, float]:
        return self._needed(order.request, order.remaining, None, 0.0)

    def _needed(
        self, request: OrderRequest, quantity: float, fill: float | None, fee: float
    ) -> tuple[str, float]:
        """The asset that an order is paid with and how much of it; without ``fill``: while it rests."""
        listing = self._listings[request.symbol]
        if request.side == "SELL":
            return listing.base, quantity
        if fill is not None:
            return listing.quote, quantity * fill + fee
        level = request.price or request.stop_price or 0.0
        return listing.quote, quantity * level * (1 + self._fee_share)
