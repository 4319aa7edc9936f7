"""The watch over a model's outcomes: its figures, its verdicts, and how often they are right."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.outcome_blocks import student_quantile
from bot.core.skill_watch import (
    Doubt,
    Outcome,
    SkillWatch,
    WatchRules,
    log_loss_gain,
)
from bot.errors import EngineProtocolError
from models.log_loss import log_loss

RULES = WatchRules()


def coins(
    seed: int, days: float, accuracy: Callable[[float], float], *, symbols: int = 2, horizon: int = 1
) -> Iterator[Outcome]:
    """A model that says 52 % one way each minute and is right as often as it is told to be, by the day."""
    rng = random.Random(seed)
    for minute in range(0, round(days * 1440), horizon):
        for symbol in range(symbols):
            rises = rng.random() < 0.5
            right = rng.random() < accuracy(minute / 1440)
            said = 0.52 if rises == right else 0.48
            yield Outcome(str(symbol), minute * MINUTE_MS, horizon, said, 0.5, 0.001 if rises else -0.001)


def followed(outcomes: Iterator[Outcome], rules: WatchRules = RULES) -> Iterator[tuple[float, Doubt]]:
    """The verdict after each half hour, with the day at which it was given."""
    watch = SkillWatch(rules)
    for outcome in outcomes:
        if outcome.closed_at_ms % (30 * MINUTE_MS) == 0 and outcome.symbol == "0":
            yield outcome.closed_at_ms / DAY_MS, watch.doubt(outcome.closed_at_ms)
        watch.add(outcome)


def test_a_planted_signal_that_flips_is_halved_within_a_day_and_flat_within_three() -> None:
    """52 % of next minutes right on two symbols, then 48 %: at least 19 of 20 are caught in time both ways."""
    halved = flat = 0
    for seed in range(20):
        after = [
            (day, doubt.size_factor)
            for day, doubt in followed(coins(seed, 5.05, lambda day: 0.52 if day < 2 else 0.48))
        ]
        halved += any(2 <= day <= 3.03 and size <= 0.5 for day, size in after)
        flat += any(2 <= day <= 5.03 and size == 0.0 for day, size in after)
    assert halved >= 19
    assert flat >= 19


def test_a_healthy_model_is_seldom_halved_and_hardly_ever_ended() -> None:
    """52 % of next minutes right on two symbols for a week: halved less than 15 % of the time, ended 1 time of 15 at most."""
    verdicts = [list(followed(coins(100 + seed, 7, lambda _: 0.52))) for seed in range(15)]
    halved = [doubt.size_factor == 0.5 for each in verdicts for _, doubt in each]
    assert sum(halved) / len(halved) < 0.15
    assert sum(any(doubt.rollback for _, doubt in each) for each in verdicts) <= 1


def test_a_useless_model_is_not_ended_before_its_time() -> None:
    """Nothing is judged on less than the least number of blocks, however bad it looks."""
    watch = SkillWatch(RULES)
    for outcome in coins(1, 0.24, lambda _: 0.0):
        watch.add(outcome)
    assert watch.doubt(DAY_MS // 4) == Doubt(1.0, (), rollback=False)
    assert watch.gain is None


def test_an_end_is_final_and_names_its_reasons() -> None:
    """A model that was always wrong is ended by its losses and its slope, and luck afterwards changes nothing."""
    watch = SkillWatch(RULES)
    for outcome in coins(2, 8, lambda day: 0.2 if day < 3 else 0.8):
        watch.add(outcome)
        doubt = watch.doubt(outcome.closed_at_ms)
    assert doubt == Doubt(0.0, ("log_loss", "calibration_collapse"), rollback=True)


def test_a_doubt_ends_when_the_losses_do() -> None:
    """A bad day halves, and a good one after it gives the size back."""
    sizes = [
        (day, doubt.size_factor)
        for day, doubt in followed(coins(3, 3, lambda day: 0.485 if day < 1 else 0.56))
    ]
    assert {size for day, size in sizes if 0.9 < day <= 1} == {0.5}
    assert sizes[-1][1] == 1.0


def test_a_doubt_that_lasts_stops_entries_until_it_ends() -> None:
    """A doubt that lasts is followed by none traded, which a restart remembers, and a better time gives the size back."""
    rules = WatchRules(rollback_confidence=0.999_999)
    watch, restored = SkillWatch(rules), SkillWatch(rules)
    sizes: list[tuple[float, float]] = []
    # Wrong by little: never sure enough to be ended.
    for outcome in coins(5, 6, lambda day: 0.495 if day < 3 else 0.56):
        watch.add(outcome)
        doubt = watch.doubt(outcome.closed_at_ms)
        sizes.append((outcome.closed_at_ms / DAY_MS, doubt.size_factor))
    first_none = min(day for day, size in sizes if size == 0.0)
    last_whole = max(day for day, size in sizes if size == 1.0 and day < first_none)
    assert first_none == pytest.approx(last_whole + rules.freeze_days, abs=0.03)
    assert sizes[-1][1] == 1.0
    restored.restore(json.loads(json.dumps(watch.snapshot())))
    assert restored.snapshot() == watch.snapshot()


def test_forecasts_turned_round_collapse_the_slope() -> None:
    """Where the base rate is as bad as the forecast, the slope alone ends trading."""
    rng = random.Random(4)
    watch = SkillWatch(RULES)
    for minute in range(3 * 1440):
        up = rng.random() < 0.3
        said = 0.45 if up else 0.55
        watch.add(Outcome("a", minute * MINUTE_MS, 1, said, 0.99, 0.001 if up else -0.001))
    assert watch.doubt(3 * DAY_MS).reasons == ("calibration_collapse",)
    assert watch.slope is not None
    assert watch.slope.value < 0.0


@given(
    probability=st.floats(0.0, 1.0),
    base=st.floats(0.01, 0.99),
    realized=st.floats(-0.1, 0.1).filter(lambda value: value == 0.0 or abs(value) > 1e-9),
)
def test_the_gain_is_that_of_the_offline_figures(probability: float, base: float, realized: float) -> None:
    """Live and offline measure with the same log loss; a tie gains nothing."""
    gain = log_loss_gain(Outcome("a", 0, 1, probability, base, realized))
    losses = log_loss(np.array([base, probability]), np.array([realized, realized]))
    expected = 0.0 if realized == 0.0 else float(losses[0] - losses[1])
    assert gain == pytest.approx(expected, abs=1e-12)


def test_mean_and_slope_are_those_of_all_outcomes() -> None:
    """Sums of blocks lose nothing: mean gain and linear slope equal those computed from the outcomes themselves."""
    rng = np.random.default_rng(5)
    n = 2000
    said = rng.uniform(0.3, 0.7, n)
    rose = rng.random(n) < said
    watch = SkillWatch(WatchRules(doubt_days=1.0))
    for minute in range(n):
        watch.add(
            Outcome("a", minute * MINUTE_MS, 1, float(said[minute]), 0.5, 0.01 if rose[minute] else -0.01)
        )
    watch.doubt(2 * DAY_MS)
    assert watch.gain is not None
    assert watch.slope is not None
    day = slice(1410, n)  # the 48 blocks before the one that is not whole
    gains = np.log(np.where(rose, said, 1 - said) / 0.5)
    assert watch.gain.value == pytest.approx(gains[day].mean(), rel=1e-9)
    logit = np.log(said / (1 - said))
    covariance = np.mean((logit - logit.mean()) * (rose - rose.mean()))
    assert watch.slope.value == pytest.approx(covariance / logit.var() / (rose.mean() * (1 - rose.mean())))
    assert watch.slope.value == pytest.approx(1.0, abs=0.25)


def test_overlapping_labels_do_not_make_a_model_look_surer() -> None:
    """Labels over 60 minutes, told each minute of a random walk: the mean is beyond its 95 % bound no more than 12 % of times."""
    beyond = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        price = np.cumsum(rng.normal(0, 0.001, 3 * 1440 + 60))
        said = 0.5 + 0.02 * np.repeat(np.sign(rng.normal(size=3 * 24)), 60)
        watch = SkillWatch(WatchRules(doubt_days=3.0))
        for minute in range(3 * 1440):
            move = float(price[minute + 60] - price[minute])
            watch.add(Outcome("a", minute * MINUTE_MS, 60, float(said[minute]), 0.5, move))
        watch.doubt(3 * DAY_MS + 61 * MINUTE_MS)
        assert watch.gain is not None
        beyond += watch.gain.upper(0.95) < 0.0
    assert beyond <= 7


def test_a_restart_goes_on_as_if_nothing_had_happened() -> None:
    """A snapshot as JSON text in the middle changes no verdict and no report."""
    whole, broken = SkillWatch(RULES), SkillWatch(RULES)
    for outcome in coins(6, 4, lambda day: 0.52 if day < 2 else 0.47):
        for watch in (whole, broken):
            watch.add(outcome)
        if outcome.closed_at_ms % (7 * 60 * MINUTE_MS) == 0:
            again = SkillWatch(RULES)
            again.restore(json.loads(json.dumps(broken.snapshot())))
            assert again.report() == broken.report()
            broken = again
        assert whole.doubt(outcome.closed_at_ms) == broken.doubt(outcome.closed_at_ms)
    assert whole.snapshot() == broken.snapshot()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_outcomes_within_a_block_does_not_matter(seed: int) -> None:
    """What came late within its block counts all the same."""
    outcomes = list(coins(seed, 0.6, lambda _: 0.5))
    shuffled = sorted(outcomes, key=lambda one: (one.closed_at_ms // (30 * MINUTE_MS), hash((seed, one))))
    reports = []
    for each in (outcomes, shuffled):
        watch = SkillWatch(RULES)
        for outcome in each:
            watch.add(outcome)
        watch.doubt(DAY_MS)
        reports.append(watch.report())
    assert reports[0] == reports[1]
    assert reports[0]["outcomes"] > 0


def test_what_is_kept_does_not_grow() -> None:
    """After weeks only the blocks of the longest window are remembered."""
    watch = SkillWatch(RULES)
    for day in range(30):
        for block in range(48):
            at_ms = day * DAY_MS + block * 30 * MINUTE_MS
            watch.add(Outcome("a", at_ms, 1, 0.52, 0.5, 0.001))
            watch.doubt(at_ms)
    assert len(watch.snapshot()["blocks"]) <= 3 * 48 + 2


@pytest.mark.parametrize(
    "wrong",
    [
        Outcome("a", 0, 15, 0.5, 0.5, 0.1),
        Outcome("a", 0, 1, math.nan, 0.5, 0.1),
        Outcome("a", 0, 1, 0.5, 0.5, math.inf),
    ],
)
def test_an_outcome_of_another_horizon_or_no_number_is_a_bug(wrong: Outcome) -> None:
    """Neither is averaged with the others."""
    watch = SkillWatch(RULES)
    watch.add(Outcome("a", 0, 1, 0.5, 0.5, 0.1))
    with pytest.raises(EngineProtocolError):
        watch.add(wrong)


def test_quantiles_are_those_of_student() -> None:
    """Against SciPy: within 0.01 from ten degrees of freedom on."""
    stats = pytest.importorskip("scipy.stats")
    for confidence in (0.8, 0.95, 0.99, 0.995):
        for freedom in (10, 23, 47, 143):
            assert student_quantile(confidence, freedom) == pytest.approx(
                stats.t.ppf(confidence, freedom), abs=0.01
            )
