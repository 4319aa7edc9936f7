"""The one who looks: reads the journal once for everybody, and tells those who listen what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from bot.dashboard.contracts import DashboardRules, Log, Sources, UnavailableError
from bot.dashboard.decisions import decided_after
from bot.dashboard.door import JournalDoor, Stamp
from bot.dashboard.log_lines import LogFollower
from bot.dashboard.overview import Facts, Moment, overview, read_facts
from bot.dashboard.stream import Event, Hub
from bot.errors import StorageError
from bot.log_taps import LEVELS

MOST_DECISIONS: Final = 60
"""Decisions of one look that are told; a market in a hurry decides more than anybody reads."""
MOST_RESUMED: Final = 200
MOST_LINES: Final = 60
DAEMON_SECONDS: Final = 5.0
"""How often it is asked whether a daemon runs."""

SECOND_NS: Final = 1_000_000_000
SKIPPED: Final = "dashboard.skipped"


class Watcher:
    """Keeps what the last look at the journal told.

    Args:
        rules: Where things lie, and how often to look.
        sources: Clocks, and what the daemon says of itself.
        door: To the journal.
        hub: Who listens.
        log: For what the dashboard has to say.
    """

    def __init__(
        self, rules: DashboardRules, sources: Sources, door: JournalDoor, hub: Hub, log: Log
    ) -> None:
        self._rules = rules
        self._sources = sources
        self._door = door
        self._hub = hub
        self._log = log
        self._lock = asyncio.Lock()
        self._facts: Facts | None = None
        self._stamp: Stamp | None = None
        self._minute_ns = 0
        self._follower = LogFollower(rules.log_file)
        self._process: tuple[int, int | None] | None = None
        self._told: dict[str, Any] = {}
        self._told_ms = 0
        self._fault: str | None = None

    async def facts(self) -> Facts:
        """What the journal tells now; it is read anew only where it was written since.

        Raises:
            UnavailableError: There is none, or it can't be read.
        """
        async with self._lock:
            stamp = self._door.stamp()
            if self._facts is None or stamp is None or stamp != self._stamp:
                facts = await self._door.ask(read_facts)
                self._note_minute(facts, stamp)
                self._facts, self._stamp = facts, stamp
            return self._facts

    def moment(self) -> Moment:
        """What the journal cannot tell."""
        since = (self._sources.monotonic_ns() - self._minute_ns) / SECOND_NS
        return Moment(
            self._sources.wall_ms(), max(0.0, since), self.process_id() is not None, self._rules.version
        )

    def process_id(self) -> int | None:
        """Of the daemon, as of a moment ago; None where none runs."""
        now_ns = self._sources.monotonic_ns()
        if self._process is None or now_ns - self._process[0] > DAEMON_SECONDS * SECOND_NS:
            self._process = (now_ns, self._sources.daemon.process_id())
        return self._process[1]

    async def overview(self) -> dict[str, Any]:
        """The answer of ``/api/overview``; raises UnavailableError as ``facts`` does."""
        return overview(await self.facts(), self.moment())

    async def resumed(self, after_ms: int | None) -> tuple[list[Event], int]:
        """What somebody who comes, or comes back, is told at once, and the id of it.

        Args:
            after_ms: The last id that they have seen; None where they have seen nothing.
        """
        try:
            facts = await self.facts()
            shown = overview(facts, self.moment())
            events = [Event("minute", shown), Event("state", _state(shown, None))]
            if after_ms is not None and after_ms < facts.closed_at_ms:
                rows = await self._door.ask(
                    lambda reader: decided_after(reader, after_ms, facts.closed_at_ms, MOST_RESUMED)
                )
                events += [Event("decision", row) for row in rows]
        except UnavailableError as fault:
            return [Event("state", _state({}, str(fault)))], 0
        return events, facts.closed_at_ms

    async def watch(self) -> None:
        """Look again and again while anybody listens; ends when it is cancelled."""
        while True:
            if not self._hub.wanted.is_set():
                await self._hub.wanted.wait()
                self._follower.skip()  # who comes now asks for what was before
            await self.look()
            await asyncio.sleep(self._rules.poll_seconds)

    async def look(self) -> None:
        """Tell everybody what is new since the last look."""
        events: list[Event] = []
        try:
            shown = await self._news(events)
            fault = None
        except UnavailableError as missing:
            shown, fault = {}, str(missing)
        self._tell_fault(fault)
        state = _state(shown, fault)
        if state != self._told.get("state"):
            events.append(Event("state", state))
            self._told["state"] = state
        events += await self._lines()
        self._hub.tell(events, self._told_ms)

    async def _news(self, events: list[Event]) -> dict[str, Any]:
        """Add what the journal has that was not told yet; gives the overview."""
        facts = await self.facts()
        shown = overview(facts, self.moment())
        at_ms, seen_ms = facts.closed_at_ms, self._told_ms
        lasting = {name: shown[name] for name in ("positions", "open_orders", "cash", "model", "ended")}
        if at_ms != seen_ms or lasting != self._told.get("lasting"):
            events.append(Event("minute", shown))
        if 0 < seen_ms < at_ms:
            rows = await self._door.ask(lambda reader: decided_after(reader, seen_ms, at_ms, MOST_DECISIONS))
            events += [Event("decision", row) for row in rows]
        self._told["lasting"], self._told_ms = lasting, at_ms
        return shown

    async def _lines(self) -> list[Event]:
        """New lines of the log, of level info and above."""
        try:
            lines, left = await self._door.work(lambda: self._follower.read(MOST_LINES))
        except (StorageError, UnavailableError) as fault:
            self._log.debug("dashboard.log_unread", error=str(fault))
            return []
        told = [row for row in lines if LEVELS.get(str(row.get("level")), LEVELS["info"]) >= LEVELS["info"]]
        events = [Event("log", row) for row in told]
        if left and told:
            first = {"ts": told[0].get("ts"), "level": "info", "event": SKIPPED, "lines": left}
            events.insert(0, Event("log", {**first, "cursor": told[0]["cursor"]}))
        return events

    def _note_minute(self, facts: Facts, stamp: Stamp | None) -> None:
        """Remember when the last minute came; of one that was there before us the file tells."""
        now_ns = self._sources.monotonic_ns()
        if self._facts is None and stamp is not None:
            written_ms = max(stamp.written_ns, stamp.log_written_ns) // 1_000_000
            self._minute_ns = now_ns - max(0, self._sources.wall_ms() - written_ms) * 1_000_000
        elif self._facts is None or self._facts.closed_at_ms != facts.closed_at_ms:
            self._minute_ns = now_ns

    def _tell_fault(self, fault: str | None) -> None:
        """One line when the journal goes, and one when it comes."""
        if fault == self._fault:
            return
        if fault is not None:
            self._log.warning("dashboard.journal_unread", reason=fault)
        else:
            self._log.info("dashboard.journal_read")
        self._fault = fault


def _state(shown: Mapping[str, Any], fault: str | None) -> dict[str, Any]:
    """What a page puts into its banner."""
    model = shown.get("model") or {}
    return {
        "state": shown.get("state"),
        "state_reason": shown.get("state_reason"),
        "ended": shown.get("ended", True),
        "mode": shown.get("mode"),
        "simulated": shown.get("simulated"),
        "unproven": shown.get("unproven"),
        "model_id": model.get("model_id"),
        "unavailable": fault,
    }
