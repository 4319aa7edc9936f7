"""The gate: evidence in, verdict out. Whoever replaces the model that trades has passed through here.

A **new recipe** must win out of sample, week after week, against every baseline and after costs. A **refit** of a
recipe that has won is held to less: it must be no worse than the champion. Ties keep the champion.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

NO_TRADE = "no-trade"
"""The champion where nothing beats the baselines."""


@dataclass(frozen=True, slots=True)
class GateRules:
    """What evidence must show. Gains are log losses saved per minute, in millinats; returns are fractions.

    Attributes:
        min_weeks: Weeks out of sample.
        min_minutes: Scored minutes, over all symbols.
        min_trades: Trades that do not overlap.
        min_gain_millinats: Least mean gain over the best baseline.
        gain_confidence: One-sided confidence of the gain's lower bound, which must lie above 0.
        recent_weeks: The last weeks, of which ...
        min_positive_weeks: ... so many must have a gain above 0.
        max_spa_p: Of the test for superior predictive ability over all logged trials.
        max_overfitting: Probability of backtest overfitting.
        min_deflated_sharpe: Deflated Sharpe ratio, a probability.
        expectancy_confidence: One-sided confidence of the lower bound of a trade's net return, which must lie above 0.
        stressed_costs: Costs are multiplied by this, and the mean net return of a trade must still lie above 0.
        min_slope: Least calibration slope.
        max_slope: Greatest calibration slope.
        refit_margin_millinats: A refit's paired gain over the champion may be worse by so much.
        refit_confidence: One-sided confidence of that bound.
        refit_correlation: Least correlation of a refit's forecasts with the champion's.
        refit_min_minutes: Minutes that both were scored on.
    """

    min_weeks: int = 8
    min_minutes: int = 60_000
    min_trades: int = 300
    min_gain_millinats: float = 0.1
    gain_confidence: float = 0.99
    recent_weeks: int = 8
    min_positive_weeks: int = 6
    max_spa_p: float = 0.05
    max_overfitting: float = 0.2
    min_deflated_sharpe: float = 0.95
    expectancy_confidence: float = 0.95
    stressed_costs: float = 1.5
    min_slope: float = 0.5
    max_slope: float = 1.5
    refit_margin_millinats: float = 0.2
    refit_confidence: float = 0.95
    refit_correlation: float = 0.5
    refit_min_minutes: int = 10_000


@dataclass(frozen=True, slots=True)
class RecipeEvidence:
    """What pooled walk-forward weeks say of a recipe; None where it cannot be told, which never promotes.

    Attributes:
        weeks: Weeks out of sample.
        minutes: Scored minutes.
        trades: Trades that do not overlap.
        best_baseline: The baseline with the lowest log loss on these very minutes.
        gain_millinats: Mean gain over it.
        gain_low_millinats: Its one-sided lower bound at ``gain_confidence``.
        weekly_gains_millinats: Mean gain of each week, oldest first.
        spa_p: P-value of the SPA test.
        overfitting: Probability of backtest overfitting.
        daily_sharpe: Sharpe ratio of the daily net returns, a day.
        deflated_sharpe: The probability that it is real, given how much was tried.
        net_return: Mean net return of a trade.
        net_return_low: Its lower bound at ``expectancy_confidence``.
        stressed_net_return: Mean net return of a trade at ``stressed_costs`` times the costs.
        without_best_day: Sum of net returns without the best day's.
        delayed_net_return: Mean net return of a trade when every order comes one bar late.
        slope: Calibration slope.
        champion: The proven model of another recipe that trades now, if there is one.
        champion_gain_low_millinats: Lower bound at ``gain_confidence`` of the gain over it, on minutes that neither was
            made from.
    """

    weeks: int
    minutes: int
    trades: int | None = None
    best_baseline: str | None = None
    gain_millinats: float | None = None
    gain_low_millinats: float | None = None
    weekly_gains_millinats: tuple[float, ...] = ()
    spa_p: float | None = None
    overfitting: float | None = None
    daily_sharpe: float | None = None
    deflated_sharpe: float | None = None
    net_return: float | None = None
    net_return_low: float | None = None
    stressed_net_return: float | None = None
    without_best_day: float | None = None
    delayed_net_return: float | None = None
    slope: float | None = None
    champion: str | None = None
    champion_gain_low_millinats: float | None = None


@dataclass(frozen=True, slots=True)
class RefitEvidence:
    """What minutes that neither was made from say of a refit beside the champion.

    Attributes:
        minutes: Scored minutes.
        paired_gain_millinats: Mean of the champion's log loss minus the refit's.
        paired_low_millinats: Its one-sided lower bound at ``refit_confidence``.
        slope: The refit's calibration slope.
        correlation: Of the two forecasts.
    """

    minutes: int
    paired_gain_millinats: float | None = None
    paired_low_millinats: float | None = None
    slope: float | None = None
    correlation: float | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One test of the gate.

    Attributes:
        name: Of the rule.
        passed: Whether it holds.
        sentence: In plain words, with the figure and the limit.
        known: Whether there was a figure to test; what cannot be told does not pass.
    """

    name: str
    passed: bool
    sentence: str
    known: bool = True


@dataclass(frozen=True, slots=True)
class PromotionVerdict:
    """Whether to promote, and every reason for and against.

    Attributes:
        promote: All tests passed.
        reasons: Every test, in a fixed order.
    """

    promote: bool
    reasons: tuple[Reason, ...]

    @property
    def objections(self) -> tuple[str, ...]:
        """The sentences of what did not pass."""
        return tuple(reason.sentence for reason in self.reasons if not reason.passed)

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        reasons = [{field.name: getattr(one, field.name) for field in fields(one)} for one in self.reasons]
        return {"promote": self.promote, "reasons": reasons}


def judge_recipe(evidence: RecipeEvidence, rules: GateRules) -> PromotionVerdict:
    """Whether a recipe that is not proven yet has won."""
    e, r = evidence, rules
    recent = e.weekly_gains_millinats[-r.recent_weeks :]
    positive = sum(gain > 0.0 for gain in recent)
    share = f"{100 * r.gain_confidence:g} %"
    return _verdict(
        _count("weeks", e.weeks, r.min_weeks, "weeks out of sample"),
        _count("minutes", e.minutes, r.min_minutes, "scored minutes"),
        _count("trades", e.trades, r.min_trades, "trades that do not overlap"),
        _least("gain", e.gain_millinats, r.min_gain_millinats, f"millinats gained over {_named(e)}"),
        _above("gain_low", e.gain_low_millinats, f"millinats, the gain's lower bound at {share}"),
        Reason(
            "positive_weeks",
            len(recent) >= r.recent_weeks and positive >= r.min_positive_weeks,
            f"{positive} of the last {len(recent)} weeks gained, {r.min_positive_weeks} of {r.recent_weeks} are needed",
        ),
        _below("superior_ability", e.spa_p, r.max_spa_p, "p of the SPA test over all trials"),
        _below("overfitting", e.overfitting, r.max_overfitting, "probability of backtest overfitting"),
        _over("deflated_sharpe", e.deflated_sharpe, r.min_deflated_sharpe, "deflated Sharpe ratio"),
        _above("net_return_low", _bps(e.net_return_low), "bps a trade after costs, its lower bound"),
        _above(
            "stressed", _bps(e.stressed_net_return), f"bps a trade at {r.stressed_costs:g} times the costs"
        ),
        _within("slope", e.slope, r.min_slope, r.max_slope, "calibration slope"),
        _above("not_one_day", _bps(e.without_best_day), "bps in all without the best day"),
        _above("delayed", _bps(e.delayed_net_return), "bps a trade with every order one bar late"),
        *_over_champion(e, share),
    )


def judge_refit(evidence: RefitEvidence, rules: GateRules) -> PromotionVerdict:
    """Whether a refit of a proven recipe may follow the champion of that recipe."""
    e, r = evidence, rules
    return _verdict(
        _count("minutes", e.minutes, r.refit_min_minutes, "minutes that both were scored on"),
        _over(
            "no_worse",
            e.paired_low_millinats,
            -r.refit_margin_millinats,
            f"millinats beside the champion, the lower bound at {100 * r.refit_confidence:g} %",
        ),
        _within("slope", e.slope, r.min_slope, r.max_slope, "calibration slope"),
        _least("correlation", e.correlation, r.refit_correlation, "correlation with the champion"),
    )


def _verdict(*reasons: Reason) -> PromotionVerdict:
    return PromotionVerdict(all(reason.passed for reason in reasons), reasons)


def _over_champion(e: RecipeEvidence, share: str) -> tuple[Reason, ...]:
    """Another recipe's proven champion is not replaced on a tie."""
    if e.champion is None:
        return ()
    what = f"millinats gained over the champion {e.champion}, its lower bound at {share}"
    return (_above("over_champion", e.champion_gain_low_millinats, what),)


def _named(evidence: RecipeEvidence) -> str:
    """The baseline, for people."""
    return (evidence.best_baseline or "the best baseline").replace("_", " ")


def _bps(fraction: float | None) -> float | None:
    """A fraction in basis points."""
    return None if fraction is None else fraction * 1e4


def _count(name: str, value: int | None, least: int, what: str) -> Reason:
    if value is None:
        return Reason(name, False, f"the {what} cannot be told, {least:,} are needed", known=False)
    return Reason(name, value >= least, f"{value:,} {what}, {least:,} are needed")


def _least(name: str, value: float | None, limit: float, what: str) -> Reason:
    return _tested(name, value, lambda v: v >= limit, what, f"at least {limit:g} is needed")


def _over(name: str, value: float | None, limit: float, what: str) -> Reason:
    return _tested(name, value, lambda v: v > limit, what, f"more than {limit:g} is needed")


def _above(name: str, value: float | None, what: str) -> Reason:
    return _tested(name, value, lambda v: v > 0.0, what, "more than 0 is needed")


def _below(name: str, value: float | None, limit: float, what: str) -> Reason:
    return _tested(name, value, lambda v: v < limit, what, f"less than {limit:g} is needed")


def _within(name: str, value: float | None, low: float, high: float, what: str) -> Reason:
    return _tested(name, value, lambda v: low <= v <= high, what, f"{low:g} to {high:g} is needed")


def _tested(name: str, value: float | None, holds: Callable[[float], bool], what: str, needed: str) -> Reason:
    """A figure that is not known, or is no finite number, passes nothing."""
    if value is None or not math.isfinite(value):
        return Reason(name, False, f"the {what} cannot be told, {needed}", known=False)
    return Reason(name, holds(value), f"{value:.4g} {what}, {needed}")
