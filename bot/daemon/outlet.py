"""One address that messages go to: a bounded queue and a thread of its own, so that nobody waits for a slow receiver.

A message that can't be sent is tried again with growing pauses, while those behind it wait in line; what does not fit into
the line is dropped and counted. Messages that wait together are sent as one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

FIRST_WAIT_SECONDS: Final = 2.0
WAIT_GROWTH: Final = 4.0
LONGEST_WAIT_SECONDS: Final = 120.0
MOST_AT_ONCE: Final = 10
SEVERITIES: Final = ("info", "warning", "error", "critical")


class Message(NamedTuple):
    """What is sent.

    Attributes:
        title: One line.
        body: Some lines of plain text.
        level: Of the event: info, warning, error or critical.
    """

    title: str
    body: str
    level: str


Post: TypeAlias = Callable[[Message], str | None]
"""Sends a message, however long that takes; returns why it could not, None where it could."""


class Outlet:
    """Sends what it is given, in order, from a thread of its own.

    Args:
        name: What the address is called in the log; no secret.
        connect: Makes what sends, in the thread; a text says why the address can't be used.
        capacity: Messages that wait at most.
        attempts: How often a message is tried.
        on_outcome: Told ``sent``, ``failed`` or ``dropped`` for each message.
        on_fault: Told why messages could not be sent, when they are given up.
        first_wait_seconds: Before the second try; each further wait is four times as long.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Post | str],
        *,
        capacity: int,
        attempts: int,
        on_outcome: Callable[[str], None],
        on_fault: Callable[[str, str, int], None],
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
    ) -> None:
        self.name = name
        self._connect = connect
        self._capacity = capacity
        self._attempts = attempts
        self._on_outcome = on_outcome
        self._on_fault = on_fault
        self._first_wait_seconds = first_wait_seconds
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._unusable = False
        self._under_way = 0
        self._thread = threading.Thread(target=self._run, name=f"notify-{name}", daemon=True)

    def start(self) -> None:
        """Begin; the thread imports what it needs."""
        self._thread.start()

    def put(self, message: Message) -> bool:
        """Line a message up; False where the line is full. Never waits."""
        with self._changed:
            taken = len(self._waiting) < self._capacity and not self._closing and not self._unusable
            if taken:
                self._waiting.append(message)
                self._changed.notify()
        if not taken:
            self._on_outcome("dropped")
        return taken

    def finish(self) -> None:
        """Take no more; what waits is tried once, without pauses."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def close(self, seconds: float) -> int:
        """Finish, for so long at most; returns how many messages were not sent."""
        self.finish()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        with self._changed:
            lost = len(self._waiting) + self._under_way
            self._waiting.clear()
        for _ in range(lost):
            self._on_outcome("dropped")
        return lost

    def _run(self) -> None:
        try:
            post = self._connect()
        except Exception as error:  # noqa: BLE001 - a library that fails; it is told, and others are still told
            post = f"{type(error).__name__}: {error}"
        if isinstance(post, str):
            self._give_up(post)
            return
        while (batch := self._next()) is not None:
            fault = self._deliver(post, joined(batch))
            with self._changed:
                self._under_way = 0
            for _ in batch:
                self._on_outcome("sent" if fault is None else "failed")
            if fault is not None:
                self._on_fault(self.name, fault, len(batch))

    def _give_up(self, fault: str) -> None:
        """The address can't be used: whatever was meant for it is dropped."""
        with self._changed:
            self._unusable = True
            lost = len(self._waiting)
            self._waiting.clear()
        for _ in range(lost):
            self._on_outcome("dropped")
        self._on_fault(self.name, fault, lost)

    def _next(self) -> list[Message] | None:
        """Wait for messages; None when there are none and none will come."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            self._under_way = min(len(self._waiting), MOST_AT_ONCE)
            return [self._waiting.popleft() for _ in range(self._under_way)] or None

    def _deliver(self, post: Post, message: Message) -> str | None:
        """Try until it is sent, the tries are used up, or the bot ends; returns why it was not sent."""
        wait_seconds = self._first_wait_seconds
        fault = _tried(post, message)
        for _ in range(self._attempts - 1):
            if fault is None:
                return None
            with self._changed:
                if not self._closing:
                    self._changed.wait_for(lambda: self._closing, wait_seconds)
                if self._closing:
                    break
            wait_seconds = min(wait_seconds * WAIT_GROWTH, LONGEST_WAIT_SECONDS)
            fault = _tried(post, message)
        return fault


def joined(messages: Sequence[Message]) -> Message:
    """Several messages as one; a single one is itself."""
    if len(messages) == 1:
        return messages[0]
    level = max((message.level for message in messages), key=SEVERITIES.index)
    body = "\n\n".join(f"{message.title}\n{message.body}" for message in messages)
    return Message(f"{len(messages)} messages", body, level)


def _tried(post: Post, message: Message) -> str | None:
    """What came of sending; whatever a library raises is a reason like any other."""
    try:
        return post(message)
    except Exception as error:  # noqa: BLE001 - the reason is told; the thread must live for the next message
        return f"{type(error).__name__}: {error}"
