"""Which fault acts, by counts, time and a seed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.simexchange.fault_actions import Cut, Replay, Target
from bot.simexchange.fault_desk import FaultDesk
from bot.simexchange.fault_files import running_plan
from bot.simexchange.fault_plan import FaultPlan, parse_plan
from bot.simexchange.fault_random import random_plan
from bot.simexchange.fault_sight import RequestSight
from bot.simexchange.orders import Disturbance, OrderKind, OrderRequest

START_MS = 1_684_454_400_000
MINUTE_MS = 60_000


class Rig:
    """A desk with a clock that is set by hand, and its log."""

    def __init__(self, plan: FaultPlan) -> None:
        self.now_ms = START_MS
        self.now_s = 100.0
        self.log: list[dict[str, Any]] = []
        self.desk = FaultDesk(
            plan,
            now_ms=lambda: self.now_ms,
            now_s=lambda: self.now_s,
            start_ms=lambda: START_MS,
            record=lambda record: self.log.append(json.loads(json.dumps(record))),
        )

    def request(self, name: str = "POST /fapi/v1/order", **params: str) -> str | None:
        """The name of the fault that takes a request."""
        method, _, path = name.partition(" ")
        act = self.desk.on_request(RequestSight(len(self.log), method, path, params, self.now_ms))
        return act.fault.name if act else None

    def message(self, stream: str = "btcusdt@kline_1m", **fields: Any) -> str | None:
        """The name of the fault that takes a message."""
        act = self.desk.on_message(stream, json.dumps(fields))
        return act.fault.name if act else None

    @property
    def acted(self) -> list[str]:
        """The faults that acted, in order."""
        return [record["fault"] for record in self.log if record["event"] == "act"]


def _rig(*faults: dict[str, Any], seed: int = 0) -> Rig:
    return Rig(parse_plan({"seed": seed, "faults": list(faults)}))


def _fault(name: str = "one", action: Any = "drop_after", **match: Any) -> dict[str, Any]:
    given_match = match if {"stream", "state"} & set(match) else {"route": "POST /fapi/v1/order", **match}
    return {"name": name, "match": given_match, "action": action}


def _order(client_order_id: str = "c1", **more: Any) -> OrderRequest:
    return OrderRequest("BTCUSDT", "BUY", OrderKind.MARKET, 1.0, client_order_id, **more)


@pytest.mark.parametrize(
    ("match", "params", "fits"),
    [
        ({}, {}, True),
        ({"route": "POST /fapi/v1/ord"}, {}, False),
        ({"route": "(GET|POST) /fapi/.*"}, {}, True),
        ({"symbol": "BTC/USDT:USDT"}, {"symbol": "BTCUSDT"}, True),
        ({"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}, False),
        ({"symbol": "BTCUSDT"}, {}, False),
        ({"where": {"reduceOnly": True}}, {"reduceOnly": "true"}, True),
        ({"where": {"reduceOnly": True}}, {}, False),
        ({"where": {"side": "BUY", "type": "MARKET"}}, {"side": "BUY", "type": "LIMIT"}, False),
        ({"where": {"clientOrderId": "ab.+"}}, {"newClientOrderId": "abc"}, True),
        ({"where": {"clientOrderId": "ab.+"}}, {"clientAlgoId": "xabc"}, False),
    ],
)
def test_a_request_is_taken_only_if_everything_fits(match: Any, params: dict[str, str], fits: bool) -> None:
    """Expressions fit whole texts, and each condition has to be met."""
    assert (_rig(_fault(**match)).request(**params) == "one") is fits


def test_messages_are_known_by_stream_symbol_and_fields() -> None:
    """Fields of a message are named by their paths, and a user event's symbol and client id are found in it."""
    rig = _rig(
        _fault("closed", "drop", stream=".+@kline_1m", symbol="ETHUSDT", where={"k.x": True}),
        _fault(
            "fill",
            "drop",
            stream="user",
            symbol="BTCUSDT",
            where={"e": "ORDER_TRADE_UPDATE", "clientOrderId": "c7"},
        ),
    )
    assert rig.message("btcusdt@kline_1m", k={"x": True}) is None
    assert rig.message("ethusdt@kline_1m", k={"x": False}) is None
    assert rig.message("ethusdt@kline_1m", k={"x": True}) == "closed"
    assert rig.message("user", e="ACCOUNT_UPDATE", a={}) is None
    assert rig.message("user", e="ORDER_TRADE_UPDATE", o={"s": "BTCUSDT", "c": "c7"}) == "fill"


def test_it_skips_the_first_matches_and_acts_so_often() -> None:
    """``after`` matches pass, ``count`` are taken, and the rest pass again."""
    rig = _rig(_fault(after=2, count=3))
    assert [rig.request() for _ in range(7)] == [None, None, "one", "one", "one", None, None]
    assert rig.desk.counts() == {"one": {"matched": 5, "acted": 3}}
    assert not rig.desk.minds(Target.ROUTE)


def test_the_first_fault_that_acts_has_the_request_alone() -> None:
    """A second fault sees what the first has left."""
    rig = _rig(_fault("one"), _fault("two", count="every"))
    assert [rig.request() for _ in range(3)] == ["one", "two", "two"]
    assert rig.desk.counts()["two"]["matched"] == 2


def test_a_fault_waits_for_its_stretch_of_the_market() -> None:
    """Windows hold their first moment and not their last; seconds are those of every minute."""
    rig = _rig(_fault(minute=["+10m", "+11m"], seconds=[20, 40], count="every"))
    times = [9 * 60 + 30, 10 * 60 + 19, 10 * 60 + 20, 10 * 60 + 39, 10 * 60 + 40, 11 * 60 + 30]
    found = []
    for second in times:
        rig.now_ms = START_MS + second * 1000
        found.append(rig.request())
    assert found == [None, None, "one", "one", None, None]


def test_orders_are_refused_filled_in_part_or_hidden() -> None:
    """The account is told of a refusal and of shares; an order that is hidden is hidden for its wall time only."""
    rig = _rig(
        _fault("funds", {"kind": "refuse", "code": -2019}, state="order", where={"clientOrderId": "c1"}),
        _fault(
            "part", {"kind": "partial_fill", "shares": [0.5, 0.2]}, state="order", where={"type": "MARKET"}
        ),
        _fault(
            "late", {"kind": "visible_after", "delay_ms": 3000}, state="order", where={"reduceOnly": True}
        ),
    )
    refused = rig.desk.on_order(_order())
    assert refused == Disturbance(refuse=(-2019, "Margin is insufficient."))
    assert rig.desk.on_order(_order("c2")) == Disturbance(fill_shares=(0.5, 0.2))
    assert rig.desk.on_order(_order("c3")) is None
    assert rig.desk.on_order(_order("c4", reduce_only=True)) is None
    rig.desk.name_number("c4", "orderId:77")
    rig.now_s += 2.9
    assert (rig.desk.hidden("c4"), rig.desk.hidden_number("orderId:77"), rig.desk.hides) == (True,) * 3
    assert not rig.desk.hidden("c3")
    rig.now_s += 0.2
    assert (rig.desk.hidden("c4"), rig.desk.hidden_number("orderId:77"), rig.desk.hides) == (False,) * 3


def test_the_clock_is_off_for_as_long_as_it_is_told() -> None:
    """A skew begins with its moment and ends after its seconds, or with the next one."""
    rig = _rig(
        _fault("ahead", {"kind": "skew", "ms": 5000, "seconds": 2}, state="clock", minute=["+1m", None]),
        _fault("behind", {"kind": "skew", "ms": -5000}, state="clock", minute=["+2m", None]),
    )
    assert (rig.desk.tick(START_MS), rig.desk.skew_ms) == ([], 0)
    rig.desk.tick(START_MS + MINUTE_MS)
    assert rig.desk.skew_ms == 5000
    rig.now_s += 2.1
    assert rig.desk.skew_ms == 0
    rig.desk.tick(START_MS + 2 * MINUTE_MS)
    rig.now_s += 10_000
    assert rig.desk.skew_ms == -5000


def test_maintenance_and_refusals_end_by_themselves() -> None:
    """Outages last their wall seconds; a refusal of streams alone lets requests through."""
    rig = _rig(_fault("down", {"kind": "maintenance", "seconds": 3}, state="exchange"))
    rig.desk.tick()
    assert rig.desk.in_maintenance
    rig.desk.refuse_connections(5, rest=False)
    assert (rig.desk.refuses(stream=True), rig.desk.refuses(stream=False)) == (True, False)
    rig.desk.refuse_connections(5, rest=True)
    assert rig.desk.refuses(stream=False)
    rig.now_s += 5.1
    desk = rig.desk
    assert (desk.in_maintenance, desk.refuses(stream=True), desk.refuses(stream=False)) == (False,) * 3


def test_a_timed_fault_acts_once_a_moment() -> None:
    """One without a limit acts at every event of its window, once."""
    rig = _rig(_fault("all", "cut", state="exchange", minute=["+1m", "+2m"], count="every"))
    acts = [len(rig.desk.tick(START_MS + second * 1000)) for second in (0, 60, 65, 119, 120)]
    assert acts == [0, 1, 1, 1, 0]


def test_an_older_message_is_sent_again_only_when_there_is_one() -> None:
    """``replay`` waits until enough have fitted, and names the message that is so far back."""
    rig = _rig(_fault("old", {"kind": "replay", "back": 2}, stream=".+", where={"k.x": True}))
    rig.message(n=0, k={"x": False})
    for number in (1, 2):
        assert rig.message(n=number, k={"x": True}) is None
    act = rig.desk.on_message("btcusdt@kline_1m", json.dumps({"n": 3, "k": {"x": True}}))
    assert act is not None
    assert act.earlier is not None
    assert json.loads(act.earlier)["n"] == 1


def test_the_log_tells_what_a_client_is_not_told() -> None:
    """An act is logged before it is carried out, with the request, and the truth of it after, by its number."""
    rig = _rig(_fault(probability=1.0))
    sight = RequestSight(
        12, "POST", "/fapi/v1/order", {"symbol": "BTCUSDT", "newClientOrderId": "c9"}, START_MS
    )
    act = rig.desk.on_request(sight)
    assert act is not None
    rig.desk.truth(act, executed=True, status=200)
    assert rig.log == [
        {
            "event": "act",
            "act": 1,
            "fault": "one",
            "kind": "drop_after",
            "target": "route",
            "name": "POST /fapi/v1/order",
            "at_ms": START_MS,
            "symbol": "BTCUSDT",
            "client_order_id": "c9",
            "request_id": 12,
            "matched": 1,
            "acted": 1,
        },
        {"event": "truth", "act": 1, "executed": True, "status": 200},
    ]


def _play(rig: Rig, minutes: int, first: int = 0) -> None:
    """A market with requests, messages and orders, the same each time."""
    for minute in range(first, minutes):
        for second in (5, 20, 35, 50, 60):
            rig.now_ms = START_MS + minute * MINUTE_MS + second * 1000
            rig.now_s += 1
            rig.desk.tick(rig.now_ms)
            closed = second == 60
            rig.message("btcusdt@kline_1m", E=rig.now_ms, k={"x": closed, "t": minute, "c": "1.0"})
        client_order_id = f"c{minute}"
        rig.request(symbol="BTCUSDT", newClientOrderId=client_order_id)
        rig.desk.on_order(_order(client_order_id))
        rig.message("user", e="ORDER_TRADE_UPDATE", o={"s": "BTCUSDT", "c": client_order_id})
        rig.request("GET /fapi/v1/openOrders")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_acts(seed: int) -> None:
    """Two desks that see the same do the same, to the last line of their logs."""
    logs = []
    for _ in range(2):
        rig = Rig(random_plan(seed, 20, 2.0))
        _play(rig, 20)
        logs.append(rig.log)
    assert logs[0] == logs[1]
    assert logs[0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_chance_is_that_of_the_fault_alone(seed: int) -> None:
    """A fault of some probability strikes the same matches when the faults after it are left out."""
    faults = [
        _fault("maybe", probability=0.4, count="every"),
        _fault("other", probability=0.5, count="every"),
    ]
    both, alone = _rig(*faults, seed=seed), _rig(faults[0], seed=seed)
    struck = [[rig.request() == "maybe" for _ in range(60)] for rig in (both, alone)]
    assert struck[0] == struck[1]


def test_chance_is_about_as_likely_as_it_says() -> None:
    """Of 2,000 matches at 0.3 some 600 are struck."""
    rig = _rig(_fault(probability=0.3, count="every"), seed=5)
    assert 540 < sum(rig.request() is not None for _ in range(2_000)) < 660


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), stop=st.integers(0, 19))
def test_a_desk_goes_on_from_its_log(seed: int, stop: int) -> None:
    """After a restart from the log, what acted does not act again, and all others act as they would have.

    But for ``replay``, whose earlier messages are forgotten.
    """
    plan = random_plan(seed, 20, 2.0)
    plan = plan.only({fault.name for fault in plan.faults if not isinstance(fault.action, Replay)})
    rig = Rig(plan)
    rig.desk.begin(origin="start")
    _play(rig, stop)
    went_on, since = running_plan(plan, rig.log)
    again = Rig(went_on)
    again.desk.restore(since)
    assert {name for name, count in again.desk.counts().items() if count["acted"]} == set(rig.acted)
    _play(again, 20, stop)
    whole = Rig(plan)
    _play(whole, 20)
    assert sorted(rig.acted + again.acted) == sorted(whole.acted)


def test_a_plan_that_replaced_another_goes_on_unless_the_start_has_a_new_one() -> None:
    """What was posted outlives a restart with the same file; another file begins anew."""
    first, posted = parse_plan({"faults": [_fault("first")]}), parse_plan({"faults": [_fault("posted")]})
    rig = Rig(first)
    rig.desk.begin(origin="start")
    rig.request()
    rig.desk.replace(posted, origin="control")
    rig.request()
    rig.desk.save()
    for given_plan in (first, None):
        plan, since = running_plan(given_plan, rig.log)
        assert plan == posted
        again = Rig(plan)
        again.desk.restore(since)
        assert again.request() is None
    assert running_plan(posted, rig.log) == (posted, [])
    assert running_plan(None, []) == (FaultPlan(), [])


def test_another_plan_ends_what_the_one_before_had_set() -> None:
    """A skew, maintenance and refusals do not outlive their plan."""
    rig = _rig(
        _fault("skew", {"kind": "skew", "ms": 5000}, state="clock"),
        _fault("down", {"kind": "maintenance", "seconds": 100}, state="exchange"),
        _fault("cut", "cut", state="exchange"),
    )
    acts = rig.desk.tick()
    assert [act.action for act in acts if isinstance(act.action, Cut)] == [Cut()]
    rig.desk.refuse_connections(100, rest=True)
    rig.desk.replace(FaultPlan(), origin="control")
    assert (rig.desk.skew_ms, rig.desk.in_maintenance, rig.desk.refuses(stream=True)) == (0, False, False)
    assert rig.desk.counts() == {}


def test_a_skew_without_an_end_outlives_a_restart() -> None:
    """The clock is off by as much after it."""
    rig = _rig(_fault("skew", {"kind": "skew", "ms": -5000}, state="clock"))
    rig.desk.begin(origin="start")
    rig.desk.tick()
    plan, since = running_plan(None, rig.log)
    again = Rig(plan)
    again.desk.restore(since)
    assert again.desk.skew_ms == -5000
