"""Weekly retraining beside trading: when it is due, a process of its own trains and judges; trading never waits.

The process writes the model, the verdict and the challenger's name; what it says on standard output is one line of
JSON: ``model_id``, ``promote``, ``proven``. Whoever looks after the model finds the challenger by its file.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bot.daemon.child import Ending, run_lowly
from bot.daemon.schedule import Alarm, RetrainCalendar, cron_trigger
from bot.daemon.telling import Teller
from bot.errors import ModelError
from models.verdicts import read_verdict

COMMAND = (sys.executable, "-P", "-m", "bot", "retrain")
HISTORY_NOTES = 1_000


@dataclass(frozen=True, slots=True)
class RetrainPlan:
    """How to retrain.

    Attributes:
        program: Absolute path and words; ``--now-ms`` and ``--json`` are added.
        schedule: A crontab line.
        zone: Its time zone.
        timeout_seconds: A run that takes longer is ended.
        models_dir: Where verdicts lie.
    """

    program: tuple[str, ...]
    schedule: str
    zone: Any
    timeout_seconds: float
    models_dir: Path


class PastEvents(Protocol):
    """What happened before this start; the journal's reader is one."""

    def notes(self, kind: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest events of a kind, newest first."""


def setting_words(values: Mapping[str, Any]) -> list[str]:
    """``--set section.key=value`` for every setting, as flags are read.

    Args:
        values: JSON values by section.
    """
    return [word for assignment in _assignments(values) for word in ("--set", assignment)]


class Retrainer:
    """Starts a retraining when one is due, and tells what became of it.

    Args:
        plan: How to retrain.
        past: What is known of earlier runs.
        teller: Log and journal.
        now_ms: The time that the schedule is in.
        by_alarm: Whether the machine's clock wakes it; otherwise ``poke`` must be called each minute.
        whose: Whose end ends a run, for the reasons that are told.
    """

    def __init__(
        self,
        plan: RetrainPlan,
        past: PastEvents,
        teller: Teller,
        now_ms: Callable[[], int],
        *,
        by_alarm: bool,
        whose: str = "the daemon",
    ) -> None:
        self._plan = plan
        self._whose = whose
        self._teller = teller
        self._now_ms = now_ms
        self._poked = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._began_ms = 0
        self._missed_ms: int | None = None
        trigger = cron_trigger(plan.schedule, plan.zone)
        covered_ms, failures = self._take_up(past)
        self.calendar = RetrainCalendar(trigger, covered_ms, failures)
        self.by_alarm = by_alarm
        self._alarm = Alarm(trigger, self._ring, self.poke) if by_alarm else None

    @property
    def running(self) -> bool:
        """Whether a run is at work."""
        return not self._idle.is_set()

    async def serve(self) -> None:
        """Run what is due, until cancelled; a run that is at work is then ended."""
        due_ms = self.calendar.due_ms(self._now_ms())
        if due_ms is not None:
            self._teller.warn("retrain.missed", due_ms=due_ms, reason=f"{self._whose} was not running")
        if self._alarm is not None:
            self._alarm.start()
            self._alarm.ring_at(self._now_ms())
        self.poke()
        try:
            while True:
                await self._poked.wait()
                self._poked.clear()
                due_ms = self.calendar.due_ms(self._now_ms())
                if due_ms is not None:
                    await self._run(due_ms)
        finally:
            if self._alarm is not None:
                self._alarm.stop()

    def poke(self) -> None:
        """Look whether a run is due; costs next to nothing when none is."""
        now_ms = self._now_ms()
        if self.running:
            missed_ms = self.calendar.overlapped_ms(self._began_ms, now_ms)
            if missed_ms is not None and missed_ms != self._missed_ms:
                self._missed_ms = missed_ms
                self._teller.warn(
                    "retrain.missed", due_ms=missed_ms, reason="the one before is still running"
                )
        elif self.calendar.due_ms(now_ms) is not None:
            self._poked.set()

    async def _ring(self) -> None:
        """The alarm's turn: one instance lasts as long as the run."""
        self.poke()
        await asyncio.sleep(0)
        await self._idle.wait()

    def _take_up(self, past: PastEvents) -> tuple[int, int]:
        """Up to when fire times are done with, and how many runs have failed since; a broken-off one is told."""
        finished = next(iter(past.notes("retrain.finished", 1)), None)
        if finished is not None:
            covered_ms = int(finished["began_ms"])
        else:
            planned = next(iter(past.notes("retrain.planned", 1)), None)
            covered_ms = self._now_ms() if planned is None else int(planned["since_ms"])
            if planned is None:
                self._teller.note("retrain.planned", since_ms=covered_ms)
        failed = [row["began_ms"] for row in past.notes("retrain.failed", HISTORY_NOTES)]
        begun = next(iter(past.notes("retrain.started", 1)), None)
        began_ms = covered_ms if begun is None else int(begun["began_ms"])
        if began_ms > covered_ms and began_ms not in failed:
            self._teller.warn(
                "retrain.failed", began_ms=began_ms, reason=f"{self._whose} ended while it ran", retry_ms=None
            )
            failed.append(began_ms)
        return covered_ms, sum(at_ms > covered_ms for at_ms in failed)

    async def _run(self, due_ms: int) -> None:
        self._began_ms = self._now_ms()
        self._idle.clear()
        self._teller.tell("retrain.started", due_ms=due_ms, began_ms=self._began_ms)
        try:
            program = (*self._plan.program, "--now-ms", str(self._began_ms), "--json")
            ending = await run_lowly(
                program, timeout_seconds=self._plan.timeout_seconds, complain=self._heard
            )
            self._ended(ending)
        except asyncio.CancelledError:
            self._failed(f"{self._whose} was stopped while it ran", retry=False)
            raise
        except OSError as error:
            self._failed(f"it could not be started: {error.strerror or error}")
        finally:
            self._idle.set()

    def _heard(self, line: str) -> None:
        self._teller.debug("retrain.said", line=line)

    def _ended(self, ending: Ending) -> None:
        if ending.fault is not None:
            self._failed(ending.fault)
            return
        result = _result(ending.said)
        if result is None:
            self._failed("it ended without saying what it made")
            return
        self.calendar.succeeded(self._began_ms)
        self._teller.tell(
            "retrain.finished",
            began_ms=self._began_ms,
            model_id=result.get("model_id"),
            promote=bool(result.get("promote")),
            proven=bool(result.get("proven")),
            reasons=self._reasons(result),
            next_ms=self.calendar.next_ms,
        )

    def _failed(self, reason: str, *, retry: bool = True) -> None:
        """Tell it, and see to it that it is tried again."""
        retry_ms = self.calendar.failed(self._now_ms()) if retry else None
        self._teller.warn("retrain.failed", began_ms=self._began_ms, reason=reason, retry_ms=retry_ms)
        if self._alarm is not None and retry_ms is not None:
            self._alarm.ring_at(retry_ms)

    def _reasons(self, result: Mapping[str, Any]) -> list[str]:
        """Every reason of the verdict, those against it first; those of a damaged one cannot be told."""
        model_id = result.get("model_id")
        if not isinstance(model_id, str):
            said = result.get("reasons")
            return [str(one) for one in said] if isinstance(said, list) else []
        try:
            verdict = read_verdict(self._plan.models_dir, model_id)
        except ModelError as fault:
            return [str(fault)]
        reasons = () if verdict is None else verdict.reasons
        return [
            f"{'holds' if one.passed else 'fails'}: {one.sentence}"
            for one in sorted(reasons, key=lambda one: one.passed)
        ]


def _result(said: str) -> dict[str, Any] | None:
    """The JSON object that was said, alone or in the last line; None where there is none."""
    for text in (said, said.strip().rpartition("\n")[2]):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def _assignments(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """``section.key=value`` for every setting, as flags are read."""
    for name, value in values.items():
        if isinstance(value, Mapping) and name not in {"parameters", "by_symbol"}:
            yield from _assignments(value, f"{above}{name}.")
        else:
            yield f"{above}{name}={value if isinstance(value, str) else json.dumps(value)}"
