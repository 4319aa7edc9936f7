"""Evidence out of scored weeks: what an edge looks like, what noise looks like, and what each figure is made of."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bot.core.promotion import GateRules, judge_recipe, judge_refit
from bot.retraining import evidence
from bot.retraining.evidence import Rival, Spoken, Trials
from bot.retraining.scored import pooled
from models.evaluation import log_loss
from models.forecast_trades import TradingCosts, forecast_trades
from tests.scored_weeks import scored_week

# Any: a figure may be None, and a test of one that is shall fail.
recipe_evidence: Any = evidence.recipe_evidence
refit_evidence: Any = evidence.refit_evidence
RULES = GateRules()
COSTS = TradingCosts(0.0001)
SKILLED = [scored_week(number, edge=0.06) for number in range(8)]
NOISE = [scored_week(number, edge=0.0) for number in range(8)]


def test_an_edge_that_pays_is_promoted():
    """Eight weeks with a real edge above the costs pass every test."""
    found = recipe_evidence(SKILLED, RULES, COSTS)
    verdict = judge_recipe(found, RULES)
    assert verdict.promote, verdict.objections
    assert found.weeks == 8
    assert found.minutes == 8 * 10_080
    assert found.trades >= 300
    assert found.best_baseline in {"base_rate", "persistence"}


def test_noise_is_refused_by_more_than_one_test():
    """Forecasts of noise are refused, and not by a hair."""
    verdict = judge_recipe(recipe_evidence(NOISE, RULES, COSTS), RULES)
    assert not verdict.promote
    assert len(verdict.objections) >= 5


def test_the_gain_is_over_the_best_baseline_on_these_minutes():
    """The gain is the mean log loss saved beside the baseline that did best, week by week too."""
    pool = pooled(SKILLED)
    losses = {name: log_loss(said, pool.realized).mean() for name, said in pool.baselines.items()}
    found = recipe_evidence(SKILLED, RULES, COSTS)
    assert found.best_baseline == min(losses, key=lambda name: losses[name])
    gain = 1000 * (min(losses.values()) - log_loss(pool.probability, pool.realized).mean())
    assert found.gain_millinats == pytest.approx(gain)
    assert np.mean(found.weekly_gains_millinats) == pytest.approx(gain)
    assert found.gain_low_millinats < gain


def test_money_is_counted_by_trades_that_do_not_overlap():
    """Net returns are those of the trades, at the costs, at stressed costs, late, and without the best day."""
    pool = pooled(SKILLED)
    found = recipe_evidence(SKILLED, RULES, COSTS)
    common: dict[str, Any] = {"horizon": pool.horizon, "costs": COSTS, "uncertainty": pool.uncertainty}
    trades = forecast_trades(pool.ts, pool.symbol, pool.expected, pool.fill, **common)
    late = forecast_trades(pool.ts, pool.symbol, pool.expected, pool.late_fill, **common)
    assert found.trades == len(trades)
    assert found.net_return == pytest.approx(trades.gross.mean() - 0.0001)
    assert found.stressed_net_return == pytest.approx(trades.gross.mean() - 0.00015)
    assert found.delayed_net_return == pytest.approx(late.gross.mean() - 0.0001)
    days = np.bincount(
        trades.left // 86_400_000 - trades.left.min() // 86_400_000, weights=trades.gross - 1e-4
    )
    assert found.without_best_day == pytest.approx(days.sum() - days.max())
    assert found.net_return_low < found.net_return


def test_an_edge_below_the_costs_does_not_trade():
    """Where no forecast is worth its costs there are no trades, and that refuses."""
    found = recipe_evidence(SKILLED, RULES, TradingCosts(0.01))
    assert found.trades == 0
    assert not judge_recipe(found, RULES).promote


def test_what_is_uncertain_is_not_traded():
    """Expected returns whose error is as large as they are make no trades."""
    unsure = [replace(week, uncertainty=np.abs(week.expected)) for week in SKILLED]
    assert recipe_evidence(unsure, RULES, COSTS, confidence=1.0).trades == 0


def test_a_bold_forecast_fails_by_its_slope():
    """Forecasts three times as bold as they should be have a slope of a third."""
    bold = [scored_week(number, edge=0.06, boldness=3.0) for number in range(8)]
    found = recipe_evidence(bold, RULES, COSTS)
    honest = recipe_evidence(SKILLED, RULES, COSTS)
    assert found.slope == pytest.approx(honest.slope / 3.0, rel=1e-6)


def test_trials_make_a_claim_weaker():
    """The more was tried on the same minutes, the lower the deflated Sharpe ratio; rivals as good take the SPA's field."""
    alone = recipe_evidence(NOISE, RULES, TradingCosts(0.0))
    among = recipe_evidence(NOISE, RULES, TradingCosts(0.0), trials=Trials(count=50))
    assert among.deflated_sharpe < alone.deflated_sharpe
    pool = pooled(SKILLED)
    rng = np.random.default_rng(0)
    rivals = {
        str(number): Rival(pool.moments, np.clip(0.5 + rng.normal(0, 0.02, len(pool)), 0.01, 0.99))
        for number in range(6)
    }
    found = recipe_evidence(SKILLED, RULES, COSTS, trials=Trials(7, rivals=rivals))
    assert found.spa_p < 0.05
    assert found.overfitting < 0.2
    assert recipe_evidence(NOISE, RULES, COSTS, trials=Trials(7, rivals=rivals)).spa_p > 0.05


def test_a_rival_that_left_minutes_out_is_taken_to_have_said_nothing():
    """Where a rival has no forecast the other value stands, and a rival without any is that everywhere."""
    rival = Rival(np.array([3, 7], np.int64), np.array([0.6, np.nan]))
    np.testing.assert_array_equal(rival.at(np.array([1, 3, 7, 9]), np.full(4, 0.5)), [0.5, 0.6, 0.5, 0.5])
    empty = Rival(np.empty(0, np.int64), np.empty(0))
    np.testing.assert_array_equal(empty.at(np.array([1]), np.full(1, 0.5)), [0.5])


@pytest.mark.parametrize("weeks", [SKILLED, NOISE, SKILLED[:5]])
def test_stopping_at_the_first_refusal_changes_no_verdict(weeks):
    """The quick way promotes exactly what the whole way promotes, and what it knows is the same."""
    whole = recipe_evidence(weeks, RULES, COSTS)
    quick = recipe_evidence(weeks, RULES, COSTS, until_refused=True)
    assert judge_recipe(whole, RULES).promote == judge_recipe(quick, RULES).promote
    for name in ("gain_millinats", "slope", "trades", "spa_p"):
        assert getattr(quick, name) in {None, getattr(whole, name)}


def test_a_champion_of_another_recipe_must_be_beaten():
    """Beside a champion that says the same nothing is gained, and the verdict keeps the champion."""
    pool = pooled(SKILLED)
    same = ("champion", Rival(pool.moments, pool.probability))
    found = recipe_evidence(SKILLED, RULES, COSTS, champion=same)
    assert found.champion_gain_low_millinats == pytest.approx(0.0)
    assert not judge_recipe(found, RULES).promote
    worse = ("champion", Rival(pool.moments, np.full(len(pool), 0.5)))
    assert judge_recipe(recipe_evidence(SKILLED, RULES, COSTS, champion=worse), RULES).promote


def _spoken(week, probability=None):
    said = week.probability if probability is None else probability
    return Spoken(week.moments, week.ts, said, week.realized, week.horizon)


def test_a_refit_like_the_champion_may_follow_it():
    """A refit that says nearly the same is no worse, calibrated and correlated."""
    pool = pooled(SKILLED)
    rng = np.random.default_rng(1)
    logit = np.log(pool.probability / (1 - pool.probability)) + rng.normal(0, 0.01, len(pool))
    said = 1 / (1 + np.exp(-logit))
    found = refit_evidence(_spoken(pool, said), Rival(pool.moments, pool.probability), RULES)
    assert judge_refit(found, RULES).promote
    assert found.correlation > 0.9


def test_a_refit_that_lost_the_edge_is_refused():
    """A refit that says the opposite, or nothing, does not follow."""
    pool = pooled(SKILLED)
    champion = Rival(pool.moments, pool.probability)
    for said in (1.0 - pool.probability, np.full(len(pool), 0.5)):
        found = refit_evidence(_spoken(pool, said), champion, RULES)
        assert not judge_refit(found, RULES).promote
    nobody = refit_evidence(_spoken(pool), Rival(np.empty(0, np.int64), np.empty(0)), RULES)
    assert nobody.minutes == 0
    assert not judge_refit(nobody, RULES).promote
