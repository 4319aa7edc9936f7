"""The causality audit of many pipelines, one after the other, and its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.audits.causality import Answer, Market, Pipeline, StageCheck, minute_words
from bot.audits.causality_alter import with_holes
from bot.audits.causality_probe import (
    DELISTED,
    FUTURE,
    PREFIX,
    REPEATED,
    SPLIT,
    STREAMED,
    ProbePlan,
    probe,
)
from bot.audits.causality_trading import MOVED, StrategyPipeline
from bot.core.market import DAY_MS, MINUTE_MS
from bot.errors import BotError, DataError
from bot.simexchange.synthetic import ORIGIN_MS, SyntheticSource

SHORT_WORDS = {
    FUTURE: "future",
    PREFIX: "prefix",
    DELISTED: "delisted",
    REPEATED: "twice",
    STREAMED: "stream",
    SPLIT: "slices",
    MOVED: "dates",
}
"""A word for each comparison, for tables."""

DEFAULT_DAYS = 7
STRATEGY_MINUTES = 3 * 1440
"""A strategy is asked about so much of the market."""
_EXCHANGE_IDS = {"BTC/USDT:USDT": "BTCUSDT", "ETH/USDT:USDT": "ETHUSDT"}

OnSubject = Callable[[int, str], None]
"""(how many subjects are done, what is being done)."""


@dataclass(frozen=True, slots=True)
class CausalityReport:
    """What the audit found.

    Attributes:
        checks: Every comparison of every stage of every subject, in order.
        plan: How hard it tried.
        market: In words: symbols, from, to, candles.
    """

    checks: tuple[StageCheck, ...]
    plan: ProbePlan
    market: dict[str, Any]

    @property
    def failed(self) -> list[StageCheck]:
        """The checks with a finding."""
        return [check for check in self.checks if check.finding is not None]

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "passed": not self.failed,
            "seed": self.plan.seed,
            "moments": self.plan.moments,
            "market": self.market,
            "checks": [_check_row(check) for check in self.checks],
        }


def audit(
    subjects: Sequence[Pipeline],
    market: Market,
    plan: ProbePlan,
    *,
    dates: bool = True,
    on_step: OnSubject | None = None,
) -> CausalityReport:
    """Audit some pipelines over one market.

    Args:
        subjects: Who is audited.
        market: Candles by symbol.
        plan: How hard.
        dates: Whether a strategy must decide the same when its candles carry other dates.
        on_step: Told of each question.

    Raises:
        DataError: The candles are too few, or an answer is malformed.
    """
    checks: list[StageCheck] = []
    for done, subject in enumerate(subjects):
        tell = (lambda step, done=done: on_step(done, step)) if on_step is not None else None
        if not isinstance(subject, StrategyPipeline):
            checks += probe(subject, market, plan, tell)
            continue
        stretch = _beginning(market)
        found = probe(subject, stretch, plan, tell)
        if dates:
            found.append(subject.dates_check(stretch))
        _note_orders(found, subject.orders)
        checks += found
    return CausalityReport(tuple(checks), plan, describe(market))


def _beginning(market: Market) -> Market:
    """The first days of a market: a strategy forgets within hours, and each question runs all of them."""
    until_ms = min(int(candles.ts[0]) for candles in market.values()) + STRATEGY_MINUTES * MINUTE_MS
    kept = {symbol: candles.between(-(2**62), until_ms) for symbol, candles in market.items()}
    return {symbol: candles for symbol, candles in kept.items() if len(candles)}


def default_market(seed: int, *, days: int = DEFAULT_DAYS) -> dict[str, Any]:
    """Two symbols of the simulated market with some minutes missing; the same for the same seed."""
    source = SyntheticSource(tuple(_EXCHANGE_IDS.values()), seed)
    whole = {
        symbol: source.between(name, ORIGIN_MS, ORIGIN_MS + days * DAY_MS)
        for symbol, name in _EXCHANGE_IDS.items()
    }
    return with_holes(whole, np.random.default_rng([seed, 3]))


def describe(market: Market) -> dict[str, Any]:
    """Symbols, first and last minute, number of candles."""
    if not market or not all(len(candles) for candles in market.values()):
        raise DataError("the causality audit needs candles of at least one symbol")
    return {
        "symbols": sorted(market),
        "from": minute_words(min(int(candles.ts[0]) for candles in market.values())),
        "to": minute_words(max(int(candles.ts[-1]) for candles in market.values()) + MINUTE_MS),
        "candles": sum(len(candles) for candles in market.values()),
    }


class UserPipeline:
    """A user's own pipeline: whatever it raises becomes one sentence that names it.

    Args:
        path: Its dotted path, for the report.
        inner: What its factory made.
    """

    def __init__(self, path: str, inner: Any) -> None:
        self.name = f"pipeline {path}"
        self._inner = inner
        if callable(getattr(inner, "stream", None)):
            self.stream = lambda market, updates: self._guarded("stream", market, updates)

    def answer(self, market: Market) -> Any:
        """Ask it."""
        return self._guarded("answer", market)

    def _guarded(self, method: str, *arguments: Any) -> Any:
        try:
            said = getattr(self._inner, method)(*arguments)
        except BotError:
            raise
        except Exception as fault:
            # Whatever a user's code raises is theirs; the cause is chained for whoever debugs it.
            raise DataError(f"{self.name} failed in {method}: {type(fault).__name__}: {fault}") from fault
        if method == "answer" and not isinstance(said, Answer):
            raise DataError(
                f"{self.name}: answer must give a bot.audits.causality.Answer, not {type(said).__name__}"
            )
        return said


def _note_orders(checks: list[StageCheck], orders: int) -> None:
    """Say how much the strategy did: that nothing happened the same twice proves little."""
    for check in checks:
        if check.stage == "decisions":
            check.note = (
                f"{orders:,} orders" if orders else "no order at all: equality of nothing proves little"
            )


def _check_row(check: StageCheck) -> dict[str, Any]:
    finding = check.finding
    return {
        "subject": check.subject,
        "stage": check.stage,
        "compared": check.compared,
        "moments": check.moments,
        "values": check.values,
        "passed": finding is None,
        "note": check.note or None,
        "finding": None
        if finding is None
        else {
            "sentence": finding.sentence,
            "minute": None if finding.at_ms is None else minute_words(finding.at_ms),
            "symbol": finding.symbol,
            "column": finding.column,
            "altered_after": None if finding.moment_ms is None else minute_words(finding.moment_ms),
        },
    }
