"""A position is the sum of its fills; when it is flat again, a trade is done."""

from __future__ import annotations

from typing import NamedTuple

from bot.core.market import Symbol
from bot.core.orders import Adopted, Fill


class Trade(NamedTuple):
    """A round trip from flat to flat; prices are averages over the fills, money is in quote currency.

    ``pnl`` is net: price gain less fees, less funding paid.
    """

    symbol: Symbol
    direction: str
    entry_at_ms: int
    entry_price: float
    exit_at_ms: int
    exit_price: float
    quantity: float
    fees: float
    funding: float
    pnl: float
    exit_reason: str


class Position(NamedTuple):
    """What is held of one symbol.

    Attributes:
        symbol: The market.
        quantity: Signed base units: positive long, negative short, zero flat.
        entry_price: Average price of what is held.
        opened_at_ms: Time of the first fill since it was last flat.
        traded_quantity: Base units entered since then.
        exit_notional: Quote turned over by the exits since then.
        realized: Price gain of the exits since then, before fees.
        fees: Paid since then.
        funding: Paid since then (negative when received).
    """

    symbol: Symbol
    quantity: float = 0.0
    entry_price: float = 0.0
    opened_at_ms: int = 0
    traded_quantity: float = 0.0
    exit_notional: float = 0.0
    realized: float = 0.0
    fees: float = 0.0
    funding: float = 0.0

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held."""
        return self.quantity == 0.0

    def unrealized(self, price: float) -> float:
        """Gain, before fees, if it were closed at this price."""
        return self.quantity * (price - self.entry_price)

    def with_funding(self, paid: float) -> Position:
        """The position after a funding payment (negative: received)."""
        return self._replace(funding=self.funding + paid)


def adopted_position(adopted: Adopted) -> Position:
    """A position that was there before us, as if entered at its price when it was adopted."""
    return Position(
        adopted.symbol,
        adopted.quantity,
        adopted.price,
        adopted.at_ms,
        abs(adopted.quantity),
    )


def held_after(held: float, signed: float) -> float:
    """The signed quantity held once ``signed`` base units were added; what only rounding left over is zero.

    Sums of decimal quantities miss zero by a few units in the last place of the larger one, which beyond a
    thousand base units is more than any fixed number of decimals hides.
    """
    total = round(held + signed, 12)
    return 0.0 if abs(total) <= 1e-12 * abs(held) else total


def apply_fill(position: Position, fill: Fill, exit_reason: str) -> tuple[Position, float, Trade | None]:
    """Add one fill.

    Returns:
        The new position, the price gain that the fill realized (before its fee), and the trade if this fill
        made it flat. A fill through zero closes the trade and opens the rest the other way round, with the
        fee split by quantity.
    """
    signed = fill.quantity * fill.side.sign
    held = position.quantity
    if held == 0.0 or (held > 0) == (signed > 0):
        return _entered(position, fill, signed), 0.0, None
    closing = min(fill.quantity, abs(held))
    share = closing / fill.quantity
    gain = closing * (fill.price - position.entry_price) * (1 if held > 0 else -1)
    rest = held_after(held, signed)
    # Written out here and below: ``_replace`` takes four times as long, and every trade passes twice.
    reduced = Position(
        position.symbol,
        rest if abs(rest) < abs(held) and (rest > 0) == (held > 0) else 0.0,
        position.entry_price,
        position.opened_at_ms,
        position.traded_quantity,
        exit_notional=position.exit_notional + closing * fill.price,
        realized=position.realized + gain,
        fees=position.fees + fill.fee * share,
        funding=position.funding,
    )
    if reduced.quantity != 0.0:
        return reduced, gain, None
    trade = _closed_trade(reduced, fill, exit_reason, long=held > 0, closing=closing)
    flat = Position(position.symbol)
    if rest == 0.0:
        return flat, gain, trade
    opened = _entered(flat, fill, rest)._replace(fees=fill.fee * (1 - share))
    return opened, gain, trade


def _entered(position: Position, fill: Fill, signed: float) -> Position:
    """A position grown by ``signed`` at the fill's price."""
    quantity = round(position.quantity + signed, 12)
    if position.quantity == 0.0:
        entry = fill.price
    else:
        entry = (position.entry_price * position.quantity + fill.price * signed) / quantity
    return Position(
        position.symbol,
        quantity,
        entry,
        position.opened_at_ms if position.quantity else fill.filled_at_ms,
        round(position.traded_quantity + abs(signed), 12),
        position.exit_notional,
        position.realized,
        position.fees + fill.fee,
        position.funding,
    )


def _closed_trade(position: Position, fill: Fill, exit_reason: str, *, long: bool, closing: float) -> Trade:
    """The round trip that a position, now flat, has been.

    After several exits the average entry price follows from what they realized.
    """
    quantity = position.traded_quantity
    if closing == quantity:  # one exit: its price and the average entry are exact
        entry_price, exit_price = position.entry_price, fill.price
    else:
        exit_price = position.exit_notional / quantity
        entry_price = exit_price - position.realized / quantity * (1 if long else -1)
    return Trade(
        position.symbol,
        "long" if long else "short",
        position.opened_at_ms,
        entry_price,
        fill.filled_at_ms,
        exit_price,
        quantity,
        position.fees,
        position.funding,
        position.realized - position.fees - position.funding,
        exit_reason,
    )
