"""The account as the exchange's margin rules see it: every fill and funding booked the moment it happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bot.core.account import Account
from bot.core.liquidation import MarginMode, MarginRule, liquidation_price
from bot.core.market import Candle, Instrument, InstrumentKind, Symbol
from bot.core.orders import Adopted, Fill, Funding
from bot.core.position import Position
from bot.errors import EngineProtocolError


class ForcedClose(NamedTuple):
    """How a position is closed by force.

    Attributes:
        quantity: What is held, signed base units.
        price: Of the liquidation.
        bankruptcy: The price at which nothing stands behind the position any more.
        stands_behind: What does at the entry price, quote currency.
        entry_price: Average price of what is held.
    """

    quantity: float
    price: float
    bankruptcy: float
    stands_behind: float
    entry_price: float

    def reached(self, price: float) -> bool:
        """Whether a price is at the liquidation's or beyond."""
        return price <= self.price if self.quantity > 0 else price >= self.price

    def bounded(self, price: float) -> float:
        """An execution price, no worse than bankruptcy: the exchange's insurance bears what lies beyond."""
        if self.stands_behind <= 0:  # nothing is left before the price moves at all
            return price
        return max(price, self.bankruptcy) if self.quantity > 0 else min(price, self.bankruptcy)

    def left_at(self, price: float) -> float:
        """What stands behind the position once it is closed at a price, quote currency, never below 0."""
        return max(self.stands_behind + self.quantity * (price - self.entry_price), 0.0)


class MarginBook:
    """Knows when each position is closed by force.

    Other symbols count with their closes of the minute before: within a minute nobody knows which moved first.

    Args:
        rule: Leverage, maintenance, mode.
        instruments: Spot among them has no margin and is never closed by force.
        starting_cash: Quote currency.

    Raises:
        EngineProtocolError: An account without money.
    """

    def __init__(
        self, rule: MarginRule, instruments: Mapping[Symbol, Instrument], starting_cash: float
    ) -> None:
        if not starting_cash > 0:
            raise EngineProtocolError("margin needs an account that begins with money")
        self.rule = rule
        self._account = Account(starting_cash, dict(instruments))
        self._spot = {name for name, rules in instruments.items() if rules.kind is InstrumentKind.SPOT}
        self._fresh: dict[Symbol, float] = {}
        self._minute_ms = -1

    def book(self, report: Fill | Funding) -> None:
        """Take in what just happened."""
        if isinstance(report, Fill):
            self._account.apply_fill(report, "")
        else:
            self._account.apply_funding(report)

    def begin(self, opened_at_ms: int) -> None:
        """A candle of this minute is about to be matched: closes of earlier minutes are known to all."""
        if opened_at_ms != self._minute_ms:
            self._take_closes()
            self._minute_ms = opened_at_ms

    def observe(self, candle: Candle) -> None:
        """Take note of a close."""
        self._fresh[candle.symbol] = candle.close

    def forced(self, symbol: Symbol) -> ForcedClose | None:
        """When and how the position in a symbol is closed by force; None where it can't be."""
        position = self._account.position(symbol)
        if position.is_flat or symbol in self._spot:
            return None
        behind, needed = self._margin(position)
        quantity, entry = position.quantity, position.entry_price
        price = liquidation_price(quantity, entry, behind - needed, self.rule.maintenance_rate)
        if price <= 0 and quantity > 0:
            return None
        return ForcedClose(quantity, price, liquidation_price(quantity, entry, behind, 0.0), behind, entry)

    def _margin(self, position: Position) -> tuple[float, float]:
        """What stands behind a position at its entry price, and what other positions need of it."""
        if self.rule.mode is MarginMode.ISOLATED:
            size = abs(position.quantity)
            # Funding is taken out of the margin; what was closed took its share with it.
            funding = position.funding * size / position.traded_quantity
            return size * position.entry_price / self.rule.leverage - funding, 0.0
        behind, needed = self._account.cash, 0.0
        for other in self._account.positions():
            if other.symbol != position.symbol and other.symbol not in self._spot:
                mark = self._account.mark_price(other.symbol)
                behind += other.unrealized(mark)
                needed += abs(other.quantity) * mark * self.rule.maintenance_rate
        return behind, needed

    def _take_closes(self) -> None:
        for symbol, close in self._fresh.items():
            self._account.mark(symbol, close)
        self._fresh.clear()

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values; only between two minutes."""
        self._take_closes()
        self._minute_ms = -1
        return self._account.snapshot()

    def restore(self, state: Mapping[str, Any] | None, positions: Sequence[Position]) -> None:
        """Take up a snapshot.

        Args:
            state: What ``snapshot`` gave; None where margin was not looked at before.
            positions: What is held; then the account begins with them and its starting cash.
        """
        if state is not None:
            self._account.restore(dict(state))
            return
        for held in positions:
            self._account.adopt(Adopted(held.symbol, held.quantity, held.entry_price, held.opened_at_ms))
