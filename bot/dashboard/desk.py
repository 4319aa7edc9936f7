"""What each question is answered with; every answer is made once and kept while it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from bot.dashboard import chart, decisions, health_page, log_lines, model_page
from bot.dashboard.cache import Answer, Answers
from bot.dashboard.contracts import DashboardRules, NotFoundError, Sources, UnavailableError
from bot.dashboard.door import JournalDoor
from bot.dashboard.equity import EquityHistory
from bot.dashboard.log_lines import LineFilter
from bot.dashboard.watcher import Watcher
from bot.errors import BotError, DataError, NotRunningError, StorageError, UsageError
from bot.journal.pages import PageReader

OVERVIEW: Final = ("overview",)
DAEMON_ANSWER_SECONDS: Final = 15.0
"""The daemon is asked no more often, however many pages of health are open."""
MODEL_SECONDS: Final = 60.0
LIVE_SECONDS: Final = 300.0
MOST_LIVE: Final = 30_000
"""Forecasts that live figures are made of: the newest of them."""


class Desk:
    """Answers questions.

    Args:
        rules: Where things lie.
        sources: What the rooms above hand down.
        door: To the journal.
        watcher: Who knows how things stand.
    """

    def __init__(self, rules: DashboardRules, sources: Sources, door: JournalDoor, watcher: Watcher) -> None:
        self._rules = rules
        self._sources = sources
        self._door = door
        self._watcher = watcher
        self._answers = Answers(sources.monotonic_ns)
        self._history = EquityHistory(door)
        self._explaining = asyncio.Semaphore(1)

    async def overview(self) -> Answer:
        """How things stand."""
        return await self._answers.get(OVERVIEW, self._door.stamp(), self._watcher.overview, most_seconds=1.0)

    async def equity(self, since_ms: int, points: int) -> Answer:
        """The curve of the account."""
        return await self._of_journal(
            ("equity", since_ms, points), lambda: self._history.thinned(since_ms, points)
        )

    async def candles(self, symbol: str, minutes: int, until_ms: int | None) -> Answer:
        """A chart."""
        return await self._of_journal(
            ("candles", symbol, minutes, until_ms),
            lambda: self._door.ask(lambda reader: chart.chart(reader, symbol, minutes, until_ms)),
        )

    async def decisions(self, wanted: decisions.Wanted) -> Answer:
        """The stream of decisions."""
        return await self._of_journal(
            ("decisions", wanted),
            lambda: self._door.ask(lambda reader: decisions.decisions(reader, wanted)),
        )

    async def decision(self, decision_id: str) -> Answer:
        """One decision, explained; raises NotFoundError where there is none."""

        def explained() -> Mapping[str, Any]:
            try:
                return self._sources.explain(decision_id)
            except (DataError, UsageError) as fault:
                raise NotFoundError(str(fault)) from fault
            except (NotRunningError, StorageError) as fault:
                raise UnavailableError(str(fault)) from fault

        async def made() -> Mapping[str, Any]:
            # Forecasts are made again for it: beside the journal's thread, and one at a time.
            async with self._explaining:
                return await asyncio.to_thread(explained)

        return await self._of_journal(("decision", decision_id), made)

    async def trades(self, limit: int) -> Answer:
        """Round trips."""
        return await self._of_journal(
            ("trades", limit), lambda: self._door.ask(lambda reader: decisions.trades(reader, limit))
        )

    async def model(self) -> Answer:
        """The models."""
        return await self._answers.get(
            ("model",),
            self._door.stamp(),
            self._model,
            least_seconds=MODEL_SECONDS,
            most_seconds=MODEL_SECONDS,
        )

    async def log(self, wanted: LineFilter, before: str | None, limit: int) -> Answer:
        """Lines of the log."""
        path = self._rules.log_file

        def lines() -> dict[str, Any]:
            if not path.exists():
                raise UnavailableError(
                    f"there is no log at {path} yet: start the bot with `bot run` or `make run`"
                )
            return log_lines.read_back(path, wanted, before, limit)

        return await self._answers.get(
            ("log", wanted, before, limit), None, lambda: asyncio.to_thread(lines), most_seconds=1.0
        )

    async def health(self) -> Answer:
        """Whether everything gets on; answers where there is no journal, too."""
        return await self._answers.get(("health",), None, self._health, most_seconds=1.0)

    async def _of_journal(self, key: tuple[Any, ...], make: Any) -> Answer:
        return await self._answers.get(key, self._door.stamp(), make)

    async def _model(self) -> dict[str, Any]:
        facts = await self._door.ask(model_page.read_model_facts)
        models_dir = self._rules.models_dir
        live = await self._live(facts)
        return await asyncio.to_thread(model_page.model_page, facts, models_dir, live)

    async def _live(self, facts: model_page.ModelFacts) -> Mapping[str, Any] | None:
        """Figures of the live forecasts: they take a second to make, and change slowly."""
        rows = sorted(facts.performance, key=lambda row: row.forecast.closed_at_ms)[-MOST_LIVE:]
        if not rows:
            return None
        model_id = rows[0].forecast.model_id

        async def made() -> Mapping[str, Any]:
            try:
                return await asyncio.to_thread(self._sources.performance, model_id, rows)
            except BotError as fault:  # the rest of the page does not depend on them
                return {"forecasts": len(rows), "fault": str(fault)}

        kept = await self._answers.get(
            ("live", model_id), None, made, least_seconds=LIVE_SECONDS, most_seconds=LIVE_SECONDS
        )
        found: Mapping[str, Any] = kept.value()
        return found

    async def _health(self) -> dict[str, Any]:
        facts, fault, schema = None, None, None
        try:
            facts = await self._watcher.facts()
            schema = await self._door.ask(PageReader.schema)
        except UnavailableError as missing:
            fault = str(missing)
        rules = self._rules
        disk = await asyncio.to_thread(
            health_page.look_at_disk, rules.state_dir, rules.journal, rules.log_file
        )
        told = await self._answers.get(
            ("daemon",),
            self._watcher.process_id(),
            self._asked,
            least_seconds=2.0,
            most_seconds=DAEMON_ANSWER_SECONDS,
        )
        answer = told.value()
        return health_page.health_page(
            facts, fault, schema, self._watcher.moment(), answer["daemon"], disk, answer["figures"]
        )

    async def _asked(self) -> dict[str, Any]:
        """What the daemon answers."""
        process_id = self._watcher.process_id()
        daemon = self._sources.daemon
        if process_id is None:
            return {"daemon": {"process_id": None}, "figures": health_page.figures_of(None)}
        health = await asyncio.to_thread(daemon.health)
        text = await asyncio.to_thread(daemon.figures)
        return {
            "daemon": {"process_id": process_id, **(health or {})},
            "figures": await asyncio.to_thread(health_page.figures_of, text),
        }
