"""Several backtests on the same candles beside one of them: the same days, paired, with what luck alone would do.

The daily returns of two runs on the same days share the market's moves, so their difference is far steadier than either.
Its interval comes from weeks of days drawn anew (stationary bootstrap, ``models.bootstrap``). Who compares many variants
finds one that is better by luck: each interval is widened for all trials on these minutes (Šidák, as in ``models.trials``),
and the best of all is asked by Hansen's test for superior predictive ability (``models.superior``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.inputs import BacktestInput, Floats
from backtests.metrics import daily_returns, figures_of
from backtests.net_return import BLOCK_DAYS
from backtests.run import run_backtest
from bot.core.market import DAY_MS
from bot.errors import DataError
from models.bootstrap import block_interval
from models.sharpe import sharpe_ratio
from models.superior import Superiority, superior_ability
from models.trials import deflated_bounds

MOST_POINTS = 2000
"""Points kept of an equity curve: every k-th minute, and the last."""

FIGURES = (
    "return", "buy_and_hold_return", "sharpe", "max_drawdown", "trades", "win_rate", "average_trade_bps",
    "round_trip_cost_bps", "break_even_cost_bps", "fees", "funding", "final_equity", "exposure", "days",
)  # fmt: skip
"""Of all figures of a backtest those that a comparison shows."""


@dataclass(frozen=True, slots=True)
class VariantRun:
    """What is kept of one variant's backtest.

    Attributes:
        figures: Those of ``FIGURES`` by name, as ``figures_of`` makes them.
        reasons: Why some are None.
        warnings: Why they may be wrong, in words.
        days: int64 [n], UTC midnight at which each day began, ms.
        returns: float64 [n], the simple return of each day.
        curve_ts: int64 [m], close times of the points kept of the equity, ms.
        curve: float64 [m], equity there, quote currency.
    """

    figures: dict[str, Any]
    reasons: dict[str, str]
    warnings: list[str]
    days: npt.NDArray[np.int64]
    returns: Floats
    curve_ts: npt.NDArray[np.int64]
    curve: Floats

    @property
    def daily_sharpe(self) -> float:
        """Mean over deviation of the daily returns, not annualized."""
        return sharpe_ratio(self.returns)


@dataclass(frozen=True, slots=True)
class Difference:
    """How a variant's daily returns differ from the baseline's, in basis points a day.

    Attributes:
        mean_bps: Mean of the paired differences.
        low_bps: Lower bound of its 95 % interval; None below two weeks.
        high_bps: The upper bound.
        sure_low_bps: Lower bound of the interval that allows for all trials; None likewise.
        sure_high_bps: The upper bound.
    """

    mean_bps: float
    low_bps: float | None
    high_bps: float | None
    sure_low_bps: float | None
    sure_high_bps: float | None

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval that allows for all trials lies on one side of 0; None where there is none."""
        if self.sure_low_bps is None or self.sure_high_bps is None:
            return None
        return self.sure_low_bps > 0 or self.sure_high_bps < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Variants beside the baseline.

    Attributes:
        baseline: Its name.
        differences: By name; the baseline has none.
        superiority: P-values of "no variant beats the baseline".
        comparisons: How many comparisons the wide intervals allow for.
    """

    baseline: str
    differences: dict[str, Difference]
    superiority: Superiority
    comparisons: int


def run_variant(inputs: Mapping[str, BacktestInput], name: str) -> VariantRun:
    """Run one of some variants; a function of a module, so that any process can."""
    data = inputs[name]
    result = run_backtest(data, engine="fast")
    figures = figures_of(result, data)
    curve, start = result.equity, data.config.starting_cash
    returns = daily_returns(curve, start)
    first_day = (int(curve.ts[0]) - 1) // DAY_MS * DAY_MS
    kept = thinned(len(curve.ts))
    return VariantRun(
        figures={key: figures.values[key] for key in FIGURES},
        reasons={key: why for key, why in figures.reasons.items() if key in FIGURES},
        warnings=figures.warnings,
        days=first_day + DAY_MS * np.arange(len(returns), dtype=np.int64),
        returns=returns,
        curve_ts=curve.ts[kept],
        curve=curve.equity[kept],
    )


def thinned(count: int) -> npt.NDArray[np.intp]:
    """Which rows of a curve are kept."""
    step = max(1, -(-count // MOST_POINTS))
    return np.unique(np.append(np.arange(0, count, step), count - 1))


def compare_runs(runs: Mapping[str, VariantRun], baseline: str, *, trials: int) -> Comparison:
    """Hold every run against one of them.

    Args:
        runs: By name; all on the same days.
        baseline: The one that the others are held against.
        trials: Distinct trials on these minutes, these variants among them, whoever made them.

    Raises:
        DataError: A run has other days than the baseline.
    """
    base = runs[baseline]
    others = {name: run for name, run in runs.items() if name != baseline}
    for name, run in others.items():
        if not np.array_equal(run.days, base.days):
            raise DataError(f"{name} has other days than {baseline}: they can't be compared day by day")
    # The baseline is a trial too, but is compared with nothing.
    comparisons = max(trials - 1, len(others), 1)
    gains = {name: run.returns - base.returns for name, run in others.items()}
    found = Superiority(1.0, 1.0, 1.0)
    if gains:
        found = superior_ability(np.column_stack(list(gains.values())), base.days, block=BLOCK_DAYS)
    return Comparison(
        baseline,
        {name: difference_of(base.days, gain, comparisons) for name, gain in gains.items()},
        found,
        comparisons,
    )


def difference_of(days: npt.NDArray[np.int64], gains: Floats, comparisons: int) -> Difference:
    """The mean of paired differences, with its interval alone and as one of so many.

    Args:
        days: int64 [n], one each, ms.
        gains: float64 [n], fractions.
        comparisons: How many such differences are looked at.
    """
    bps = gains * 10_000
    found = block_interval(days, bps, block=BLOCK_DAYS)
    if found is None:
        return Difference(float(bps.mean()), None, None, None, None)
    low, high = deflated_bounds(found.mean, found.low, found.high, comparisons)
    return Difference(found.mean, found.low, found.high, low, high)


def sentence_of(name: str, comparison: Comparison) -> str:
    """One variant's verdict in words."""
    found = comparison.differences[name]
    if found.excludes_zero is None:
        return f"{name}: too few days to tell it from {comparison.baseline} (at least {2 * BLOCK_DAYS} are needed)."
    if found.mean_bps == found.low_bps == found.high_bps == 0.0:
        return f"{name}: every day as {comparison.baseline}."
    if not found.excludes_zero:
        return f"{name}: not told from {comparison.baseline} by these days."
    better = "better" if found.mean_bps > 0 else "worse"
    return (
        f"{name}: {better} than {comparison.baseline} by {abs(found.mean_bps):.1f} bps a day "
        f"({found.sure_low_bps:+.1f} to {found.sure_high_bps:+.1f}, allowing for "
        f"{_counted(comparison.comparisons, 'comparison')})."
    )


def best_words(comparison: Comparison) -> str:
    """What the test for superior predictive ability says of the best variant."""
    p = comparison.superiority.consistent
    shown = "beats" if p < 0.05 else "is not shown to beat"
    return (
        f"The best of {_counted(len(comparison.differences), 'variant')} {shown} {comparison.baseline}: p {_p_words(p)} that as "
        "many variants without merit look so good (Hansen's test, 2005; weeks drawn anew)."
    )


def _p_words(p: float) -> str:
    """A share of resamples; none of them is no 0."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
