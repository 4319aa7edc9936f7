"""What a check-up makes of an exchange's public side: its clock, its symbols, and whether an order can be small enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.core.market import Instrument, Symbol
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule, entry_quantity
from bot.daemon.doctor import Finding, Unknown, broken, doubtful, fine, unanswered

SKEW_WARNS_MS: Final = 1_000
"""Binance refuses a request of more than a second ahead (-1021); the bot corrects its clock by the exchange's."""
SKEW_FAILS_MS: Final = 60_000
"""Beyond that something is wrong that no correction should hide."""
ROUND_TRIP_WARNS_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The exchange's clock beside ours.

    Attributes:
        skew_ms: Exchange's time minus ours, half of the round trip taken off.
        round_trip_ms: How long the answer took; the skew is known to half of it.
    """

    skew_ms: float
    round_trip_ms: float


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What an exchange says to anybody.

    Attributes:
        clock: Its time; None where the market has a time of its own (a faster simulation).
        symbols: The rules of each symbol, or why they can't be had.
        prices: The newest close of each symbol that has one.
    """

    clock: ClockReading | Unknown | None
    symbols: Mapping[Symbol, Instrument] | Unknown
    prices: Mapping[Symbol, float]


def judge_market(exchange_id: str, wanted: Sequence[Symbol], facts: MarketFacts) -> list[Finding]:
    """Whether the exchange answers, whether its clock and ours agree, and whether it lists the symbols."""
    found = []
    if facts.clock is not None:
        found.append(judge_clock(facts.clock))
    if isinstance(facts.symbols, Unknown):
        todo = (
            "look at the network and at the exchange's status page, and try again"
            if facts.symbols.may_pass
            else "set exchange.id and exchange.symbols to what the exchange lists"
        )
        says = f"{exchange_id}: {facts.symbols.reason}"
        return [broken("exchange", says, todo, may_pass=facts.symbols.may_pass), *found]
    names = ", ".join(wanted)
    return [
        fine("exchange", f"{exchange_id} answers"),
        *found,
        fine("symbols", f"listed and traded: {names}"),
    ]


def judge_clock(reading: ClockReading | Unknown) -> Finding:
    """Whether this machine's clock is right enough."""
    if isinstance(reading, Unknown):
        return unanswered("clock", "the exchange's time is ", reading, "try again")
    says = f"{reading.skew_ms:+.0f} ms to the exchange's, in a round trip of {reading.round_trip_ms:.0f} ms"
    todo = "let the system keep time: chrony, systemd-timesyncd or ntpd"
    if abs(reading.skew_ms) - reading.round_trip_ms / 2 > SKEW_FAILS_MS:
        return broken("clock", says, todo)
    if abs(reading.skew_ms) - reading.round_trip_ms / 2 > SKEW_WARNS_MS:
        return doubtful("clock", f"{says}; the bot corrects its own by it", todo)
    if reading.round_trip_ms > ROUND_TRIP_WARNS_MS:
        return doubtful("clock", says, "the line to the exchange is slow: orders will be late")
    return fine("clock", says)


def judge_sizes(
    facts: MarketFacts, rule: SizingRule, limits: RiskLimits, equity: float, *, holding: bool
) -> Finding | None:
    """Whether an entry of full strength is an order that the exchange takes; None where its rules are not known.

    Args:
        facts: With rules and prices.
        rule: How large an entry is.
        limits: What cuts it.
        equity: Of the account, quote currency.
        holding: Whether something is held: then a start must not fail for want of money for more.
    """
    if isinstance(facts.symbols, Unknown):
        return None
    name = "order sizes"
    too_small, sizes = [], []
    for symbol, instrument in facts.symbols.items():
        price = facts.prices.get(symbol)
        if price is None:
            return doubtful(name, f"{symbol} shows no price", "try again when it is traded")
        quantity = entry_quantity(
            rule, equity=equity, strength=1.0, price=price, room=_room(limits, equity), instrument=instrument
        )
        least = max(instrument.min_quantity * price, instrument.min_notional)
        if quantity < instrument.min_quantity or quantity * price < instrument.min_notional:
            too_small.append(f"{symbol} ({quantity * price:,.2f}, the least is {least:,.2f})")
        else:
            sizes.append(f"{symbol} {quantity * price:,.2f}")
    if not too_small:
        return fine(name, f"an entry with equity {equity:,.2f}: {', '.join(sizes)}")
    says = f"with equity {equity:,.2f} an entry is too small for the exchange: {', '.join(too_small)}"
    todo = "raise sizing.equity_fraction and the limits of risk, add money, or trade other symbols"
    return doubtful(name, says, todo) if sizes or holding else broken(name, says, todo)


def _room(limits: RiskLimits, equity: float) -> float:
    """Notional that the limits leave to the first entry."""
    rooms = [
        limits.max_symbol_notional_fraction * equity,
        limits.max_total_notional_fraction * equity,
        limits.max_symbol_notional,
        limits.max_total_notional,
    ]
    return min(room for room in rooms if room is not None)
