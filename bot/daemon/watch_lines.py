"""Log lines and notes of the watch over the model that trades: told when something changes, not every minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bot.daemon.drift_watch import OK
from bot.daemon.model_watch import WatchVerdict
from bot.daemon.telling import Log


class Notes(Protocol):
    """The part of the journal that this needs."""

    def note(self, kind: str, at_ms: int, fields: Mapping[str, Any]) -> None:
        """Append an event that is not a batch."""


def tell_watch(
    log: Log, journal: Notes, model_id: str, at_ms: int, before: WatchVerdict | None, after: WatchVerdict
) -> None:
    """Tell what a verdict changed, in the log and in the journal.

    Args:
        log: Bound with run_id and mode.
        journal: Where it is kept.
        model_id: The model that trades.
        at_ms: Close of the minute.
        before: The verdict of the minute before; None for the first one.
        after: The verdict.
    """
    was = 1.0 if before is None else before.entry_size
    fields: dict[str, Any] = {
        "model_id": model_id,
        "size_factor": after.entry_size,
        "reasons": list(after.reasons),
    }
    if after.entry_size < was:
        fields |= {"gain_millinats": after.report["skill"]["gain_millinats"]}
        log.warning("model.doubted", **fields)
        journal.note("model.doubted", at_ms, fields)
    elif after.entry_size > was:
        log.info("model.trusted", **fields)
        journal.note("model.trusted", at_ms, fields)
    _tell_drift(log, journal, model_id, at_ms, before, after)


def _tell_drift(
    log: Log, journal: Notes, model_id: str, at_ms: int, before: WatchVerdict | None, after: WatchVerdict
) -> None:
    """Tell where drift begins, becomes another, or ends."""
    was = OK if before is None else before.drift.level
    drift = after.drift
    if drift.level == was:
        return
    if drift.level == OK:
        log.info("drift.ended", model_id=model_id, before=was)
        journal.note("drift.ended", at_ms, {"model_id": model_id, "before": was})
        return
    fields = {
        "model_id": model_id,
        "drift": drift.level,
        "drifted_share": round(drift.drifted_share, 4),
        "column": drift.worst,
        "adwin_change_at_ms": drift.adwin_change_at_ms,
    }
    log.warning("drift.found", **fields)
    journal.note("drift.found", at_ms, fields)
