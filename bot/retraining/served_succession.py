"""Who serves in which minute: the shadow of a challenger, its promotion, and rollbacks, over stored candles.

The rules are those of the daemon's succession. Time goes on from one retraining to the next; what is decided at a
moment rests on candles that had closed by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bot.core.market import MINUTE_MS
from bot.core.promotion import NO_TRADE
from bot.errors import ModelError
from bot.retraining.served_watch import SizeChange, Watch, WatchedModel
from bot.retraining.served_words import ModelWords
from models import champions
from models.registry import clear_challenger, read_member
from models.verdicts import is_proven, read_verdict, require_proven

HOUR_MS = 60 * MINUTE_MS

Ask = Callable[[str, int, int, bool], ModelWords]
"""Model, from, until (open times), and whether its inputs are wanted."""


@dataclass(frozen=True, slots=True)
class ShadowTerms:
    """What a challenger must show beside the champion.

    Attributes:
        hours: Of market time.
        least_share: Of the forecasts that are due, so many must be given.
        least_due_share: Of the minutes of its time, in so many a forecast must be due.
        patience: A challenger whose time was too thin is refused after so many times of it.
    """

    hours: float
    least_share: float
    least_due_share: float
    patience: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed who may predict.

    Attributes:
        at_ms: When, ms UTC.
        what: ``shadow_started``, ``shadow_refused``, ``promoted``, ``rolled_back``.
        model_id: Who; of a rollback who failed.
        why: One sentence.
    """

    at_ms: int
    what: str
    model_id: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch of time that one model served, as the open times of its candles.

    Attributes:
        from_ms: First minute.
        until_ms: End, not included.
        words: What it said; of that only the minutes within count.
    """

    from_ms: int
    until_ms: int
    words: ModelWords


@dataclass(frozen=True, slots=True)
class Turn:
    """From the minute after this on somebody else serves, or entries have another size.

    Attributes:
        after_ms: Close of the last minute before.
        model_id: Who serves; None is nobody.
        size: New entries are multiplied by it.
        reason: Why they are cut; empty where they are not.
        empties: What is held is closed, since nobody follows.
    """

    after_ms: int
    model_id: str | None
    size: float = 1.0
    reason: str = ""
    empties: bool = False


@dataclass(slots=True)
class _Shadow:
    model_id: str
    ends_ms: int | None
    objections: tuple[str, ...]


@dataclass(slots=True)
class Succession:
    """Serves minute by minute; ``root`` is the folder of models that the retrainings are judged in.

    Attributes:
        root: Folder of models.
        ask: Asks a model.
        new_watch: A watch over a model.
        terms: Of the shadow.
        symbol_count: How many symbols are traded.
        until_ms: End of the time.
        now_ms: How far it has gone.
        events: What happened so far.
        pieces: Who served so far.
        turns: The same for the engine.
    """

    root: Path
    ask: Ask
    new_watch: Callable[[str], Watch]
    terms: ShadowTerms
    symbol_count: int
    until_ms: int
    now_ms: int
    events: list[Event] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    _serving: str | None = None
    _watched: WatchedModel | None = None
    _shadow: _Shadow | None = None

    def advance(self, to_ms: int) -> None:
        """Let time pass up to a moment."""
        while self.now_ms < to_ms or self._shadow_is_due(to_ms):
            shadow_ms = self._shadow.ends_ms if self._shadow is not None else None
            end_ms = to_ms if shadow_ms is None else min(to_ms, shadow_ms)
            failed = self._serve(end_ms)
            if failed is not None:
                self._take_back(*failed)
            elif self._shadow_is_due(end_ms):
                self._end_shadow()

    def challenge(self, model_id: str, at_ms: int) -> None:
        """A retraining has named a challenger; it stands beside whoever serves from now on."""
        objections = self._objections(model_id)
        if objections:
            self._shadow = None
            self._refuse(model_id, at_ms, objections)
            return
        ends_ms, found = self._shadow_end(model_id, at_ms)
        self._shadow = _Shadow(model_id, ends_ms, found)
        why = f"it predicts beside the champion for {self.terms.hours:g} hours"
        self.events.append(Event(at_ms, "shadow_started", model_id, why))

    def _shadow_is_due(self, at_ms: int) -> bool:
        shadow = self._shadow
        return shadow is not None and shadow.ends_ms is not None and shadow.ends_ms <= at_ms

    def _serve(self, end_ms: int) -> tuple[int, str] | None:
        """Let who serves predict up to a moment; when and why its trading ends, if it does."""
        from_ms, self.now_ms = self.now_ms, max(end_ms, self.now_ms)
        if self._serving is None or self._watched is None or end_ms <= from_ms:
            return None
        words = self.ask(self._serving, from_ms, end_ms, True)
        known = len(self._watched.sizes)
        end = self._watched.advance(words)
        self.turns += [self._cut(one) for one in self._watched.sizes[known:]]
        if end is None:
            self.pieces.append(Piece(from_ms, end_ms, words))
            return None
        self.pieces.append(Piece(from_ms, end.after_ms, words))
        self.now_ms = end.after_ms
        return end.after_ms, end.reason

    def _cut(self, change: SizeChange) -> Turn:
        return Turn(change.after_ms, self._serving, change.size, change.reason)

    def _swap(self, model_id: str | None, after_ms: int) -> None:
        self._serving = model_id
        self._watched = None if model_id is None else WatchedModel(self.new_watch(model_id))
        self.turns.append(Turn(after_ms, model_id, empties=model_id is None))

    def _shadow_end(self, model_id: str, since_ms: int) -> tuple[int | None, tuple[str, ...]]:
        """When a challenger's time is over, and what speaks against it then; None where the candles end before."""
        terms = self.terms
        least = max(1.0, terms.least_due_share * terms.hours * 60.0 * self.symbol_count)
        over_ms = since_ms + _whole_minutes(terms.hours)
        last_ms = since_ms + _whole_minutes(terms.patience * terms.hours + 1.0)
        words = self.ask(model_id, since_ms, min(last_ms, self.until_ms), False)
        due = np.sort(np.concatenate([one.due for one in words.by_symbol.values()])) + MINUTE_MS
        enough = int(np.ceil(least))
        if len(due) < enough or int(due[enough - 1]) >= last_ms:
            thin = f"only {len(due)} forecasts were due in {(last_ms - since_ms) / HOUR_MS:.0f} hours"
            return (last_ms, (thin,)) if last_ms <= self.until_ms else (None, ())
        ends_ms = max(over_ms, int(due[enough - 1]))
        if ends_ms > self.until_ms:
            return None, ()
        given = sum(int(np.count_nonzero(one.ts < ends_ms)) for one in words.by_symbol.values())
        asked = int(np.count_nonzero(due <= ends_ms))
        if given / asked < terms.least_share:
            few = f"{given} of {asked} forecasts were given, {terms.least_share:.0%} are needed"
            return ends_ms, (few,)
        return ends_ms, ()

    def _end_shadow(self) -> None:
        """The challenger becomes champion, or loses the name."""
        shadow, self._shadow = self._shadow, None
        if shadow is None or shadow.ends_ms is None:
            return
        objections = shadow.objections or self._objections(shadow.model_id)
        if objections:
            self._refuse(shadow.model_id, shadow.ends_ms, objections)
            return
        why = f"promoted by the gate, after {self.terms.hours:g} hours beside the champion"
        champions.promote(self.root, shadow.model_id, at_ms=shadow.ends_ms, why=why)
        clear_challenger(self.root, shadow.model_id)
        self.events.append(Event(shadow.ends_ms, "promoted", shadow.model_id, why))
        self._swap(shadow.model_id, shadow.ends_ms)

    def _refuse(self, model_id: str, at_ms: int, objections: tuple[str, ...]) -> None:
        clear_challenger(self.root, model_id)
        self.events.append(Event(at_ms, "shadow_refused", model_id, "; ".join(objections)))

    def _objections(self, model_id: str) -> tuple[str, ...]:
        """Why a challenger may not follow who serves."""
        require_proven(self.root, model_id)
        verdict = read_verdict(self.root, model_id)
        serving = self._serving or NO_TRADE
        if verdict is not None and verdict.kind == "refit" and verdict.champion_then != serving:
            return (f"it was judged beside {verdict.champion_then}, and {serving} trades now",)
        return ()

    def _take_back(self, at_ms: int, why: str) -> None:
        """The champion before serves again, or nobody does."""
        failed = self._serving or NO_TRADE
        before = self._before(failed)
        if before is None:
            champions.promote(self.root, NO_TRADE, at_ms=at_ms, why=why)
        else:
            champions.rollback(self.root, at_ms=at_ms, why=why)
        self.events.append(Event(at_ms, "rolled_back", failed, f"{why}; {before or 'nobody'} serves"))
        self._swap(before, at_ms)

    def _before(self, failed: str) -> str | None:
        """The champion before a failed one, if it may trade."""
        followed = champions.lineage(champions.read_history(self.root), failed)
        before = followed[-2] if len(followed) > 1 else NO_TRADE
        if before == NO_TRADE or not is_proven(self.root, before):
            return None
        try:
            read_member(self.root, before)
        except ModelError:
            return None  # as the daemon has it: a damaged one gives way to nobody
        return before


def _whole_minutes(hours: float) -> int:
    """Hours as ms, up to the next whole minute."""
    return int(np.ceil(hours * 60.0)) * MINUTE_MS
