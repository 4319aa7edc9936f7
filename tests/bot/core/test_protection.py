"""What must protect a position, as a plan."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.execution_rules import ExecutionRules
from bot.core.live_order import LiveOrder, Phase
from bot.core.orders import Leg, OrderType
from bot.core.position import Position
from bot.core.protection import Guard, Plan, guard_from_json, guard_to_json, plan
from bot.core.risk import emergency_exit, protective_orders
from bot.errors import EngineProtocolError
from tests.core_builders import PERPETUAL, SPOT, fill_of, instrument, order

RULES = ExecutionRules(pair_on_exchange=True)
NOW = 1_000_000


def guard() -> Guard:
    """A position that was just entered."""
    return Guard(order(), NOW)


def ask(
    guard: Guard, orders: list[LiveOrder], *, held: float = 1.0, now_ms: int = NOW, symbol: str = PERPETUAL
) -> Plan:
    """The plan for a long at 100."""
    return plan(guard, Position(symbol, held, 100.0), orders, instrument(symbol), RULES, now_ms)


def protective(leg: Leg, *, generation: int = 0, quantity: float = 1.0, confirmed: bool = True) -> LiveOrder:
    """A stop or a target that rests."""
    entry = order()
    orders = protective_orders(entry, fill_of(entry, quantity=quantity), instrument(), generation)
    intent = next(one.intent for one in orders if one.intent.leg is leg)
    return LiveOrder(intent, phase=Phase.OPEN, read_back=int(confirmed), generation=generation)


def test_a_confirmed_stop_and_a_target_leave_nothing_to_do() -> None:
    """No order, no cancel, no wake."""
    watched = guard()
    assert ask(watched, [protective(Leg.STOP), protective(Leg.TAKE_PROFIT)]) == Plan()
    assert watched.exposed_ms is None


@given(
    phase=st.sampled_from([Phase.PLANNED, Phase.SENT, Phase.UNCERTAIN]),
    age_ms=st.integers(0, RULES.protection_ms - 1),
)
def test_nothing_is_asked_for_twice(phase: Phase, age_ms: int) -> None:
    """While a stop is on its way there is no second one; only time makes it an emergency."""
    watched = guard()
    watched.exposed_ms = NOW
    stop = protective(Leg.STOP, confirmed=False)
    stop.phase = phase
    made = ask(watched, [stop], now_ms=NOW + age_ms)
    assert (made.place, made.exit_cause, made.wake_ms) == ((), "", NOW + RULES.protection_ms)
    assert ask(watched, [stop], now_ms=NOW + RULES.protection_ms).exit_cause == "stop_not_confirmed"


def test_a_stop_that_is_being_canceled_protects_nothing() -> None:
    """It counts as exposed from the wish on, and another pair is asked for."""
    watched, stop = guard(), protective(Leg.STOP)
    stop.want_cancel("replaced")
    watched.generation = 1
    made = ask(watched, [stop])
    assert [one.client_order_id[-2:] for one in made.place] == ["s1", "t1"]
    assert watched.exposed_ms == NOW


def test_a_stop_for_a_part_is_kept_until_the_new_one_is_confirmed() -> None:
    """Two stops that only reduce may rest at a time; the old one goes last."""
    watched, old, new = (
        guard(),
        protective(Leg.STOP, quantity=0.4),
        protective(Leg.STOP, generation=1, confirmed=False),
    )
    target = protective(Leg.TAKE_PROFIT, generation=1)
    watched.generation = 2
    assert ask(watched, [old, new, target]).cancel == ()
    new.read_back = 1
    assert ask(watched, [old, new, target]).cancel == ((old, "replaced"),)


def test_with_an_exit_on_its_way_there_is_no_emergency() -> None:
    """On spot the pair makes room for it; elsewhere everything stays."""
    leaving = LiveOrder(order(leg=Leg.EXIT), phase=Phase.SENT)
    watched = guard()
    watched.exposed_ms = NOW - 10_000
    stop = protective(Leg.STOP)
    stop.read_back = 0
    target = protective(Leg.TAKE_PROFIT)
    assert ask(watched, [leaving, stop, target]) == Plan()
    assert ask(watched, [leaving, stop], symbol=SPOT).cancel == ((stop, "making room for the exit"),)


def test_spot_without_pairs_gets_a_stop_alone() -> None:
    """It locks the coins that a target would need."""
    rules = replace(RULES, pair_on_exchange=False)
    made = plan(guard(), Position(SPOT, 1.0, 100.0), [], instrument(SPOT), rules, NOW)
    assert [(one.type, made.as_pair) for one in made.place] == [(OrderType.STOP, False)]


def test_a_position_without_a_word_of_its_stop_is_only_watched_until_time_is_up() -> None:
    """What was taken up from nowhere is closed, not guessed at."""
    watched = Guard(order(protection=None), NOW)
    assert ask(watched, []).place == ()
    assert ask(watched, [], now_ms=NOW + RULES.protection_ms).exit_cause == "stop_not_confirmed"


def test_a_guard_as_json_comes_back_the_same() -> None:
    """Every field, exactly."""
    watched = guard()
    watched.distrust("stop_refused", NOW)
    watched.exit_failed(NOW, 2000)
    watched.target_refused(NOW)
    assert guard_from_json(json.loads(json.dumps(guard_to_json(watched)))) == watched


def test_replacements_and_emergencies_have_ids_of_their_own() -> None:
    """Letters and digits, at most 32, one for each generation and attempt; the first pair's are paper's."""
    entry = order()
    names = [
        one.intent.client_order_id
        for n in range(40)
        for one in protective_orders(entry, fill_of(entry), instrument(), n)
    ]
    position = Position(PERPETUAL, 1.0, 100.0)
    names += [
        emergency_exit(entry.client_order_id, position, NOW, n).intent.client_order_id for n in range(40)
    ]
    assert len(set(names)) == len(names) == 120
    assert all(name.isalnum() and name.islower() and len(name) <= 32 for name in names)
    assert names[:2] == [entry.client_order_id[:-1] + "s", entry.client_order_id[:-1] + "t"]


def test_there_is_no_emergency_exit_of_nothing() -> None:
    """It would open a position."""
    with pytest.raises(EngineProtocolError, match="nothing is held"):
        emergency_exit("run1e", Position(PERPETUAL), NOW, 0)
