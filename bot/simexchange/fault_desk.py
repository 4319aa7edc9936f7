"""Which fault acts now: by the plan, what was counted so far, the time, and chance drawn from a seed.

It does no I/O: each act is handed to ``record`` before it is carried out, and what was true of it after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from re import fullmatch
from typing import Any

from bot.simexchange.fault_actions import (
    Action,
    Maintenance,
    PartialFill,
    Refuse,
    Replay,
    Skew,
    Target,
    VisibleAfter,
    text_of,
    word_of,
)
from bot.simexchange.fault_plan import Fault, FaultPlan
from bot.simexchange.fault_sight import MessageSight, OrderSight, RequestSight, Sight
from bot.simexchange.orders import Disturbance, OrderRequest

TIMED = (Target.LISTEN_KEY, Target.CLOCK, Target.EXCHANGE)
"""What acts by the time alone."""

Record = Mapping[str, Any]
"""A line of the log, JSON values: ``event`` is plan, act, truth or counts."""


@dataclass(slots=True)
class Count:
    """How often a fault fitted, and how often it acted."""

    matched: int = 0
    acted: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """One act of one fault; ``earlier`` is the message that ``replay`` sends once more."""

    number: int
    fault: Fault
    earlier: str | None = None

    @property
    def action(self) -> Action:
        """What is to be done."""
        return self.fault.action


class FaultDesk:
    """Decides over everything that a plan may disturb."""

    def __init__(
        self,
        plan: FaultPlan,
        *,
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
        start_ms: Callable[[], int],
        record: Callable[[Record], None],
    ) -> None:
        """``now_ms``: market time; ``now_s``: seconds of the wall clock that durations count in; ``start_ms``: of the market."""
        self._now_ms = now_ms
        self._now_s = now_s
        self._start_ms = start_ms
        self._record = record
        self._acts = 0
        self._hidden: dict[str, float] = {}
        self._numbers: dict[str, str] = {}
        self._skew: tuple[int, float]
        self._take(plan)

    def begin(self, *, origin: str) -> None:
        """Write the plan into the log; ``origin`` says where it came from."""
        self._record({"event": "plan", "origin": origin, "plan": self.plan.written()})

    def replace(self, plan: FaultPlan, *, origin: str) -> None:
        """Go on with another plan, its counts at zero; skew, maintenance and refusals of connections end."""
        self._take(plan)
        self.begin(origin=origin)

    def restore(self, records: Iterable[Record]) -> None:
        """Take up counts, and a skew without an end, from the log of the process before."""
        for record in records:
            self._acts = max(self._acts, int(record.get("act", 0)))
            if record["event"] == "counts":
                for name, count in record["counts"].items():
                    self._counted(name, count)
            elif record["event"] == "act":
                self._counted(record["fault"], record)
                fault = next((one for one in self.plan.faults if one.name == record["fault"]), None)
                if fault is not None and isinstance(fault.action, Skew) and fault.action.seconds is None:
                    self._skew = (fault.action.ms, float("inf"))

    def save(self) -> None:
        """Write all counts into the log."""
        self._record({"event": "counts", "counts": self.counts()})

    def counts(self) -> dict[str, dict[str, int]]:
        """By fault: ``matched`` (until it was used up) and ``acted``."""
        return {
            name: {"matched": count.matched, "acted": count.acted} for name, count in self._counts.items()
        }

    def minds(self, target: Target) -> bool:
        """Whether any fault still waits for this kind of thing."""
        return bool(self._waiting[target])

    def on_request(self, sight: RequestSight) -> Act | None:
        """What is done to a request; the edge carries it out and tells its ``truth``."""
        return self._choose(sight)

    def on_message(self, stream: str, text: str) -> Act | None:
        """What is done to a message of a stream."""
        if not self._waiting[Target.STREAM]:
            return None
        return self._choose(MessageSight(stream, text, self._now_ms()))

    def on_order(self, request: OrderRequest) -> Disturbance | None:
        """What is done to an order that the account takes in; ``SimAccount.disturb``."""
        act = self._choose(OrderSight(request, self._now_ms()))
        match act.action if act else None:
            case Refuse(code=code, text=text):
                return Disturbance(refuse=(code, text_of(code, text)))
            case PartialFill(shares=shares):
                return Disturbance(fill_shares=shares)
            case VisibleAfter(delay_ms=delay_ms):
                self._hidden[request.client_order_id] = self._now_s() + delay_ms / 1000
        return None

    def tick(self, at_ms: int | None = None) -> list[Act]:
        """What the time alone sets off; the edge carries out what is not a matter of this desk."""
        at = self._now_ms() if at_ms is None else at_ms
        acts = []
        for target in TIMED:
            sight = Sight(target, target.value, at)
            found = (self._consider(fault, sight) for fault in list(self._waiting[target]))
            acts += [act for act in found if act is not None]
        for act in acts:
            match act.action:
                case Skew(ms=ms, seconds=seconds):
                    self._skew = (ms, float("inf") if seconds is None else self._now_s() + seconds)
                case Maintenance(seconds=seconds):
                    self._maintenance_until_s = self._now_s() + seconds
        return acts

    def truth(self, act: Act, **facts: Any) -> None:
        """Write down what was true of an act."""
        self._record({"event": "truth", "act": act.number, **facts})

    @property
    def skew_ms(self) -> int:
        """How far the exchange's clock is off, as it tells it."""
        ms, until_s = self._skew
        return ms if self._now_s() < until_s else 0

    @property
    def in_maintenance(self) -> bool:
        """Whether every request is answered with 503."""
        return self._now_s() < self._maintenance_until_s

    def refuse_connections(self, seconds: float, *, rest: bool) -> None:
        """Take no new streams, and if told no requests, for a while."""
        until_s = self._now_s() + seconds
        self._refusing["streams"] = max(self._refusing["streams"], until_s)
        if rest:
            self._refusing["rest"] = max(self._refusing["rest"], until_s)

    def refuses(self, *, stream: bool) -> bool:
        """Whether a new stream, or a request, is cut before it is looked at."""
        return self._now_s() < self._refusing["streams" if stream else "rest"]

    def hidden(self, client_order_id: str) -> bool:
        """Whether an order is not to be found yet."""
        return self.hidden_for(client_order_id) > 0

    def hidden_for(self, client_order_id: str) -> float:
        """For how many seconds an order is not to be found."""
        return max(self._hidden.get(client_order_id, 0.0) - self._now_s(), 0.0)

    def name_number(self, client_order_id: str, order_id: str) -> None:
        """Say which number (``orderId:5``) the exchange gave to an order that is hidden."""
        if client_order_id in self._hidden:
            self._numbers[order_id] = client_order_id

    def hidden_number(self, order_id: str) -> bool:
        """Whether the order of this number is not to be found yet."""
        return order_id in self._numbers and self.hidden(self._numbers[order_id])

    @property
    def hides(self) -> bool:
        """Whether any order is hidden now."""
        now_s = self._now_s()
        return any(until_s > now_s for until_s in self._hidden.values())

    def _take(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._counts = {fault.name: Count() for fault in plan.faults}
        self._waiting: dict[Target, list[Fault]] = {target: [] for target in Target}
        for fault in plan.faults:
            self._waiting[fault.match.target].append(fault)
        self._kept: dict[str, deque[str]] = {}
        self._skew = (0, 0.0)
        self._maintenance_until_s = 0.0
        self._refusing = {"streams": 0.0, "rest": 0.0}

    def _counted(self, name: str, count: Mapping[str, Any]) -> None:
        if name not in self._counts:
            return
        known = self._counts[name]
        known.matched = max(known.matched, int(count["matched"]))
        known.acted = max(known.acted, int(count["acted"]))
        self._waiting = {
            target: [fault for fault in faults if not self._used_up(fault)]
            for target, faults in self._waiting.items()
        }

    def _choose(self, sight: Sight) -> Act | None:
        """The first fault that fits, is due and is lucky; it has the thing alone."""
        for fault in self._waiting[sight.target]:
            if (act := self._consider(fault, sight)) is not None:
                return act
        return None

    def _consider(self, fault: Fault, sight: Sight) -> Act | None:
        """One fault's turn: count a match, and let it act where it is due."""
        if not self._fits(fault, sight):
            return None
        count = self._counts[fault.name]
        count.matched += 1
        earlier = self._remember(fault, sight)
        if count.matched <= fault.match.after or not fault.draw(self.plan.seed, count.matched):
            return None
        if isinstance(fault.action, Replay) and earlier is None:
            return None  # too early: there is nothing yet to send once more
        count.acted += 1
        self._acts += 1
        if self._used_up(fault):
            self._waiting[sight.target].remove(fault)
        act = Act(self._acts, fault, earlier)
        counted = {"matched": count.matched, "acted": count.acted}
        named = {"act": act.number, "fault": fault.name, "kind": word_of(fault.action)}
        self._record({"event": "act", **named, **sight.noted(), **counted})
        return act

    def _remember(self, fault: Fault, sight: Sight) -> str | None:
        """Keep a message that ``replay`` may want; the one that it wants now, if there have been so many."""
        if not isinstance(fault.action, Replay) or not isinstance(sight, MessageSight):
            return None
        kept = self._kept.setdefault(fault.name, deque(maxlen=fault.action.back + 1))
        kept.append(sight.text)
        return kept[0] if len(kept) > fault.action.back else None

    def _used_up(self, fault: Fault) -> bool:
        return fault.match.count is not None and self._counts[fault.name].acted >= fault.match.count

    def _fits(self, fault: Fault, sight: Sight) -> bool:
        match, at_ms = fault.match, sight.at_ms
        low, high = match.minute
        if (low and at_ms < low.at(self._start_ms())) or (high and at_ms >= high.at(self._start_ms())):
            return False
        if match.seconds and not match.seconds[0] <= at_ms % 60_000 / 1000 < match.seconds[1]:
            return False
        name = match.route or match.stream
        if name is not None and not fullmatch(name, sight.name):
            return False
        if match.symbol is not None and match.symbol != sight.symbol:
            return False
        found = ((sight.value(path), expected) for path, expected in match.where)
        return all(value is not None and fullmatch(expected, value) for value, expected in found)
