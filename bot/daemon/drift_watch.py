"""Has the market moved away from what the model was made of? Drift shrinks or freezes trading; it never promotes.

Two questions: do the features lie where they lay in training (PSI of each, over a day), and has the model's excess log
loss over the base rate become worse (ADWIN)? ADWIN is for values that are independent: it gets one a horizon, the mean
over the symbols, drawn to 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.skill_watch import Outcome, WatchRules, log_loss_gain
from models.adwin import Adwin
from models.drift import FeatureBins, PsiTracker

OK, SHRINK, FREEZE = "ok", "shrink", "freeze"
SHRINK_MS = DAY_MS
"""How long a change for the worse shrinks entries."""

PSI_EVERY_MS = 15 * MINUTE_MS
LARGEST_LOSS = 0.25
"""Excess losses are cut there, nats either way, so that they fit into 0..1."""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What is known of drift.

    Attributes:
        psi: Column -> population stability index over the last day; empty while there are too few rows.
        drifted_share: Share of the columns above ``max_psi``.
        adwin_change_at_ms: When the excess log loss was last found to have become worse.
        slope: Live calibration slope.
        level: ``ok``, ``shrink`` (half the size) or ``freeze`` (no new positions).
    """

    psi: dict[str, float]
    drifted_share: float
    adwin_change_at_ms: int | None
    slope: float | None
    level: str

    @property
    def worst(self) -> str | None:
        """The column that drifted farthest."""
        return max(self.psi, key=lambda column: self.psi[column]) if self.psi else None

    def as_json(self) -> dict[str, Any]:
        """JSON values; PSI to four digits."""
        return {
            "level": self.level,
            "drifted_share": round(self.drifted_share, 4),
            "adwin_change_at_ms": self.adwin_change_at_ms,
            "slope": None if self.slope is None else round(self.slope, 4),
            "worst": self.worst,
            "psi": {column: round(value, 4) for column, value in self.psi.items()},
        }


class DriftWatch:
    """Follows the inputs and losses of one model.

    Args:
        rules: What counts as drift.
        bins: Where the rows of training lay; None (a model stored without them) follows losses only.
    """

    def __init__(self, rules: WatchRules, bins: FeatureBins | None) -> None:
        self._rules = rules
        self._tracker = None if bins is None else PsiTracker(bins)
        self._adwin = Adwin()
        self._changed_ms: int | None = None
        self._minute_ms = -1
        self._losses: list[float] = []
        self._psi: dict[str, float] = {}
        self._psi_ms = -1

    def add_rows(self, at_ms: int, rows: Sequence[npt.NDArray[np.float32]]) -> None:
        """Count the newest scaled row of each symbol, float32 [f], finite."""
        if self._tracker is not None:
            for row in rows:
                self._tracker.add(row, at_ms)

    def add_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what came, in order of the forecasts' time; of the minutes between two horizons nothing is used."""
        for outcome in outcomes:
            minute_ms = outcome.closed_at_ms
            if minute_ms % (outcome.horizon_minutes * MINUTE_MS) or minute_ms < self._minute_ms:
                continue
            if minute_ms > self._minute_ms:
                self._close_minute()
                self._minute_ms = minute_ms
            if outcome.realized != 0.0:
                self._losses.append(-log_loss_gain(outcome))

    def report(self, now_ms: int, slope: float | None = None) -> DriftReport:
        """What is known now; PSI is computed every quarter of an hour."""
        if self._tracker is not None and now_ms - self._psi_ms >= PSI_EVERY_MS:
            self._psi, self._psi_ms = self._tracker.psi(), now_ms
        drifted = sum(value > self._rules.max_psi for value in self._psi.values())
        share = drifted / len(self._psi) if self._psi else 0.0
        recent = self._changed_ms is not None and now_ms - self._changed_ms < SHRINK_MS
        level = FREEZE if share > self._rules.max_drift_share else SHRINK if recent else OK
        return DriftReport(self._psi, share, self._changed_ms, slope, level)

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""
        return {
            "psi": None if self._tracker is None else self._tracker.snapshot(),
            "adwin": self._adwin.snapshot(),
            "changed_ms": self._changed_ms,
            "minute_ms": self._minute_ms,
            "losses": self._losses,
            "last_psi": self._psi,
            "last_psi_ms": self._psi_ms,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot of the same model; ModelError when its features are others."""
        if self._tracker is not None and state["psi"] is not None:
            self._tracker.restore(state["psi"])
        self._adwin.restore(state["adwin"])
        self._changed_ms = state["changed_ms"]
        self._minute_ms = state["minute_ms"]
        self._losses = list(state["losses"])
        self._psi, self._psi_ms = dict(state["last_psi"]), state["last_psi_ms"]

    def _close_minute(self) -> None:
        """Give ADWIN the mean of a minute that is whole."""
        if not self._losses:
            return
        mean = sum(self._losses) / len(self._losses)
        self._losses = []
        bounded = min(max(mean, -LARGEST_LOSS), LARGEST_LOSS)
        change = self._adwin.update(0.5 + bounded / (2.0 * LARGEST_LOSS))
        if change is not None and change.after > change.before:
            self._changed_ms = self._minute_ms
