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

USER = "user"


class Ground(NamedTuple):
    """How an exchange calls what faults strike.

    Attributes:
        place: Requests that place orders, an expression as in a plan.
        cancel: That cancel.
        ask: That ask after anything but the exchange itself.
        candles: Streams of candles.
        closed: The field of a candle that says whether it is closed, and what it is then.
        listen_keys: Whether a private stream needs one.
    """

    place: str
    cancel: str
    ask: str
    candles: str
    closed: tuple[str, str]
    listen_keys: bool


BINANCE = Ground(
    place="POST /(api/v3/order|api/v3/orderList/oco|fapi/v1/order|fapi/v1/algoOrder)",
    cancel="DELETE /(api/v3/order|api/v3/orderList|fapi/v1/order|fapi/v1/algoOrder)",
    ask="GET /(api/v3|fapi/v[123])/(?!time|ping|exchangeInfo).+",
    candles=".+@kline_1m",
    closed=("k.x", "true"),
    listen_keys=True,
)
OKX = Ground(
    place="POST /api/v5/trade/(batch-orders|order|order-algo)",
    cancel="POST /api/v5/trade/(cancel-batch-orders|cancel-order|cancel-algos)",
    ask="GET /api/v5/(trade|account|market)/.+",
    candles=".+@candle1m",
    closed=("data.confirm", "1"),
    listen_keys=False,
)


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
_ORDERS: Sequence[Maker] = (
    lambda dice, _: PartialFill((round(dice.uniform(0.1, 0.6), 2), round(dice.uniform(0.1, 0.4), 2))),
    lambda dice, _: PartialFill((round(dice.uniform(0.1, 0.9), 2),)),
    lambda dice, _: Refuse(dice.choice((-2019, -4164, -5022, -2022))),
    lambda dice, s: VisibleAfter(_ms(dice, s)),
)
_KEYS = _Kind(1, {"state": "listen_key"}, (lambda _, __: Expire(),))
_REST: Sequence[_Kind] = (
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


def _kinds(ground: Ground) -> list[_Kind]:
    """What may happen on an exchange, always in the same order."""
    name, value = ground.closed
    closed: Sequence[Maker] = (
        *_MESSAGES,
        lambda _, __: Mutate(remove=(name,)),
        lambda dice, s: Correct(dice.choice((-5.0, 5.0)), "last", dice.randint(0, 3), _seconds(dice, s)),
    )
    return [
        _Kind(4, {"route": ground.place}, _OUTCOMES),
        _Kind(2, {"route": ground.cancel}, _OUTCOMES),
        _Kind(3, {"route": ground.ask}, (*_OUTCOMES, *_SPOILT)),
        _Kind(4, {"stream": ground.candles}, _MESSAGES),
        _Kind(4, {"stream": ground.candles, "where": ((name, value),)}, closed),
        _Kind(4, {"stream": USER}, _MESSAGES),
        _Kind(3, {"state": "order"}, _ORDERS),
        *([_KEYS] if ground.listen_keys else []),
        *_REST,
    ]


def random_plan(
    seed: int,
    minutes: int,
    intensity: float = 1.0,
    *,
    longest_s: float = 2.0,
    restarts: bool = False,
    ground: Ground = BINANCE,
) -> FaultPlan:
    """A plan of faults that each act at most once, within one minute of the market's time.

    Args:
        seed: Makes the same plan again.
        minutes: Of market time, from its start.
        intensity: Faults a minute, on average.
        longest_s: Wall seconds that a delay or an outage lasts at most.
        restarts: Whether the exchange's process may end, which somebody must start again.
        ground: On which exchange.
    """
    dice = random.Random(f"faults/{seed}")  # noqa: S311 - repeatable, not secret
    kinds = [*_kinds(ground), *([_RESTARTS] if restarts else [])]
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
