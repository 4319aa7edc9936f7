"""Drift of inputs and of losses, and what it does to trading."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.skill_watch import Outcome, WatchRules
from bot.daemon.drift_watch import FREEZE, OK, SHRINK, DriftWatch
from models.drift import feature_bins

COLUMNS = ("a", "b", "c", "d")
RULES = WatchRules()


def rows(seed: int, count: int, shifted: int = 0) -> np.ndarray:
    """Rows of four features, some of which moved."""
    drawn = np.random.default_rng(seed).normal(size=(count, 4))
    drawn[:, :shifted] += 2.0
    return drawn.astype(np.float32)


BINS = feature_bins(COLUMNS, rows(0, 20_000))


def outcomes(seed: int, days: float, worse_from: float, *, horizon: int = 1) -> list[Outcome]:
    """Confident forecasts, right seven times of ten, then three times of ten."""
    rng = random.Random(seed)
    found = []
    for minute in range(round(days * 1440)):
        up = rng.random() < 0.5
        right = rng.random() < (0.7 if minute < worse_from * 1440 else 0.3)
        said = 0.65 if up == right else 0.35
        found.append(Outcome("x", minute * MINUTE_MS, horizon, said, 0.5, 0.001 if up else -0.001))
    return found


@pytest.mark.parametrize(("shifted", "level"), [(0, OK), (2, OK), (3, FREEZE), (4, FREEZE)])
def test_more_than_half_of_the_features_in_drift_freeze(shifted: int, level: str) -> None:
    """At exactly the share nothing is frozen; the farthest column is named."""
    watch = DriftWatch(RULES, BINS)
    for minute, row in enumerate(rows(1, 1440, shifted)):
        watch.add_rows(minute * MINUTE_MS, [row])
    report = watch.report(DAY_MS)
    assert report.level == level
    assert report.drifted_share == shifted / 4
    assert sorted(report.psi) == list(COLUMNS)
    if shifted:
        assert report.worst in COLUMNS[:shifted]
    json.dumps(report.as_json())


def test_a_freeze_ends_with_the_drift() -> None:
    """Once the day is over in which the features had moved."""
    watch = DriftWatch(RULES, BINS)
    levels = {}
    for minute, row in enumerate(np.vstack([rows(2, 1440, 4), rows(3, 2000)])):
        watch.add_rows(minute * MINUTE_MS, [row])
        levels[minute] = watch.report(minute * MINUTE_MS).level
    assert levels[1439] == FREEZE
    assert levels[3439] == OK


def test_without_rows_or_bins_nothing_is_known_of_the_inputs() -> None:
    """A model stored without bins, and the first hours of one with them."""
    for watch in (DriftWatch(RULES, None), DriftWatch(RULES, BINS)):
        watch.add_rows(0, list(rows(4, 10)))
        report = watch.report(MINUTE_MS)
        assert (report.psi, report.drifted_share, report.level, report.worst) == ({}, 0.0, OK, None)


def test_losses_that_grow_shrink_for_a_day() -> None:
    """A change for the worse is found within hours, and forgotten a day later."""
    watch = DriftWatch(RULES, None)
    watch.add_outcomes(outcomes(5, 2.0, worse_from=1.0))
    report = watch.report(2 * DAY_MS, slope=0.5)
    assert report.adwin_change_at_ms is not None
    assert DAY_MS < report.adwin_change_at_ms < 1.25 * DAY_MS
    assert watch.report(report.adwin_change_at_ms + DAY_MS - 1).level == SHRINK
    assert watch.report(report.adwin_change_at_ms + DAY_MS).level == OK
    assert report.slope == 0.5


def test_losses_that_stay_or_fall_do_nothing() -> None:
    """Neither chance nor a change for the better shrinks: drift never promotes, and luck is no drift."""
    calm, better = DriftWatch(RULES, None), DriftWatch(RULES, None)
    calm.add_outcomes(outcomes(6, 3.0, worse_from=9.0))
    better.add_outcomes(
        [one._replace(probability_up=1 - one.probability_up) for one in outcomes(7, 2.0, 1.0)]
    )
    for watch in (calm, better):
        assert watch.report(3 * DAY_MS).level == OK
        assert watch.report(3 * DAY_MS).adwin_change_at_ms is None


def test_labels_that_overlap_are_used_once_a_horizon() -> None:
    """Of outcomes over 15 minutes one minute of 15 counts, whatever the rest say; symbols of a minute are averaged."""
    sparse, dense = DriftWatch(RULES, None), DriftWatch(RULES, None)
    every = outcomes(8, 3.0, worse_from=1.0, horizon=15)
    noise = [
        one if one.closed_at_ms % (15 * MINUTE_MS) == 0 else one._replace(probability_up=0.01)
        for one in every
    ]
    dense.add_outcomes(noise)
    sparse.add_outcomes([one for one in every if one.closed_at_ms % (15 * MINUTE_MS) == 0])
    assert dense.report(3 * DAY_MS) == sparse.report(3 * DAY_MS)
    doubled = DriftWatch(RULES, None)
    doubled.add_outcomes([one._replace(symbol=name) for one in every for name in ("x", "y")])
    assert doubled.report(3 * DAY_MS) == sparse.report(3 * DAY_MS)


def test_a_restart_changes_nothing() -> None:
    """A snapshot as JSON text in the middle gives the same reports after."""
    whole, broken = DriftWatch(RULES, BINS), DriftWatch(RULES, BINS)
    drawn = rows(9, 2880, 3)
    for minute, outcome in enumerate(outcomes(10, 2.0, worse_from=1.0)):
        for watch in (whole, broken):
            watch.add_outcomes([outcome])
            watch.add_rows(minute * MINUTE_MS, [drawn[minute]])
        if minute % 360 == 359:
            state = json.loads(json.dumps(broken.snapshot()))
            broken = DriftWatch(RULES, BINS)
            broken.restore(state)
            assert broken.report(minute * MINUTE_MS) == whole.report(minute * MINUTE_MS)
    assert whole.snapshot() == broken.snapshot()
    assert whole.report(2 * DAY_MS).adwin_change_at_ms is not None
