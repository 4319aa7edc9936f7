"""Tells a service manager how the daemon gets on: datagrams to ``$NOTIFY_SOCKET``, as sd_notify(3) describes, no library.

::

    READY=1                once minutes can be decided, not before
    STATUS=                one line for a person (``systemctl status``)
    WATCHDOG=1             a step of the start, or a minute that was decided: progress, never a timer
    EXTEND_TIMEOUT_USEC=   each step of the start gives the next one so long; the stop may take so long
    STOPPING=1             it ends, and why (in the status)

Sending never waits. What a manager does not take at once stays, and goes with what is said next.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, NamedTuple, Self

from bot.daemon.telling import Log
from bot.errors import ConfigError
from bot.redaction import redacted

ADDRESS_VARIABLE: Final = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE: Final = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE: Final = "WATCHDOG_PID"
VARIABLES: Final = frozenset({ADDRESS_VARIABLE, WATCHDOG_VARIABLE, WATCHDOG_PID_VARIABLE})
"""What a manager tells the main process, and no program that this one starts."""

STEP_SECONDS: Final = 300
"""What each step of a start gives the next: eight requests of ten seconds and the waits between them, and more."""
STOP_SECONDS: Final = 60
"""Orders in flight, a retraining that is ended, messages that wait, the exchange of a tape: all in all at most."""

_LONGEST_PATH: Final = 107
_LONGEST_STATUS: Final = 500
_QUIET_NS: Final = 1_000_000_000


class Standing(NamedTuple):
    """What a status says beside the last minute.

    Attributes:
        model_id: Of the model that predicts.
        state: Of the account.
        market: ``paper``, ``live``, and whether the market is simulated.
    """

    model_id: str
    state: str
    market: str


def notify_address(text: str) -> str:
    """The address of a socket as ``$NOTIFY_SOCKET`` writes it; ``@name`` is of Linux's abstract namespace.

    Raises:
        ConfigError: It is neither such a name nor an absolute path, or too long for a socket.
    """
    if not text.startswith(("/", "@")) or len(text) < 2:
        raise ConfigError(
            f"{ADDRESS_VARIABLE}={text}: must be an absolute path or @name; leave it unset where no manager listens"
        )
    if len(text.encode()) > _LONGEST_PATH:
        raise ConfigError(f"{ADDRESS_VARIABLE}={text}: is longer than {_LONGEST_PATH} bytes")
    return "\0" + text[1:] if text.startswith("@") else text


def watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    """How long a process may be silent before it is killed; None where nobody watches it.

    Raises:
        ConfigError: The variables hold no whole numbers.
    """
    told, wanted = environ.get(WATCHDOG_VARIABLE), environ.get(WATCHDOG_PID_VARIABLE)
    if not told:
        return None
    for name, value in ((WATCHDOG_VARIABLE, told), (WATCHDOG_PID_VARIABLE, wanted)):
        if value and not (value.isascii() and value.isdigit()):
            raise ConfigError(f"{name}={value}: must be a whole number, as systemd sets it")
    if wanted and int(wanted) != pid:
        return None
    return int(told) / 1e6 or None


def minute_line(closed_at_ms: int, decided_at_ms: int, standing: Standing) -> str:
    """The status after a minute: last candle, how late it was decided, model and state."""
    closed = datetime.fromtimestamp(closed_at_ms / 1000, UTC)
    late_seconds = max(decided_at_ms - closed_at_ms, 0) / 1000
    return (
        f"last candle closed {closed:%Y-%m-%d %H:%M} UTC, decided {late_seconds:.1f} s later; "
        f"model {standing.model_id}, state {standing.state}, {standing.market}"
    )


class Herald:
    """Speaks to one manager, or to nobody; a context manager that closes its socket.

    Args:
        address: Of the manager's socket; None is silent.
        watchdog: Seconds of silence after which the manager kills this process; None never does.
        monotonic_ns: A counter that never goes back.
    """

    def __init__(self, address: str | None, watchdog: float | None, monotonic_ns: Callable[[], int]) -> None:
        self._address = address
        self._monotonic_ns = monotonic_ns
        self._socket: socket.socket | None = None
        self._waiting: dict[str, str] = {}
        self._sent_ns: int | None = None
        self._minute: tuple[int, int] | None = None
        self._standing: Callable[[], Standing] | None = None
        self._stopping = False
        self._caution = ""
        self._log: Log | None = None
        self._fault: str | None = None
        self.watchdog_seconds = None if address is None else watchdog
        # As often as a watchdog needs it, and once a second at most: a tape decides thousands of minutes in one.
        self._quiet_ns = min(_QUIET_NS, int((self.watchdog_seconds or 60.0) * 1e9 / 4))

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], pid: int, monotonic_ns: Callable[[], int]) -> Self:
        """The manager that the variables name; raises ConfigError where they are wrong."""
        told = environ.get(ADDRESS_VARIABLE)
        address = notify_address(told) if told else None
        return cls(address, watchdog_seconds(environ, pid), monotonic_ns)

    def __enter__(self) -> Self:
        """Open the socket."""
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, fault: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Say what could not be said until now, and be silent from here on."""
        self.stopping("it ended in order" if fault is None else _told(fault))
        self.flush()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @contextmanager
    def until_end(self) -> Iterator[None]:
        """Tell why the block ends, at once: what is cleared away after it takes a while."""
        try:
            yield
        except BaseException as fault:
            self.stopping(_told(fault))
            raise
        self.stopping("it ended in order")

    # --- what is told -------------------------------------------------------------------------------------

    def complain_to(self, log: Log) -> None:
        """Where a manager that does not listen is told of."""
        self._log = log

    def check(self, least_seconds: float) -> None:
        """Warn of a watchdog that would bite a daemon that is well.

        Args:
            least_seconds: So long may pass without a minute while nothing is wrong, or what is wrong mends itself.
        """
        if self.watchdog_seconds is None or self.watchdog_seconds > least_seconds:
            return
        self._caution = (
            f"; WatchdogSec={self.watchdog_seconds:g} is too short, more than {least_seconds:g} is needed"
        )
        if self._log is not None:
            self._log.warning(
                "service.watchdog_short", seconds=self.watchdog_seconds, least_seconds=least_seconds
            )

    def step(self, text: str) -> None:
        """A step of the start is done; ``text`` is what comes next."""
        if self._standing is None and not self._stopping:
            self._say(
                STATUS=f"starting: {text}", EXTEND_TIMEOUT_USEC=f"{STEP_SECONDS * 1_000_000}", WATCHDOG="1"
            )

    def ready(self, standing: Callable[[], Standing]) -> None:
        """Minutes can be decided from now on; ``standing`` is asked after each."""
        self._standing = standing
        model_id, state, market = standing()
        line = f"ready, waiting for a candle; model {model_id}, state {state}, {market}"
        self._say(READY="1", STATUS=line + self._caution, WATCHDOG="1")

    def listening(self, what: str) -> None:
        """A server that decides nothing can be reached; ``what`` says where."""
        self._say(READY="1", STATUS=what)

    def decided(self, closed_at_ms: int, decided_at_ms: int) -> None:
        """A minute was decided and is on disk; both times on the exchange's clock, ms."""
        if self._socket is None or self._standing is None or self._stopping:
            return
        self._minute = (closed_at_ms, decided_at_ms)
        if self._sent_ns is None or self._monotonic_ns() - self._sent_ns >= self._quiet_ns:
            self.flush()

    def stands(self, reason: str) -> None:
        """The market itself says that it stands still: no minute is due."""
        if self._standing is not None and not self._stopping:
            self._say(STATUS=f"no minute is due: {reason}", WATCHDOG="1")

    def stalled(self, seconds: float) -> None:
        """No minute was decided for so long; that is no progress, so the watchdog hears nothing of it."""
        if not self._stopping:
            self._say(STATUS=f"STALLED: no minute was decided for {seconds:.0f} s" + self._caution)

    def stopping(self, reason: str) -> None:
        """It ends; the first reason stays."""
        if not self._stopping:
            self._stopping = True
            self._say(
                STOPPING="1",
                STATUS=f"stopping: {reason}",
                EXTEND_TIMEOUT_USEC=f"{STOP_SECONDS * 1_000_000}",
            )

    def flush(self) -> None:
        """Send what waits, if anything does."""
        if self._minute is not None and self._standing is not None and not self._stopping:
            self._say(STATUS=minute_line(*self._minute, self._standing()) + self._caution, WATCHDOG="1")
        elif self._waiting:
            self._say()

    def _say(self, **told: str) -> None:
        if self._socket is None or self._address is None:
            return
        self._waiting |= told
        self._minute = None
        lines = "\n".join(f"{name}={_one_line(value)}" for name, value in self._waiting.items())
        self._sent_ns = self._monotonic_ns()
        try:
            self._socket.sendto(lines.encode(), self._address)
        except OSError as error:
            # Gone for a moment (a manager that starts itself anew), or its queue is full.
            self._complain(error.strerror or str(error))
            return
        self._waiting.clear()
        self._fault = None

    def _complain(self, fault: str) -> None:
        """One line for a fault, however often it is met."""
        if self._log is not None and fault != self._fault:
            self._fault = fault
            self._log.warning("service.unheard", error=fault)


def _told(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {fault}"


def _one_line(text: str) -> str:
    """A value that can't be taken for two, and shows no secret."""
    return " ".join(redacted(text).split())[:_LONGEST_STATUS]
