"""What the dashboard is given: how it is served, where it reads, and what it asks of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from bot.core.performance import Matured
from bot.errors import BotError

TOKEN_FILE: Final = "dashboard.token"  # noqa: S105 - the name of a file
ADDRESS_FILE: Final = "dashboard.json"
JOURNAL_FILE: Final = "journal.sqlite"
LOG_FILE: Final = Path("logs") / "bot.jsonl"

LivePerformance = Callable[[str, list[Matured]], Mapping[str, Any]]
"""Figures of a model's live forecasts: its id and what came of them."""

Explain = Callable[[str], Mapping[str, Any]]
"""What is known of a decision, by its id; raises DataError where there is no such decision."""


class UnavailableError(BotError):
    """Nothing can be shown now, and perhaps can be soon; the sentence says what to do."""


class NotFoundError(BotError):
    """What was asked for is not there."""


class Log(Protocol):
    """The part of a structlog logger that the dashboard needs."""

    def debug(self, event: str, **fields: Any) -> Any:
        """A line that only a search for a fault needs."""

    def info(self, event: str, **fields: Any) -> Any:
        """A line that tells what happened."""

    def warning(self, event: str, **fields: Any) -> Any:
        """A line that a person should look at."""

    def error(self, event: str, **fields: Any) -> Any:
        """A line that a person must look at."""


class Daemon(Protocol):
    """What the daemon of the state folder says of itself; each call may take a second, in a thread of its own."""

    def process_id(self) -> int | None:
        """Its process; None while none runs."""

    def health(self) -> Mapping[str, Any] | None:
        """What ``/v1/health`` answers; None where it does not."""

    def figures(self) -> str | None:
        """The text of ``/metrics``; None where there is none."""


@dataclass(frozen=True, slots=True)
class DashboardRules:
    """How the dashboard is served and what it reads.

    Attributes:
        state_dir: The daemon's state folder.
        models_dir: The folder of models.
        log_file: The daemon's file of JSON lines.
        version: Of this program.
        host: Address that is listened on.
        port: 0 takes a free one.
        loopback: Whether only this machine can reach that address.
        poll_seconds: How often it is looked whether something happened, while somebody watches.
    """

    state_dir: Path
    models_dir: Path
    log_file: Path
    version: str
    host: str = "127.0.0.1"
    port: int = 0
    loopback: bool = True
    poll_seconds: float = 1.0

    @property
    def journal(self) -> Path:
        """The daemon's journal."""
        return self.state_dir / JOURNAL_FILE


@dataclass(frozen=True, slots=True)
class Sources:
    """What the rooms above hand down.

    Attributes:
        daemon: What the daemon says of itself.
        performance: Figures of live forecasts.
        explain: What is known of one decision.
        wall_ms: UTC on this machine's clock, milliseconds.
        monotonic_ns: A counter that never goes back.
    """

    daemon: Daemon
    performance: LivePerformance
    explain: Explain
    wall_ms: Callable[[], int]
    monotonic_ns: Callable[[], int]


def words_of(values: Sequence[str]) -> str:
    """A list for a sentence."""
    return ", ".join(values) or "none"
