"""What the paths of an audit say: false promotions on markets without an edge, power and reaction on planted ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist, median
from typing import Any

from bot.audits.paths import PathResult

MOST_FALSE = 0.02
"""Share of the markets without an edge on which a pipeline may ever promote: 4 of 200."""
LEAST_FOUND = 0.98
"""Share of the markets with an edge of ``FOUND_FROM`` or more on which it must promote in time."""
FOUND_FROM = 0.52
FIRST_WEEK = 8
"""The power curve begins where the gate first has weeks enough."""
HALF_WITHIN, FLAT_WITHIN = 1440, 4320
"""Minutes after an edge has turned: a day to half size, three to nothing."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """How many of how many, with a 95 % interval.

    Attributes:
        count: How many.
        total: Of how many.
        share: Count over total, 0 of none.
        low: Lower bound of the share.
        high: Upper bound.
    """

    count: int
    total: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class NoiseFinding:
    """What came out on one kind of market without an edge.

    Attributes:
        kind: Of the market.
        promoted: Paths on which any weekly decision promoted.
        promoted_seeds: Which.
        decisions: Weekly decisions of all paths.
        stopped_by: Test of the gate -> share of the weekly decisions that it refused, on the paths never promoted on;
            a decision may be refused by many.
        passed: No more than ``MOST_FALSE`` were promoted.
    """

    kind: str
    promoted: Proportion
    promoted_seeds: tuple[int, ...]
    decisions: int
    stopped_by: dict[str, float] = field(default_factory=dict)
    passed: bool = True

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reaction:
    """How fast the champions of promoted paths were taken out once their edge had turned.

    Attributes:
        early: Out of trading before it turned, of all promoted: false alarms; the others are what the rest is about.
        half_in_time: Cut to half size within ``HALF_WITHIN`` minutes.
        flat_in_time: Out of trading within ``FLAT_WITHIN`` minutes.
        half_median: Minutes; None where half of them never were.
        half_worst: The longest; None where one never was.
        flat_median: The same until out of trading.
        flat_worst: The same.
    """

    early: Proportion
    half_in_time: Proportion
    flat_in_time: Proportion
    half_median: float | None
    half_worst: float | None
    flat_median: float | None
    flat_worst: float | None


@dataclass(frozen=True, slots=True)
class PlantedFinding:
    """What came out on markets with an edge of one size.

    Attributes:
        accuracy: The edge.
        power: Week -> paths that were promoted by then.
        decisions: Weekly decisions of all paths.
        stopped_by: Test of the gate -> share of the decisions that it refused, on the paths never promoted on.
        reaction: To the turn of the edge; None where it did not turn, or nothing was promoted.
        passed: Enough were promoted in time, and enough of those cut and ended in time; smaller edges need not be.
    """

    accuracy: float
    power: dict[int, Proportion]
    decisions: int
    stopped_by: dict[str, float]
    reaction: Reaction | None
    passed: bool

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def noise_finding(kind: str, results: Sequence[PathResult]) -> NoiseFinding:
    """Count the false promotions of one kind."""
    seeds = tuple(sorted(result.seed for result in results if result.promoted_week is not None))
    return NoiseFinding(
        kind,
        proportion(len(seeds), len(results)),
        seeds,
        sum(result.decisions for result in results),
        refusals(results),
        passed=len(seeds) <= MOST_FALSE * len(results) and bool(results),
    )


def planted_finding(
    accuracy: float, results: Sequence[PathResult], *, weeks: int, flipped: bool
) -> PlantedFinding:
    """Power by week, and the reaction to the turn where there was one."""
    first = min(FIRST_WEEK, weeks)
    power = {
        week: proportion(sum(_promoted_by(result, week) for result in results), len(results))
        for week in range(first, weeks + 1)
    }
    promoted = [result for result in results if _promoted_by(result, weeks)]
    reaction = _reaction(promoted) if flipped and promoted else None
    found = accuracy < FOUND_FROM or power[weeks].share >= LEAST_FOUND
    # An edge that is too small to be asked for is too small to be missed in time.
    ended = (
        accuracy < FOUND_FROM
        or reaction is None
        or all(one.share >= LEAST_FOUND for one in (reaction.half_in_time, reaction.flat_in_time))
    )
    return PlantedFinding(
        accuracy,
        power,
        sum(result.decisions for result in results),
        refusals(results),
        reaction,
        passed=bool(results) and found and ended,
    )


def refusals(results: Iterable[PathResult]) -> dict[str, float]:
    """Share of the weekly decisions that each test refused on paths never promoted on, the most frequent first."""
    counts: dict[str, int] = {}
    decisions = 0
    for result in results:
        if result.promoted_week is None:
            decisions += result.decisions
            for name, count in result.stopped_by.items():
                counts[name] = counts.get(name, 0) + count
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: count / decisions for name, count in ordered} if decisions else {}


def proportion(count: int, total: int) -> Proportion:
    """A share with its 95 % interval (E. B. Wilson, Probable inference and the law of succession, 1927)."""
    if not total:
        return Proportion(0, 0, 0.0, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2.0)
    share, weight = count / total, z * z / total
    middle = (share + weight / 2.0) / (1.0 + weight)
    half = z / (1.0 + weight) * math.sqrt(share * (1.0 - share) / total + weight / (4.0 * total))
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if count == 0 else middle - half
    high = 1.0 if count == total else middle + half
    return Proportion(count, total, share, low, high)


def _promoted_by(result: PathResult, week: int) -> bool:
    return result.promoted_week is not None and result.promoted_week <= week


def _reaction(promoted: Sequence[PathResult]) -> Reaction:
    """Times until half size and until flat; a champion that is out of trading has no size left either."""
    alive = [result for result in promoted if _minutes(result.flat_after_minutes) > 0]
    flat = [_minutes(result.flat_after_minutes) for result in alive]
    half = [min(_minutes(result.half_after_minutes), out) for result, out in zip(alive, flat, strict=True)]
    return Reaction(
        proportion(len(promoted) - len(alive), len(promoted)),
        proportion(sum(minutes <= HALF_WITHIN for minutes in half), len(alive)),
        proportion(sum(minutes <= FLAT_WITHIN for minutes in flat), len(alive)),
        _finite(half, median),
        _finite(half, max),
        _finite(flat, median),
        _finite(flat, max),
    )


def _minutes(value: int | None) -> float:
    return math.inf if value is None else float(value)


def _finite(minutes: Sequence[float], of: Callable[[Sequence[float]], float]) -> float | None:
    value = of(minutes) if minutes else math.inf
    return value if math.isfinite(value) else None
