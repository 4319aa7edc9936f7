"""ADWIN: has the mean of a stream changed? River's implementation, without what river imports.

A. Bifet and R. Gavaldà, Learning from time-changing data with adaptive windowing (2007). ``import river.drift`` imports
pandas, SciPy and scikit-learn, some 170 MB that a daemon has no use for. The detector itself is compiled
(``river._river_rust``), and importing that alone takes less than a megabyte. It is private to river: a new version may
need a look, and a test that compares it with ``river.drift.ADWIN`` would show it.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from river.__version__ import __version__ as _VERSION  # noqa: N812  (a module's constant)
from river._river_rust.drift import AdaptiveWindowing

DELTA = 0.002
_CLOCK, _MAX_BUCKETS, _MIN_WINDOW, _GRACE = 32, 5, 5, 10


class Change(NamedTuple):
    """The mean of a stream was found to have changed.

    Attributes:
        before: Mean of the window before the newest values were told apart.
        after: Mean of what is left of it.
    """

    before: float
    after: float


class Adwin:
    """Watches one stream; the parameters are those of ``river.drift.ADWIN``.

    Args:
        delta: Probability of a false alarm that each check allows itself.
        clock: Values between two checks.
    """

    def __init__(self, delta: float = DELTA, clock: int = _CLOCK) -> None:
        self._chosen = (delta, clock, _MAX_BUCKETS, _MIN_WINDOW, _GRACE)
        self._window = AdaptiveWindowing(*self._chosen)
        self._changed = False

    @property
    def width(self) -> int:
        """Values in the window."""
        return int(self._window.get_width())

    @property
    def mean(self) -> float:
        """Mean of the window; 0 while it is empty."""
        width = self._window.get_width()
        return self._window.get_total() / width if width else 0.0

    def update(self, value: float) -> Change | None:
        """Take in a value between 0 and 1; a Change when the mean was found to have changed.

        As in river, the value after a change begins a new window.
        """
        if self._changed:
            self._window = AdaptiveWindowing(*self._chosen)
        before = self.mean
        self._changed = bool(self._window.update(value))
        return Change(before, self.mean) if self._changed else None

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values; another version of river begins anew."""
        return {
            "river": _VERSION,
            "chosen": list(self._chosen),
            "changed": self._changed,
            "window": base64.b64encode(self._window.__getstate__()).decode(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot of the same version of river and the same parameters, or else stay empty."""
        if state["river"] != _VERSION or tuple(state["chosen"]) != self._chosen:
            return
        window = AdaptiveWindowing(*self._chosen)
        window.__setstate__(base64.b64decode(state["window"]))
        self._window, self._changed = window, state["changed"]
