"""Times of a comparison, measured once and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.errors import DataError

TIMINGS_FILE = "timings.json"


class Timings:
    """Times measured once and kept beside the models: a second start shows the figures of the first."""

    def __init__(self, out: Path) -> None:
        self._path = out / TIMINGS_FILE
        try:
            self._known: dict[str, Any] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            self._known = {}
        except (OSError, ValueError) as fault:
            raise DataError(f"{self._path} cannot be read ({fault}); delete it to measure again") from fault

    def of(self, key: str, make: Callable[[], Callable[[int], object]]) -> Any:
        """The median time of a call, microseconds, as {value, low, high}."""
        if key not in self._known:
            from bot.clock import monotonic_ns
            from models.latency import median_microseconds

            self._known[key] = median_microseconds(make(), monotonic_ns)._asdict()
        return self._known[key]

    def kept(self, key: str, seconds: float) -> Any:
        """A duration as it was measured first."""
        return self._known.setdefault(key, round(seconds, 2))

    def store(self) -> None:
        """Write what is known."""
        from models.durable import disk, replace_file
        from models.hashing import canonical_json

        with disk(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, canonical_json(self._known))
