"""The compiled kernel as an engine: the same result, and the same outcomes minute by minute, as the fast driver gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from backtests.inputs import BacktestInput
from backtests.kernel_codes import (
    AS_THE_SIGNAL,
    FIRST_REFUSAL,
    ORDER_SENT,
    OUTCOME_WORDS,
    SIGNAL_WORDS,
    STATE_EVENTS,
    STATES,
)
from backtests.kernel_scope import parameters_of
from backtests.kernel_story import KernelStory
from backtests.kernel_tape import KernelTape, Played
from backtests.results import BacktestResult, EquityCurve, MinuteOutcome, Sink
from bot.core.market import MINUTE_MS
from bot.core.prediction import Prediction
from bot.core.risk import StateChange
from bot.errors import EngineProtocolError

FLUSH_MINUTES = 512
"""How many minutes' outcomes go to the sink at a time."""


def run_kernel(
    data: BacktestInput,
    *,
    sink: Sink | None = None,
    monotonic_ns: Callable[[], int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> BacktestResult:
    """Run one backtest; the arguments are those of ``run_backtest``.

    ``engine_seconds`` is the time of the compiled loop alone, without compiling and without telling.

    Raises:
        ConfigError: The input asks for something that the kernel does not do; the sentence says what.
        EngineProtocolError: The core, given the kernel's executions, books other trades: a bug of ours.
    """
    tape = KernelTape.of(data)
    parameters = parameters_of(data)
    first_ms = int(tape.batch_ms[0])
    tape.run(parameters, first_ms, first_ms + MINUTE_MS)  # compiles, or reads what was compiled
    began_ns = monotonic_ns() if monotonic_ns is not None else 0
    played = tape.play(parameters, recording=True)
    seconds = (monotonic_ns() - began_ns) / 1e9 if monotonic_ns is not None else 0.0
    story = KernelStory(data, parameters)
    if sink is None:
        _tell_orders(tape, played, story)
    else:
        _tell_minutes(data, tape, played, story, sink, progress)
    if story.trades != played.run.trades() or story.account.cash != played.run.cash:
        raise EngineProtocolError("the kernel's books are not those of the core: run `bot verify-parity`")
    _mark(tape, story)
    if progress is not None:
        progress(len(tape.batch_ms))
    return BacktestResult(
        engine="kernel",
        trades=story.trades,
        fills=story.fills,
        fundings=story.fundings,
        equity=_curve(tape, played),
        account=story.account,
        state_changes=_state_changes(played),
        candle_count=played.run.bar_count,
        hold_reasons=_hold_reasons(played),
        engine_seconds=seconds,
    )


def _tell_orders(tape: KernelTape, played: Played, story: KernelStory) -> None:
    """Only the rows on which something was sent or happened."""
    bars, decisions = tape.columns.bars, played.books.decisions
    by_row = _events_by_row(played)
    sent = np.flatnonzero(decisions["outcome"] == ORDER_SENT)
    for row in sorted({*by_row, *sent.tolist()}):
        for event in by_row.get(row, ()):
            story.reports(bars[row]["symbol"], event)
        if decisions[row]["outcome"] == ORDER_SENT:
            story.decision(bars[row], decisions[row], None)


def _tell_minutes(
    data: BacktestInput,
    tape: KernelTape,
    played: Played,
    story: KernelStory,
    sink: Sink,
    progress: Callable[[int], None] | None,
) -> None:
    """Every minute, some hundred at a time."""
    pending: list[MinuteOutcome] = []
    done = 0
    for outcome in _outcomes(data, tape, played, story):
        pending.append(outcome)
        if len(pending) >= FLUSH_MINUTES:
            sink(pending)
            done += len(pending)
            pending = []
            if progress is not None:
                progress(done)
    sink(pending)


def _outcomes(
    data: BacktestInput, tape: KernelTape, played: Played, story: KernelStory
) -> Iterator[MinuteOutcome]:
    """What each minute brought: all reports, then all decisions."""
    bars, decisions = tape.columns.bars, played.books.decisions
    predictions: list[Iterator[Prediction | None]] = [data.row_predictions(symbol) for symbol in data.symbols]
    by_row = _events_by_row(played)
    for first, end in pairwise(tape.columns.first_row.tolist()):
        reports = [
            report
            for row in range(first, end)
            for event in by_row.get(row, ())
            for report in story.reports(bars[row]["symbol"], event)
        ]
        yield (
            reports,
            [
                story.decision(bars[row], decisions[row], next(predictions[bars[row]["symbol"]]))
                for row in range(first, end)
            ],
        )


def _events_by_row(played: Played) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for event in played.books.events[: played.account[0]["events"]]:
        found.setdefault(int(event["row"]), []).append(event)
    return found


def _mark(tape: KernelTape, story: KernelStory) -> None:
    """The last close of every symbol."""
    bars = tape.columns.bars
    for place, symbol in enumerate(tape.symbols):
        last = np.flatnonzero(bars["symbol"] == place)[-1]
        story.account.mark(symbol, float(bars[last]["close"]))


def _curve(tape: KernelTape, played: Played) -> EquityCurve:
    minutes = played.books.minutes
    equity, cash, exposure = (minutes[name].copy() for name in ("equity", "cash", "exposure"))
    return EquityCurve(tape.batch_ms + MINUTE_MS, equity, cash, exposure)


def _state_changes(played: Played) -> list[StateChange]:
    changes = played.books.changes[: played.account[0]["changes"]].tolist()
    return [
        StateChange(STATES[before], STATES[after], STATE_EVENTS[event].value, at_ms)
        for before, after, event, at_ms in changes
    ]


def _hold_reasons(played: Played) -> Counter[str | None]:
    """How often nothing was sent, by reason, in the order in which each came first."""
    decisions = played.books.decisions
    codes = decisions["outcome"] * len(SIGNAL_WORDS) + decisions["signal"]
    found, first, counts = np.unique(codes, return_index=True, return_counts=True)
    reasons: Counter[str | None] = Counter()
    for place in np.argsort(first):
        outcome, signal = divmod(int(found[place]), len(SIGNAL_WORDS))
        reasons[_words(outcome, signal)] += int(counts[place])
    return reasons


def _words(outcome: int, signal: int) -> str | None:
    if outcome == ORDER_SENT:
        return None
    if outcome == AS_THE_SIGNAL:
        return SIGNAL_WORDS[signal]
    return f"refused_{OUTCOME_WORDS[outcome]}" if outcome >= FIRST_REFUSAL else OUTCOME_WORDS[outcome]
