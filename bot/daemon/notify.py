"""Tells people what they should know: listens to the log, picks events, and hands messages to an outlet for each address.

It is called in the thread that trades and only looks, words and lines up; whatever a receiver does is its outlet's concern.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.daemon.apprise_post import connect, keep_address_secret, outlet_name
from bot.daemon.outlet import Message, Outlet, Post
from bot.daemon.telling import Log
from bot.log_taps import LEVELS
from bot.redaction import redacted

OWN_EVENTS: Final = "notify."
"""Never told: a message that can't be sent must not make another one."""

CLOSE_SECONDS: Final = 5.0
MOST_KEYS: Final = 1_000
LONGEST_VALUE: Final = 300
_IN_TITLE: Final = frozenset(
    {"ts", "level", "event", "mode", "simulated", "unproven", "module", "run_id", "exception"}
)


@dataclass(frozen=True, slots=True)
class NotifyRules:
    """Who is told what.

    Attributes:
        addresses: As apprise writes them; secrets.
        events: Names, or beginnings that end in a dot, that are told whatever their level.
        level: Whatever has this level or a higher one is told too; ``never`` leaves it at ``events``.
        mute: Names or beginnings that are never told.
        quiet_seconds: The same event of the same symbol is told once in so long.
        capacity: Messages that wait for an address at most.
        attempts: How often one is tried.
    """

    addresses: tuple[str, ...]
    events: tuple[str, ...]
    level: str = "error"
    mute: tuple[str, ...] = ()
    quiet_seconds: float = 600.0
    capacity: int = 200
    attempts: int = 4

    def tells(self, event: str, level: str) -> bool:
        """Whether an event is told."""
        if event.startswith(OWN_EVENTS) or _matches(event, self.mute):
            return False
        loud = self.level != "never" and LEVELS[level] >= LEVELS[self.level]
        return loud or _matches(event, self.events)


class Notifier:
    """Picks events and sends them on.

    Args:
        rules: Who is told what.
        log: Where it is told that nobody could be told.
        monotonic_ns: A counter that never goes back.
        on_outcome: Told ``sent``, ``failed``, ``dropped`` or ``muted`` for each message.
        connecting: Makes what sends to an address; apprise does.
        first_wait_seconds: Before a message is tried again.
    """

    def __init__(
        self,
        rules: NotifyRules,
        log: Log,
        monotonic_ns: Callable[[], int],
        on_outcome: Callable[[str], None],
        *,
        connecting: Callable[[str], Post | str] = connect,
        first_wait_seconds: float = 2.0,
    ) -> None:
        self._rules = rules
        self._log = log
        self._monotonic_ns = monotonic_ns
        self._on_outcome = on_outcome
        self._told: dict[tuple[str, str], bool] = {}
        self._limits: dict[tuple[str, Any], tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._outlets = []
        for number, address in enumerate(rules.addresses, 1):
            keep_address_secret(address)
            self._outlets.append(
                Outlet(
                    outlet_name(address, number),
                    lambda address=address: connecting(address),  # type: ignore[misc]
                    capacity=rules.capacity,
                    attempts=rules.attempts,
                    on_outcome=on_outcome,
                    on_fault=self._failed,
                    first_wait_seconds=first_wait_seconds,
                )
            )

    def start(self) -> None:
        """Start the outlets: what they import is imported beside the start, and not beside the first alarm."""
        for outlet in self._outlets:
            outlet.start()

    def on_line(self, event: str, level: str, fields: Mapping[str, Any]) -> None:
        """A line of the log, in any thread."""
        key = (event, level)
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = self._rules.tells(event, level)
        if not told:
            return
        held_back = self._held_back(event, fields.get("symbol"))
        if held_back is None:
            self._on_outcome("muted")
            return
        message = worded(event, level, fields, held_back)
        for outlet in self._outlets:
            outlet.put(message)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what waits, for so long at most for all outlets together; what is left is told in the log."""
        deadline_ns = self._monotonic_ns() + int(seconds * 1e9)
        for outlet in self._outlets:
            outlet.finish()
        for outlet in self._outlets:
            left_seconds = max((deadline_ns - self._monotonic_ns()) / 1e9, 0.0)
            lost = outlet.close(left_seconds)
            if lost:
                self._log.warning("notify.undelivered", address=outlet.name, messages=lost)

    def _held_back(self, event: str, symbol: Any) -> int | None:
        """How many like it were held back since the last that was told; None where this one is held back too."""
        now_ns, quiet_ns = self._monotonic_ns(), int(self._rules.quiet_seconds * 1e9)
        with self._lock:
            last_ns, count = self._limits.get((event, symbol), (None, 0))
            if last_ns is not None and now_ns - last_ns < quiet_ns:
                self._limits[(event, symbol)] = (last_ns, count + 1)
                return None
            if len(self._limits) >= MOST_KEYS:
                self._limits.clear()
            self._limits[(event, symbol)] = (now_ns, 0)
            return count

    def _failed(self, name: str, fault: str, messages: int) -> None:
        """In an outlet's thread: messages were given up."""
        self._log.warning("notify.failed", address=name, reason=fault, messages=messages)


def worded(event: str, level: str, fields: Mapping[str, Any], held_back: int = 0) -> Message:
    """An event in words: the title says what happened and how far it is real, the body has the fields.

    Args:
        event: Its name.
        level: Its level.
        fields: Those of its line in the log.
        held_back: How many like it were not told since the last one.
    """
    kind = [str(fields.get("mode", "bot"))]
    kind += ["SIMULATED market"] if fields.get("simulated") else []
    kind += ["UNPROVEN model"] if fields.get("unproven") else []
    rows = [f"{_short(name)}: {_short(value)}" for name, value in fields.items() if name not in _IN_TITLE]
    if fields.get("exception"):
        rows.append(_short(str(fields["exception"]).strip().rpartition("\n")[2]))
    if held_back:
        rows.append(f"({held_back} more of these since the last message)")
    if fields.get("run_id"):
        rows.append(f"run {fields['run_id']}")
    return Message(f"{event} ({', '.join(kind)})", "\n".join(rows) or event, level)


def addresses_told(rules: NotifyRules, message: Message) -> list[tuple[str, str | None]]:
    """Send a message to every address now, once, and wait; name of each, and why it could not be told (None: it was)."""
    answers: list[tuple[str, str | None]] = []
    for number, address in enumerate(rules.addresses, 1):
        keep_address_secret(address)
        post = connect(address)
        fault = post if isinstance(post, str) else post(message)
        answers.append((outlet_name(address, number), None if fault is None else redacted(fault)))
    return answers


def _matches(event: str, names: Sequence[str]) -> bool:
    """Whether one of the names is the event's, or a beginning of it that ends in a dot."""
    return any(event == name or (name.endswith(".") and event.startswith(name)) for name in names)


def _short(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, (list, tuple)):
        value = "; ".join(str(one) for one in value)
    text = " ".join((f"{value:.10g}" if isinstance(value, float) else str(value)).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
