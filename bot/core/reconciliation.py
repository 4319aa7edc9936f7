"""The exchange against the journal: what it shows that we do not know, and where the two differ.

Pure functions over the ledger and a ``VenueState``, and the schedule of when to ask for one. What is read is not of one
instant: a difference counts only when a second look shows the same one and nothing was booked in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bot.core.execution_rules import ExecutionRules
from bot.core.live_ledger import LiveLedger
from bot.core.live_order import Asked, LiveOrder, Phase
from bot.core.market import Instrument, InstrumentKind, Symbol
from bot.core.venue import OrderSeen, VenueState

_DUST = 1e-9
WALLET = "wallet"


class Difference(NamedTuple):
    """Where journal and exchange differ: of a symbol base units, of ``wallet`` quote currency."""

    name: str
    ours: float
    theirs: float


class Suspicion(NamedTuple):
    """A difference seen once, and how many bookings there had been."""

    ours: float
    theirs: float
    bookings: int


@dataclass(slots=True)
class Schedule:
    """When the exchange is read, and what was doubted when it was read last.

    Attributes:
        due_ms: When to read it next.
        asked_ms: Since when an answer is waited for; None while none is.
        asked_bookings: How many bookings there were then.
        failures: Reads in a row that had no answer.
        is_reading_wanted: Something asked for a reading that was not done yet: a start, a doubt.
        stream_is_up: Whether the user stream tells what happens.
        suspicions: By name, differences to look at again.
        told: By name, differences that a person was told of.
    """

    due_ms: int = 0
    asked_ms: int | None = None
    asked_bookings: int = 0
    failures: int = 0
    is_reading_wanted: bool = True
    stream_is_up: bool = True
    suspicions: dict[str, Suspicion] = field(default_factory=dict)
    told: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being read, wanted or doubted."""
        return self.asked_ms is None and not self.is_reading_wanted and not self.suspicions

    def want(self, now_ms: int, wait_ms: int = 0) -> None:
        """Read it soon."""
        self.due_ms = now_ms + wait_ms if not self.is_reading_wanted else min(self.due_ms, now_ms + wait_ms)
        self.is_reading_wanted = True

    def ask(self, now_ms: int, bookings: int) -> None:
        """A reading is asked for."""
        self.asked_ms, self.asked_bookings = now_ms, bookings
        self.is_reading_wanted = False

    def failed(self, now_ms: int, wait_ms: int) -> None:
        """It had no answer."""
        self.asked_ms = None
        self.failures += 1
        self.want(now_ms, wait_ms)

    def done(self, now_ms: int, rules: ExecutionRules) -> None:
        """It was read."""
        self.asked_ms, self.failures = None, 0
        if self.is_reading_wanted:
            return
        pause = rules.reconcile_seconds if self.stream_is_up else rules.blind_reconcile_seconds
        self.due_ms = now_ms + int(pause * 1000)
        if self.suspicions:
            self.due_ms = now_ms + rules.second_look_ms

    def confirmed(self, difference: Difference, bookings: int) -> bool:
        """Whether a difference was seen before and nothing moved since; else it is noted for a second look."""
        before = self.suspicions.get(difference.name)
        told = self.told.get(difference.name)
        if told is not None and _same(told[0] - told[1], difference.ours - difference.theirs):
            self.suspicions.pop(difference.name, None)
            return False
        if before == Suspicion(difference.ours, difference.theirs, bookings):
            del self.suspicions[difference.name]
            self.told[difference.name] = (difference.ours, difference.theirs)
            return True
        self.suspicions[difference.name] = Suspicion(difference.ours, difference.theirs, bookings)
        return False

    def agree(self, name: str) -> None:
        """Both sides show the same."""
        self.suspicions.pop(name, None)
        self.told.pop(name, None)


def differences(
    held: Mapping[Symbol, float],
    state: VenueState,
    instruments: Mapping[Symbol, Instrument],
    skipped: Iterable[Symbol],
) -> list[Difference]:
    """Where quantities differ, by name of symbol; of spot less than a lot is none, for it can't be traded.

    Args:
        held: Signed base units by our count.
        state: What the exchange shows.
        instruments: Those traded; a position in another symbol is a difference too.
        skipped: Symbols of which something is on its way.
    """
    skip = set(skipped)
    found = []
    for symbol in sorted(set(held) | set(state.positions)):
        ours, theirs = held.get(symbol, 0.0), state.positions.get(symbol, 0.0)
        if symbol not in skip and abs(ours - theirs) > _tolerance(symbol, ours, theirs, instruments):
            found.append(Difference(symbol, ours, theirs))
    return found


def _tolerance(symbol: Symbol, ours: float, theirs: float, instruments: Mapping[Symbol, Instrument]) -> float:
    rounding = _DUST * max(abs(ours), abs(theirs))
    rules = instruments.get(symbol)
    if rules is not None and rules.kind is InstrumentKind.SPOT:
        return max(rules.lot_step * (1 - _DUST), rounding)
    return rounding


def strangers(ledger: LiveLedger, state: VenueState) -> list[OrderSeen]:
    """Open orders on the exchange that are none of ours."""
    return [
        seen
        for seen in state.orders
        if ledger.find(seen.symbol, seen.client_order_id, seen.exchange_id) is None
    ]


def missing(ledger: LiveLedger, state: VenueState, asked_ms: int) -> list[LiveOrder]:
    """Orders that rest by our count and that the exchange does not show as open: look them up.

    Args:
        ledger: Ours.
        state: Theirs.
        asked_ms: When the reading was asked for; what was placed or moved since is not judged by it.
    """
    shown = {seen.client_order_id for seen in state.orders} | {seen.exchange_id for seen in state.orders}
    return [
        order
        for order in ledger.orders.values()
        if order.phase is Phase.OPEN
        and order.asked is Asked.NOTHING
        and order.look_ms is None
        and order.asked_ms <= asked_ms
        and order.id not in shown
        and not shown & set(order.exchange_ids)
    ]


def unsettled(ledger: LiveLedger) -> set[Symbol]:
    """Symbols of which an order is in flight, uncertain, or lacks trades."""
    return {order.intent.symbol for order in ledger.orders.values() if not order.is_settled}


def wallet_difference(ours: float, state: VenueState, tolerance: float) -> Difference | None:
    """Whether the wallet differs by more than it may."""
    return Difference(WALLET, ours, state.wallet) if abs(ours - state.wallet) > tolerance else None


def _same(first: float, second: float) -> bool:
    return abs(first - second) <= _DUST * max(abs(first), abs(second), 1.0)


def schedule_to_json(schedule: Schedule) -> dict[str, Any]:
    """What of a schedule a restart needs, as JSON values."""
    return {"told": {name: list(pair) for name, pair in schedule.told.items()}}


def schedule_from_json(row: Mapping[str, Any]) -> Schedule:
    """A schedule that begins with a reading."""
    return Schedule(told={name: (pair[0], pair[1]) for name, pair in row["told"].items()})
