"""The exchange asks for quiet (429, 418): nothing is sent until the time is over that it names.

A client that goes on asking is banned, and each ban is longer than the one before. What is not sent is told as if it had
not been answered, so it is looked up, and if need be sent anew, once the exchange listens again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from bot.errors import TransientError

Exchange: TypeAlias = Any
"""A ``ccxt`` exchange; ccxt ships no types."""

TOO_MANY = frozenset({418, 429})

LONGEST_SECONDS = 3 * 86_400.0
"""The longest ban that the exchange knows."""


class QuietTime:
    """Until when nothing is sent.

    Args:
        monotonic_ns: A counter of nanoseconds.
    """

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._until_ns = 0

    @property
    def seconds_left(self) -> float:
        """How long it still lasts; 0 while requests may go out."""
        return max(self._until_ns - self._monotonic_ns(), 0) / 1e9

    def on_response(self, status: int, headers: Mapping[str, Any]) -> None:
        """Look at a response; one that names a time (``Retry-After``, seconds) beginning quiet."""
        if status not in TOO_MANY:
            return
        told = next((str(value) for name, value in headers.items() if name.lower() == "retry-after"), "")
        if told.strip().isdecimal():
            seconds = min(float(told), LONGEST_SECONDS)
            self._until_ns = max(self._until_ns, self._monotonic_ns() + int(seconds * 1e9))

    def keep(self, exchange: Exchange) -> None:
        """Have this instance listen to every response, and raise TransientError instead of sending in quiet time."""
        answered, ask = exchange.on_rest_response, exchange.request

        def on_rest_response(code: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
            self.on_response(code, headers)
            return answered(code, reason, url, method, headers, *rest)

        async def request(path: str, *how: Any, **more: Any) -> Any:
            if self.seconds_left:
                raise TransientError(
                    f"{path} was not sent: quiet is asked for {self.seconds_left:.1f} s more"
                )
            return await ask(path, *how, **more)

        exchange.on_rest_response = on_rest_response
        exchange.request = request
