"""Lines and notes of the watch: told once, when something changes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from bot.core.skill_watch import WatchRules
from bot.daemon.drift_watch import DriftReport
from bot.daemon.model_watch import ModelWatch, WatchVerdict
from bot.daemon.watch_lines import tell_watch
from tests.daemon_harness import Silent


class Kept:
    """A journal that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, int, Mapping[str, Any]]] = []

    def note(self, kind: str, at_ms: int, fields: Mapping[str, Any]) -> None:
        self.notes.append((kind, at_ms, fields))


def verdict(size: float = 1.0, level: str = "ok", reasons: tuple[str, ...] = ()) -> WatchVerdict:
    """A verdict of this kind."""
    report = ModelWatch("m", WatchRules()).verdict(0).report
    drift = DriftReport({"a": 0.3, "b": 0.1}, 0.5, 7, None, level)
    return WatchVerdict(size, level == "freeze", None, reasons, "", drift, report)


def told(*verdicts: WatchVerdict | None) -> tuple[list[str], list[str]]:
    """Events of the log and kinds of the notes of some minutes, one after the other."""
    log, journal = Silent(), Kept()
    for minute, (before, after) in enumerate(pairwise(verdicts)):
        assert after is not None
        tell_watch(log, journal, "m", minute, before, after)
    return [event for event, _ in log.lines], [kind for kind, _, _ in journal.notes]


def test_a_quiet_watch_says_nothing() -> None:
    """Neither at the start nor later, as long as nothing changes."""
    assert told(None, verdict(), verdict()) == ([], [])
    half = verdict(0.5, reasons=("log_loss_doubted",))
    assert told(half, half) == ([], [])


def test_doubt_and_trust_are_told_when_they_begin() -> None:
    """In the log and in the journal; a restart under doubt tells it again."""
    half = verdict(0.5, reasons=("log_loss_doubted",))
    events = ["model.doubted", "model.doubted", "model.trusted", "model.trusted"]
    assert told(None, half, verdict(0.0), half, verdict()) == (events, events)


def test_drift_is_told_when_it_begins_changes_and_ends() -> None:
    """A freeze is a doubt too: it takes the size to nothing."""
    shrink, freeze = verdict(0.5, "shrink"), verdict(0.5, "freeze")
    events, _ = told(verdict(), shrink, shrink, freeze, verdict())
    assert events == [
        "model.doubted",
        "drift.found",
        "model.doubted",
        "drift.found",
        "model.trusted",
        "drift.ended",
    ]


def test_the_lines_say_what_was_found() -> None:
    """Size, reasons, and the column that moved farthest."""
    log, journal = Silent(), Kept()
    tell_watch(log, journal, "m", 9, None, verdict(0.5, "freeze", ("features_drifted",)))
    doubted, found = (fields for _, fields in log.lines)
    assert (doubted["model_id"], doubted["size_factor"], doubted["reasons"]) == (
        "m",
        0.0,
        ["features_drifted"],
    )
    assert (found["drift"], found["column"], found["drifted_share"]) == ("freeze", "a", 0.5)
    assert [at_ms for _, at_ms, _ in journal.notes] == [9, 9]
