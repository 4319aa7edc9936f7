"""Random fault plans from a seed, for chaos runs. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from bot.simexchange.bars import MINUTE_MS
from bot.simexchange.fault_actions import (
    Action,
    Answer,
    Correct,
    Corrupt,
    Cut,
    Delay,
    Drop,
    DropAfter,
    DropBefore,
    Duplicate,
    Expire,
    Late,
    Maintenance,
    Mutate,
    NoPong,
    PartialFill,
    Refuse,
    Reorder,
    Replay,
    Restart,
    Skew,
    Spoil,
    Stall,
    VisibleAfter,
    word_of,
)
from bot.simexchange.fault_fields import Moment
from bot.simexchange.fault_plan import Fault, FaultPlan, Match

Dice: TypeAlias = random.Random
Maker: TypeAlias = Callable[[Dice, float], Action]
"""Makes an action, given the most seconds that it may last."""

PLACE = "POST /(api/v3/order|api/v3/orderList/oco|fapi/v1/order|fapi/v1/algoOrder)"
CANCEL = "DELETE /(api/v3/order|api/v3/orderList|fapi/v1/order|fapi/v1/algoOrder)"
ASK = "GET /(api/v3|fapi/v[123])/(?!time|ping|exchangeInfo).+"
KLINES = ".+@kline_1m"
USER = "user"


class _Kind(NamedTuple):
    """Where a random fault may strike, how often compared with others, and what it may do there."""

    weight: int
    match: Mapping[str, Any]
    makers: Sequence[Maker]


def _ms(dice: Dice, longest_s: float) -> int:
    return dice.randint(1, max(int(longest_s * 1000), 1))


def _seconds(dice: Dice, longest_s: float) -> float:
    return round(dice.uniform(min(0.05, longest_s), longest_s), 3)


_OUTCOMES: Sequence[Maker] = (
    lambda dice, s: DropBefore(_ms(dice, s)),
    lambda dice, s: DropAfter(_ms(dice, s)),
    lambda dice, s: Delay(_ms(dice, s), dice.choice(("before", "after"))),
    lambda dice, _: Answer(503, -1007, executed=dice.random() < 0.5),
    lambda dice, _: Answer(429, -1003, retry_after_s=dice.randint(0, 1)),
    lambda dice, _: Answer(dice.choice((500, 502, 504)), body="<html>Bad Gateway</html>"),
)
_SPOILT: Sequence[Maker] = (
    lambda dice, _: Spoil(dice.choice(("html", "null_rows", "null_fields", "cut", "empty"))),
)
_MESSAGES: Sequence[Maker] = (
    lambda dice, _: Cut(dice.random() < 0.5, sent=dice.random() < 0.5),
    lambda dice, s: Cut(refuse_s=_seconds(dice, s)),
    lambda dice, _: Duplicate(dice.randint(1, 3)),
    lambda dice, s: Reorder(dice.randint(1, 3), _seconds(dice, s)),
    lambda dice, _: Corrupt(round(dice.uniform(0.05, 0.95), 2)),
    lambda dice, s: Stall(_seconds(dice, s), lose=dice.random() < 0.7),
    lambda dice, s: NoPong(_seconds(dice, s)),
    lambda _, __: Drop(),
    lambda dice, s: Late(_ms(dice, s)),
    lambda dice, _: Replay(dice.randint(1, 3)),
)
_CLOSED: Sequence[Maker] = (
    *_MESSAGES,
    lambda _, __: Mutate(remove=("k.x",)),
    lambda dice, s: Correct(dice.choice((-5.0, 5.0)), "last", dice.randint(0, 3), _seconds(dice, s)),
)
_ORDERS: Sequence[Maker] = (
    lambda dice, _: PartialFill((round(dice.uniform(0.1, 0.6), 2), round(dice.uniform(0.1, 0.4), 2))),
    lambda dice, _: PartialFill((round(dice.uniform(0.1, 0.9), 2),)),
    lambda dice, _: Refuse(dice.choice((-2019, -4164, -5022, -2022))),
    lambda dice, s: VisibleAfter(_ms(dice, s)),
)
_KINDS: Sequence[_Kind] = (
    _Kind(4, {"route": PLACE}, _OUTCOMES),
    _Kind(2, {"route": CANCEL}, _OUTCOMES),
    _Kind(3, {"route": ASK}, (*_OUTCOMES, *_SPOILT)),
    _Kind(4, {"stream": KLINES}, _MESSAGES),
    _Kind(4, {"stream": KLINES, "where": (("k.x", "true"),)}, _CLOSED),
    _Kind(4, {"stream": USER}, _MESSAGES),
    _Kind(3, {"state": "order"}, _ORDERS),
    _Kind(1, {"state": "listen_key"}, (lambda _, __: Expire(),)),
    _Kind(1, {"state": "clock"}, (lambda dice, s: Skew(dice.randint(-5_000, 5_000), _seconds(dice, s)),)),
    _Kind(
        1,
        {"state": "exchange"},
        (
            lambda dice, s: Cut(dice.random() < 0.5, refuse_s=_seconds(dice, s), rest=dice.random() < 0.5),
            lambda dice, s: Maintenance(_seconds(dice, s)),
        ),
    ),
)
_RESTARTS = _Kind(1, {"state": "exchange"}, (lambda dice, _: Restart(how=dice.choice(("kill", "stop"))),))


def random_plan(
    seed: int, minutes: int, intensity: float = 1.0, *, longest_s: float = 2.0, restarts: bool = False
) -> FaultPlan:
    """A plan of faults that each act at most once, within one minute of the market's time.

    Args:
        seed: Makes the same plan again.
        minutes: Of market time, from its start.
        intensity: Faults a minute, on average.
        longest_s: Wall seconds that a delay or an outage lasts at most.
        restarts: Whether the exchange's process may end, which somebody must start again.
    """
    dice = random.Random(f"faults/{seed}")  # noqa: S311 - repeatable, not secret
    kinds = (*_KINDS, _RESTARTS) if restarts else _KINDS
    weights = [kind.weight for kind in kinds]
    faults = []
    for minute in range(minutes):
        whole, rest = divmod(intensity, 1)
        for number in range(int(whole) + (dice.random() < rest)):
            kind = dice.choices(kinds, weights)[0]
            action = dice.choice(kind.makers)(dice, longest_s)
            window = (Moment(minute * MINUTE_MS, True), Moment((minute + 1) * MINUTE_MS, True))
            name = f"m{minute:05d}-{number}-{word_of(action)}"
            faults.append(Fault(name, Match(**kind.match, minute=window), action))
    return FaultPlan(tuple(faults), seed)
