"""The daemon's watch over a model, for ``bot backtest --walk-forward``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bot.daemon.model_facts import read_facts
from bot.daemon.model_watch import ModelMinute, ModelWatch
from bot.retraining.served_watch import ServedMinute, WatchWord
from models.registry import read_verified

if TYPE_CHECKING:
    from bot.core.skill_watch import WatchRules


class DaemonWatch:
    """The very watch of the daemon; it is shown no equity and no time of inference.

    Args:
        watch: A new one.
    """

    def __init__(self, watch: ModelWatch) -> None:
        self._watch = watch

    def step(self, minute: ServedMinute) -> WatchWord:
        """Take in a minute."""
        self._watch.on_outcomes(minute.outcomes)
        self._watch.on_minute(
            ModelMinute(
                minute.closed_at_ms,
                minute.due,
                minute.forecasts,
                abstained=minute.abstained,
                rows=minute.rows,
            )
        )
        verdict = self._watch.verdict(minute.closed_at_ms)
        end = verdict.rollback_reason and f"{verdict.rollback_reason}: {verdict.detail}"
        reason = "" if verdict.entry_size == 1.0 else verdict.reasons[0]
        return WatchWord(verdict.entry_size, reason, end)


class NoWatch:
    """Where the settings turn the watch off."""

    def step(self, minute: ServedMinute) -> WatchWord:
        """Take in a minute, and let it pass."""
        del minute
        return WatchWord(1.0, "", None)


def watch_over(model: Path, rules: WatchRules | None) -> DaemonWatch | NoWatch:
    """A watch over the model in a folder of a folder of models; ModelError when it is damaged."""
    if rules is None:
        return NoWatch()
    passport, _ = read_verified(model)
    facts = read_facts(model.parent, model, passport.model_id, passport.columns)
    return DaemonWatch(ModelWatch(passport.model_id, rules, bins=facts.bins))
