"""Money: cash, positions, and what they are worth together.

For a perpetual, cash is the wallet balance and a position is worth its unrealized gain. On spot, cash pays for
the whole notional and a position is worth its quantity times the price. Either way equity is cash plus the
worth of all positions, and it changes only by price, fee and funding.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from operator import add
from typing import Any, TypeAlias

from bot.core.market import Instrument, InstrumentKind, Symbol
from bot.core.orders import Adopted, Fill, Funding
from bot.core.position import Position, Trade, adopted_position, apply_fill
from bot.errors import EngineProtocolError

Kept: TypeAlias = tuple[float, float, float, int, dict[Symbol, Position]]
"""All of an account that a report may change."""


class Account:
    """Cash and positions of one account in one quote currency.

    Attributes:
        starting_cash: What it began with.
        cash: Wallet balance (perpetuals) or money not spent (spot), quote currency.
        fees_paid: Sum of all fees.
        funding_paid: Sum of all funding (negative when received).
        trade_count: Round trips done.
    """

    def __init__(self, starting_cash: float, instruments: dict[Symbol, Instrument]) -> None:
        self.starting_cash = starting_cash
        self.cash = starting_cash
        self.fees_paid = 0.0
        self.funding_paid = 0.0
        self.trade_count = 0
        self._is_spot = {name: rules.kind is InstrumentKind.SPOT for name, rules in instruments.items()}
        self._flat = {name: Position(name) for name in instruments}
        self._held: dict[Symbol, Position] = {}
        self._marks: dict[Symbol, float] = {}

    @property
    def has_positions(self) -> bool:
        """Whether anything is held."""
        return bool(self._held)

    def position(self, symbol: Symbol) -> Position:
        """What is held of a symbol, flat included."""
        return self._held.get(symbol) or self._flat[symbol]

    def positions(self) -> list[Position]:
        """Every open position, by name of symbol."""
        return list(self._held.values())

    def mark(self, symbol: Symbol, price: float) -> None:
        """Take note of a symbol's latest price."""
        self._marks[symbol] = price

    def mark_price(self, symbol: Symbol) -> float:
        """The latest price of a symbol, or its entry price when none was seen."""
        return self._marks.get(symbol) or self.position(symbol).entry_price

    def value(self, symbol: Symbol) -> float:
        """What the position in a symbol is worth at its mark."""
        position = self._held.get(symbol)
        if position is None:
            return 0.0
        price = self.mark_price(symbol)
        return position.quantity * price if self._is_spot[symbol] else position.unrealized(price)

    def equity(self) -> float:
        """Cash plus what all positions are worth."""
        total = self.cash
        for symbol, position in self._held.items():
            price = self._marks.get(symbol) or position.entry_price
            if self._is_spot[symbol]:
                total += position.quantity * price
            else:
                total += position.quantity * (price - position.entry_price)
        return total

    def over(
        self, closes: Mapping[Symbol, Sequence[float]], count: int
    ) -> tuple[Sequence[float], Sequence[float]]:
        """``equity`` and ``total_notional`` at each of some minutes, as if they had been marked one after the other.

        Args:
            closes: The prices of those symbols that had candles, one a minute.
            count: How many minutes.
        """
        if not self._held:
            return array("d", [self.cash]) * count, array("d", [0.0]) * count
        equities: list[float] = []
        notionals: list[float] = []
        for place, (symbol, position) in enumerate(self._held.items()):
            entry, quantity, size = position.entry_price, position.quantity, abs(position.quantity)
            prices = closes.get(symbol) or [self.mark_price(symbol)] * count
            worths = (
                [quantity * price for price in prices]
                if self._is_spot[symbol]
                else [quantity * (price - entry) for price in prices]
            )
            sizes = [size * price for price in prices]
            if place == 0:
                cash = self.cash
                equities, notionals = [cash + worth for worth in worths], sizes
            else:
                equities = list(map(add, equities, worths))
                notionals = list(map(add, notionals, sizes))
        return equities, notionals

    def notional(self, symbol: Symbol) -> float:
        """Absolute size of the position in a symbol at its mark, quote currency."""
        position = self._held.get(symbol)
        return 0.0 if position is None else abs(position.quantity) * self.mark_price(symbol)

    def total_notional(self) -> float:
        """Absolute size of all positions together, quote currency."""
        total = 0.0
        for symbol, position in self._held.items():
            total += abs(position.quantity) * (self._marks.get(symbol) or position.entry_price)
        return total

    def apply_fill(self, fill: Fill, exit_reason: str) -> Trade | None:
        """Book a fill; returns the trade if it made the position flat.

        Raises:
            EngineProtocolError: A symbol that is not ours, or a short position on spot.
        """
        if fill.symbol not in self._flat:
            raise EngineProtocolError(f"a fill of {fill.symbol}, which is not traded here")
        before = self.position(fill.symbol)
        after, gain, trade = apply_fill(before, fill, exit_reason)
        if self._is_spot[fill.symbol]:
            if after.quantity < 0:
                raise EngineProtocolError(f"a fill would make {fill.symbol} short, which spot cannot be")
            self.cash -= fill.side.sign * fill.quantity * fill.price
        else:
            self.cash += gain
        self.cash -= fill.fee
        self.fees_paid += fill.fee
        if after.is_flat:
            self._held.pop(fill.symbol, None)
        elif fill.symbol in self._held:
            self._held[fill.symbol] = after
        else:  # kept by name of symbol: sums then come out the same in every run
            self._held = dict(sorted({**self._held, fill.symbol: after}.items()))
        self.trade_count += trade is not None
        return trade

    def apply_funding(self, funding: Funding) -> float:
        """Book a funding time; returns what was paid (negative: received).

        Binance USD-M rule: payment = position notional at the mark price times the rate; longs pay a positive
        rate. What an exchange says that it booked is booked as it is, held or not: its word may come late.
        """
        position = self._held.get(funding.symbol)
        if funding.paid is not None:
            paid = funding.paid
        elif position is None or self._is_spot[funding.symbol]:
            return 0.0
        else:
            paid = position.quantity * funding.mark_price * funding.rate
        self.cash -= paid
        self.funding_paid += paid
        if position is not None:
            self._held[funding.symbol] = position.with_funding(paid)
        return paid

    def adopt(self, adopted: Adopted) -> None:
        """Take a position as ours that was there before; no money moves.

        Raises:
            EngineProtocolError: A symbol that is not ours, one of which something is held, or spot held short.
        """
        flat = self._flat.get(adopted.symbol)
        if flat is None or adopted.symbol in self._held or not adopted.price > 0:
            raise EngineProtocolError(
                f"a position in {adopted.symbol} can't be adopted: one is held, or none can be"
            )
        if adopted.quantity == 0.0 or (self._is_spot[adopted.symbol] and adopted.quantity < 0):
            raise EngineProtocolError(f"{adopted.quantity} of {adopted.symbol} can't be adopted")
        position = adopted_position(adopted)
        self._held = dict(sorted({**self._held, adopted.symbol: position}.items()))

    def kept(self) -> Kept:
        """The account as it is, to be put back if what follows fails."""
        return self.cash, self.fees_paid, self.funding_paid, self.trade_count, self._held.copy()

    def put_back(self, kept: Kept) -> None:
        """Undo what was booked since ``kept``."""
        self.cash, self.fees_paid, self.funding_paid, self.trade_count, self._held = kept

    def snapshot(self) -> dict[str, Any]:
        """The account as JSON values."""
        return {
            "starting_cash": self.starting_cash,
            "cash": self.cash,
            "fees_paid": self.fees_paid,
            "funding_paid": self.funding_paid,
            "trade_count": self.trade_count,
            "positions": [list(position) for position in self.positions()],
            "marks": dict(self._marks),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""
        self.starting_cash = state["starting_cash"]
        self.cash = state["cash"]
        self.fees_paid = state["fees_paid"]
        self.funding_paid = state["funding_paid"]
        self.trade_count = state["trade_count"]
        self._held = {row[0]: Position(*row) for row in sorted(state["positions"])}
        self._marks = dict(state["marks"])
