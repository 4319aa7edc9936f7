"""How much to trade: a fraction of equity, cut to the limits and to the lot step."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.market import Instrument


@dataclass(frozen=True, slots=True)
class SizingRule:
    """Notional of a new position as a fraction of equity, scaled by the signal's strength.

    Attributes:
        equity_fraction: 0.2 is 20 %.
        target_volatility: Expected standard deviation of the return over the horizon, as a fraction, up to which a position
            has its full size; where more is expected it is that much smaller, so that its risk stays. None: whatever is
            expected, the size is the same.
    """

    equity_fraction: float = 0.2
    target_volatility: float | None = None

    def share(self, volatility: float | None) -> float | None:
        """What is left of the full size at an expected volatility, 0 to 1; None where that has to be known and is not."""
        if self.target_volatility is None:
            return 1.0
        if volatility is None or not volatility >= 0.0:  # asked so that NaN is not known
            return None
        return 1.0 if volatility <= self.target_volatility else self.target_volatility / volatility


def entry_quantity(
    rule: SizingRule,
    *,
    equity: float,
    strength: float,
    price: float,
    room: float,
    instrument: Instrument,
    volatility: float | None = None,
) -> float:
    """Base units to enter with.

    Args:
        rule: The sizing rule.
        equity: Account equity, quote currency.
        strength: Signal strength, 0 to 1.
        price: Close of the candle decided on.
        room: Notional that the limits leave, quote currency; what is asked for beyond it is cut.
        instrument: For the lot step.
        volatility: Expected over the horizon, as a fraction; a rule with a target buys nothing where it is not known.

    Returns:
        A quantity on the lot step, 0 when nothing can be bought.
    """
    wanted = rule.equity_fraction * equity * min(max(strength, 0.0), 1.0) * (rule.share(volatility) or 0.0)
    if not (wanted > 0 and room > 0 and price > 0):  # asked so that NaN buys nothing
        return 0.0
    return instrument.cut_quantity(min(wanted, room) / price)
