"""A person's commands on their way to the trading loop, whoever brought them: the control API, or a chat of Telegram.

Here is what all of them have in common: how long one may take, what is told in the log, and which fault becomes which
sentence. ``Operator`` is what acts.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from bot.daemon.progress import Health
from bot.daemon.telling import Log
from bot.errors import BotError, EngineProtocolError

CommandName: TypeAlias = Literal["pause", "resume", "halt", "flatten"]

COMMAND_SECONDS: Final = 10.0
LONGEST_REASON: Final = 200
BY_HAND: Final = "by hand"
CONTROL_API: Final = "control api"


class Operator(Protocol):
    """What carries out commands and knows how things stand; called in the event loop."""

    async def command(self, name: CommandName, reason: str, origin: str) -> dict[str, Any]:
        """Act, and answer with the state after it as JSON values; raises BotError where it can't be done.

        Args:
            name: What to do.
            reason: Why, in a person's words.
            origin: Which way the command came; the journal keeps it.
        """

    def status(self) -> dict[str, Any]:
        """Account, positions, orders, state and model, as JSON values; must be quick."""

    def health(self) -> Health:
        """Whether the daemon gets on; must be quick."""


class Outcome(NamedTuple):
    """What became of a command.

    Attributes:
        status: As HTTP has it: 200 done, 503 it can't be done, 504 it is still being carried out.
        body: The state after it; where it is not done, ``error`` with one sentence.
    """

    status: int
    body: dict[str, Any]


class CommandDesk:
    """Carries commands to the operator.

    Args:
        operator: What acts.
        log: Bound with run_id and mode.
        command_seconds: A command that takes longer is answered with 504; it is not broken off.
    """

    def __init__(self, operator: Operator, log: Log, *, command_seconds: float = COMMAND_SECONDS) -> None:
        self._operator = operator
        self._log = log
        self._command_seconds = command_seconds
        self._at_work: set[asyncio.Task[dict[str, Any]]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a command is being carried out."""
        return bool(self._at_work)

    async def give(self, name: CommandName, reason: str, origin: str) -> Outcome:
        """Give a command; one that takes long goes on, and its sender is told so.

        Raises:
            EngineProtocolError: A bug of ours.
        """
        work = asyncio.create_task(self._operator.command(name, reason, origin), name=f"command-{name}")
        self._at_work.add(work)
        work.add_done_callback(self._at_work.discard)
        done, _ = await asyncio.wait({work}, timeout=self._command_seconds)
        if not done:
            work.add_done_callback(self._came_late)
            self._log.warning("control.delayed", command=name, seconds=self._command_seconds)
            sentence = (
                f"{name} is not done after {self._command_seconds:g} seconds; it goes on: ask bot status"
            )
            return Outcome(504, {"error": sentence})
        try:
            answer = work.result()
        except EngineProtocolError:
            raise  # a bug of ours: the log gets it whole
        except BotError as refused:
            self._log.error("control.command_failed", command=name, reason=reason, error=str(refused))
            return Outcome(503, {"error": str(refused)})
        self._log.warning(
            "control.commanded", command=name, reason=reason, origin=origin, state=answer.get("state")
        )
        return Outcome(200, answer)

    def _came_late(self, work: asyncio.Task[dict[str, Any]]) -> None:
        """A command that nobody waits for any more has ended: its fault must not be lost."""
        fault = None if work.cancelled() else work.exception()
        if fault is not None:
            self._log.error("control.command_failed", command=work.get_name(), reason="", error=repr(fault))
