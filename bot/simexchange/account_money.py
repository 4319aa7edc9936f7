"""Money of the perpetuals: a wallet per quote currency, positions in one-way mode, and the margin that they need.

Margin is that of the initial margin rate ``1 / leverage``, at the current price, of the larger of what is held with all
buying and with all selling orders. Orders that only reduce, and conditional ones before they trigger, need none. There are
no leverage tiers, and nothing is liquidated: a bot's limits have to be far inside of what would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bot.core.position import held_after
from bot.simexchange.account_book import OrderBook
from bot.simexchange.account_ledger import PriceNow
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import (
    AccountChanged,
    AccountTerms,
    OrderKind,
    OrderRequest,
    Refusal,
    SimBalance,
    SimOrder,
    SimPosition,
)

DEFAULT_LEVERAGE, MAX_LEVERAGE = 20, 125
_SHORT = "Margin is insufficient."


@dataclass(slots=True)
class Holding:
    """What is held of a symbol (signed base units, average entry price), and how it is margined."""

    quantity: float = 0.0
    entry_price: float = 0.0
    leverage: int = DEFAULT_LEVERAGE
    isolated: bool = False

    def add(self, signed: float, price: float) -> float:
        """Buy, or sell by a negative quantity, through zero if that is more than is held; returns the gain."""
        held = self.quantity
        if held * signed >= 0:
            self.quantity = round(held + signed, 12)
            spent = self.entry_price * held + price * signed
            self.entry_price = spent / self.quantity if held else price
            return 0.0
        closing = min(abs(signed), abs(held))
        gain = closing * (price - self.entry_price) * (1 if held > 0 else -1)
        self.quantity = held_after(held, signed)
        if self.quantity == 0.0:
            self.entry_price = 0.0
        elif (self.quantity > 0) != (held > 0):
            self.entry_price = price
        return gain


@dataclass(frozen=True, slots=True)
class Margin:
    """What a wallet is worth and what of it is bound, quote currency."""

    wallet: float
    unrealized: float
    position_margin: float
    order_margin: float

    @property
    def available(self) -> float:
        """What new positions may be opened with."""
        return self.wallet + self.unrealized - self.position_margin - self.order_margin


class MarginLedger:
    """Wallets and positions."""

    def __init__(self, terms: AccountTerms, book: OrderBook) -> None:
        self._book = book
        self._listings = terms.listings
        self._wallets = dict(terms.balances)
        self._held = {symbol: Holding() for symbol in terms.listings}

    def holding(self, symbol: str) -> Holding:
        """What is held of a symbol; the object changes with it."""
        return self._held[symbol]

    def margin(self, asset: str, price: PriceNow) -> Margin:
        """How a quote currency stands, its positions at the current prices."""
        wallet = self._wallets.get(asset, 0.0)
        return self._margin(asset, wallet, self._held, self._open_quantities(), price)

    def admit(self, request: OrderRequest, fill: float | None, fee: float, price: PriceNow, /) -> None:
        """Refuse an order that the available balance does not cover, or one to reduce what is not held."""
        if request.is_conditional:  # Binance checks those when they trigger
            return
        if request.only_reduces:
            if self._held[request.symbol].quantity * request.sign >= 0:
                raise Refusal(-2022, "ReduceOnly Order is rejected.")
            return
        if not self._affords(request, request.quantity, fill, fee, price):
            raise Refusal(-2019, _SHORT)

    def covers(self, order: SimOrder, fill: float, fee: float, price: PriceNow, /) -> str:
        """Why the market order of a trigger can't be made."""
        request = order.request
        affordable = request.only_reduces or self._affords(request, order.remaining, fill, fee, price)
        return "" if affordable else _SHORT

    def available_to(self, order: SimOrder) -> float:
        """What is left of an order; of a reducing one no more than is held against it."""
        request = order.request
        if not request.only_reduces:
            return order.remaining
        against = max(0.0, -self._held[request.symbol].quantity * request.sign)
        return against if request.close_position else min(order.remaining, against)

    def book(self, listing: Listing, side: str, quantity: float, price: float, fee: float) -> float:
        """Add an execution to the position; the wallet gets the gain, then pays the fee."""
        gain = self._held[listing.symbol].add(quantity if side == "BUY" else -quantity, price)
        wallet = self._wallets.get(listing.quote, 0.0) + gain
        self._wallets[listing.quote] = wallet - fee
        return gain

    def pay_funding(self, listing: Listing, rate: float, mark_price: float) -> float:
        """Book a funding time; returns what was paid (negative: received), 0 when nothing is held."""
        paid = self._held[listing.symbol].quantity * mark_price * rate
        self._wallets[listing.quote] = self._wallets.get(listing.quote, 0.0) - paid
        return paid

    def changed(self, listing: Listing, reason: str, at_ms: int) -> AccountChanged:
        """The wallet, and the position; without it at a funding time of a crossed one, as on Binance."""
        holding = self._held[listing.symbol]
        wallet = SimBalance(listing.quote, self._wallets.get(listing.quote, 0.0))
        told = reason != "FUNDING_FEE" or holding.isolated
        return AccountChanged(reason, at_ms, (wallet,), (self._position(listing.symbol),) if told else ())

    def balances(self) -> list[SimBalance]:
        """The wallets."""
        return [SimBalance(asset, amount) for asset, amount in sorted(self._wallets.items())]

    def positions(self) -> list[SimPosition]:
        """Of every symbol that is listed, flat ones too: each has its leverage and margin mode."""
        return [self._position(symbol) for symbol in sorted(self._held)]

    def state(self) -> dict[str, Any]:
        """Wallets and positions."""
        held = {symbol: asdict(holding) for symbol, holding in self._held.items() if holding != Holding()}
        return {"wallets": dict(self._wallets), "held": held}

    def load(self, state: dict[str, Any]) -> None:
        """Have those."""
        self._wallets = dict(state["wallets"])
        self._held = {symbol: Holding(**state["held"].get(symbol, {})) for symbol in self._listings}

    def _position(self, symbol: str) -> SimPosition:
        holding = self._held[symbol]
        return SimPosition(symbol, holding.quantity, holding.entry_price, holding.leverage, holding.isolated)

    def _affords(
        self, request: OrderRequest, quantity: float, fill: float | None, fee: float, price: PriceNow
    ) -> bool:
        """Whether the available balance stays at or above zero with an order, or it makes a position smaller."""
        symbol, signed = request.symbol, quantity * request.sign
        if self._held[symbol].quantity * signed < 0 and quantity <= abs(self._held[symbol].quantity):
            return True
        asset = self._listings[symbol].quote
        wallet, held, waiting = self._wallets.get(asset, 0.0), self._held, self._open_quantities()
        if fill is not None:
            after = replace(held[symbol])
            wallet += after.add(signed, fill) - fee
            held = {**held, symbol: after}
        else:
            buys, sells = waiting.get(symbol, (0.0, 0.0))
            waiting[symbol] = (buys + max(signed, 0.0), sells + max(-signed, 0.0))
        return self._margin(asset, wallet, held, waiting, price).available >= 0

    def _margin(
        self,
        asset: str,
        wallet: float,
        held: Mapping[str, Holding],
        waiting: Mapping[str, tuple[float, float]],
        price: PriceNow,
    ) -> Margin:
        """The margin of these positions, with open orders for these base units to buy and to sell."""
        unrealized = positions = orders = 0.0
        for symbol, holding in held.items():
            buys, sells = waiting.get(symbol, (0.0, 0.0))
            if self._listings[symbol].quote != asset or not (holding.quantity or buys or sells):
                continue
            mark = price(symbol) or holding.entry_price
            unrealized += holding.quantity * (mark - holding.entry_price)
            bound = abs(holding.quantity) * mark / holding.leverage
            most = max(abs(holding.quantity + buys), abs(holding.quantity - sells)) * mark / holding.leverage
            positions += bound
            orders += most - bound
        return Margin(wallet, unrealized, positions, orders)

    def _open_quantities(self) -> dict[str, tuple[float, float]]:
        """Base units that open limit orders would buy and sell, by symbol."""
        waiting: dict[str, tuple[float, float]] = {}
        for order in self._book.open_orders(conditional=False):
            request = order.request
            if request.only_reduces or request.kind is not OrderKind.LIMIT:
                continue
            buys, sells = waiting.get(request.symbol, (0.0, 0.0))
            if request.side == "BUY":
                waiting[request.symbol] = (buys + order.remaining, sells)
            else:
                waiting[request.symbol] = (buys, sells + order.remaining)
        return waiting
