"""What must protect a position: a stop and a target on the exchange, and what to do when they can't be relied on.

``plan`` looks at what is held and at the orders of its symbol, and says what to do next. It is asked again after
everything that happens, and asks for nothing that is under way already:

1. Held and no stop: ask for a stop and a target for all that is held. An entry that is known to be done, and of which
   trades are missing yet, is waited for a moment.
2. More is held than the newest stop covers: ask for a new pair. The old one is canceled once the new stop rests for sure,
   so that there is no naked instant. On spot the coins are locked: there the old pair goes first.
3. A stop that was refused, canceled or expired, or that is not confirmed in time: close the position at market.
4. A target that was refused is asked for again, later; one that would trigger at once is taken at market.
5. While an exit is on its way: on spot the pair makes room for it; elsewhere it rests until nothing is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.execution_rules import ExecutionRules
from bot.core.live_order import Asked, LiveOrder, Phase
from bot.core.market import Instrument, InstrumentKind
from bot.core.orders import Fill, Leg, OrderIntent, Side
from bot.core.position import Position
from bot.core.records import intent_from_json, intent_to_json
from bot.core.risk import protective_orders

POSITION_FLAT = "position is flat"
REPLACED = "replaced"
MAKING_ROOM = "making room for the exit"
_SLACK = 1 - 1e-12
_TARGET_WAITS_MS = (1000, 5000, 15_000, 60_000)
TWIN_CHECK_MS = 1000
"""How long a stop that the exchange ended waits for news of its target, which may be why, before it is an emergency."""


@dataclass(slots=True)
class Guard:
    """What is known about the protection of one position.

    Attributes:
        entry: The entry that is held; its id names the protective orders, its protection places them.
        first_ms: When the first fill was known.
        generation: How many protective orders of a kind were made.
        exposed_ms: Since when no confirmed stop covers all that is held; None while one does.
        fault: Why the stop can't be relied on; empty when it can.
        fault_ms: When that counts.
        take_profit: The target is reached: take it at market.
        emergencies: How many exits were made here.
        exit_id: The newest of them.
        retry_ms: No further one before.
        target_tries: How often a target was refused.
        target_ms: No further one before.
        warned: A person was told that it is unprotected.
        too_small: It can be neither protected nor sold.
    """

    entry: OrderIntent
    first_ms: int
    generation: int = 0
    exposed_ms: int | None = None
    fault: str = ""
    fault_ms: int = 0
    take_profit: bool = False
    emergencies: int = 0
    exit_id: str = ""
    retry_ms: int = 0
    target_tries: int = 0
    target_ms: int = 0
    warned: bool = False
    too_small: bool = False

    def distrust(self, reason: str, counts_ms: int) -> None:
        """The stop can't be relied on; the first reason stays."""
        if not self.fault:
            self.fault, self.fault_ms = reason, counts_ms

    def target_refused(self, now_ms: int) -> None:
        """Ask for another target later."""
        wait = _TARGET_WAITS_MS[min(self.target_tries, len(_TARGET_WAITS_MS) - 1)]
        self.target_tries += 1
        self.target_ms = now_ms + wait

    def exit_failed(self, now_ms: int, wait_ms: int) -> None:
        """An emergency exit closed nothing, or not all: protect again, and if that fails too, try again."""
        self.fault, self.take_profit = "", False
        self.exposed_ms, self.retry_ms = now_ms, now_ms + wait_ms


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about a position.

    Attributes:
        place: Protective orders to send.
        as_pair: Whether the two are one order list.
        cancel: Orders that are not wanted any more, and why.
        exit_cause: Why the position must be closed at market; empty when it need not.
        wake_ms: When to ask again if nothing happens.
        too_small: What is held is less than the exchange takes: it can be neither protected nor sold.
    """

    place: tuple[OrderIntent, ...] = ()
    as_pair: bool = False
    cancel: tuple[tuple[LiveOrder, str], ...] = ()
    exit_cause: str = ""
    wake_ms: int | None = None
    too_small: bool = False


@dataclass(slots=True)
class _Scene:
    """One position and its live orders."""

    guard: Guard
    position: Position
    instrument: Instrument
    rules: ExecutionRules
    now_ms: int
    protective: list[LiveOrder]
    exits: list[LiveOrder]
    entries: list[LiveOrder]
    held: float = field(init=False)

    def __post_init__(self) -> None:
        self.held = abs(self.position.quantity)

    @property
    def locked(self) -> bool:
        """Whether an open order locks what it would sell."""
        return self.instrument.kind is InstrumentKind.SPOT

    @property
    def paired(self) -> bool:
        return self.locked and self.rules.pair_on_exchange

    def newest(self, leg: Leg) -> LiveOrder | None:
        wanted = [one for one in self.protective if one.intent.leg is leg and not one.cancel_words]
        return max(wanted, key=_generation, default=None)


def plan(
    guard: Guard,
    position: Position,
    orders: Sequence[LiveOrder],
    instrument: Instrument,
    rules: ExecutionRules,
    now_ms: int,
) -> Plan:
    """What to do next about a position that is held; see the rules above.

    Args:
        guard: Its protection; what is seen of it is noted there.
        position: What is held.
        orders: Those of its symbol that are not over.
        instrument: The market's rules.
        rules: Bounds.
        now_ms: Execution's time.
    """
    scene = _Scene(
        guard,
        position,
        instrument,
        rules,
        now_ms,
        [order for order in orders if order.is_protective],
        [order for order in orders if order.is_exit],
        [order for order in orders if order.intent.leg is Leg.ENTRY],
    )
    _note_exposure(scene)
    if scene.exits and scene.locked:
        return Plan(cancel=tuple((one, MAKING_ROOM) for one in scene.protective))
    if _is_too_small(scene):
        return Plan(too_small=not scene.entries)
    cause, wake_ms = ("", None) if scene.exits else _exit_cause(scene)
    if cause:
        return Plan(
            exit_cause=cause, cancel=tuple((entry, "its position is closed") for entry in scene.entries)
        )
    unable = guard.entry.protection is None  # taken up without a word of where its stop belongs
    if guard.fault or guard.take_profit or (scene.exits and guard.exit_id) or unable:
        return Plan(wake_ms=wake_ms)
    return _protected(scene, wake_ms)


def _note_exposure(scene: _Scene) -> None:
    """Whether a stop that rests for sure covers everything."""
    guard = scene.guard
    covered = any(
        order.is_confirmed and order.intent.leg is Leg.STOP and order.remaining >= scene.held * _SLACK
        for order in scene.protective
    )
    if covered:
        guard.exposed_ms, guard.fault, guard.warned = None, "", False
    elif guard.exposed_ms is None:
        guard.exposed_ms = scene.now_ms


def _is_too_small(scene: _Scene) -> bool:
    """On spot an order that only reduces has to be as large as any other."""
    if scene.instrument.kind is not InstrumentKind.SPOT:
        return False
    worth = scene.held * scene.position.entry_price
    return (
        scene.held < scene.instrument.min_quantity * _SLACK or worth < scene.instrument.min_notional * _SLACK
    )


def _exit_cause(scene: _Scene) -> tuple[str, int | None]:
    """Why the position must be closed now; or when that is to be asked again."""
    guard, now_ms = scene.guard, scene.now_ms
    due: list[tuple[int, str]] = []
    if guard.take_profit:
        due.append((now_ms, "take_profit"))
    if guard.fault:
        due.append((guard.fault_ms, guard.fault))
    if guard.exposed_ms is not None:
        due.append((guard.exposed_ms + scene.rules.protection_ms, "stop_not_confirmed"))
    if not due:
        return "", None
    when, cause = min(due)
    when = max(when, guard.retry_ms)
    return (cause, None) if when <= now_ms else ("", when)


def _protected(scene: _Scene, wake_ms: int | None) -> Plan:
    """Rules 1, 2 and 4."""
    guard, now_ms = scene.guard, scene.now_ms
    stop = scene.newest(Leg.STOP)
    grown = stop is not None and stop.phase is Phase.OPEN and stop.remaining < scene.held * _SLACK
    if stop is None or grown:
        if now_ms < guard.retry_ms:
            return Plan(wake_ms=guard.retry_ms)
        settled_ms = guard.first_ms + scene.rules.settle_ms
        trades_missing = any(entry.phase is Phase.CLOSING and entry.lacks_trades for entry in scene.entries)
        if trades_missing and now_ms < settled_ms:
            return Plan(wake_ms=_sooner(settled_ms, wake_ms))
        if scene.locked and scene.protective:
            return Plan(cancel=tuple((one, REPLACED) for one in scene.protective), wake_ms=wake_ms)
        orders = _pair(scene) if scene.paired or not scene.locked else _pair(scene)[:1]
        return Plan(place=orders, as_pair=scene.paired, wake_ms=wake_ms)
    return _tidied(scene, stop, wake_ms)


def _tidied(scene: _Scene, stop: LiveOrder, wake_ms: int | None) -> Plan:
    """The newest stop covers what is held: drop what it replaces, and see to the target."""
    guard, now_ms = scene.guard, scene.now_ms
    target = scene.newest(Leg.TAKE_PROFIT)
    cancel = [
        (order, REPLACED)
        for order in scene.protective
        if not order.cancel_words
        and (
            (order.intent.leg is Leg.STOP and order is not stop and stop.is_confirmed)
            or (order.intent.leg is Leg.TAKE_PROFIT and order is not target and _rests(target))
        )
    ]
    alone = scene.locked and not scene.paired  # the stop locks the coins: there can be no target
    if target is not None or stop.phase is not Phase.OPEN or alone:
        return Plan(cancel=tuple(cancel), wake_ms=wake_ms)
    if now_ms < guard.target_ms:
        return Plan(cancel=tuple(cancel), wake_ms=_sooner(guard.target_ms, wake_ms))
    if scene.paired:  # a list has both or none
        return Plan(cancel=tuple((one, REPLACED) for one in scene.protective), wake_ms=wake_ms)
    return Plan(place=_pair(scene)[1:], cancel=tuple(cancel), wake_ms=wake_ms)


def _rests(order: LiveOrder | None) -> bool:
    return order is not None and order.phase is Phase.OPEN and order.asked is not Asked.CANCEL


def _pair(scene: _Scene) -> tuple[OrderIntent, ...]:
    """Stop and target for all that is held, at their distances from its average price."""
    held = Fill(
        trade_id="",
        client_order_id=scene.guard.entry.client_order_id,
        symbol=scene.position.symbol,
        side=Side.BUY if scene.position.quantity > 0 else Side.SELL,
        quantity=scene.held,
        price=scene.position.entry_price,
        fee=0.0,
        fee_asset="",
        filled_at_ms=scene.now_ms,
    )
    orders = protective_orders(scene.guard.entry, held, scene.instrument, scene.guard.generation)
    return tuple(order.intent for order in orders)


def _generation(order: LiveOrder) -> int:
    return order.generation


def _sooner(first: int, second: int | None) -> int:
    return first if second is None else min(first, second)


def guard_to_json(guard: Guard) -> dict[str, Any]:
    """A guard as JSON values."""
    row = {name: getattr(guard, name) for name in Guard.__slots__}
    row["entry"] = intent_to_json(guard.entry)
    return row


def guard_from_json(row: dict[str, Any]) -> Guard:
    """The guard that ``guard_to_json`` wrote."""
    return Guard(**{**row, "entry": intent_from_json(row["entry"])})
