"""Scenarios 23 to 25: the user stream, rejects, clock and connections, each against what the exchange knows to be true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.calm_hour import (
    PLACING,
    SPOT,
    USDM,
    Calm,
    assert_sound,
    disturbed,
    fault,
)
from tests.live_rig import events, outcome, said
from tests.order_rig import PROTECTION_MS, Elsewhere, acted_on, acts, made, told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


# --- 23: the user stream ----------------------------------------------------------------------------------------


def execution_field(kind: str, name: str) -> str:
    """The path of a field in a message of the user stream."""
    return f"o.{name}" if kind == USDM else name


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_23_executions_told_twice_and_out_of_order_count_once(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """Duplicates, and births of orders told after their fills: the books of a calm hour."""
    execution = execution_field(kind, "x")
    plan = [
        fault("twice", {"kind": "duplicate", "times": 2}, stream="user", where={execution: "TRADE"}, count=4),
        fault("late", {"kind": "reorder", "by": 2, "seconds": 1}, stream="user",
              where={execution: "NEW"}, count=3),
        fault("passed", {"kind": "late", "delay_ms": 300}, stream="user",
              where={execution: "TRADE"}, count=2),
    ]  # fmt: skip
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"twice": 4, "late": 3, "passed": 2}
    assert events(state)["risk.halted"] == 0
    assert outcome(state) == calm[kind].books


@pytest.mark.parametrize("kind", [USDM, SPOT])
@pytest.mark.parametrize("leg", ["e", "x", "s"])
def test_23_a_fill_that_no_stream_tells_of_is_found(
    calm: dict[str, Calm], tmp_path: Path, kind: str, leg: str
) -> None:
    """The user stream is cut at the fill of an entry, an exit or a stop, and stays away for a second."""
    execution = execution_field(kind, "x")
    plan = [
        fault("cut", {"kind": "cut", "refuse_s": 1}, stream="user",
              where={execution: "TRADE", "clientOrderId": f".+{leg}"})
    ]  # fmt: skip
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"cut": 1}
    assert events(state)["risk.halted"] == 0
    if leg == "s":
        assert len(outcome(state)["trades"]) >= len(calm[kind].trades)
    else:
        assert outcome(state)["trades"] == calm[kind].trades


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_23_a_listen_key_that_expired_is_replaced(calm: dict[str, Calm], tmp_path: Path, kind: str) -> None:
    """The exchange ends the subscription twice: the stream is there again, and nothing is missing."""
    plan = [
        fault("first", "expire", state="listen_key", minute="+70m"),
        fault("second", "expire", state="listen_key", minute="+80m"),
    ]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"first": 1, "second": 1}
    assert events(state)["risk.halted"] == 0
    assert outcome(state)["trades"] == calm[kind].trades


# --- 24: rejects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "codes"), [(USDM, {-2019, -4164, -1111}), (SPOT, {-2010, -1013, -1111})])
def test_24_entries_that_the_exchange_rejects_are_over(
    calm: dict[str, Calm], tmp_path: Path, kind: str, codes: set[int]
) -> None:
    """No funds, too small, wrong step: each is told with the exchange's reason, and the next entry is made as ever."""
    where = {"type": "MARKET", "reduceOnly": "false"} if kind == USDM else {"type": "MARKET", "side": "BUY"}
    plan = [
        fault(f"refused{code}", {"kind": "refuse", "code": code}, state="order", where=where)
        for code in sorted(codes)
    ]
    state, theirs = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {entry["name"]: 1 for entry in plan}
    refused = [row["client_order_id"] for entry in plan for row in acted_on(state, entry["name"])]
    rejected = {row["client_order_id"]: row["reason"] for row in told(state, "order.rejected")}
    assert set(rejected) == set(refused)
    assert all(rejected.values())
    assert not [name for name in refused if made(theirs, name)]
    assert len(outcome(state)["trades"]) >= 2
    assert events(state)["risk.halted"] == 0


@pytest.mark.parametrize(("kind", "code"), [(USDM, -2022), (SPOT, -2010)])
def test_24_an_exit_that_is_rejected_leaves_a_protected_position(
    calm: dict[str, Calm], tmp_path: Path, kind: str, code: int
) -> None:
    """The exit is over, the stop is there (again, on spot), and a later minute closes the position."""
    where = {"type": "MARKET", "clientOrderId": ".+x"}
    plan = [fault("exit", {"kind": "refuse", "code": code}, state="order", where=where)]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"exit": 1}
    [rejected] = told(state, "order.rejected")
    assert rejected["client_order_id"] == acted_on(state, "exit")[0]["client_order_id"]
    assert events(state)["position.emergency_exit"] == events(state)["risk.halted"] == 0
    assert len(outcome(state)["trades"]) >= 2


@pytest.mark.parametrize("kind", [USDM, SPOT])
@pytest.mark.parametrize("fallback", ["none", "taker"])
def test_24_a_post_only_order_that_would_cross_is_given_up_or_goes_to_market(
    calm: dict[str, Calm], tmp_path: Path, kind: str, fallback: str
) -> None:
    """It is canceled by that name; with the fallback a market order takes its place, protected like any other."""
    refusal = {"kind": "refuse", "code": -5022 if kind == USDM else -2010}
    if kind == SPOT:
        refusal["text"] = "Order would immediately match and take."
    plan = [fault("crossed", refusal, state="order", where={"type": "LIMIT.*"}, count=2)]
    maker = {"entry.style": "maker", "entry.limit_minutes": 2, "entry.fallback": fallback}
    state, theirs = disturbed(tmp_path, calm[kind].tape, plan, maker)
    assert acts(state) == {"crossed": 2}
    crossed = [row["client_order_id"] for row in acted_on(state, "crossed")]
    reasons = {row["client_order_id"]: row["reason"] for row in told(state, "order.canceled")}
    assert {reasons[name] for name in crossed} == {"post_only_would_cross"}
    taken = [name for name in crossed if made(theirs, name[:-1] + "m")]
    assert taken == (crossed if fallback == "taker" else [])
    assert events(state)["risk.halted"] == 0


@pytest.mark.parametrize(("kind", "code"), [(USDM, -4045), (SPOT, -1013)])
def test_24_a_stop_that_is_refused_ends_the_position_and_halts(
    calm: dict[str, Calm], tmp_path: Path, kind: str, code: int
) -> None:
    """Without a stop there is no position: it is closed at once, even if that is refused at first, and a person looks."""
    refusal = {"kind": "refuse", "code": code, "text": "Reach max stop order limit."}
    funds = {"kind": "refuse", "code": -2019 if kind == USDM else -2010}
    plan = [
        fault("stop", refusal, state="order", where={"type": "STOP.*"}, count="every"),
        fault("exit", funds, state="order", where={"type": "MARKET", "side": "SELL"}),
    ]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    counts = acts(state)
    assert counts["stop"] >= 1
    assert counts["exit"] == 1
    seen = events(state)
    assert seen["position.emergency_exit"] == 2
    assert seen["position.unprotected"] == 1
    assert told(state, "risk.halted")[0]["reason"] == "reconciliation"
    assert outcome(state)["account"]["positions"] == []
    [closed] = told(state, "trade.closed")
    assert closed["exit_reason"] == "emergency_exit"


@pytest.mark.parametrize("kind", [USDM, SPOT])
def test_24_a_stop_whose_price_is_reached_already_ends_the_position_alone(
    calm: dict[str, Calm], tmp_path: Path, kind: str
) -> None:
    """What a stop would have done is done at market; it is no reason to halt."""
    reached: dict[str, Any] = {"kind": "refuse", "code": -2021}
    if kind == SPOT:
        reached |= {"code": -2010, "text": "Stop price would trigger immediately."}
    plan = [fault("stop", reached, state="order", where={"type": "STOP.*"})]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"stop": 1}
    [left] = told(state, "position.emergency_exit")
    assert left["cause"] == "stop_hit"
    assert events(state)["risk.halted"] == 0
    assert len(outcome(state)["trades"]) >= 2


# --- 25: clock and connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [USDM, SPOT])
@pytest.mark.parametrize("off_ms", [5_000, 20_000])
def test_25_a_clock_that_is_off_stops_nothing(
    calm: dict[str, Calm], tmp_path: Path, kind: str, off_ms: int
) -> None:
    """The exchange's clock is ahead, then behind, then right: requests are stamped by it, and none is lost.

    A market that waits stands some seconds after the close that was told last: only what is more than that is refused.
    """
    plan = [
        fault("ahead", {"kind": "skew", "ms": off_ms}, state="clock", minute="+64m"),
        fault("behind", {"kind": "skew", "ms": -off_ms}, state="clock", minute="+74m"),
        fault("right", {"kind": "skew", "ms": 0}, state="clock", minute="+90m"),
        fault("asked", {"kind": "delay", "delay_ms": 1}, route="GET .+/time", minute=["+74m", None],
              count="every"),
    ]  # fmt: skip
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    counts = acts(state)
    assert [counts[name] for name in ("ahead", "behind", "right")] == [1, 1, 1]
    assert counts["asked"] >= 1 or off_ms == 5_000, "the clocks were never compared"
    seen = events(state)
    assert seen["risk.halted"] == seen["order.rejected"] == 0
    assert outcome(state) == calm[kind].books


@pytest.mark.parametrize("kind", [USDM, SPOT])
@pytest.mark.parametrize("close_frame", [True, False])
def test_25_every_socket_is_closed_at_once(
    calm: dict[str, Calm], tmp_path: Path, kind: str, close_frame: bool
) -> None:
    """The disconnect of every 24 hours, with a goodbye or without: candles and orders are those of a calm hour."""
    plan = [fault("cut", {"kind": "cut", "close_frame": close_frame}, state="exchange", minute="+76m")]
    state, _ = disturbed(tmp_path, calm[kind].tape, plan)
    assert acts(state) == {"cut": 1}
    assert events(state)["feed.reconnected"] >= 1
    assert outcome(state)["trades"] == calm[kind].trades


@pytest.mark.parametrize("kind", [USDM, SPOT])
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_25_a_restart_of_the_exchange_is_waited_for(
    calm: dict[str, Calm], tmp_path: Path, kind: str, how: str
) -> None:
    """It ends between two minutes, and in the middle of an order that it has carried out: the books agree all the same."""
    plan = [
        fault("order", {"kind": "restart", "how": how, "executed": True}, route=PLACING[kind]),
        fault("idle", {"kind": "restart", "how": how}, state="exchange", minute="+12m"),
    ]
    tape = calm[kind].tape
    with Elsewhere(tmp_path, tape, start_at="+62m", speed=240, faults=plan) as place:
        place.trade(seconds=90)
        assert place.lives == 3
    state = place.state
    assert acts(state) == {"order": 1, "idle": 1}
    assert_sound(state, tape, PROTECTION_MS * place.speed)
    seen = events(state)
    assert seen["service.ready"] == 1, "the bot itself went on"
    assert seen["feed.reconnected"] >= 2
    assert seen["risk.halted"] == 0, said(state)
    assert seen["order.uncertain"] >= 1
    assert len(outcome(state)["trades"]) >= 2
