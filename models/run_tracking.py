"""Runs of training made known elsewhere: who is told of a run, and what happens when telling fails.

A tracker decides before the training whether it can be told at all. Once the training is on, no tracker can end
it: what it could not be told is a warning at the end, and the model stays stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from bot.errors import BotError
from models.candle_arrays import CandleArrays
from models.fit_progress import OnProgress, TrainingProgress
from models.hashing import code_digest, data_digest
from models.recipe import Recipe

if TYPE_CHECKING:
    from models.training import TrainedModel

_INTERRUPTED = "training was interrupted"
"""How the sentence of a ``ModelError`` begins that came from Ctrl-C before there was anything to keep."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run before it begins.

    Attributes:
        recipe: With every override in it.
        began_at_ms: ms UTC.
        symbols: In order of name.
        candles: Of all symbols.
        from_ms: Open time of the first candle, ms UTC; ``until_ms`` is that of the last.
        data_digest: SHA-256 of every candle.
        code_digest: SHA-256 of the sources of ``models``.
    """

    recipe: Recipe
    began_at_ms: int
    symbols: tuple[str, ...]
    candles: int
    from_ms: int
    until_ms: int
    data_digest: str
    code_digest: str

    @property
    def name(self) -> str:
        """``<recipe>-<yyyymmddThhmmss>``, as the model's id begins."""
        stamp = datetime.fromtimestamp(self.began_at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S")
        return f"{self.recipe.name}-{stamp}"


class RunTracker(Protocol):
    """Who is told of a run. Only ``begin`` may refuse: it is called before the training."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def begin(self, facts: RunFacts) -> None:
        """A run is about to begin.

        Raises:
            BotError: This tracker cannot be told; one clear sentence says why.
        """
        ...

    def told(self, state: TrainingProgress) -> None:
        """The training goes on; never raises, and keeps what it could not pass on for ``finished``."""
        ...

    def finished(self, trained: TrainedModel) -> dict[str, str]:
        """The model is stored.

        Returns:
            Where the run can be looked at, by name.

        Raises:
            BotError: Something did not get through; the sentence says what.
        """
        ...

    def failed(self, reason: str, *, interrupted: bool) -> None:
        """There is no model; ``interrupted`` says that the user wanted it so.

        Raises:
            BotError: That could not be passed on.
        """
        ...


def run_facts(recipe: Recipe, series: Mapping[str, CandleArrays], began_at_ms: int) -> RunFacts:
    """What is known before a run begins, of a recipe with its overrides and candles that are not empty."""
    present = [candles for candles in series.values() if len(candles)]
    return RunFacts(
        recipe=recipe,
        began_at_ms=began_at_ms,
        symbols=tuple(sorted(series)),
        candles=sum(len(candles) for candles in present),
        from_ms=min((int(candles.ts[0]) for candles in present), default=0),
        until_ms=max((int(candles.ts[-1]) for candles in present), default=0),
        data_digest=data_digest(series),
        code_digest=code_digest(),
    )


class TrackedRun:
    """One run and everybody who is told of it.

    Args:
        warn: Takes a sentence for the user.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._open: list[RunTracker] = []
        self._warn = warn

    def begin(self, tracker: RunTracker, facts: RunFacts) -> None:
        """Tell one more tracker, which may refuse; it hears the rest if it does not.

        Raises:
            BotError: It refuses.
        """
        tracker.begin(facts)
        self._open.append(tracker)

    def told(self, state: TrainingProgress) -> None:
        """Pass progress on to every tracker."""
        for tracker in self._open:
            tracker.told(state)

    def beside(self, show: OnProgress) -> OnProgress:
        """Progress for somebody else first, then for every tracker."""

        def both(state: TrainingProgress) -> None:
            show(state)
            self.told(state)

        return both

    def finished(self, trained: TrainedModel) -> dict[str, dict[str, str]]:
        """Pass a stored model on to every tracker, whatever becomes of the others.

        Returns:
            Where the run can be looked at, by tracker; a tracker that failed is left out and was warned of.
        """
        places = {}
        kept = f"the model itself is stored in {trained.folder}"
        while self._open:
            tracker = self._open[0]
            try:
                places[tracker.name] = tracker.finished(trained)
            except BotError as fault:
                self._warn(f"{fault}; {kept}")
            except KeyboardInterrupt:
                # As during a fit: what is there already is kept, and the command ends in order.
                self._fail(tracker, "interrupted while the model was being passed on", interrupted=True)
                self._warn(f"{tracker.name} has only a part of this run, since you interrupted; {kept}")
            self._open.pop(0)
        return places

    def failed(self, fault: BaseException) -> None:
        """Tell every tracker that has not heard the end yet that there is no model."""
        interrupted = isinstance(fault, KeyboardInterrupt) or str(fault).startswith(_INTERRUPTED)
        reason = " ".join(str(fault).split()) or ("interrupted" if interrupted else type(fault).__name__)
        while self._open:
            self._fail(self._open.pop(0), reason, interrupted=interrupted)

    def _fail(self, tracker: RunTracker, reason: str, *, interrupted: bool) -> None:
        """Tell one tracker; the reason of the failure itself is more important than that this one cannot hear it."""
        try:
            tracker.failed(reason, interrupted=interrupted)
        except BotError as fault:
            self._warn(str(fault))


@contextmanager
def tracked_run(
    trackers: Sequence[RunTracker], facts: RunFacts, warn: Callable[[str], None]
) -> Iterator[TrackedRun]:
    """Tell trackers of a run: that it begins, and, where the block raises, that it failed.

    The block calls ``told`` and, with the stored model, ``finished``.

    Raises:
        BotError: A tracker refuses to begin; those before it are told that the run failed.
    """
    run = TrackedRun(warn)
    try:
        for tracker in trackers:
            run.begin(tracker, facts)
        yield run
    except BaseException as fault:
        run.failed(fault)
        raise
