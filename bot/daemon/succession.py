"""Who predicts next: shadow, promotion, changes by hand, and rollback, all between two minutes.

Only a rollback makes the next minute wait. Everything else is read, hashed and warmed beside trading, one thing at a
time, and takes over in one step when it is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from bot.core.market import MINUTE_MS
from bot.core.promotion import NO_TRADE
from bot.daemon.foresight import DecidedMinute
from bot.daemon.handover import Handover
from bot.daemon.heirs import Heirs
from bot.daemon.live_watch import LiveWatch
from bot.daemon.retrain_follower import RetrainFollower
from bot.daemon.retrainer import Retrainer
from bot.daemon.serving import Serving
from bot.daemon.shadow import Shadow, ShadowCount, ShadowRules
from bot.daemon.telling import Teller
from bot.errors import ModelError
from models.registry import CHALLENGER_FILE, CHAMPION_FILE

Mark = tuple[int, int] | None


class Succession:
    """Adapter of the loop's Attendant.

    Args:
        serving: Who predicts now.
        heirs: Who may follow: the folder of models.
        follows: Whether the champion trades, and not a model that was named for this run; only then does a
            challenger follow it.
        handover: Makes another one predict.
        rules: What a challenger must show.
        teller: Log and journal.
        watch: Follows whoever predicts, and calls the end of its trading.
        retrainer: Poked each minute; None where nothing is retrained.
        past: What the last snapshot before this start held.
        monotonic_ns: A counter of nanoseconds.
    """

    def __init__(
        self,
        serving: Serving,
        heirs: Heirs,
        *,
        follows: bool,
        handover: Handover,
        rules: ShadowRules,
        teller: Teller,
        watch: LiveWatch,
        retrainer: Retrainer | RetrainFollower | None,
        past: Mapping[str, Any],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.serving = serving
        self.shadow: Shadow | None = None
        self._heirs = heirs
        self._follows = follows
        self._handover = handover
        self._rules = rules
        self._teller = teller
        self._watch = watch
        self._retrainer = retrainer
        self._past = past
        self._monotonic_ns = monotonic_ns
        self._doubt: str | None = None
        self._background: asyncio.Task[None] | None = None
        self._champion_mark = _mark(heirs.root / CHAMPION_FILE)
        self._challenger_mark: Mark = None  # so that one of before the start is found
        self._snapshot = self._describe()

    # --- the loop's calls ---------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Who predicts, who stands beside, when the next retraining is; as of the minute before."""
        return self._snapshot

    def decided(self, minute: DecidedMinute) -> None:
        """Let the challenger predict the same minute, and take note of what both said and what came of it."""
        beside = [] if self.shadow is None else self.shadow.step(minute.candles, self._monotonic_ns)
        self._doubt = self._watch.on_minute(minute, beside)

    async def between(self, closed_at_ms: int) -> None:
        """Roll back what has failed, at once; begin or end what may take its time."""
        if self._background is not None and self._background.done():
            await self._finish_background()
        if self._doubt is not None:
            await self._take_back(closed_at_ms)
        elif self._follows and self._background is None:
            self._look(closed_at_ms)
        if self._retrainer is not None and not self._retrainer.by_alarm:
            self._retrainer.poke()
        self._watch.store(closed_at_ms)
        self._snapshot = self._describe()

    async def close(self) -> None:
        """End what is under way."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.gather(self._background, return_exceptions=True)

    # --- what may take its time ---------------------------------------------------------------------------

    def _look(self, closed_at_ms: int) -> None:
        """Begin what has come up: a champion or a challenger that was named, or the end of a shadow's time."""
        champion_mark = _mark(self._heirs.root / CHAMPION_FILE)
        challenger_mark = _mark(self._heirs.root / CHALLENGER_FILE)
        if champion_mark != self._champion_mark:
            self._champion_mark = champion_mark
            self._begin(self._follow())
        elif challenger_mark != self._challenger_mark:
            self._challenger_mark = challenger_mark
            self._begin(self._consider(closed_at_ms))
        elif self.shadow is not None and (objections := self.shadow.verdict(closed_at_ms)) is not None:
            self._begin(self._refuse(objections) if objections else self._crown(self.shadow, closed_at_ms))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._background = asyncio.create_task(work, name="succession")

    async def _finish_background(self) -> None:
        """Wait for what is under way; what it raised is raised here, and ends the daemon."""
        work, self._background = self._background, None
        if work is not None:
            await work

    async def _follow(self) -> None:
        """Somebody has named another champion."""
        try:
            named, why = await asyncio.to_thread(self._heirs.champion_now)
            if named is None or named == self.serving.model_id:
                return
            serving = await asyncio.to_thread(self._heirs.load, named)
        except ModelError as fault:
            self._teller.warn(
                "model.swap_refused", reason=str(fault), model_id=self.serving.model_id, stays=True
            )
            return
        await self._handover.warm(serving.predictor)
        if self.shadow is not None and self.shadow.count.model_id == named:
            self.shadow = None
        self._swap(serving, why)

    async def _consider(self, closed_at_ms: int) -> None:
        """Somebody is challenger, or nobody is any more."""
        standing = None if self.shadow is None else self.shadow.count.model_id
        try:
            named = await asyncio.to_thread(self._heirs.challenger_now, self.serving.model_id)
        except ModelError as fault:
            self._teller.warn("model.shadow_refused", model_id=None, reasons=[str(fault)])
            return
        if named is None or named.model_id == standing:
            if named is None and standing is not None:
                self.shadow = None
                self._teller.warn(
                    "model.shadow_refused", model_id=standing, reasons=["it is not challenger any more"]
                )
            return
        if named.objections:
            await self._refuse(named.objections, named.model_id)
            return
        await self._cast(named.model_id, closed_at_ms)

    async def _cast(self, model_id: str, closed_at_ms: int) -> None:
        """Load and warm a challenger, and let it predict beside the champion from the next minute on."""
        try:
            serving = await asyncio.to_thread(self._heirs.load, model_id)
        except ModelError as fault:
            await self._refuse((str(fault),), model_id)
            return
        kept, self._past = self._past.get("shadow"), {}  # whoever is named anew later begins anew
        resumed = isinstance(kept, dict) and kept.get("model_id") == model_id
        count = ShadowCount(**kept) if isinstance(kept, dict) and resumed else None
        await self._handover.warm(serving.predictor)
        self._watch.stand_beside(serving)
        engine = self._handover.loop.engine
        count = count or ShadowCount(model_id, max(engine.last_opened_at_ms + MINUTE_MS, closed_at_ms))
        self.shadow = Shadow(serving, self._rules, len(engine.symbols), count)
        self._teller.tell(
            "model.shadow_started",
            model_id=model_id,
            since_ms=count.since_ms,
            hours=self._rules.hours,
            resumed=resumed,
        )

    async def _crown(self, shadow: Shadow, closed_at_ms: int) -> None:
        """The challenger has shown that it can: it becomes champion on the disk, and only then predicts."""
        model_id = shadow.count.model_id
        why = f"promoted by the gate, after {self._rules.hours:g} hours beside the champion"
        try:
            await asyncio.to_thread(
                self._heirs.promote, model_id, self.serving.model_id, at_ms=closed_at_ms, why=why
            )
        except ModelError as fault:
            await self._refuse((str(fault),))
            return
        self.shadow = None
        self._swap(shadow.serving, why)
        await asyncio.to_thread(self._heirs.dismiss, model_id)

    async def _refuse(self, objections: tuple[str, ...], model_id: str | None = None) -> None:
        """A challenger is none any more."""
        shadow = self.shadow
        if shadow is not None and model_id in {None, shadow.count.model_id}:
            model_id, self.shadow = shadow.count.model_id, None
        self._teller.warn("model.shadow_refused", model_id=model_id, reasons=list(objections))
        if model_id is not None:
            await asyncio.to_thread(self._heirs.dismiss, model_id)

    # --- what cannot wait ---------------------------------------------------------------------------------

    async def _take_back(self, closed_at_ms: int) -> None:
        """The version before predicts the next minute, or nobody does."""
        await self._break_off()
        doubt, self._doubt = self._doubt, None
        failed = self.serving.model_id
        if doubt is None or failed == NO_TRADE:
            return
        serving = await self._heir(failed, closed_at_ms, doubt)
        await self._handover.warm(serving.predictor, ask_exchange=False)
        self._teller.warn(
            "model.rolled_back",
            model_id=serving.model_id,
            previous=failed,
            reason=doubt,
            refused=serving.refused,
        )
        self._swap(serving, f"{failed} was taken back: {doubt}")

    async def _heir(self, failed: str, closed_at_ms: int, why: str) -> Serving:
        """Who takes over from a model that failed; one that was named for this run has nobody before it."""
        if not self._follows:
            return self._heirs.nobody()
        try:
            return await asyncio.to_thread(self._heirs.take_back, failed, at_ms=closed_at_ms, why=why)
        except ModelError as fault:
            return self._heirs.nobody(str(fault))

    async def _break_off(self) -> None:
        """Let go of what is under way; it is looked at again in the next minutes."""
        if self._background is None:
            return
        self._background.cancel()
        results = await asyncio.gather(self._background, return_exceptions=True)
        self._background = self._champion_mark = self._challenger_mark = None
        if isinstance(results[0], Exception):
            raise results[0]

    def _swap(self, serving: Serving, why: str) -> None:
        """One step: no minute is between the old and the new."""
        self._handover.swap(serving, why)
        self._watch.begin(serving)
        self.serving = serving
        self._doubt = None

    def _describe(self) -> dict[str, Any]:
        """The snapshot's part, made when nothing waits."""
        retrainer = self._retrainer
        return {
            "model_id": self.serving.model_id,
            "proven": self.serving.proven,
            "follows": self._follows,
            "shadow": None if self.shadow is None else self.shadow.count.to_json(),
            "shadow_hours": self._rules.hours,
            "next_retrain_ms": None if retrainer is None else retrainer.calendar.next_ms,
            "retraining": retrainer is not None and retrainer.running,
        }


def _mark(path: Path) -> Mark:
    """What changes with a file that is replaced; None where there is none."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_mtime_ns, seen.st_ino
