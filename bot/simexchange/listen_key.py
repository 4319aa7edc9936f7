"""The key under which a client of the perpetuals' API listens to its account. Pure: time comes in.

::

    none --open--> valid --open, renew--> valid for 60 minutes more
                   valid --close, expire, 60 minutes--> none

There is one key an account at a time: opening while one is valid gives the same.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.simexchange.orders import Refusal

VALID_SECONDS = 3_600


class ListenKey:
    """The one listen key of the account."""

    def __init__(self, make: Callable[[], str]) -> None:
        """``make`` gives 64 letters and digits, different each time."""
        self._make = make
        self._key = ""
        self._ends_s = 0.0

    @property
    def ends_s(self) -> float:
        """When it expires, wall seconds."""
        return self._ends_s

    def current(self, now_s: float) -> str | None:
        """The key, or None where none is valid."""
        return self._key if self._key and now_s < self._ends_s else None

    def open(self, now_s: float) -> str:
        """Give the key, a new one where none is valid, for 60 minutes from now."""
        self._key = self.current(now_s) or self._make()
        self._ends_s = now_s + VALID_SECONDS
        return self._key

    def renew(self, now_s: float) -> str:
        """Make it last 60 minutes from now; raises Refusal -1125 where none is valid."""
        if self.current(now_s) is None:
            raise Refusal(-1125, "This listenKey does not exist.")
        self._ends_s = now_s + VALID_SECONDS
        return self._key

    def expire(self) -> str | None:
        """End it at once; says which it was."""
        ended, self._key = self._key, ""
        return ended or None
