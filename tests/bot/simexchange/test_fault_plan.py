"""The language of fault plans."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ConfigError
from bot.simexchange.fault_actions import KINDS, Answer, Cut, Target
from bot.simexchange.fault_fields import Moment
from bot.simexchange.fault_plan import Fault, FaultPlan, Match, parse_plan
from bot.simexchange.fault_random import random_plan

ORDER = {"route": "POST /fapi/v1/order"}

MINIMAL: dict[str, dict[str, Any]] = {
    "delay": {"delay_ms": 5},
    "answer": {"status": 503},
    "spoil": {"how": "html"},
    "refuse": {"code": -2019},
    "stall": {"seconds": 1},
    "no_pong": {"seconds": 1},
    "late": {"delay_ms": 5},
    "partial_fill": {"shares": [0.5]},
    "visible_after": {"delay_ms": 5},
    "skew": {"ms": -5_000},
    "maintenance": {"seconds": 1},
}
MATCHES: dict[Target, dict[str, Any]] = {
    Target.ROUTE: ORDER,
    Target.STREAM: {"stream": "user"},
    **{target: {"state": target.value} for target in Target if target not in {Target.ROUTE, Target.STREAM}},
}


def _plan(match: Any = None, action: Any = "drop_after", **more: Any) -> dict[str, Any]:
    return {"faults": [{"name": "one", "match": ORDER if match is None else match, "action": action, **more}]}


def test_a_plan_in_yaml_says_what_it_means() -> None:
    """Every part of an entry is read as docs/faults.md has it."""
    plan = parse_plan(
        yaml.safe_load(
            """
            seed: 7
            faults:
              - name: unknown
                match:
                  route: POST /fapi/v1/order
                  symbol: BTC/USDT:USDT
                  where: {side: BUY, reduceOnly: true, clientOrderId: "ab.*"}
                  minute: [+10m, 2023-05-19T01:00:00Z]
                  seconds: [20, 40]
                  probability: 0.5
                  after: 2
                  count: every
                action: {kind: answer, status: 503, code: -1007, executed: true}
              - match: {stream: user, minute: +90s}
                action: cut
            """
        )
    )
    first, second = plan.faults
    assert plan.seed == 7
    assert first == Fault(
        "unknown",
        Match(
            route="POST /fapi/v1/order",
            symbol="BTCUSDT",
            where=(("side", "BUY"), ("reduceOnly", "true"), ("clientOrderId", "ab.*")),
            minute=(Moment(600_000, relative=True), Moment(1_684_458_000_000)),
            seconds=(20.0, 40.0),
            probability=0.5,
            after=2,
            count=None,
        ),
        Answer(503, -1007, executed=True),
    )
    assert (second.name, second.match.count, second.action) == ("fault-1", 1, Cut())
    assert second.match.minute == (Moment(90_000, relative=True), Moment(150_000, relative=True))


@pytest.mark.parametrize("kind", KINDS)
def test_every_action_is_read_on_each_of_its_targets_and_nowhere_else(kind: str) -> None:
    """An action goes with what it can act on; elsewhere it is refused with those that could."""
    _, targets = KINDS[kind]
    for target, match in MATCHES.items():
        given_plan = _plan(match, {"kind": kind, **MINIMAL.get(kind, {})})
        if target in targets:
            plan = parse_plan(given_plan)
            assert parse_plan(json.loads(json.dumps(plan.written()))) == plan
        else:
            with pytest.raises(ConfigError, match=rf"faults\[0\] \(one\)\.action\.kind: {kind} does not go"):
                parse_plan(given_plan)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ([], "wants a mapping with seed and faults"),
        ({"sed": 1}, "sed: no such field"),
        ({"seed": -1}, "seed: -1 is not in"),
        ({"faults": {}}, "faults: wants a list"),
        ({"faults": "x"}, "faults: wants a list"),
        ({"faults": [1]}, r"faults\[0\]: wants name, match and action"),
        ({"faults": [{"match": ORDER}]}, r"faults\[0\] \(fault-0\)\.action: is missing"),
        ({"faults": [{"action": "drop"}]}, r"faults\[0\] \(fault-0\)\.match: is missing"),
        (_plan(extra=1), r"faults\[0\]\.extra: no such field"),
        (_plan({}), r"faults\[0\] \(one\)\.match: wants one of route, stream and state"),
        (_plan({**ORDER, "stream": "user"}), "wants one of route, stream and state"),
        (_plan({"route": "("}), r"faults\[0\] \(one\)\.match\.route: '\(' is no regular expression"),
        (_plan({"state": "weather"}), r"match\.state: 'weather' is not one of order, listen_key"),
        (_plan({**ORDER, "when": 1}), r"match\.when: no such field; there are route, stream"),
        (_plan({**ORDER, "probability": 2}), r"match\.probability: 2 is not in 0 to 1"),
        (_plan({**ORDER, "after": -1}), r"match\.after: -1 is not in"),
        (_plan({**ORDER, "count": 0}), r"match\.count: 0 is not in"),
        (_plan({**ORDER, "count": True}), r"match\.count: wants a whole number"),
        (_plan({**ORDER, "where": ["x"]}), r"match\.where: wants a mapping"),
        (_plan({**ORDER, "where": {"side": "["}}), r"match\.where\.side: '\[' is no regular expression"),
        (_plan({**ORDER, "minute": "noon"}), r"match\.minute: 'noon' is neither"),
        (_plan({**ORDER, "minute": ["+2m", "+1m"]}), r"match\.minute: \+2m is not before \+1m"),
        (_plan({**ORDER, "seconds": [40, 20]}), r"match\.seconds: 40 is not before 20"),
        (
            _plan({"state": "clock", "symbol": "BTCUSDT"}, {"kind": "skew", "ms": 1}),
            r"match\.symbol: does not",
        ),
        (_plan(action="explode"), r"action\.kind: 'explode' is not one of drop_before"),
        (_plan(action={"kind": "answer"}), r"action\.status: is missing"),
        (_plan(action={"kind": "drop_after", "ms": 1}), r"action\.ms: no such field; there are delay_ms"),
        (_plan({"state": "order"}, {"kind": "partial_fill", "shares": [0.8, 0.4]}), "sum up to 1.2"),
        (_plan({"stream": "user"}, {"kind": "mutate", "set": {"x": [1]}}), r"set\.x: wants one value"),
    ],
)
def test_what_is_wrong_is_named_by_entry_and_field(plan: Any, words: str) -> None:
    """A plan that cannot be meant is refused with the place of what is wrong in it."""
    with pytest.raises(ConfigError, match=words):
        parse_plan(plan)


def test_two_faults_of_one_name_are_refused() -> None:
    """Names are what the log and the counts go by."""
    one = _plan()["faults"][0]
    with pytest.raises(ConfigError, match="two are named 'one'"):
        parse_plan({"faults": [one, one]})


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), minutes=st.integers(0, 30), intensity=st.floats(0, 3))
def test_a_random_plan_comes_back_from_json_and_yaml(seed: int, minutes: int, intensity: float) -> None:
    """What is written is read as the same plan, and the same seed makes the same plan again."""
    plan = random_plan(seed, minutes, intensity, restarts=True)
    assert plan == random_plan(seed, minutes, intensity, restarts=True)
    assert parse_plan(json.loads(json.dumps(plan.written()))) == plan
    assert parse_plan(yaml.safe_load(yaml.safe_dump(plan.written()))) == plan


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_any_subset_of_a_plan_is_a_plan(seed: int, data: st.DataObject) -> None:
    """Entries can be left out, whichever they are, and those that stay are as they were."""
    plan = random_plan(seed, 12, 1.5)
    names = data.draw(st.sets(st.sampled_from([fault.name for fault in plan.faults] or [""])))
    part = parse_plan(plan.only(names).written())
    assert part.faults == tuple(fault for fault in plan.faults if fault.name in names)
    assert part.seed == plan.seed


@given(minutes=st.integers(1, 200))
def test_a_random_plan_has_a_fault_every_minute(minutes: int) -> None:
    """At intensity 1 each minute has exactly one fault, which waits for that minute alone and acts once."""
    plan = random_plan(3, minutes)
    starts = [fault.match.minute[0] for fault in plan.faults]
    assert starts == [Moment(number * 60_000, relative=True) for number in range(minutes)]
    assert {fault.match.count for fault in plan.faults} == {1}


def test_restarts_are_random_only_when_asked_for() -> None:
    """A chaos run without anybody to start the exchange again is not given a plan that ends it."""
    kinds = {type(fault.action).__name__ for fault in random_plan(1, 3_000).faults}
    assert "Restart" not in kinds
    more = {type(fault.action).__name__ for fault in random_plan(1, 3_000, restarts=True).faults}
    assert more - kinds == {"Restart"}
    assert len(more) == len(KINDS)


def test_an_empty_plan_has_no_faults() -> None:
    """A file without entries misbehaves in nothing."""
    assert parse_plan({}) == parse_plan({"seed": 0, "faults": None}) == FaultPlan()


def _examples() -> list[str]:
    text = (Path(__file__).resolve().parents[3] / "docs" / "faults.md").read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("number", range(len(_examples())))
def test_every_example_of_the_page_is_a_plan(number: int) -> None:
    """What docs/faults.md shows can be used as it stands."""
    assert parse_plan(yaml.safe_load(_examples()[number])).faults


def test_the_page_has_every_action() -> None:
    """No action is without its line in docs/faults.md."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "faults.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
