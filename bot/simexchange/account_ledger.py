"""What the two kinds of money of a simulated account have in common: a margin wallet, and coins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import AccountChanged, OrderRequest, SimBalance, SimOrder, SimPosition

PriceNow: TypeAlias = Callable[[str], float | None]
"""The current price of a symbol; None before the first."""


class Ledger(Protocol):
    """The money of an account; every rule that differs between spot and perpetuals and is about money is in it."""

    def admit(self, request: OrderRequest, fill: float | None, fee: float, price: PriceNow, /) -> None:
        """Refuse a request that the money does not cover; ``fill``: the price at which it would execute at once."""
        ...

    def covers(self, order: SimOrder, fill: float, fee: float, price: PriceNow, /) -> str:
        """Why an order whose trigger was reached can't execute; empty when it can."""
        ...

    def available_to(self, order: SimOrder) -> float:
        """How much of an order's rest may execute, base units: a reducing one closes no more than is held."""
        ...

    def book(self, listing: Listing, side: str, quantity: float, price: float, fee: float) -> float:
        """Book an execution; returns the gain that it realized, before its fee (0 on spot)."""
        ...

    def changed(self, listing: Listing, reason: str, at_ms: int) -> AccountChanged:
        """What a stream tells after something of a symbol was booked."""
        ...

    def balances(self) -> list[SimBalance]:
        """By asset's name."""
        ...

    def positions(self) -> list[SimPosition]:
        """By symbol."""
        ...

    def state(self) -> dict[str, Any]:
        """As JSON values."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` gave."""
        ...
