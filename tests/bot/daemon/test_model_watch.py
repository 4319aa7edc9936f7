"""The watch over the model that trades: each of its reasons, in the minute in which it holds."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.skill_watch import Outcome, WatchRules
from bot.daemon.model_watch import ABSTAINING_MINUTES, ModelMinute, ModelWatch, WatchVerdict
from models.drift import feature_bins

RULES = WatchRules()
COLUMNS = ("a", "b")
BINS = feature_bins(COLUMNS, np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32))
SOUND = {"due": 2, "forecasts": 2, "inference_ms": 1.0}


def minutes(watch: ModelWatch, count: int, since: int = 0, **what: Any) -> WatchVerdict:
    """So many minutes of one kind; the last verdict."""
    for number in range(since, since + count):
        watch.on_minute(ModelMinute((number + 1) * MINUTE_MS, **{**SOUND, **what}))
        verdict = watch.verdict((number + 1) * MINUTE_MS)
    return verdict


def coin(rng: random.Random, minute: int, accuracy: float) -> Outcome:
    """What came of a forecast of 52 %."""
    up = rng.random() < 0.5
    said = 0.52 if up == (rng.random() < accuracy) else 0.48
    return Outcome("x", minute * MINUTE_MS, 1, said, 0.5, 0.001 if up else -0.001)


def test_a_sound_model_trades_at_full_size() -> None:
    """Nothing found, nothing cut; the report is JSON."""
    verdict = minutes(ModelWatch("m", RULES), 5, equity=100.0)
    assert (verdict.entry_size, verdict.freeze, verdict.rollback_reason, verdict.reasons) == (
        1.0,
        False,
        None,
        (),
    )
    assert json.loads(json.dumps(verdict.report))["model_id"] == "m"


@pytest.mark.parametrize(
    ("what", "at_most", "reason"),
    [
        ({"fault": "it said a number that is not finite"}, 1, "model_failed"),
        ({"rows": (np.array([0.0, np.nan], np.float32),)}, 1, "not_finite"),
        ({"rows": (np.array([0.0, np.inf], np.float32),)}, 1, "not_finite"),
        ({"inference_ms": 1000.1}, 3, "too_slow"),
        ({"forecasts": 0}, RULES.max_stale_minutes, "stale"),
        ({"forecasts": 0, "abstained": 2}, ABSTAINING_MINUTES, "inputs_out_of_range"),
    ],
)
def test_each_fault_ends_trading_in_the_minute_in_which_it_is_one(
    what: dict[str, Any], at_most: int, reason: str
) -> None:
    """Not a minute before, and for good: sound minutes after it change nothing."""
    watch = ModelWatch("m", RULES, bins=BINS)
    if at_most > 1:
        assert minutes(watch, at_most - 1, **what).rollback_reason is None
    verdict = minutes(watch, 1, since=at_most - 1, **what)
    assert (verdict.rollback_reason, verdict.entry_size, verdict.reasons) == (reason, 0.0, (reason,))
    assert verdict.detail
    assert minutes(watch, 5, since=at_most).rollback_reason == reason


@pytest.mark.parametrize(
    "what", [{"inference_ms": 5000.0}, {"forecasts": 0}, {"forecasts": 0, "abstained": 1}]
)
def test_one_sound_minute_starts_the_count_over(what: dict[str, Any]) -> None:
    """Faults that do not follow each other end nothing."""
    watch = ModelWatch("m", RULES)
    for number in range(200):
        kind = what if number % 2 else {}
        assert minutes(watch, 1, since=number, **kind).rollback_reason is None


def test_minutes_in_which_nothing_was_due_do_not_count() -> None:
    """A gap in the candles is no fault of the model's."""
    watch = ModelWatch("m", RULES)
    assert minutes(watch, 100, due=0, forecasts=0, inference_ms=9999.0).rollback_reason is None


def test_a_fall_beyond_the_path_ends_trading() -> None:
    """Equity since the model began, beside the path scaled by the exposure."""
    watch = ModelWatch("m", RULES, drawdown_path=[0.02], exposure=0.5)
    assert minutes(watch, 1, equity=1000.0).rollback_reason is None
    assert minutes(watch, 1, since=1, equity=990.5).rollback_reason is None
    verdict = minutes(watch, 1, since=2, equity=989.0)
    assert verdict.rollback_reason == "drawdown"
    assert "1.10%" in verdict.detail
    assert verdict.report["drawdown_limit"] == 0.01


def test_a_signal_that_flips_is_halved_and_then_ended() -> None:
    """Outcomes alone: first the size, then the trading."""
    rng = random.Random(1)
    watch = ModelWatch("m", RULES)
    sizes = []
    for minute in range(5 * 1440):
        watch.on_outcomes([coin(rng, minute, 0.52 if minute < 1440 else 0.46)])
        verdict = watch.verdict(minute * MINUTE_MS)
        sizes.append(verdict.entry_size)
        if verdict.rollback_reason:
            break
    assert verdict.rollback_reason in {"log_loss", "calibration_collapse"}
    assert sizes[-2] == 0.5
    assert len(sizes) > 1440
    assert verdict.detail


def test_drift_freezes_and_shrinks_but_never_ends() -> None:
    """Frozen while the features have moved; half the size after losses grew; nothing of it is final."""
    watch = ModelWatch("m", RULES, bins=BINS)
    moved = (np.array([9.0, 9.0], np.float32),)
    verdict = minutes(watch, 1440, rows=moved)
    assert (verdict.freeze, verdict.entry_size, verdict.rollback_reason) == (True, 0.0, None)
    assert verdict.reasons == ("features_drifted",)
    calm = ModelWatch("m", WatchRules(doubt_confidence=0.9999, rollback_confidence=0.9999))
    rng = random.Random(2)
    for minute in range(2880):
        up = rng.random() < 0.5
        said = 0.8 if up == (rng.random() < (0.95 if minute < 2000 else 0.5)) else 0.2
        calm.on_outcomes([Outcome("x", minute * MINUTE_MS, 1, said, 0.5, 0.1 if up else -0.1)])
    verdict = calm.verdict(2880 * MINUTE_MS)
    assert (verdict.size_factor, verdict.reasons) == (0.5, ("losses_drifted",))
    assert calm.verdict(2 * DAY_MS + 2880 * MINUTE_MS).size_factor == 1.0


def test_a_restart_changes_no_verdict() -> None:
    """A snapshot as JSON text every few hours, through doubt to the end."""
    rng = random.Random(3)
    parts: dict[str, Any] = {"bins": BINS, "drawdown_path": [0.5, 0.6]}
    whole, broken = ModelWatch("m", RULES, **parts), ModelWatch("m", RULES, **parts)
    drawn = rng.choices(range(100), k=2 * 1440)
    for minute in range(2 * 1440):
        outcome = coin(rng, minute, 0.47)
        row = np.array([drawn[minute] / 50 - 1, 0.0], np.float32)
        for watch in (whole, broken):
            watch.on_outcomes([outcome])
            forecasts = int(minute % 5 > 2)
            watch.on_minute(
                ModelMinute(minute * MINUTE_MS, 1, forecasts, inference_ms=1.0, rows=(row,), equity=100.0)
            )
        if minute % 431 == 0:
            state = json.loads(json.dumps(broken.snapshot()))
            broken = ModelWatch("m", RULES, **parts)
            broken.restore(state)
            assert broken.snapshot() == whole.snapshot()
        mine, theirs = whole.verdict(minute * MINUTE_MS), broken.verdict(minute * MINUTE_MS)
        assert mine[:5] == theirs[:5]
    assert mine.rollback_reason == "log_loss"
