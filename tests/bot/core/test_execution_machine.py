"""Execution against an exchange behind a bad wire: whatever happens, in the end both sides show the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bot.core.execution import ExecutionRules
from bot.core.orders import Leg, OrderIntent, Side, client_order_id
from bot.core.venue import LookUpOrder, ReadState, ReadTrades, VenueCommand, VenueStatus
from tests.core_builders import PERPETUAL, SPOT, order
from tests.model_exchange import Rig, agrees

FATES = ("answered", "answered", "unheard", "lost", "late")
STEP_MS = 3000
MOVES = (-1.5, -0.6, -0.2, 0.2, 0.6, 1.5)
ENDS = (VenueStatus.CANCELED, VenueStatus.EXPIRED)


class Wire(RuleBasedStateMachine):
    """One symbol, one position at a time, and every fault that a wire, an exchange or a process has."""

    @initialize(symbol=st.sampled_from([PERPETUAL, SPOT]))
    def begin(self, symbol: str) -> None:
        """A new account."""
        self.symbol = symbol
        self.rig = Rig((symbol,), ExecutionRules(pair_on_exchange=True))
        self.rig.drain()
        self.decisions = 0
        self.refusals: dict[Leg, int] = {}
        self.rig.exchange.refuse = self._refusal

    def _refusal(self, intent: OrderIntent) -> tuple[str, str] | None:
        left = self.refusals.get(intent.leg, 0)
        if not left:
            return None
        self.refusals[intent.leg] = left - 1
        return "-1008", "Server is currently overloaded."

    def free(self) -> bool:
        """Whether the engine may send an order."""
        return self.rig.desks[self.symbol].waiting() is None

    # --- the engine ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.free())
    @rule(buy=st.booleans(), lots=st.integers(100, 2000))
    def trade(self, buy: bool, lots: int) -> None:
        """Enter when flat, leave when not."""
        rig, desk = self.rig, self.rig.desks[self.symbol]
        position = rig.account.position(self.symbol)
        self.decisions += 1
        name = client_order_id(f"r{self.decisions}", self.symbol, rig.now_ms, Leg.ENTRY)
        if not position.is_flat:
            leaving = desk.exit_intent("run", position, rig.now_ms, Leg.EXIT, "down")
            rig.submit(replace(leaving, client_order_id=name[:-1] + Leg.EXIT.value))
            return
        side = Side.BUY if buy or self.symbol == SPOT else Side.SELL
        entry = order(side=side, quantity=lots / 1000, symbol=self.symbol)
        rig.submit(replace(entry, client_order_id=name, decided_at_ms=rig.now_ms))

    # --- the wire -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.rig.waiting)
    @rule(fate=st.sampled_from(FATES))
    def perform(self, fate: str) -> None:
        """A command goes out, and is heard of or not."""

        def answer(command: VenueCommand) -> str:
            question = isinstance(command, LookUpOrder | ReadTrades | ReadState)
            return "unheard" if question and fate != "answered" else fate

        self.rig.answer = answer
        self.rig.perform()

    @precondition(lambda self: self.rig.exchange.stream)
    @rule(index=st.integers(0, 5), keep=st.booleans())
    def hear(self, index: int, keep: bool) -> None:
        """A message arrives, perhaps before one that was sent earlier, perhaps not for the last time."""
        self.rig.hear(min(index, len(self.rig.exchange.stream) - 1), keep=keep)

    @rule()
    def smooth(self) -> None:
        """For a moment all is well."""
        self.rig.answer = lambda command: "answered"
        self.rig.drain()

    @precondition(lambda self: self.rig.stream_up)
    @rule()
    def cut(self) -> None:
        """The stream goes down."""
        self.rig.cut()

    @precondition(lambda self: not self.rig.stream_up)
    @rule()
    def mend(self) -> None:
        """The stream is up again."""
        self.rig.mend()

    @rule(performed=st.integers(0, 3))
    def crash(self, performed: int) -> None:
        """The process dies, and another one takes up the journal."""
        self.rig.crash(performed)

    @rule(milliseconds=st.integers(50, STEP_MS), drained=st.booleans())
    def wait(self, milliseconds: int, drained: bool) -> None:
        """Time goes by."""
        if drained:
            self.rig.answer = lambda command: "answered"
        self.rig.pass_time(milliseconds, drained=drained)

    # --- the exchange -------------------------------------------------------------------------------------

    @rule(percent=st.sampled_from(MOVES))
    def move(self, percent: float) -> None:
        """The price moves, through a stop or a target perhaps."""
        exchange = self.rig.exchange
        exchange.move(self.symbol, round(exchange.price[self.symbol] * (1 + percent / 100), 2))

    @rule(
        parts=st.integers(1, 3),
        share=st.sampled_from([1.0, 1.0, 0.4]),
        hidden_ms=st.sampled_from([0, 0, 3000]),
        nameless=st.booleans(),
    )
    def habits(self, parts: int, share: float, hidden_ms: int, nameless: bool) -> None:
        """Orders execute in parts, in part, and are seen late; trades do not say whose they are."""
        exchange = self.rig.exchange
        exchange.nameless = nameless
        exchange.parts, exchange.fill_share, exchange.hidden_ms = parts, share, hidden_ms

    @rule(leg=st.sampled_from(list(Leg)), times=st.integers(0, 2))
    def refuse(self, leg: Leg, times: int) -> None:
        """The next orders of a kind are refused."""
        self.refusals[leg] = times

    @rule(
        status=st.sampled_from(ENDS),
        leg=st.sampled_from([Leg.STOP, Leg.TAKE_PROFIT]),
    )
    def end(self, status: VenueStatus, leg: Leg) -> None:
        """The exchange ends a protective order for reasons of its own."""
        for resting in list(self.rig.exchange.orders.values()):
            if resting.intent.leg is leg and resting.status is VenueStatus.OPEN:
                self.rig.exchange.end(resting, status, "by the exchange")
                return

    @rule()
    def fund(self) -> None:
        """A funding time."""
        if self.symbol == PERPETUAL:
            self.rig.exchange.pay_funding(self.symbol, 0.0001)

    # --- what must hold -----------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Once the faults end, all is known, equal and protected, and nothing was sent twice."""
        if not hasattr(self, "rig"):
            return
        rig = self.rig
        self.refusals.clear()
        rig.exchange.hidden_ms, rig.exchange.fill_share = 0, 1.0
        rig.rest()
        rig.pass_time(130_000)
        rig.rest()
        agrees(rig)
        placed = rig.exchange.placed
        assert len(placed) == len(set(placed)), "an order was made twice"
        assert rig.worst_exposure_ms <= rig.rules.protection_ms, "a position was exposed too long"
        odd: list[Any] = [
            alarm
            for alarm in rig.alarms
            if alarm.event.startswith(
                ("account.", "reconciliation.", "order.over", "order.late", "order.unexp")
            )
        ]
        assert not odd, odd


TestWire = Wire.TestCase
TestWire.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

ACTS = (
    *("trade",) * 6,
    *("perform",) * 14,
    *("hear",) * 8,
    *("smooth",) * 4,
    *("wait",) * 6,
    *("move",) * 4,
    *("cut", "mend", "crash", "habits", "refuse", "end", "fund"),
)


def act(wire: Wire, name: str, rng: random.Random) -> None:
    """One step, if it can be taken now."""
    steps: dict[str, Callable[[], None]] = {
        "trade": lambda: wire.trade(rng.random() < 0.5, rng.randint(100, 2000)) if wire.free() else None,
        "perform": lambda: wire.perform(rng.choice(FATES)) if wire.rig.waiting else None,
        "hear": lambda: (
            wire.hear(rng.choice((0, 0, 0, 1, 5)), rng.random() < 0.2) if wire.rig.exchange.stream else None
        ),
        "smooth": wire.smooth,
        "cut": lambda: wire.cut() if wire.rig.stream_up else None,
        "mend": lambda: None if wire.rig.stream_up else wire.mend(),
        "crash": lambda: wire.crash(rng.randint(0, 3)),
        "wait": lambda: wire.wait(rng.randint(50, STEP_MS), rng.random() < 0.5),
        "move": lambda: wire.move(rng.choice(MOVES)),
        "habits": lambda: wire.habits(
            rng.randint(1, 3), rng.choice((1.0, 1.0, 0.4)), rng.choice((0, 0, 3000)), rng.random() < 0.5
        ),
        "refuse": lambda: wire.refuse(rng.choice(list(Leg)), rng.randint(0, 2)),
        "end": lambda: wire.end(rng.choice(ENDS), rng.choice((Leg.STOP, Leg.TAKE_PROFIT))),
        "fund": wire.fund,
    }
    steps[name]()


def test_random_walks_through_every_fault_end_in_agreement() -> None:
    """Longer and denser than what shrinks well: and the faults do happen, or it would prove nothing."""
    words: Counter[str] = Counter()
    for seed in range(120):
        rng = random.Random(seed)
        wire = Wire.__new__(Wire)
        wire.begin(rng.choice((PERPETUAL, SPOT)))
        for _ in range(60):
            act(wire, rng.choice(ACTS), rng)
        wire.teardown()
        words.update(wire.rig.words())
        words["trades"] += wire.rig.account.trade_count
    assert words["trades"] > 100
    expected = ("uncertain", "resolved", "absent")
    assert min(words[f"order.{word}"] for word in expected) > 10
    assert min(words["position.emergency_exit"], words["target.refused"]) > 10
