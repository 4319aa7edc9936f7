"""Answers that are made once for everybody: fifty pages that ask the same ask the journal once."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

import orjson

MOST_ANSWERS: Final = 256
LARGE: Final = 8_192
"""Bytes from which on an answer is sent compressed to who takes that."""

SECOND_NS: Final = 1_000_000_000


def as_json(value: Any) -> bytes:
    """JSON; a number that is none becomes null."""
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)


class Answer:
    """The body of an answer, compressed at most once.

    Args:
        body: JSON.
        stamp: What it was made from.
        made_ns: When.
    """

    __slots__ = ("_compressed", "body", "made_ns", "stamp")

    def __init__(self, body: bytes, stamp: object, made_ns: int) -> None:
        self.body = body
        self.stamp = stamp
        self.made_ns = made_ns
        self._compressed: bytes | None = None

    def value(self) -> Any:
        """What the body says."""
        return orjson.loads(self.body)

    def compressed(self) -> bytes | None:
        """The body for who takes gzip; None where it is not worth it."""
        if len(self.body) < LARGE:
            return None
        if self._compressed is None:
            self._compressed = gzip.compress(self.body, 1, mtime=0)
        return self._compressed


class Answers:
    """A bounded store of answers.

    An answer is given again while the journal has not changed since, and for a second in any case.

    Args:
        monotonic_ns: A counter that never goes back.
    """

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()
        self._at_work: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(
        self,
        key: Hashable,
        stamp: object,
        make: Callable[[], Awaitable[Any]],
        *,
        least_seconds: float = 1.0,
        most_seconds: float = 60.0,
    ) -> Answer:
        """The answer to a question, made now or a moment ago.

        Args:
            key: The question.
            stamp: What changes when the answer may.
            make: Makes the value; who asks meanwhile waits for the same one.
            least_seconds: So long it is given again whatever happens.
            most_seconds: So long at most.
        """
        kept = self._kept.get(key)
        if kept is not None:
            age = (self._monotonic_ns() - kept.made_ns) / SECOND_NS
            if age < least_seconds or (kept.stamp == stamp and age < most_seconds):
                self._kept.move_to_end(key)
                return kept
        work = self._at_work.get(key)
        if work is None:
            work = asyncio.create_task(self._made(key, stamp, make), name="dashboard-answer")
            self._at_work[key] = work
            work.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(work)

    async def _made(self, key: Hashable, stamp: object, make: Callable[[], Awaitable[Any]]) -> Answer:
        began_ns = self._monotonic_ns()
        answer = Answer(as_json(await make()), stamp, began_ns)
        self._kept[key] = answer
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_ANSWERS:
            self._kept.popitem(last=False)
        return answer

    def _done(self, key: Hashable, work: asyncio.Task[Answer]) -> None:
        self._at_work.pop(key, None)
        if not work.cancelled():
            work.exception()  # whoever still waits gets it; nobody else has to
