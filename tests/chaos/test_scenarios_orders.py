"""Scenarios 17 to 22: what can become of orders, each against what the exchange knows to be true."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.calm_hour import (
    PLACING,
    PROTECTING,
    SETTINGS,
    SPOT,
    USDM,
    Calm,
    assert_sound,
    disturbed,
    fault,
)
from tests.live_rig import await_end_of_exchange, events, outcome, prepare, run, said, start
from tests.order_rig import PROTECTION_MS, acted_on, acts, carried_out, made, told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DYING = ("-m", "tests.chaos.dying_order")
UNKNOWN = {"status": 503, "code": -1007}


# --- 17, 18, 19: what became of it is unknown ----------------------------------------------------------------


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_17_an_order_of_unknown_fate_that_was_executed_is_found_and_sent_once(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """Entries, exits and protective orders answered with 503 -1007 and carried out: the trades of a calm hour."""
    plan = [
        fault("order", {"kind": "answer", **UNKNOWN, "executed": True}, route=PLACING[kind], count=3),
        fault("stop", {"kind": "answer", **UNKNOWN, "executed": True}, route=PROTECTING[kind], count=2),
    ]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"order": 3, "stop": 2}
    assert carried_out(state, "order") == [True] * 3
    seen = events(state)
    assert seen["order.absent"] == seen["position.emergency_exit"] == seen["risk.halted"] == 0
    assert outcome(state) == calm[kind].books


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_18_an_entry_of_unknown_fate_that_was_not_executed_is_given_up(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """Looked for longer than the exchange would take it, it counts as absent and is not sent late; trading goes on."""
    plan = [fault("order", {"kind": "answer", **UNKNOWN}, route=PLACING[kind])]
    state, theirs = disturbed(tmp_path, calm[kind].tape, plan)
    assert carried_out(state, "order") == [False]
    [absent] = told(state, "order.absent")
    lost = acted_on(state, "order")[0]["client_order_id"]
    assert (absent["client_order_id"], absent["then"]) == (lost, "dropped")
    assert not made(theirs, lost)
    assert len(outcome(state)["trades"]) >= len(calm[kind].trades) - 1
    assert events(state)["risk.halted"] == 0


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_18_an_exit_of_unknown_fate_that_was_not_executed_is_sent_again(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """A position that is to be closed is closed, by the same order, once it is sure that it was not taken."""
    plan = [fault("order", {"kind": "answer", **UNKNOWN}, route=PLACING[kind], where={"side": "SELL"})]
    state, theirs = disturbed(tmp_path, calm[kind].tape, plan)
    assert carried_out(state, "order") == [False]
    [absent] = told(state, "order.absent")
    assert absent["then"] == "sent"
    assert made(theirs, absent["client_order_id"])[0]["status"] == "FILLED"
    assert outcome(state)["trades"] == calm[kind].trades


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_18_a_stop_of_unknown_fate_that_was_not_executed_is_sent_again_in_time(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """The position is protected within its bound, without an emergency."""
    plan = [fault("stop", {"kind": "answer", **UNKNOWN}, route=PROTECTING[kind])]
    state, theirs = disturbed(tmp_path, calm[kind].tape, plan)
    assert carried_out(state, "stop") == [False]
    seen = events(state)
    assert seen["order.uncertain"] >= 1
    assert seen["position.emergency_exit"] == seen["risk.halted"] == 0
    name = acted_on(state, "stop")[0]["client_order_id"]
    assert made(theirs, name) or kind == SPOT, "the same order is sent again"
    assert outcome(state)["trades"] == calm[kind].trades


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_19_an_order_that_can_be_seen_only_after_three_seconds_is_found(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """No answer, and three seconds in which no query and no stream knows it: it is looked for, and not sent twice."""
    plan = [
        fault("answer", {"kind": "drop_after", "delay_ms": 300}, route=PLACING[kind]),
        fault("hidden", {"kind": "visible_after", "delay_ms": 3000}, state="order"),
    ]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"answer": 1, "hidden": 1}
    assert carried_out(state, "answer") == [True]
    [resolved] = told(state, "order.resolved")
    assert resolved["looks"] >= 2
    assert events(state)["order.absent"] == 0
    assert outcome(state) == calm[kind].books


# --- 21, 22: cancels and parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_21_a_cancel_that_was_executed_without_an_answer_does_no_harm(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """The second DELETE, which the client's HTTP library sends by itself, finds nothing; the order counts as canceled."""
    plan = [
        fault("lost", "drop_after", route="DELETE .+/(algoOrder|order|orderList)", count=2),
        fault("other", {"kind": "delay", "delay_ms": 1}, route="DELETE .+rder.*", count="every"),
    ]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    sent = [row["client_order_id"] for name in ("lost", "other") for row in acted_on(state, name)]
    assert carried_out(state, "lost")[0]
    assert sent.count(sent[0]) >= 2, sent
    assert events(state)["risk.halted"] == 0
    assert outcome(state) == calm[kind].books


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_22_what_a_limit_order_has_filled_when_it_is_canceled_is_kept_and_protected(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """Half of each entry fills in two parts, the rest is canceled in time; the stop covers what is held all along."""
    plan = [
        fault("parts", {"kind": "partial_fill", "shares": [0.3, 0.2]}, state="order",
              where={"type": "LIMIT.*"}, count="every")
    ]  # fmt: skip
    maker = {"entry.style": "maker", "entry.limit_minutes": 1}
    state, theirs = disturbed(tmp_path, calm[kind].tape, plan, maker)
    ended = [row for row in made(theirs, "e") if row["status"] == "CANCELED" and row["executed_quantity"]]
    assert ended, made(theirs, "e")
    assert all(row["executed_quantity"] < row["request"]["quantity"] for row in ended)
    assert len(outcome(state)["trades"]) >= 2
    assert events(state)["risk.halted"] == 0


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_22_what_a_market_order_leaves_is_not_sent_again(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """The exchange fills part of an entry at market: what is held is protected, and closed later."""
    plan = [
        fault(
            "parts", {"kind": "partial_fill", "shares": [0.3, 0.3]}, state="order", where={"type": "MARKET"}
        )
    ]
    state, theirs = disturbed(tmp_path, calm[kind].tape, plan)
    [name] = [row["client_order_id"] for row in acted_on(state, "parts")]
    [entry] = made(theirs, name)
    assert 0 < entry["executed_quantity"] < entry["request"]["quantity"]
    assert len(outcome(state)["trades"]) >= 2
    assert events(state)["risk.halted"] == 0


# --- 20: kill -9 of the bot -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [USDM, SPOT])
@pytest.mark.parametrize(
    ("leg", "point"),
    [
        ("e", "intent"), ("e", "send"), ("e", "ack"), ("e", "fill"),
        ("s", "intent"), ("s", "send"), ("s", "ack"),
        ("x", "intent"), ("x", "send"), ("x", "ack"), ("x", "fill"),
    ],
)  # fmt: skip
def test_20_a_death_at_any_point_of_an_order_changes_nothing(
    calm: dict[str, Calm], tmp_path: Path, kind: str, leg: str, point: str
) -> None:
    """After ``kill -9`` the next life sends what was not sent and nothing twice: the trades of a calm hour."""
    state, tape = prepare(tmp_path / "state"), calm[kind].tape
    process = start(
        state, tape, settings=SETTINGS, program=DYING, environment={"DIE_AT": point, "DIE_LEG": leg}
    )
    try:
        assert process.wait(timeout=90) == -signal.SIGKILL, said(state)
    finally:
        process.kill()
    await_end_of_exchange(state)
    run(state, tape, settings=SETTINGS)
    assert_sound(state, tape, PROTECTION_MS)
    seen = events(state)
    assert seen["service.interrupted"] == 1
    assert seen["position.emergency_exit"] == seen["risk.halted"] == 0
    assert outcome(state)["trades"] == calm[kind].trades
