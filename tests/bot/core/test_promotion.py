"""The gate: what it takes to replace the model that trades."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.promotion import (
    GateRules,
    RecipeEvidence,
    RefitEvidence,
    judge_recipe,
    judge_refit,
)

RULES = GateRules()
GOOD = RecipeEvidence(
    weeks=8,
    minutes=60_000,
    trades=300,
    best_baseline="logistic_regression",
    gain_millinats=0.1,
    gain_low_millinats=0.01,
    weekly_gains_millinats=(1.0, 1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0),
    spa_p=0.049,
    overfitting=0.19,
    deflated_sharpe=0.951,
    net_return=0.0002,
    net_return_low=0.0001,
    stressed_net_return=0.00001,
    without_best_day=0.01,
    delayed_net_return=0.0001,
    slope=1.5,
)
REFIT = RefitEvidence(
    minutes=10_000, paired_gain_millinats=-0.1, paired_low_millinats=-0.19, slope=0.5, correlation=0.5
)
WORSE: dict[str, tuple[str, Any]] = {
    "weeks": ("weeks", 7),
    "minutes": ("minutes", 59_999),
    "trades": ("trades", 299),
    "gain_millinats": ("gain", 0.099),
    "gain_low_millinats": ("gain_low", 0.0),
    "weekly_gains_millinats": ("positive_weeks", (1.0,) * 5 + (0.0,) * 3),
    "spa_p": ("superior_ability", 0.05),
    "overfitting": ("overfitting", 0.2),
    "deflated_sharpe": ("deflated_sharpe", 0.95),
    "net_return_low": ("net_return_low", 0.0),
    "stressed_net_return": ("stressed", 0.0),
    "without_best_day": ("not_one_day", 0.0),
    "delayed_net_return": ("delayed", 0.0),
    "slope": ("slope", 1.51),
}


def _with(evidence: Any, field: str, value: Any) -> Any:
    """The same evidence with another figure."""
    return replace(evidence, **{field: value})


def test_evidence_at_its_limits_promotes():
    """Evidence that just meets every rule promotes, and each rule is among the reasons."""
    verdict = judge_recipe(GOOD, RULES)
    assert verdict.promote
    assert verdict.objections == ()
    assert {reason.name for reason in verdict.reasons} == {name for name, _ in WORSE.values()}


@pytest.mark.parametrize("field", WORSE)
def test_each_rule_alone_refuses(field: str) -> None:
    """One figure at the wrong side of its limit refuses, by that rule alone, with the figure in the sentence."""
    name, value = WORSE[field]
    verdict = judge_recipe(_with(GOOD, field, value), RULES)
    failed = [reason for reason in verdict.reasons if not reason.passed]
    assert not verdict.promote
    assert [reason.name for reason in failed] == [name]
    assert all(reason.known for reason in failed)
    assert len(verdict.objections) == 1


@pytest.mark.parametrize("field", [name for name in WORSE if name not in {"weeks", "minutes"}])
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_cannot_be_told_refuses(field, value):
    """A figure that is missing or not finite never promotes."""
    if field == "trades":
        value = None
    if field == "weekly_gains_millinats":
        value = ()
    assert not judge_recipe(_with(GOOD, field, value), RULES).promote


def test_a_week_that_is_not_a_number_is_not_a_week_that_gained():
    """A week without a figure counts against."""
    weekly = (math.nan,) * 3 + (1.0,) * 5
    assert not judge_recipe(replace(GOOD, weekly_gains_millinats=weekly), RULES).promote


def test_a_tie_with_the_champion_keeps_it():
    """A proven champion of another recipe is replaced only by what surely gains over it."""
    beside = replace(GOOD, champion="scalping-20240101T000000-aaaaaa", champion_gain_low_millinats=0.0)
    assert [r.name for r in judge_recipe(beside, RULES).reasons if not r.passed] == ["over_champion"]
    assert judge_recipe(replace(beside, champion_gain_low_millinats=0.01), RULES).promote
    assert not judge_recipe(replace(beside, champion_gain_low_millinats=None), RULES).promote


def test_a_refit_may_be_a_little_worse_but_not_another_model():
    """A refit is held to being no worse by the margin, calibrated, and of one mind with the champion."""
    assert judge_refit(REFIT, RULES).promote
    changes: list[tuple[str, Any, str]] = [
        ("minutes", 9_999, "minutes"),
        ("paired_low_millinats", -0.2, "no_worse"),
        ("slope", 0.49, "slope"),
        ("correlation", 0.49, "correlation"),
    ]
    for field, value, name in changes:
        verdict = judge_refit(_with(REFIT, field, value), RULES)
        assert [reason.name for reason in verdict.reasons if not reason.passed] == [name]
        if field != "minutes":
            assert not judge_refit(_with(REFIT, field, None), RULES).promote


def test_the_verdict_is_plain_json():
    """The verdict as JSON values holds every reason with its sentence."""
    found = judge_recipe(replace(GOOD, spa_p=0.5), RULES).as_json()
    assert found["promote"] is False
    assert {"name", "passed", "sentence", "known"} == set(found["reasons"][0])
    assert any("0.5 p of the SPA test" in reason["sentence"] for reason in found["reasons"])


_FIGURES = st.one_of(st.none(), st.floats(-1e3, 1e3), st.just(math.nan))


@given(st.data())
def test_nothing_but_a_clean_sheet_promotes(data):
    """Whatever the evidence, it promotes exactly where every reason passes, and unknown figures never pass."""
    names = [f.name for f in fields(RecipeEvidence) if f.name not in {"best_baseline", "champion"}]
    drawn = {name: data.draw(_FIGURES) for name in names if name != "weekly_gains_millinats"}
    for whole in ("weeks", "minutes", "trades"):
        drawn[whole] = data.draw(st.integers(0, 100_000))
    weekly = tuple(data.draw(st.lists(st.floats(-1, 1), max_size=10)))
    verdict = judge_recipe(RecipeEvidence(**drawn, weekly_gains_millinats=weekly), RULES)
    assert verdict.promote == all(reason.passed for reason in verdict.reasons)
    assert all(not reason.passed for reason in verdict.reasons if not reason.known)
