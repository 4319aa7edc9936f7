"""The shapes of ASGI, a refusal, and whether a request is meant for this machine.

ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple, TypeAlias

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
TELL_EVERY_SECONDS: Final = 60.0

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Refused(NamedTuple):
    """Why a request is not answered: the status of HTTP, and one sentence."""

    status: int
    sentence: str


def is_meant_for(host: bytes | None, own: str) -> bool:
    """Whether the ``Host`` of a request names this machine; one of HTTP/1.0 names nobody.

    A page of the web that points its own name at this machine is told by it.

    Args:
        host: The header's value, None where there is none.
        own: The loopback address that is listened on.
    """
    if host is None:
        return True
    name, _, port = host.decode("latin-1").lower().rpartition(":")
    named = name if name and port.isdigit() else host.decode("latin-1").lower()
    return named in LOOPBACK_NAMES or named.strip("[]") == own


class Knocks:
    """Counts refusals, so that one line a minute tells of them all: whoever knocks all night must not fill the log.

    Args:
        monotonic_ns: A counter that never goes back.
    """

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._told_ns: int | None = None
        self._untold = 0

    def told(self, scope: Scope, refused: Refused) -> dict[str, Any] | None:
        """One more: the fields of the line that tells of it and of those before, None while it is too early.

        The query stays out of them, it may hold a token.
        """
        if (count := self.count()) is None:
            return None
        client = scope.get("client") or ("unknown", 0)
        return {
            "client": client[0],
            "path": str(scope["path"])[:100],
            "status": refused.status,
            "reason": refused.sentence,
            "count": count,
        }

    def count(self) -> int | None:
        """One more; how many are to be told of now, None while it is too early."""
        self._untold += 1
        now_ns = self._monotonic_ns()
        if self._told_ns is not None and now_ns - self._told_ns < TELL_EVERY_SECONDS * 1e9:
            return None
        untold, self._told_ns, self._untold = self._untold, now_ns, 0
        return untold
