"""Lays a recording over its backtest: reads it, runs the core over it step by step, and finds a cause for every difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from backtests.overlay import (
    ADOPTED,
    EXECUTION,
    FILL_PRICE,
    MONEY,
    UNEXPLAINED,
    VERSION,
    Comparison,
    Difference,
    Overlay,
    Slippage,
    Step,
    explain,
    left_over,
    money_of,
    slippage_of,
)
from backtests.overlay_words import same
from backtests.recorded import Recording, RulesOf
from backtests.recorded_moves import Moves
from backtests.recorded_replay import opening_of, rerun
from backtests.recorded_survey import survey_of
from backtests.recorded_terms import Circumstance, Finals, Forecasts, Opening, Rerun
from bot.core.decision import decision_id
from bot.core.matching import FUNDING_INTERVAL_MS, FundingRates
from bot.errors import DataError

BACKTEST: Final = "backtest"
"""The step that nothing was put back in."""


@dataclass(frozen=True, slots=True)
class OverlayRun:
    """An overlay and the two curves that it is about; arrays of times are int64 ms, of equity float64.

    Attributes:
        overlay: What was found.
        backtest_ts: Close of each minute of the backtest.
        backtest_equity: Then.
        recorded_ts: Close of each minute of the run.
        recorded_equity: Then.
    """

    overlay: Overlay
    backtest_ts: npt.NDArray[np.int64]
    backtest_equity: npt.NDArray[np.float64]
    recorded_ts: npt.NDArray[np.int64]
    recorded_equity: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Given:
    """What a backtest is given instead of what was recorded.

    Attributes:
        forecasts: Of another model.
        finals: Candles as the exchange has them now.
        funding: Rates; None takes those that were recorded, and the constant of the costs where none were.
    """

    forecasts: Forecasts | None = None
    finals: Finals | None = None
    funding: FundingRates | None = None


def overlay(
    recording: Recording, rules_of: RulesOf, given: Given | None = None, *, code: str | None = None
) -> OverlayRun:
    """Backtest what a journal recorded, and compare.

    The backtest begins with the account as it was, decides every minute at its close, on the candles as the exchange has
    them now, and nobody interferes with it.

    Args:
        recording: What was recorded.
        rules_of: Makes rules of a journaled row.
        given: What the backtest is given instead of what was recorded.
        code: Digest of the code that decides here. Where another decided then, that explains what nothing else does.

    Raises:
        DataError: Nothing was recorded in that time.
        DifferenceError: The journal can't be followed up to where the recording begins.
    """
    given = given or Given()
    if next(recording.minutes(), None) is None:
        raise DataError("the journal holds no decided minute of that time")
    opening = opening_of(recording, rules_of)
    run = _Ladder(recording, rules_of, given, opening).climb()
    others = recording.codes() - {code}
    return _of_another_version(run) if code is not None and others else run


def _of_another_version(run: OverlayRun) -> OverlayRun:
    """What nothing explained is due to the code; but a journal that contradicts itself is not."""
    found = run.overlay
    differences = tuple(
        replace(one, cause=VERSION) if one.cause == UNEXPLAINED and one.kind != "candle" else one
        for one in found.differences
    )
    money = dict(found.money)
    if UNEXPLAINED in money:
        money[VERSION] = money.pop(UNEXPLAINED)
    return replace(run, overlay=replace(found, differences=differences, money=money))


class _Ladder:
    """The backtest, and with each step one more circumstance of the run put back."""

    def __init__(self, recording: Recording, rules_of: RulesOf, given: Given, opening: Opening) -> None:
        self._recording = recording
        self._rules_of = rules_of
        self._given = given
        self._opening = opening
        self._survey = survey_of(recording, rules_of, opening)
        self._finals = {**recording.revisions(), **(given.finals or {})}
        self._told: set[Circumstance] = set()

    def climb(self) -> OverlayRun:
        """From the backtest to the run."""
        survey = self._survey
        first, found = self._run()
        steps = [Step(BACKTEST, first.final_equity, frozenset(found.differing))]
        last, before, compared, latest = first, first, found, found
        for circumstance in Circumstance:
            if self._agrees(last, latest):
                break
            self._told.add(circumstance)
            if not self._is_present(circumstance):
                continue
            before, (last, latest) = last, self._run()
            steps.append(Step(circumstance.value, last.final_equity, frozenset(latest.differing)))
        known = explain(compared, steps)
        known += left_over(latest, known)
        known += self._contradictions(last, known)
        money = money_of(steps, survey.final_equity)
        slippage = None
        if steps[-1].cause == EXECUTION:
            money, slippage = self._split(money, before.moves, last)
        result = Overlay(
            compared=dict(compared.counts),
            differences=tuple(sorted(known, key=lambda one: one.at_ms)),
            money=money,
            backtest_equity=first.final_equity,
            recorded_equity=survey.final_equity,
            slippage=slippage,
            notes=self._notes(last),
        )
        return OverlayRun(result, first.ts, first.equity, survey.ts, survey.equity)

    def _run(self) -> tuple[Rerun, Comparison]:
        """Run with what is told so far."""
        comparison = Comparison()
        run = rerun(
            self._recording,
            self._opening,
            self._rules_of,
            self._told,
            listener=lambda batch, made: comparison.decisions(batch.decisions, made),
            forecasts=self._given.forecasts,
            finals=self._finals,
            funding=self._rates(),
        )
        if run.broke is not None:
            for batch in Recording(
                self._recording.reader, _after(run), self._recording.until_ms, self._recording.rules_row
            ).minutes():
                comparison.decisions(batch.decisions, [])
        comparison.moves(self._survey.moves.rows(), run.moves.rows())
        return run, comparison

    def _agrees(self, run: Rerun, comparison: Comparison) -> bool:
        """Whether nothing is left to explain, every minute's equity included."""
        return run.broke is None and not comparison.differing and self._first_equity(run) is None

    def _first_equity(self, run: Rerun) -> int | None:
        """Number of the first recorded minute at whose close the equity is another one."""
        survey = self._survey
        places = np.searchsorted(run.ts, survey.ts)
        known = places < len(run.ts)
        theirs = np.full(len(survey.ts), np.nan)
        theirs[known] = run.equity[places[known]]
        apart = ~(np.abs(theirs - survey.equity) <= MONEY)
        return int(apart.argmax()) if apart.any() else None

    def _is_present(self, circumstance: Circumstance) -> bool:
        if circumstance is Circumstance.MODEL:
            return self._given.forecasts is not None
        if circumstance is Circumstance.CANDLES:
            return bool(self._finals)
        return circumstance is Circumstance.FUNDING or circumstance in self._survey.present

    def _rates(self) -> FundingRates:
        """The rates that are paid: as they were told, or those that a backtest is given."""
        recorded = self._survey.rates
        constant = self._rules_of(self._opening.rules).config.costs.funding_rate
        if Circumstance.FUNDING in self._told:
            return FundingRates(constant, {symbol: dict(table) for symbol, table in recorded.items()})
        if self._given.funding is not None:
            return self._given.funding
        tables = {
            symbol: _constant_table(constant, self._recording.since_ms, self._recording.until_ms)
            | dict(table)
            for symbol, table in recorded.items()
        }
        return FundingRates(constant, tables)

    # --- what is left -------------------------------------------------------------------------------------

    def _contradictions(self, last: Rerun, known: list[Difference]) -> list[Difference]:
        """Where the journal's tables contradict its batches, and where equity parts without a reason."""
        found = list(self._survey.faults)
        place = self._first_equity(last)
        if place is None:
            return found
        at_ms = int(self._survey.ts[place])
        told = [one.at_ms for one in (*known, *found) if one.cause == UNEXPLAINED]
        if told and min(told) <= at_ms:
            return found
        value = float(self._survey.equity[place])
        row = {"closed_at_ms": at_ms, "equity": value}
        there = int(np.searchsorted(last.ts, at_ms))
        made = None if there >= len(last.ts) else row | {"equity": float(last.equity[there])}
        ref = decision_id("account", at_ms)
        return [*found, Difference("equity", "value", ref, at_ms, UNEXPLAINED, made, row)]

    def _split(
        self, money: dict[str, float], modelled: Moves, last: Rerun
    ) -> tuple[dict[str, float], Slippage | None]:
        """Of what execution was worth: what prices and fees of fills were, what was taken over, and the rest."""
        worth = 0.0
        pairs = []
        for name, real in self._survey.moves.orders.items():
            model = modelled.orders.get(name)
            if model is None:
                continue
            pairs.append((real.side_sign, model.price, real.price))
            if same(real.row(name), model.row(name), exact=False):
                continue
            shared = min(real.quantity, model.quantity)
            worth += real.side_sign * shared * (model.price - real.price)
            worth += shared * (model.fee / model.quantity - real.fee / real.quantity)
        rest = money.pop(EXECUTION) - worth - last.adopted
        shares = {FILL_PRICE: worth, ADOPTED: last.adopted, EXECUTION: rest}
        return money | {cause: value for cause, value in shares.items() if value}, slippage_of(pairs)

    def _notes(self, last: Rerun) -> tuple[str, ...]:
        notes = []
        if last.broke is not None:
            notes.append(f"the replay could not follow the record to its end: {last.broke}")
        if not self._recording.kept_rules:
            notes.append(
                "the journal is of an older version: settings are those given now, restarts are not known"
            )
        return tuple(notes)


def _after(run: Rerun) -> int:
    """Open time of the first minute that a run did not come to."""
    return int(run.ts[-1]) if len(run.ts) else 0


def _constant_table(rate: float, since_ms: int, until_ms: int) -> dict[int, float]:
    first = -(-since_ms // FUNDING_INTERVAL_MS) * FUNDING_INTERVAL_MS
    return dict.fromkeys(range(first, until_ms + 1, FUNDING_INTERVAL_MS), rate)


def with_more(run: OverlayRun, more: list[Difference]) -> OverlayRun:
    """The same with differences that were found elsewhere."""
    found = run.overlay
    differences = tuple(sorted((*found.differences, *more), key=lambda one: one.at_ms))
    return replace(run, overlay=replace(found, differences=differences))
