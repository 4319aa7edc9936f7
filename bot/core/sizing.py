"""How much to trade: a fraction of equity, cut to the limits and to the lot step."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.market import Instrument


@dataclass(frozen=True, slots=True)
class SizingRule:
    """Notional of a new position as a fraction of equity (0.2 = 20 %), scaled by the signal's strength."""

    equity_fraction: float = 0.2


def entry_quantity(
    rule: SizingRule, *, equity: float, strength: float, price: float, room: float, instrument: Instrument
) -> float:
    """Base units to enter with.

    Args:
        rule: The sizing rule.
        equity: Account equity, quote currency.
        strength: Signal strength, 0 to 1.
        price: Close of the candle decided on.
        room: Notional that the limits leave, quote currency; what is asked for beyond it is cut.
        instrument: For the lot step.

    Returns:
        A quantity on the lot step, 0 when nothing can be bought.
    """
    wanted = rule.equity_fraction * equity * min(max(strength, 0.0), 1.0)
    if not (wanted > 0 and room > 0 and price > 0):  # asked so that NaN buys nothing
        return 0.0
    return instrument.cut_quantity(min(wanted, room) / price)
