"""Live trading under random fault plans: whatever the exchange does, its books and ours agree in the end.

``FAULT_PLANS`` sets how many plans are tried (1 by default, 500 in ``make chaos``), ``FAULT_OKX_PLANS`` how many on OKX (a
tenth of them), ``FAULT_MINUTES`` how long the market with a fault every minute is (6 by default, a day in ``make chaos``).
A plan that fails is shrunk to the faults that it needs, which are printed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from bot.journal.reader import JournalReader
from bot.simexchange.fault_plan import FaultPlan
from bot.simexchange.fault_random import OKX, random_plan
from tests.live_rig import LiveTape, assert_agreement, log_lines, make_tape, prepare, run

PLANS = int(os.environ.get("FAULT_PLANS", "1"))
FIRST_PLAN = int(os.environ.get("FAULT_FIRST", "0"))
OKX_PLANS = int(os.environ.get("FAULT_OKX_PLANS", str(PLANS // 10)))
MINUTES = int(os.environ.get("FAULT_MINUTES", "6"))
WARM_MINUTES = 62
LIFE_SECONDS = 600.0
"""And as many again for each hundred minutes: a fault costs a second or two."""
SETTINGS = {"execution.lookup_seconds": 6}
BOUND_SECONDS = 20.0
"""From an entry's fill to a confirmed stop or to the order that closes the position: the five seconds of the setting, and
what a busy machine and a fault that hits the exit too may add."""


def live_through(folder: Path, tape: LiveTape, plan: FaultPlan) -> None:
    """Trade the tape under a plan, and compare the books."""
    shutil.rmtree(folder, ignore_errors=True)
    state = prepare(folder)
    faults = plan.written()["faults"]
    run(state, tape, faults=faults, settings=SETTINGS, seconds=LIFE_SECONDS * (1 + tape.minutes / 100))
    assert_agreement(state, tape)
    batches = list(JournalReader(state / "journal.sqlite").batches())
    assert len(batches) == tape.minutes, f"{len(batches)} of {tape.minutes} minutes were decided"
    lost = [batch.closed_at_ms for batch in batches if len(batch.candles) != len(tape.symbols)]
    assert not lost, f"candles were lost at {lost}"
    assert longest_exposure(state) <= BOUND_SECONDS


def longest_exposure(state: Path) -> float:
    """Seconds from the first fill of an entry to its confirmed stop, or to the order that closes it again, at most."""
    since: dict[str, datetime] = {}
    longest = 0.0
    for line in log_lines(state):
        symbol, event = str(line.get("symbol")), line["event"]
        at = datetime.fromisoformat(line["ts"])
        leg = str(line.get("client_order_id", ""))
        if event == "order.filled" and leg.endswith("e"):
            since.setdefault(symbol, at)
        elif symbol in since and (
            event in {"position.emergency_exit", "target.hit", "trade.closed"}
            or (event == "order.accepted" and "s" in leg[-3:])
        ):
            longest = max(longest, (at - since.pop(symbol)).total_seconds())
    return longest


def shrunk(plan: FaultPlan, fails: Callable[[FaultPlan], bool]) -> FaultPlan:
    """A smallest part of a failing plan that still fails: delta debugging by halves, quarters and so on.

    A. Zeller and R. Hildebrandt, Simplifying and isolating failure-inducing input (2002).
    """
    names = [fault.name for fault in plan.faults]
    parts = 2
    while len(names) > 1:
        size = max(len(names) // parts, 1)
        chunks = [names[at : at + size] for at in range(0, len(names), size)]
        for chunk in chunks:
            rest = [name for name in names if name not in chunk]
            if rest and fails(plan.only(rest)):
                names, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(names))
    return plan.only(names)


def _tried(folder: Path, tape: LiveTape, plan: FaultPlan) -> None:
    """Raise with the shrunk plan where this one fails."""

    def fails(part: FaultPlan) -> bool:
        try:
            live_through(folder, tape, part)
        except AssertionError:
            return True
        return False

    try:
        live_through(folder, tape, plan)
    except AssertionError as found:
        small = shrunk(plan, fails)
        raise AssertionError(f"{found}\nneeds: {json.dumps(small.written())}") from found


@pytest.mark.slow
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("number", range(FIRST_PLAN, FIRST_PLAN + PLANS))
def test_under_a_random_plan_the_books_agree(number: int, tmp_path: Path) -> None:
    """No candle and no order is lost or doubled; fees, money and positions equal the exchange's; nothing stays naked."""
    spot = number % 4 == 3
    bases = ("BTC", "ETH") if number % 3 == 1 else ("BTC",)
    tape = make_tape(tmp_path / "tape", seed=1000 + number, minutes=100, bases=bases, spot=spot)
    plan = random_plan(number, tape.minutes, 0.6, longest_s=1.0)
    _tried(tmp_path / "state", tape, plan)


@pytest.mark.slow
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("number", range(FIRST_PLAN, FIRST_PLAN + OKX_PLANS))
def test_under_a_random_plan_on_okx_they_agree_too(number: int, tmp_path: Path) -> None:
    """What is refused inside HTTP 200, sent as pairs and told without listen keys comes to the same."""
    bases = ("BTC", "ETH") if number % 3 == 1 else ("BTC",)
    tape = make_tape(tmp_path / "tape", seed=3000 + number, minutes=100, bases=bases, okx=True)
    plan = random_plan(number, tape.minutes, 0.6, longest_s=1.0, ground=OKX)
    _tried(tmp_path / "state", tape, plan)


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_a_fault_every_minute_costs_nothing_but_time(tmp_path: Path) -> None:
    """After hours with a fault in every minute the ledger equals the exchange's to the last cent."""
    minutes = MINUTES + WARM_MINUTES
    tape = make_tape(tmp_path / "tape", seed=77, minutes=minutes)
    plan = random_plan(77, minutes, 1.0, longest_s=1.0)
    live_through(tmp_path / "state", tape, plan)


def _numbered(count: int) -> FaultPlan:
    return random_plan(5, count, 1.0)


@pytest.mark.parametrize("needed", [(3,), (0, 19), (2, 7, 11)])
def test_a_failing_plan_is_shrunk_to_what_it_needs(needed: Sequence[int]) -> None:
    """Whichever faults a failure needs together, exactly those are left."""
    plan = _numbered(20)
    names = {plan.faults[index].name for index in needed}
    small = shrunk(plan, lambda part: names <= {fault.name for fault in part.faults})
    assert {fault.name for fault in small.faults} == names
