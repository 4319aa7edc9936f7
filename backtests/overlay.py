"""A run laid over its backtest: what is the same, what differs, why, and what each cause was worth. Pure.

The causes are found by putting the circumstances of the run back into the backtest one after the other. A difference
belongs to the circumstance whose return ends it for good; the money of a cause is what the final equity changes by in that
step. The steps begin at the backtest and end at the run, so the sum of the money is the whole difference. What is left
after the last step, nobody has explained.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from backtests.overlay_words import Pair, Row, same, sentence, what_differs

UNEXPLAINED: Final = "unexplained"
FILL_PRICE: Final = "fill_price"
ADOPTED: Final = "adopted"
EXECUTION: Final = "execution"
VERSION: Final = "version"

CAUSES: Final = {
    "model": "another model's forecasts",
    "candles": "candles that were missed, or changed after they were decided on",
    "late_candle": "minutes that were decided too late to trade on",
    "model_watch": "entries that the watch over the model cut or stopped",
    "operator": "commands of a person",
    "reconciliation": "halts since the bot could not trust its books or its eyes",
    "restart": "restarts, and settings that changed with them",
    "funding": "funding told differently",
    FILL_PRICE: "prices and fees of fills",
    ADOPTED: "positions that were taken over",
    EXECUTION: "orders refused, unknown, cut, late, and what followed",
    VERSION: "decided by another version of the program",
    UNEXPLAINED: "unexplained",
}
"""Every cause of a difference, in words."""

MONEY: Final = 1e-6
"""What sums of floats may differ by, quote currency: a ten-thousandth of a cent."""

Key: TypeAlias = tuple[str, ...]
"""What a row is of: its kind, then a decision's id, an order's id, or symbol and minute of a funding."""


class Comparison:
    """Lays the rows of one run of the core beside those that were recorded.

    Attributes:
        counts: How many rows were compared, by kind.
        differing: Those that differ.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.differing: dict[Key, Pair] = {}

    def decisions(self, recorded: Sequence[Row], made: Sequence[Row]) -> None:
        """The decisions of one minute, in the order of symbols."""
        if list(recorded) == list(made):
            self.counts["decision"] += len(made)
            return
        # As the record holds them: JSON has no NaN.
        written = orjson.loads(orjson.dumps(list(made)))
        self._lay(_by_id(recorded), _by_id(written))

    def moves(self, recorded: Mapping[Key, Row], made: Mapping[Key, Row]) -> None:
        """All executions and fundings."""
        self._lay(recorded, made)

    def _lay(self, recorded: Mapping[Key, Row], made: Mapping[Key, Row]) -> None:
        for key in dict.fromkeys((*made, *recorded)):
            pair = Pair(made.get(key), recorded.get(key))
            self.counts[key[0]] += 1
            if not same(pair.backtest, pair.recorded, exact=key[0] == "decision"):
                self.differing[key] = pair


def _by_id(rows: Sequence[Row]) -> dict[Key, Row]:
    return {("decision", row["decision_id"]): row for row in rows}


class Step(NamedTuple):
    """The backtest with one more circumstance put back.

    Attributes:
        cause: Which.
        final_equity: Of the account.
        differing: Rows that still differ from the record.
    """

    cause: str
    final_equity: float
    differing: frozenset[Key]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the backtest did otherwise.

    Attributes:
        kind: ``decision``, ``fill``, ``funding``, ``equity``, or ``candle`` where the journal contradicts itself.
        what: A word: ``order``, ``size``, ``reason``, ``forecast``; ``price``, ``quantity``, ``minute``, ``missing``
            (the run has it not), ``extra`` (the backtest has it not); ``value``.
        ref: Decision id, order id, or symbol.
        at_ms: When: the close of a decision's candle, or the minute in which it happened.
        cause: Why, a key of ``CAUSES``.
        backtest: What the backtest has.
        recorded: What the run has.
    """

    kind: str
    what: str
    ref: str
    at_ms: int
    cause: str
    backtest: Row | None
    recorded: Row | None

    def sentence(self) -> str:
        """In words."""
        return sentence(self.kind, self.ref, Pair(self.backtest, self.recorded))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "kind": self.kind,
            "what": self.what,
            "ref": self.ref,
            "at_ms": self.at_ms,
            "cause": self.cause,
            "sentence": self.sentence(),
        }


@dataclass(frozen=True, slots=True)
class Slippage:
    """How far the prices of fills lie from those of the backtest's, basis points; above 0 is worse.

    Attributes:
        count: Orders that filled in both.
        mean_bps: Weighted by nothing; so are the others.
        median_bps: Half of them were worse.
        worst_bps: Of all.
        bps: Each, in order of time.
    """

    count: int
    mean_bps: float
    median_bps: float
    worst_bps: float
    bps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """What an overlay found.

    Attributes:
        compared: Rows, by kind.
        differences: In order of time.
        money: Of each cause that had a part, quote currency: what the run has more than the backtest for it.
        backtest_equity: At the end of the backtest.
        recorded_equity: At the end of the run.
        slippage: Of fills, where both have some at different prices.
        notes: What a reader should know of the comparison itself.
    """

    compared: Mapping[str, int]
    differences: tuple[Difference, ...]
    money: Mapping[str, float]
    backtest_equity: float
    recorded_equity: float
    slippage: Slippage | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """Differences that no circumstance accounts for."""
        return tuple(one for one in self.differences if one.cause == UNEXPLAINED)

    def causes(self) -> tuple[str, ...]:
        """Those that had a part, in their order."""
        counted = self.counts()
        return tuple(one for one in CAUSES if one in counted or abs(self.money.get(one, 0.0)) > MONEY)

    def counts(self) -> dict[str, Counter[str]]:
        """How many differences of each kind every cause has."""
        found: dict[str, Counter[str]] = {}
        for one in self.differences:
            found.setdefault(one.cause, Counter())[one.kind] += 1
        return {cause: found[cause] for cause in CAUSES if cause in found}

    def to_json(self, most: int) -> dict[str, Any]:
        """As JSON values, with the first ``most`` differences, those that nobody explained before all others."""
        shown = sorted(self.differences, key=lambda one: one.cause != UNEXPLAINED)[:most]
        unexplained = self.unexplained
        return {
            "compared": dict(self.compared),
            "differences": len(self.differences),
            "unexplained": len(unexplained),
            "first_unexplained": unexplained[0].sentence() if unexplained else None,
            "by_cause": {
                cause: {
                    "means": CAUSES[cause],
                    "differences": dict(self.counts().get(cause, {})),
                    "money": self.money.get(cause, 0.0),
                }
                for cause in self.causes()
            },
            "backtest_equity": self.backtest_equity,
            "recorded_equity": self.recorded_equity,
            "money_difference": self.recorded_equity - self.backtest_equity,
            "slippage": None if self.slippage is None else _slippage_json(self.slippage),
            "notes": list(self.notes),
            "listed": [one.to_json() for one in shown],
        }


def explain(first: Comparison, steps: Sequence[Step]) -> list[Difference]:
    """The cause of every difference between the backtest and the record, in order of time.

    Args:
        first: The backtest beside the record.
        steps: The circumstances in the order in which they were put back, the backtest itself first (its cause is
            not looked at).
    """
    last = steps[-1].differing
    found = []
    for key, pair in first.differing.items():
        cause = UNEXPLAINED
        if key not in last:
            # The step after the last one that still differs.
            cause = next(
                steps[place + 1].cause
                for place in range(len(steps) - 2, -1, -1)
                if key in steps[place].differing
            )
        found.append(difference(key, pair, cause))
    return sorted(found, key=lambda one: one.at_ms)


def left_over(last: Comparison, known: Sequence[Difference]) -> list[Difference]:
    """Differences that only the last step has: no circumstance can have made them."""
    told = {(one.kind, one.ref, one.at_ms) for one in known}
    made = [difference(key, pair, UNEXPLAINED) for key, pair in last.differing.items()]
    return [one for one in made if (one.kind, one.ref, one.at_ms) not in told]


def money_of(steps: Sequence[Step], recorded_equity: float) -> dict[str, float]:
    """What each cause was worth; with what nobody explained it adds up to the whole difference."""
    worth: dict[str, float] = {}
    for before, after in pairwise(steps):
        worth[after.cause] = worth.get(after.cause, 0.0) + after.final_equity - before.final_equity
    rest = recorded_equity - steps[-1].final_equity
    if abs(rest) > MONEY:
        worth[UNEXPLAINED] = rest
    return worth


def difference(key: Key, pair: Pair, cause: str) -> Difference:
    """A difference with its words; of an execution's, a price belongs to the fills and the rest to the order's fate."""
    what, row = what_differs(key[0], pair), pair.backtest or pair.recorded or {}
    if cause == EXECUTION and key[0] == "fill" and what == "price":
        cause = FILL_PRICE
    at_ms = int(row.get("closed_at_ms", row.get("minute_ms", 0)))
    return Difference(key[0], what, key[1], at_ms, cause, pair.backtest, pair.recorded)


def slippage_of(
    pairs: Sequence[tuple[int, float, float]],
) -> Slippage | None:
    """The distribution of slippage.

    Args:
        pairs: Of each order that filled in both: +1 bought or -1 sold, the backtest's price, the run's.
    """
    bps = tuple(sign * (real / modelled - 1) * 10_000 for sign, modelled, real in pairs)
    if not bps:
        return None
    ordered = sorted(bps)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Slippage(len(bps), math.fsum(bps) / len(bps), median, ordered[-1], bps)


def _slippage_json(one: Slippage) -> dict[str, Any]:
    return {
        "count": one.count,
        "mean_bps": one.mean_bps,
        "median_bps": one.median_bps,
        "worst_bps": one.worst_bps,
    }
