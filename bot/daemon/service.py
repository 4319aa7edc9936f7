"""What makes the daemon a service: metrics, notifications, the daily summary, the pulse and the control API, put together.

It listens to the log and to each minute that was decided, and has no say in trading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from bot.clock import wall_ms
from bot.core.market import Symbol
from bot.daemon.blindness import BlindnessNotes, Note, blind_before_seconds
from bot.daemon.commanding import CommandDesk, Operator
from bot.daemon.control import ControlServer
from bot.daemon.control_reads import Recordings
from bot.daemon.metrics import Metrics
from bot.daemon.model_watch import WatchVerdict
from bot.daemon.notify import Notifier
from bot.daemon.progress import Progress
from bot.daemon.pulse import Pulse
from bot.daemon.sd_notify import Herald
from bot.daemon.service_rules import ServiceRules, WatchdogAction
from bot.daemon.summary import DailySummary
from bot.daemon.telegram import TelegramDesk
from bot.daemon.telling import Log
from bot.journal.reader import JournalReader
from bot.logs import listen, stop_listening
from bot.ports import BatchRecord, Clock, InterimRecord

PROJECT: Final = "lstm-scalping-bot"


class WatchedOperator(Operator, Protocol):
    """One that the watchdog calls too."""

    def on_blind(self, seconds: float, action: WatchdogAction) -> None:
        """No minute was decided for so long."""


class Service:
    """Stands beside a daemon from its start to its end; a context manager that tells of an end that nobody asked for.

    Args:
        rules: How it is watched.
        state_dir: Where token and address of the control API are kept.
        symbols: What is traded.
        modelled_bps: Half the spread and slippage, basis points.
        clock: The exchange's time.
        log: Bound with run_id and mode.
        herald: Tells a service manager how it gets on; None where there is none.
        note: Writes an event into the journal; None keeps nothing of a stall for the next life.

    Attributes:
        metrics: The figures; None where none are kept.
        progress: When the last minute was decided.
    """

    def __init__(
        self,
        rules: ServiceRules,
        state_dir: Path,
        symbols: tuple[Symbol, ...],
        modelled_bps: float,
        clock: Clock,
        log: Log,
        *,
        herald: Herald | None = None,
        note: Note | None = None,
    ) -> None:
        self._rules = rules
        self._herald = Herald(None, None, clock.monotonic_ns) if herald is None else herald
        self._note = note
        self._blindness: BlindnessNotes | None = None
        self._blind_seconds = 0.0
        self._state_dir = state_dir
        self._clock = clock
        self._log = log
        self._control: ControlServer | None = None
        self._telegram: TelegramDesk | None = None
        self._operator: WatchedOperator | None = None
        self._journal_path = state_dir / "journal.sqlite"
        self.progress = Progress(clock.monotonic_ns, rules.unhealthy_seconds)
        self.metrics: Metrics | None = None
        if rules.metrics:
            self.metrics = Metrics(
                symbols, modelled_bps, now_ms=clock.now_ms, wall_ms=wall_ms, monotonic_ns=clock.monotonic_ns
            )
        counting = _nobody if self.metrics is None else self.metrics.on_notification
        self._notifier = (
            Notifier(rules.notify, log, clock.monotonic_ns, counting) if rules.notify is not None else None
        )
        self._summary = None if rules.summary_hour is None else DailySummary(log, rules.summary_hour)
        self._taps = [
            part.on_line for part in (self.metrics, self._summary, self._notifier) if part is not None
        ]

    def __enter__(self) -> Self:
        """Import what would be in the way later, and begin to listen to the log."""
        if self._rules.control is not None:
            ControlServer.prepare()
        if self._notifier is not None:
            self._notifier.start()
        for tap in self._taps:
            listen(tap)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, fault: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Tell of a failure, send what waits, and listen no more."""
        if isinstance(fault, Exception):
            self._log.error("service.failed", error=f"{type(fault).__name__}: {fault}")
        if self._control is not None:
            self._control.close()
        if self._notifier is not None:
            self._notifier.close()
        for tap in self._taps:
            stop_listening(tap)

    def recover(self, journal_path: Path, *, mode: str, simulated: bool) -> None:
        """Take up what the journal says of earlier lives, before this one writes into it.

        Raises:
            StorageError: The journal can't be read.
        """
        self._journal_path = journal_path
        past = JournalReader(journal_path)
        try:
            last = past.newest_note(("service.ready", "service.stopped"))
            self._blind_seconds = blind_before_seconds(past, wall_ms())
            succeeded, failed, replayed = (
                past.newest_note((kind,))
                for kind in ("retrain.finished", "retrain.failed", "replay.finished")
            )
        finally:
            past.close()
        if last is not None and last["kind"] == "service.ready":
            self._log.warning("service.interrupted", started_ms=last["at_ms"])
        if self.metrics is not None:
            self.metrics.describe(version=version(PROJECT), mode=mode, simulated=simulated)
            self.metrics.recover_retrainings(_began(succeeded), _began(failed))
            self.metrics.recover_replays(_began(replayed))

    def open(self, operator: WatchedOperator) -> None:
        """Make the control API ready to be served; raises ConfigError where its port is taken."""
        self._operator = operator
        desk = CommandDesk(operator, self._log)
        recordings = Recordings(self._journal_path, self._rules.log_file)
        counter = self._clock.monotonic_ns
        if self._rules.telegram is not None:
            self._telegram = TelegramDesk(
                self._rules.telegram, operator, desk, recordings, self._state_dir, self._log, wall_ms, counter
            )
        if self._rules.control is not None:
            page = None if self.metrics is None else self.metrics.exposition
            self._control = ControlServer(
                operator, desk, recordings, page, self._rules.control, self._state_dir, self._log, counter
            )
            self._control.open()

    def beside(self, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """What runs beside the loop; the daemon is ready, and the first minute is waited for from now on."""
        self.progress.begin(self._blind_seconds)
        if self._note is not None:
            self._blindness = BlindnessNotes(self._note, wall_ms, self._blind_seconds)
        pulse = Pulse(
            self.progress,
            self._log,
            self._clock.monotonic_ns,
            every_seconds=self._rules.pulse_seconds,
            stalled_seconds=self._rules.stalled_seconds,
            on_lag=None if self.metrics is None else self.metrics.on_lag,
            blind_seconds=self._rules.blind_seconds,
            on_blind=self._on_blind,
            on_standing=self._on_standing,
            every_beat=self._herald.flush,
        )
        running = [pulse.beat()]
        if self._control is not None:
            running.append(self._control.serve(stop))
        if self._telegram is not None:
            running.append(self._telegram.serve(stop))
        return running

    def _on_blind(self, seconds: float) -> None:
        if self._operator is not None:
            self._operator.on_blind(seconds, self._rules.blind_action)

    def _on_standing(self, seconds: float | None) -> None:
        """No minute was decided for so long, or one was again (None)."""
        if seconds is not None:
            self._herald.stalled(seconds)
            if self._blindness is not None:
                self._blindness.standing(seconds)

    # --- the loop's listener ------------------------------------------------------------------------------

    def on_batch(self, record: BatchRecord, latency_ns: int | None, inference_ns: int | None) -> None:
        """A minute was decided, committed and acted upon."""
        self.progress.decided()
        self._herald.decided(record.closed_at_ms, record.now_ms)
        if self._blindness is not None:
            self._blindness.decided()
        if self.metrics is not None:
            self.metrics.on_batch(record, latency_ns, inference_ns)
        if self._summary is not None:
            self._summary.on_batch(record)

    def on_interim(self, record: InterimRecord) -> None:
        """Something was settled between two minutes."""
        if self.metrics is not None:
            self.metrics.on_interim(record)
        if self._summary is not None:
            self._summary.on_interim(record)

    def on_verdict(self, verdict: WatchVerdict) -> None:
        """The watch over the model has judged a minute."""
        if self.metrics is not None:
            self.metrics.on_verdict(verdict)


def _began(note: dict[str, Any] | None) -> int | None:
    return None if note is None else int(note["began_ms"])


def _nobody(_outcome: str) -> None:
    """Counts nothing."""
