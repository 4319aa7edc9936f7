"""The causality audit of one pipeline: ask, alter the future, ask again, compare.

What is altered, and what is compared then:

==========================  ====================================================================================
every candle after t        everything that is said to be known at t: rows of every stage, and whatever was learnt
                            from candles until t; at random moments, at the very end of what each stage learnt from,
                            and within gaps
nothing at all after t      rows that no fit went into: a prefix gives what the whole gives
one symbol after t          rows that no fit went into: a delisted symbol keeps its past (survivorship)
nothing                     everything: the pipeline must be repeatable, or no difference would mean anything
updates instead of bars     rows of a ``StreamingPipeline``: within 1e-9 of the batch
==========================  ====================================================================================

Two ways to pass without being checked are findings too: a stage that says to know everything only when the candles end,
and a stage of numbers that never changes whatever the candles are (it may remember the true series).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bot.audits.causality import (
    Answer,
    Finding,
    Learned,
    Market,
    Pipeline,
    Rows,
    StageCheck,
    StreamingPipeline,
    minute_words,
)
from bot.audits.causality_alter import (
    KINDS,
    copied,
    cut_off,
    delisted,
    hole_moments,
    updates_of,
    with_another_future,
)
from bot.audits.causality_compare import (
    UNALTERED,
    appeared_finding,
    changed_at_all,
    learned_difference,
    rows_difference,
    stream_difference,
)
from bot.audits.causality_split import split_finding
from bot.core.market import MINUTE_MS
from bot.errors import DataError

FUTURE = "candles after t altered, to the bit"
PREFIX = "prefix against whole, to the bit"
DELISTED = "a symbol ends at t, to the bit"
REPEATED = "the same candles twice, to the bit"
STREAMED = "stream against batch, within 1e-9"
SPLIT = "order, purge and embargo of the slices"

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """How hard a pipeline is tried.

    Attributes:
        moments: Random moments over the whole time; a quarter as many after each end of learning besides, and a few
            in gaps.
        seed: Of moments and futures.
        stream_minutes: How much of the beginning is streamed.
    """

    moments: int = 8
    seed: int = 1
    stream_minutes: int = 3000


class Probe:
    """The audit of one pipeline over one market.

    Args:
        pipeline: Who is audited.
        market: Candles by symbol; is never changed.
        plan: How hard.
        on_step: Told before each question, for a progress bar.

    Raises:
        DataError: There are no candles, or a pipeline's answer is malformed.
    """

    def __init__(
        self, pipeline: Pipeline, market: Market, plan: ProbePlan, on_step: OnStep | None = None
    ) -> None:
        if not market or not all(len(candles) for candles in market.values()):
            raise DataError("the causality audit needs candles of at least one symbol")
        self._pipeline = pipeline
        self._market = market
        self._plan = plan
        self._tell = on_step or (lambda _: None)
        self._generator = np.random.default_rng([plan.seed, 1])
        self._checks: dict[tuple[str, str], StageCheck] = {}
        self._seen: set[tuple[str, str, int]] = set()
        self._alive: dict[str, bool] = {}
        self._question = 0
        self._first_ms = min(int(candles.ts[0]) for candles in market.values())
        self._last_ms = max(int(candles.ts[-1]) for candles in market.values())

    def run(self) -> list[StageCheck]:
        """Every comparison of every stage; a stage's first finding ends its comparison, not the audit."""
        base = self._ask(self._market, "as it is")
        self._repeat(base)
        self._split(base)
        for number, moment_ms in enumerate(self._moments(base)):
            self._future(base, moment_ms, KINDS[number % len(KINDS)])
        if any(rows.is_plain for rows in base.rows):
            self._prefixes(base)
            self._delistings(base)
        self._stream(base)
        self._unchecked(base)
        return self._in_order(base)

    # --- the questions -----------------------------------------------------------------------------------

    def _ask(self, market: Market, step: str) -> Answer:
        self._tell(f"{self._pipeline.name}: {step}")
        self._question += 1
        return self._pipeline.answer(copied(market))

    def _repeat(self, base: Answer) -> None:
        again = self._ask(self._market, "once more")
        end_ms = 2**62
        found = _rows_by_key(again.rows)
        for rows in base.rows:
            result = rows_difference(rows, found.get(rows.key), end_ms, UNALTERED)
            self._book(rows.stage, REPEATED, *result)
        learned = {one.stage: one for one in again.learned}
        for one in base.learned:
            self._book(
                one.stage, REPEATED, *learned_difference(one, learned.get(one.stage), end_ms, UNALTERED)
            )

    def _split(self, base: Answer) -> None:
        if base.split is not None:
            count = sum(len(part.ts) for part in base.split.slices)
            self._book("split", SPLIT, count, split_finding(base.split))

    def _future(self, base: Answer, moment_ms: int, kind: str) -> None:
        """Alter every candle after a moment and compare all that was known at it."""
        altered = f"the candles after {minute_words(moment_ms)} were altered ({kind})"
        market = with_another_future(self._market, moment_ms, self._generator, kind=kind)
        answer = self._ask(market, f"another future from {minute_words(moment_ms)} on")
        self._compare_rows(base.rows, answer.rows, moment_ms, altered, FUTURE)
        self._listen(base.rows, answer.rows, moment_ms)
        learned = {one.stage: one for one in answer.learned}
        for one in base.learned:
            if one.until_ms <= moment_ms:
                self._book(
                    one.stage, FUTURE, *learned_difference(one, learned.get(one.stage), moment_ms, altered)
                )

    def _listen(self, before: Sequence[Rows], after: Sequence[Rows], moment_ms: int) -> None:
        """Note which stages of numbers heard of the other future at all."""
        found = _rows_by_key(after)
        for rows in before:
            later = rows.known > moment_ms
            if rows.values.dtype.kind == "f" and not self._alive.get(rows.stage, False) and later.any():
                self._alive[rows.stage] = changed_at_all(rows, found.get(rows.key), later)

    def _prefixes(self, base: Answer) -> None:
        """Compare a prefix with the whole; late moments only, so that whatever is fitted still has its slices."""
        plain = [rows for rows in base.rows if rows.is_plain]
        early = 0.8 if base.learned or base.split else 0.1
        count = 2 if base.learned or base.split else max(2, self._plan.moments // 2)
        for moment_ms in self._random_moments(count, early):
            answer = self._ask(cut_off(self._market, moment_ms), f"cut off at {minute_words(moment_ms)}")
            told = f"there were no candles after {minute_words(moment_ms)}"
            self._compare_rows(plain, answer.rows, moment_ms, told, PREFIX)

    def _delistings(self, base: Answer) -> None:
        """End one symbol well before the others; they and its own past must stay."""
        if len(self._market) < 2:
            return
        plain = [rows for rows in base.rows if rows.is_plain]
        for symbol in sorted(self._market)[:3]:
            (moment_ms,) = self._random_moments(1, 0.65, 0.8)
            market = delisted(self._market, symbol, moment_ms)
            answer = self._ask(market, f"{symbol} ends at {minute_words(moment_ms)}")
            told = f"{symbol} had no candles after {minute_words(moment_ms)}"
            self._compare_rows(plain, answer.rows, moment_ms, told, DELISTED)
            if base.split is not None and answer.split is not None and base.split.symbols:
                lost = sorted(set(base.split.symbols) - set(answer.split.symbols))
                sentence = f"split: {', '.join(lost)} is not trained on when {told}: only survivors are"
                finding = Finding(sentence, symbol=symbol, moment_ms=moment_ms) if lost else None
                self._book("split", DELISTED, len(base.split.symbols), finding)

    def _stream(self, base: Answer) -> None:
        """Feed a streaming pipeline the first part of the market update by update."""
        pipeline = self._pipeline
        if not isinstance(pipeline, StreamingPipeline):
            return
        until_ms = min(self._first_ms + self._plan.stream_minutes * MINUTE_MS, self._last_ms + MINUTE_MS)
        self._tell(f"{pipeline.name}: update by update until {minute_words(until_ms)}")
        streamed = pipeline.stream(copied(self._market), updates_of(self._market, until_ms))
        if not streamed:
            self._book("stream", STREAMED, 0, Finding("stream: it gave no rows at all"))
        found = _rows_by_key(base.rows)
        for rows in streamed:
            batch = found.get(rows.key)
            if batch is None:
                sentence = f"{rows.stage} of {rows.symbol}: only the stream has this stage"
                self._book(rows.stage, STREAMED, 0, Finding(sentence, symbol=rows.symbol))
                continue
            self._book(rows.stage, STREAMED, *stream_difference(batch, rows, until_ms))

    def _unchecked(self, base: Answer) -> None:
        """Say where a claim was so late that no moment came after it."""
        stages = dict.fromkeys(
            [*(rows.stage for rows in base.rows if len(rows.ts)), *(one.stage for one in base.learned)]
        )
        for stage in stages:
            check = self._checks.get((stage, FUTURE))
            if check is None or (check.values == 0 and check.finding is None):
                sentence = (
                    f"{stage}: nothing could be checked, since it says to be known only when the candles end; a later "
                    "future could not show in it"
                )
                self._book(stage, FUTURE, 0, Finding(sentence))
        for stage, alive in self._alive.items():
            if not alive:
                sentence = (
                    f"{stage}: not one number changed behind t, whatever the candles were: it does not look at what it is "
                    "given, so that nothing can be said of it (does it remember an earlier series?)"
                )
                self._book(stage, FUTURE, 0, Finding(sentence))

    # --- what they are asked at ---------------------------------------------------------------------------

    def _moments(self, base: Answer) -> list[int]:
        """Random moments, the ends of learning and some after each, and the middles of a few gaps."""
        ends = {one.until_ms for one in base.learned}
        # Rows that a fit went into all wait for its end.
        ends |= {
            int(rows.known[0]) for rows in base.rows if len(rows.ts) > 1 and rows.known[0] == rows.known[1]
        }
        begin = min([*ends, *(int(rows.known.min()) for rows in base.rows if len(rows.ts))], default=0)
        # Before the first thing is known, there is nothing to compare.
        found = self._random_moments(self._plan.moments, max(0.02, self._share(begin)))
        for end_ms in sorted(ends):
            if self._first_ms + MINUTE_MS < end_ms < self._last_ms:
                found.append(end_ms)
                found += self._random_moments(self._plan.moments // 4, self._share(end_ms))
        gaps = hole_moments(self._market)
        if len(gaps) and any(rows.is_plain for rows in base.rows):
            # A few, evenly spread over all.
            found += gaps[np.unique(np.linspace(0, len(gaps) - 1, 3).astype(int))].tolist()
        return sorted({moment_ms for moment_ms in found if moment_ms >= begin})

    def _share(self, at_ms: int) -> float:
        """How much of the time lies before an instant."""
        return min(1.0, max(0.0, (at_ms - self._first_ms) / max(1, self._last_ms - self._first_ms)))

    def _random_moments(self, count: int, since: float, until: float = 1.0) -> list[int]:
        """Random instants between two shares of the time, half of them within a minute."""
        minutes = (self._last_ms - self._first_ms) // MINUTE_MS
        low = min(int(minutes * since), minutes - 2)
        high = max(low + 2, int(minutes * until))
        drawn = self._first_ms + self._generator.integers(low + 1, high, count) * MINUTE_MS
        # Within a minute: the bar that is under way is not known yet.
        return [int(at) + (30_000 if number % 2 else 0) for number, at in enumerate(drawn)]

    # --- the account --------------------------------------------------------------------------------------

    def _in_order(self, base: Answer) -> list[StageCheck]:
        """The checks from cause to effect: split, rows without a fit, what is learnt, rows that follow from it."""
        plain = [rows.stage for rows in base.rows if rows.is_plain]
        stages = ["split", *plain, *(one.stage for one in base.learned), *(rows.stage for rows in base.rows)]
        place = {stage: number for number, stage in reversed(list(enumerate(stages)))}
        return sorted(self._checks.values(), key=lambda check: place.get(check.stage, len(stages)))

    def _compare_rows(
        self, before: Sequence[Rows], after: Sequence[Rows], moment_ms: int, altered: str, compared: str
    ) -> None:
        found = _rows_by_key(after)
        for rows in before:
            if len(rows.ts):
                result = rows_difference(rows, found.get(rows.key), moment_ms, altered)
                self._book(rows.stage, compared, *result)
        keys = {rows.key for rows in before if len(rows.ts)}
        stages = {rows.stage for rows in before}
        for rows in after:
            if rows.stage in stages and rows.key not in keys:
                self._book(rows.stage, compared, 0, appeared_finding(rows, moment_ms, altered))

    def _book(self, stage: str, compared: str, values: int, finding: Finding | None) -> None:
        check = self._checks.get((stage, compared))
        if check is None:
            check = self._checks[stage, compared] = StageCheck(self._pipeline.name, stage, compared)
        at = (stage, compared, self._question)
        if values > 0 and at not in self._seen:
            self._seen.add(at)
            check.moments += 1
        check.values += values
        if finding is not None and (check.finding is None or finding.ahead > check.finding.ahead):
            check.finding = finding


def probe(
    pipeline: Pipeline, market: Market, plan: ProbePlan | None = None, on_step: OnStep | None = None
) -> list[StageCheck]:
    """Audit one pipeline; see ``Probe``."""
    return Probe(pipeline, market, plan or ProbePlan(), on_step).run()


def known_of(learned: Sequence[Learned]) -> int:
    """When all of this is learnt, ms; 0 of nothing."""
    return max((one.until_ms for one in learned), default=0)


def _rows_by_key(rows: Sequence[Rows]) -> dict[tuple[str, str], Rows]:
    found = {one.key: one for one in rows}
    if len(found) < len(rows):
        raise DataError("a pipeline names the same stage of the same symbol twice")
    return found
