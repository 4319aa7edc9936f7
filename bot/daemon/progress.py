"""Does the daemon get on? Its health is the minutes that it decides, and not that its process answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Health(NamedTuple):
    """What a supervisor must know.

    Attributes:
        ready: Whether it has recovered and takes candles.
        state: Of the account: ``warming_up``, ``trading``, ``reducing`` or ``halted``; ``starting`` before it is ready.
        since_decided_seconds: Real time since the last minute was decided, or since the start where none was.
        expected_seconds: From so many on it counts as stalled.
    """

    ready: bool
    state: str
    since_decided_seconds: float
    expected_seconds: float

    @property
    def stalled(self) -> bool:
        """Whether minutes that should have been decided were not; a halted account decides as any other."""
        return self.since_decided_seconds >= self.expected_seconds

    @property
    def healthy(self) -> bool:
        """Whether it is ready and gets on."""
        return self.ready and not self.stalled

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "healthy": self.healthy,
            "ready": self.ready,
            "stalled": self.stalled,
            "state": self.state,
            "since_decided_seconds": round(self.since_decided_seconds, 3),
            "expected_seconds": self.expected_seconds,
        }


class Progress:
    """Measures, on the machine's own counter, how long ago the last minute was decided.

    A market that runs at another speed, or stands still while nobody acknowledges, changes nothing about that: whatever
    its speed, a minute of it must come.

    Args:
        monotonic_ns: A counter that never goes back.
        expected_seconds: From so many without a minute on it counts as stalled.
    """

    def __init__(self, monotonic_ns: Callable[[], int], expected_seconds: float) -> None:
        self._monotonic_ns = monotonic_ns
        self._since_ns = self._blind_ns = monotonic_ns()
        self.expected_seconds = expected_seconds
        self.ready = False

    def begin(self, blind_seconds: float = 0.0) -> None:
        """It is ready: the first minute is waited for from now on; ``blind_seconds`` it was blind before it was ended."""
        self.ready = True
        self._since_ns = self._monotonic_ns()
        self._blind_ns = self._since_ns - int(blind_seconds * 1e9)

    def decided(self) -> None:
        """A minute was decided and is on disk."""
        self._since_ns = self._blind_ns = self._monotonic_ns()

    @property
    def since_decided_seconds(self) -> float:
        """How long ago."""
        return (self._monotonic_ns() - self._since_ns) / 1e9

    @property
    def blind_seconds(self) -> float:
        """The same, and a restart is no minute: what an earlier life waited in vain counts too."""
        return (self._monotonic_ns() - self._blind_ns) / 1e9

    def health(self, state: str) -> Health:
        """How it is, given the state of the account."""
        return Health(
            self.ready,
            state if self.ready else "starting",
            self.since_decided_seconds,
            self.expected_seconds,
        )
