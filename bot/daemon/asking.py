"""Asking an exchange a question that may have no answer: tried a few times, and what is left is a fact as well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from bot.daemon.doctor import Unknown
from bot.errors import DataError, EngineProtocolError, TransientError
from bot.exchange_client import mapped

T = TypeVar("T")

TRIES: Final = 3
OPTIONAL_TRIES: Final = 2
PAUSE_SECONDS: Final = 0.5
"""Before the second try; twice as long before the third."""

PASSING: Final = (TransientError, DataError)
"""What may be otherwise at the next try: silence, and an answer that cannot be read."""

Hook = Callable[[], Awaitable[object]]


class Asker:
    """Asks an exchange.

    Args:
        before_retry: What may mend a failed request, such as setting the clock anew; its own failure is passed over
            since the question is asked again and fails by itself.
        tries: How often a question is asked while the failure may pass.
    """

    def __init__(self, before_retry: Hook | None = None, tries: int = TRIES) -> None:
        self._before_retry = before_retry
        self._tries = tries

    async def ask(self, question: Callable[[], Awaitable[T]], *, needed: bool = True) -> T | Unknown:
        """The answer, or why there is none; a bug of ours is raised.

        Args:
            question: Makes the request.
            needed: Whether trading depends on the answer; what is only good to know is asked twice at most.
        """
        pause = PAUSE_SECONDS
        for left in reversed(range(self._tries if needed else min(self._tries, OPTIONAL_TRIES))):
            try:
                return await question()
            except Exception as error:
                ours = mapped(error)
                if isinstance(ours, EngineProtocolError):
                    raise ours from error
                if not isinstance(ours, PASSING) or not left:
                    return Unknown(_short(str(ours)), may_pass=isinstance(ours, TransientError))
            await asyncio.sleep(pause)
            pause *= 2
            await self._mend()
        raise EngineProtocolError("a question to the exchange was asked less than once")

    async def _mend(self) -> None:
        if self._before_retry is None:
            return
        try:
            await self._before_retry()
        except Exception as error:
            ours = mapped(error)
            if isinstance(ours, EngineProtocolError):
                raise ours from error


def _short(text: str) -> str:
    """On one line, and not the whole page that a proxy may have answered with."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."
