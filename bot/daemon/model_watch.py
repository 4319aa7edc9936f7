"""The watch over the model that trades: what it says, what came of it, how fast, on which inputs, and what it cost.

After each minute it answers with a verdict: the size of new entries, whether any may be made, and whether the model's
trading ends. An end is final for this model; who follows it is not decided here. Nothing here reads a clock or a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bot.core.drawdown_path import DrawdownWatch
from bot.core.skill_watch import HALF, Outcome, SkillWatch, WatchRules
from bot.daemon.drift_watch import FREEZE, SHRINK, DriftReport, DriftWatch
from models.drift import FeatureBins

SLOW_IN_A_ROW = 3
ABSTAINING_MINUTES = 60
"""So long without a forecast, since the inputs lie beyond what was seen in training, end a model's trading."""


class ModelMinute(NamedTuple):
    """What a model did in one minute.

    Attributes:
        closed_at_ms: Close of the minute's candles.
        due: Symbols of the minute that a forecast was due for: their last ``history_minutes`` candles follow each other.
        forecasts: Symbols that it gave one for.
        abstained: Symbols that it gave none for, since their inputs lie beyond what was seen in training.
        inference_ms: How long it took; None where it was not asked.
        fault: What went wrong when it was asked, such as a forecast that is not finite; None when nothing did.
        rows: The newest scaled feature row of each symbol that a forecast was due for, float32 [f].
        equity: Of the account after the minute, quote currency; None does not judge the drawdown.
    """

    closed_at_ms: int
    due: int
    forecasts: int
    abstained: int = 0
    inference_ms: float | None = None
    fault: str | None = None
    rows: Sequence[npt.NDArray[np.float32]] = ()
    equity: float | None = None


class WatchVerdict(NamedTuple):
    """What to do about the model.

    Attributes:
        size_factor: 1, one half or 0: what new entries are multiplied by.
        freeze: No new positions, whatever the size.
        rollback_reason: A stable word when its trading ends: ``model_failed``, ``not_finite``, ``stale``, ``too_slow``,
            ``inputs_out_of_range``, ``drawdown``, ``log_loss``, ``calibration_collapse``; None else.
        reasons: Stable words for whatever cuts or ends its trading, the heaviest first.
        detail: A sentence on the rollback, empty when there is none.
        drift: What is known of drift.
        report: What ``bot status`` shows, as JSON values.
    """

    size_factor: float
    freeze: bool
    rollback_reason: str | None
    reasons: tuple[str, ...]
    detail: str
    drift: DriftReport
    report: dict[str, Any]

    @property
    def entry_size(self) -> float:
        """What the engine's size factor must be."""
        return 0.0 if self.freeze or self.rollback_reason else self.size_factor


class ModelWatch:
    """Follows one model from its first minute as champion.

    Args:
        model_id: The model.
        rules: When to doubt it.
        bins: Where its features lay in training; None does not follow their drift.
        drawdown_path: Limits of its drawdown by day, on the notional; None knows none.
        exposure: Notional held at most, as a fraction of equity.
    """

    def __init__(
        self,
        model_id: str,
        rules: WatchRules,
        *,
        bins: FeatureBins | None = None,
        drawdown_path: Sequence[float] | None = None,
        exposure: float = 1.0,
    ) -> None:
        self.model_id = model_id
        self._rules = rules
        self._skill = SkillWatch(rules)
        self._drift = DriftWatch(rules, bins)
        self._drawdown = DrawdownWatch(drawdown_path, exposure=exposure)
        self._stale = self._slow = self._abstaining = 0
        self._end: tuple[str, str] | None = None
        self._said: dict[str, Any] = {}

    def on_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what came of its forecasts, in order of their time."""
        for outcome in outcomes:
            self._skill.add(outcome)
        self._drift.add_outcomes(outcomes)

    def on_minute(self, minute: ModelMinute) -> None:
        """Take in what it did in a minute."""
        rules = self._rules
        self._count(minute)
        if minute.fault is not None:
            self._ends("model_failed", minute.fault)
        if not all(bool(np.isfinite(row).all()) for row in minute.rows):
            self._ends("not_finite", "a feature is no number")
        else:
            self._drift.add_rows(minute.closed_at_ms, minute.rows)
        if self._stale >= rules.max_stale_minutes:
            self._ends("stale", f"no forecast for {self._stale} minutes in which one was due")
        if self._slow >= SLOW_IN_A_ROW:
            self._ends(
                "too_slow",
                f"{self._slow} forecasts in a row took more than {rules.inference_deadline_ms:g} ms",
            )
        if self._abstaining >= ABSTAINING_MINUTES:
            self._ends(
                "inputs_out_of_range",
                f"{self._abstaining} minutes in a row with inputs beyond what was seen in training",
            )
        if minute.equity is not None and self._drawdown.observe(minute.closed_at_ms, minute.equity):
            fell, limit = self._drawdown.drawdown, self._drawdown.limit or 0.0
            self._ends(
                "drawdown",
                f"equity fell by {fell:.2%} since it trades, its own past makes {limit:.2%} likely",
            )

    def verdict(self, now_ms: int) -> WatchVerdict:
        """What to do about it, after outcomes and minute were taken in.

        Args:
            now_ms: Close of the minute; must not go back.
        """
        doubt = self._skill.doubt(now_ms)
        slope = self._skill.slope
        drift = self._drift.report(now_ms, None if slope is None else slope.value)
        if doubt.rollback:
            self._ends(doubt.reasons[0], _skill_sentence(doubt.reasons[0], self._skill))
        reasons: tuple[str, ...] = () if self._end is None else (self._end[0],)
        reasons += tuple(reason for reason in doubt.reasons if reason not in reasons)
        if drift.level == FREEZE:
            reasons += ("features_drifted",)
        if drift.level == SHRINK:
            reasons += ("losses_drifted",)
        size = min(doubt.size_factor, HALF if drift.level == SHRINK else 1.0)
        if self._end is not None:
            size = 0.0
        freeze = drift.level == FREEZE
        end, detail = self._end or (None, "")
        report = self._said = self._report(size, freeze, end, detail, reasons, drift)
        return WatchVerdict(size, freeze, end, reasons, detail, drift, report)

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values; ``report`` is that of the last verdict, for who reads the journal."""
        return {
            "model_id": self.model_id,
            "skill": self._skill.snapshot(),
            "drift": self._drift.snapshot(),
            "drawdown": self._drawdown.snapshot(),
            "counts": [self._stale, self._slow, self._abstaining],
            "end": None if self._end is None else list(self._end),
            "report": self._said,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot of the same model; ModelError when its features are others."""
        self._skill.restore(state["skill"])
        self._drift.restore(state["drift"])
        self._drawdown.restore(state["drawdown"])
        self._stale, self._slow, self._abstaining = state["counts"]
        self._end = None if state["end"] is None else (state["end"][0], state["end"][1])
        self._said = state["report"]

    def _count(self, minute: ModelMinute) -> None:
        """Count minutes in a row; one in which nothing was due changes nothing."""
        if minute.inference_ms is not None and minute.due > 0:
            late = minute.inference_ms > self._rules.inference_deadline_ms
            self._slow = self._slow + 1 if late else 0
        if minute.forecasts > 0:
            self._stale = self._abstaining = 0
        elif minute.due > 0 and minute.abstained > 0:
            self._stale = 0
            self._abstaining += 1
        elif minute.due > 0:
            self._stale += 1

    def _ends(self, reason: str, detail: str) -> None:
        """Keep the first reason that ended its trading."""
        if self._end is None:
            self._end = (reason, detail)

    def _report(
        self,
        size: float,
        freeze: bool,
        end: str | None,
        detail: str,
        reasons: tuple[str, ...],
        drift: DriftReport,
    ) -> dict[str, Any]:
        """JSON values for people."""
        return {
            "model_id": self.model_id,
            "size_factor": size,
            "freeze": freeze,
            "rollback_reason": end,
            "detail": detail,
            "reasons": list(reasons),
            "skill": self._skill.report(),
            "drift": drift.as_json(),
            "drawdown": round(self._drawdown.drawdown, 6),
            "drawdown_limit": self._drawdown.limit,
            "stale_minutes": self._stale,
            "abstaining_minutes": self._abstaining,
        }


def _skill_sentence(reason: str, skill: SkillWatch) -> str:
    """What the outcomes showed, with the figure."""
    slope = skill.slope
    if reason == "calibration_collapse" and slope is not None:
        return f"its calibration slope over the last days is {slope.value:+.2f}"
    return "its log loss over the last days is surely above the base rate's"
