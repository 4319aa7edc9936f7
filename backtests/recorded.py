"""A stretch of a journal as what happened in it, in order: starts, what came between two minutes, and the minutes.

Reading is lazy and may be repeated; nothing is written, and the daemon may go on meanwhile: a stretch ends where it was
told to, whatever is appended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from bot.core.engine_config import MODEL_FAILED, NO_MODEL, NO_PREDICTION, EngineConfig
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.orders import ExecutionReport
from bot.core.prediction import Prediction
from bot.core.records import report_from_json
from bot.core.risk import StateChange
from bot.core.signal import Strategy
from bot.core.state import StateEvent, TradingState
from bot.errors import DataError
from bot.journal.reader import JournalReader, StoredBatch

RULES_NOTE: Final = "service.rules"
SWAP_NOTE: Final = "model.swapped"
REVISION_NOTE: Final = "candle.revised"
WATCHDOG_NOTE: Final = "risk.watchdog_tripped"
_SAME_MS: Final = 1_000
"""So long at most after its note the watchdog has acted."""

_DAY_MS: Final = 1440 * MINUTE_MS
_STATE_EVENTS: Final = frozenset(
    {StateEvent.PAUSE, StateEvent.HALT, StateEvent.RESUME, StateEvent.RECONCILIATION, StateEvent.WATCHDOG}
)


class Rules(NamedTuple):
    """What an engine is built from."""

    config: EngineConfig
    make_strategy: Callable[[Symbol], Strategy]


RulesOf: TypeAlias = Callable[[Mapping[str, Any]], Rules]
"""Makes rules of what a start has journaled as ``service.rules``."""


@dataclass(frozen=True, slots=True)
class Start:
    """The daemon began, or began again.

    Attributes:
        batch_ms: Open time of the last minute that was decided before, -1 for none.
        row: The rules from here on, as they were journaled; ``model_id`` is who predicts.
    """

    batch_ms: int
    row: Mapping[str, Any]

    @property
    def model_id(self) -> str:
        """Who predicts."""
        return str(self.row.get("model_id", ""))


@dataclass(frozen=True, slots=True)
class Swap:
    """From here on another model predicts."""

    batch_ms: int
    model_id: str


@dataclass(frozen=True, slots=True)
class Between:
    """What happened between two minutes.

    Attributes:
        batch_ms: Open time of the minute before.
        at_ms: The exchange's time.
        reports: What was settled.
        event: What acted on the trading state.
        flatten: Whether everything held was to be closed.
        state_changes: What came of it.
        by_watchdog: Whether it was the watchdog of a daemon that saw no minutes.
    """

    batch_ms: int
    at_ms: int
    reports: tuple[ExecutionReport, ...]
    event: StateEvent | None
    flatten: bool
    state_changes: tuple[StateChange, ...] = ()
    by_watchdog: bool = False

    @property
    def is_command(self) -> bool:
        """Whether a person acted."""
        if self.by_watchdog or self.event in {StateEvent.WATCHDOG, StateEvent.RECONCILIATION}:
            return False
        return self.flatten or self.event is not None


Happening: TypeAlias = Start | Swap | Between | StoredBatch


class Recording:
    """What a journal holds of the minutes with since_ms <= open time < until_ms.

    Args:
        reader: Of the journal.
        since_ms: Start, UTC ms.
        until_ms: End, not included.
        fallback: Rules for a journal that kept none, as ``service.rules`` has them.

    Raises:
        DataError: The journal kept no rules, and none are given.
    """

    def __init__(
        self,
        reader: JournalReader,
        since_ms: int,
        until_ms: int,
        fallback: Mapping[str, Any] | None = None,
    ) -> None:
        self.reader = reader
        self.since_ms = since_ms
        times = reader.batch_times()
        # What is decided while this is read is not of the stretch.
        self.until_ms = until_ms if times is None else min(until_ms, times[1])
        meta = reader.meta()
        self.run_id = meta.get("run_id", "")
        self.is_simulated = meta.get("simulated") == "true"
        kept = [Start(int(row["batch_ms"]), row) for row in reader.notes_in_order([RULES_NOTE])]
        self.kept_rules = bool(kept)
        if not kept and fallback is not None:
            kept = [Start(-1, fallback)]
        if not kept:
            raise DataError(
                f"the journal {reader.path} is of an older version, which kept no rules: say by which settings it "
                "was traded with --config or --set"
            )
        self.starts = kept
        self.swaps = [
            Swap(int(row["after_ms"]) - MINUTE_MS, str(row["model_id"]))
            for row in reader.notes_in_order([SWAP_NOTE])
        ]

    @property
    def rules_row(self) -> Mapping[str, Any]:
        """The rules in force when the stretch begins."""
        before = [start for start in self.starts if start.batch_ms < self.since_ms]
        return (before[-1] if before else self.starts[0]).row

    @property
    def mode(self) -> str:
        """``paper`` or ``live``."""
        return str(self.rules_row.get("settings", {}).get("mode", "paper"))

    def instruments(self) -> dict[Symbol, Mapping[str, Any]]:
        """The trading rules of every symbol that the stretch trades, the later word counting."""
        found: dict[Symbol, Mapping[str, Any]] = dict(self.rules_row["instruments"])
        for start in self.starts:
            if self.since_ms <= start.batch_ms < self.until_ms:
                found |= start.row["instruments"]
        return dict(sorted(found.items()))

    def codes(self) -> set[str]:
        """Digests of the code that decided, as far as the journal tells."""
        last = {str(self.rules_row["code"])} if "code" in self.rules_row else set()
        within = (one.row for one in self.starts if self.since_ms <= one.batch_ms < self.until_ms)
        return last | {str(row["code"]) for row in within if "code" in row}

    def minutes(self) -> Iterator[StoredBatch]:
        """The minutes alone."""
        return self.reader.batches(self.since_ms + 1, self.until_ms)

    def happenings(self, after_ms: int, *, settled: bool) -> Iterator[Happening]:
        """Everything, in order.

        Args:
            after_ms: Open time of the minute that the state at hand is of; starts and swaps right after it are told too.
            settled: Whether that state has what was settled right after that minute.
        """
        first_ms = after_ms + settled
        aside: list[Start | Swap | Between] = [
            *(one for one in self.starts if one.batch_ms >= after_ms),
            *(one for one in self.swaps if one.batch_ms >= after_ms),
            *(one for one in self._between() if one.batch_ms >= first_ms),
        ]
        # Stable: of what came between the same two minutes a start is first, then swaps, then what was settled.
        aside.sort(key=lambda one: one.batch_ms)
        place = 0
        for batch in self.minutes():
            opened_ms = batch.closed_at_ms - MINUTE_MS
            while place < len(aside) and aside[place].batch_ms < opened_ms:
                yield aside[place]
                place += 1
            yield batch

    def _between(self) -> Iterator[Between]:
        trips = [row["at_ms"] for row in self.reader.notes_in_order([WATCHDOG_NOTE])]
        for row in self.reader.interims(max(self.since_ms - _DAY_MS, 0)):
            batch_ms = row.get("batch_ms")
            if batch_ms is None:  # an older journal: the last minute that had closed by then
                batch_ms = row["at_ms"] // MINUTE_MS * MINUTE_MS - MINUTE_MS
            reports = tuple(map(report_from_json, row["reports"]))
            changes = tuple(
                StateChange(TradingState(before), TradingState(after), reason, at_ms)
                for before, after, reason, at_ms in row["state_changes"]
            )
            flatten = bool(row.get("flatten", _flattened(row)))
            watched = any(0 <= row["at_ms"] - trip <= _SAME_MS for trip in trips)
            yield Between(int(batch_ms), row["at_ms"], reports, _event(row), flatten, changes, watched)

    def history(self, symbol: Symbol, until_ms: int, minutes: int) -> list[Candle]:
        """The candles of a symbol in the minutes before ``until_ms``, those of before the first decision included."""
        return self.reader.candles(symbol, until_ms - minutes * MINUTE_MS, until_ms)

    def revisions(self) -> dict[tuple[Symbol, int], Candle]:
        """Candles that the exchange changed after they were decided on, as it has them now, by symbol and open time."""
        found = {}
        for row in self.reader.notes_in_order([REVISION_NOTE]):
            candle = Candle(row["symbol"], *row["new"])
            if self.since_ms <= candle.opened_at_ms < self.until_ms:
                found[candle.symbol, candle.opened_at_ms] = candle
        return found


def _event(row: Mapping[str, Any]) -> StateEvent | None:
    """What acted on the state; an older journal tells it by the reason of the move."""
    if "event" in row:
        return None if row["event"] is None else StateEvent(row["event"])
    reasons = [change[2] for change in row["state_changes"]]
    return next((event for event in _STATE_EVENTS if event.value in reasons), None)


def _flattened(row: Mapping[str, Any]) -> bool:
    return any(intent["leg"] == "f" for intent in row["approved"])


def absent_of(batch: StoredBatch) -> str:
    """Why symbols of a batch had no prediction: the reason is the same for all of a minute."""
    held = {row["hold_reason"] for row in batch.decisions if row["prediction"] is None}
    return next((reason for reason in (NO_MODEL, MODEL_FAILED) if reason in held), NO_PREDICTION)


def predictions_of(batch: StoredBatch) -> Iterator[Prediction]:
    """The predictions that the decisions of a batch hold."""
    for row in batch.decisions:
        made: dict[str, Any] | None = row["prediction"]
        if made is not None:
            # JSON has no NaN: a forecast that was none is journaled as null.
            expected = made["expected_return"]
            yield Prediction(**made | {"expected_return": math.nan if expected is None else expected})
