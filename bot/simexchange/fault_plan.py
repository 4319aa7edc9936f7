"""A fault plan: a flat list of faults, each with what it waits for and what it does. Pure.

Any subset of a plan is a plan, and a fault acts on the same matches whatever other faults there are (but for one
that took the same request or message before it): chance is drawn by the plan's seed, the fault's name and the number
of the match. docs/faults.md is the language.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bot.errors import ConfigError
from bot.simexchange.exchange_info import symbol_id
from bot.simexchange.fault_actions import KINDS, Action, Target, word_of
from bot.simexchange.fault_fields import (
    Moment,
    any_text,
    entry,
    optional,
    pattern,
    patterns,
    read_record,
    real,
    seconds_of_minute,
    whole,
    window,
    word,
    write_record,
)

STATES = (Target.ORDER, Target.LISTEN_KEY, Target.CLOCK, Target.EXCHANGE)
EVERY = "every"
"""The word for a fault without a limit to how often it acts."""


def _count(value: Any, place: str) -> int | None:
    found: int | None = None if value == EVERY else whole(1, 1_000_000)(value, place)
    return found


def _symbol(value: Any, place: str) -> str:
    return symbol_id(any_text(value, place))


def _written_window(value: tuple[Moment | None, Moment | None]) -> list[int | str | None]:
    return [one.written() if one else None for one in value]


@dataclass(frozen=True, slots=True)
class Match:
    """What a fault waits for: one of ``route``, ``stream`` and ``state``, and conditions. Expressions fit whole texts.

    Attributes:
        route: Expression over ``METHOD /path``.
        stream: Expression over stream names, ``btcusdt@kline_1m`` or ``user``.
        state: ``order`` (one that the account takes in), or ``listen_key``, ``clock``, ``exchange`` (the time alone).
        symbol: Exchange id.
        where: Expressions over parameters of the request, fields of the message or of the order.
        minute: Market time, [from, until); at an event of the market or a request in it.
        seconds: Of each minute, [from, to).
        probability: Of acting, for each match.
        after: So many matches pass first.
        count: How often it acts; None: no limit.
    """

    route: str | None = entry(optional(pattern), None)
    stream: str | None = entry(optional(pattern), None)
    state: str | None = entry(optional(word(*STATES)), None)
    symbol: str | None = entry(optional(_symbol), None)
    where: tuple[tuple[str, str], ...] = entry(patterns, (), dict)
    minute: tuple[Moment | None, Moment | None] = entry(window, (None, None), _written_window)
    seconds: tuple[float, float] | None = entry(optional(seconds_of_minute), None, list)
    probability: float = entry(real(0, 1), 1.0)
    after: int = entry(whole(0, 1_000_000), 0)
    count: int | None = entry(_count, 1, lambda value: EVERY if value is None else value)

    @property
    def target(self) -> Target:
        """What it waits for."""
        if self.route is not None:
            return Target.ROUTE
        return Target.STREAM if self.stream is not None else Target(self.state or Target.EXCHANGE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave; its name is its own in its plan."""

    name: str
    match: Match
    action: Action

    def written(self) -> dict[str, Any]:
        """As JSON values, which ``parse_plan`` reads."""
        action = {"kind": word_of(self.action), **write_record(self.action)}
        return {"name": self.name, "match": write_record(self.match), "action": action}

    def draw(self, seed: int, match_number: int) -> bool:
        """Whether chance lets it act on a match."""
        if self.match.probability >= 1:
            return True
        chance = random.Random(f"{seed}/{self.name}/{match_number}")  # noqa: S311 - repeatable, not secret
        return chance.random() < self.match.probability


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Faults, the first of which that fits a request or message has it alone; and the seed of their chances."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse two faults of one name."""
        seen: set[str] = set()
        for fault in self.faults:
            if fault.name in seen:
                raise ConfigError(f"faults: two are named {fault.name!r}")
            seen.add(fault.name)

    def only(self, names: Collection[str]) -> FaultPlan:
        """The plan with the faults of these names alone."""
        return FaultPlan(tuple(fault for fault in self.faults if fault.name in names), self.seed)

    def written(self) -> dict[str, Any]:
        """As JSON values, which ``parse_plan`` reads."""
        return {"seed": self.seed, "faults": [fault.written() for fault in self.faults]}


def parse_plan(given: Any) -> FaultPlan:
    """Read a plan from plain values (of YAML or JSON); raises ConfigError that names the entry and the field."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"a fault plan wants a mapping with seed and faults, not {type(given).__name__}")
    for name in given:
        if name not in {"seed", "faults"}:
            raise ConfigError(f"{name}: no such field of a fault plan; there are seed, faults")
    entries = given.get("faults")
    entries = [] if entries is None else entries
    if not isinstance(entries, (list, tuple)):
        raise ConfigError("faults: wants a list")
    seed = whole(0, 2**63 - 1)(given.get("seed", 0), "seed")
    return FaultPlan(tuple(_fault(one, number) for number, one in enumerate(entries)), seed)


def _fault(given: Any, number: int) -> Fault:
    place = f"faults[{number}]"
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: wants name, match and action, not {given!r}")
    for field in given:
        if field not in {"name", "match", "action"}:
            raise ConfigError(f"{place}.{field}: no such field; there are name, match, action")
    name = any_text(given.get("name", f"fault-{number}"), f"{place}.name")
    place = f"{place} ({name})"
    if "match" not in given or "action" not in given:
        raise ConfigError(f"{place}.{'action' if 'match' in given else 'match'}: is missing")
    match: Match = read_record(Match, given["match"], f"{place}.match")
    _check_match(match, f"{place}.match")
    return Fault(name, match, _action(given["action"], match.target, f"{place}.action"))


def _check_match(match: Match, place: str) -> None:
    if sum(one is not None for one in (match.route, match.stream, match.state)) != 1:
        raise ConfigError(f"{place}: wants one of route, stream and state")
    if match.target in {Target.LISTEN_KEY, Target.CLOCK, Target.EXCHANGE}:
        for field in ("symbol", "where"):
            if getattr(match, field):
                raise ConfigError(f"{place}.{field}: does not go with state {match.state}, which has none")


def _action(given: Any, target: Target, place: str) -> Action:
    """An action, by its word alone or with its fields."""
    fields = dict(given) if isinstance(given, Mapping) else {"kind": given}
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(f"{place}.kind: {kind!r} is not one of {', '.join(KINDS)}")
    made, targets = KINDS[kind]
    if target not in targets:
        fitting = [name for name, (_, places) in KINDS.items() if target in places]
        raise ConfigError(f"{place}.kind: {kind} does not go with {target}; there are {', '.join(fitting)}")
    action: Action = read_record(made, fields, place)
    return action
