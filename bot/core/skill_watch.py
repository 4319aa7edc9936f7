"""Does a model that trades still know anything? Its outcomes are followed, and lasting losses cut its size.

The gain of an outcome is the log loss of the base rate minus that of the forecast; moves of exactly zero are left out.
Outcomes of one block of time, all symbols together, are one observation: labels that overlap, and symbols that move
together, say less than as many independent ones. A block is max(horizon, 30) minutes long; what a label shares with
the next block is counted as the blocks' autocovariance at lag one (L. P. Hansen and R. J. Hodrick, 1980).

- The mean gain of a window is the ratio of the blocks' sums, its error that of a ratio (W. G. Cochran, Sampling
  Techniques, 1977, chapter 6). Doubted is a model whose mean gain is below 0, or whose slope is below what the gate asks for, with some
  confidence: a signal that has turned is as far from its promise as from nothing. It is trusted again
  once that holds no more at a confidence half way to even odds. A doubt that lasts stops entries. A mean that is below 0
  over a longer window with more confidence ends its trading.
- The calibration slope is the linear one: the covariance of what came (1 or 0) with the logit said, over the variance of
  the logit and of what came. That is one step of Newton's method for the logistic slope from a slope of 0, so its sign
  is exactly that of the score test; bold forecasts (logits far beyond 1) make it smaller than the logistic slope.

All arithmetic is on sums of blocks: an outcome costs the same however long the windows are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from bot.core.market import DAY_MS, MINUTE_MS, Symbol
from bot.core.outcome_blocks import Block, Estimate, gain_estimate, slope_estimate
from bot.errors import EngineProtocolError

BLOCK_MINUTES = 30
"""The shortest block."""

HALF = 0.5
"""What is left of the size of entries while a model is doubted."""

_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class WatchRules:
    """When the model that trades is doubted, and when its trading ends.

    Attributes:
        doubt_days: Window of the doubt that halves entries.
        doubt_confidence: One-sided confidence with which its mean gain must lie below 0, or its slope below ``min_slope``.
        freeze_days: A doubt that lasts so long stops entries altogether, until it ends.
        rollback_days: Window of the test that ends trading.
        rollback_confidence: One-sided confidence of that test, and of the one of the slope.
        min_slope: A calibration slope surely below this ends trading.
        max_psi: Population stability index of a feature that counts as drift.
        max_drift_share: Share of the features in drift above which no position is opened.
        inference_deadline_ms: Three forecasts in a row that take longer end trading.
        max_stale_minutes: So many minutes in a row without a forecast that was due end trading.
        min_outcomes: Outcomes below which a window says nothing.
        doubt_blocks: The same in blocks, for the doubt. A window that cannot hold as many is lengthened.
        rollback_blocks: The same for the tests that end trading.
    """

    doubt_days: float = 0.75
    doubt_confidence: float = 0.75
    freeze_days: float = 0.75
    rollback_days: float = 3.0
    rollback_confidence: float = 0.99
    min_slope: float = 0.5
    max_psi: float = 0.25
    max_drift_share: float = 0.5
    inference_deadline_ms: float = 1000.0
    max_stale_minutes: int = 10
    min_outcomes: int = 200
    doubt_blocks: int = 12
    rollback_blocks: int = 24


class Outcome(NamedTuple):
    """A forecast whose horizon has passed.

    Attributes:
        symbol: The market.
        closed_at_ms: Close of the candle that it was made on.
        horizon_minutes: Distance predicted.
        probability_up: What was said.
        base_rate: P(up) of the training data, which it is measured against.
        realized: Log return over the horizon.
    """

    symbol: Symbol
    closed_at_ms: int
    horizon_minutes: int
    probability_up: float
    base_rate: float
    realized: float


class Doubt(NamedTuple):
    """What the outcomes say of the model.

    Attributes:
        size_factor: 1, one half, or 0: what entries are multiplied by.
        reasons: Stable words: ``log_loss_doubted``, ``doubt_lasted``, ``log_loss``, ``calibration_collapse``.
        rollback: Its trading ends.
    """

    size_factor: float
    reasons: tuple[str, ...]
    rollback: bool


def log_loss_gain(outcome: Outcome) -> float:
    """Log loss of the base rate minus that of the forecast, nats; 0 for a tie."""
    if outcome.realized == 0.0:
        return 0.0
    said, base = _bounded(outcome.probability_up), _bounded(outcome.base_rate)
    return math.log(said / base) if outcome.realized > 0.0 else math.log((1.0 - said) / (1.0 - base))


class SkillWatch:
    """Follows the outcomes of one model.

    Args:
        rules: When to doubt.
    """

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self._horizon = 0
        self._blocks: dict[int, Block] = {}
        self._whole = -1
        self._doubted = False
        self._doubted_since = 0
        self._ended: tuple[str, ...] = ()
        self._gain: Estimate | None = None
        self._slope: Estimate | None = None
        self._recent_slope: Estimate | None = None

    def add(self, outcome: Outcome) -> None:
        """Take in an outcome; in any order, though one of a block already judged may come too late to matter.

        Raises:
            EngineProtocolError: It is of another horizon than the ones before, or not finite.
        """
        if self._horizon == 0:
            self._horizon = outcome.horizon_minutes
        if outcome.horizon_minutes != self._horizon or outcome.horizon_minutes < 1:
            raise EngineProtocolError(
                f"outcomes over {outcome.horizon_minutes} minutes among those over {self._horizon}"
            )
        if not all(math.isfinite(v) for v in (outcome.probability_up, outcome.base_rate, outcome.realized)):
            raise EngineProtocolError(
                f"the outcome of {outcome.symbol} at {outcome.closed_at_ms} is not finite"
            )
        if outcome.realized == 0.0:
            return
        number = outcome.closed_at_ms // self._block_ms
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = Block(number)
        said = _bounded(outcome.probability_up)
        x, y = math.log(said / (1.0 - said)), int(outcome.realized > 0.0)
        block.n += 1
        block.gain += log_loss_gain(outcome)
        block.x += x
        block.xx += x * x
        block.y += y
        block.xy += x * y

    def doubt(self, now_ms: int) -> Doubt:
        """What the whole blocks up to now say.

        A block is whole once the horizon of its last minute has passed, so this changes once a block. An end is
        final; a doubt ends once it has become weak.

        Args:
            now_ms: The exchange's time; must not go back.
        """
        whole = -1 if self._horizon == 0 else (now_ms - self._horizon * MINUTE_MS) // self._block_ms
        if whole > self._whole:
            self._whole = whole
            self._judge()
        if self._ended:
            return Doubt(0.0, self._ended, rollback=True)
        if self._doubted:
            lasted_ms = (self._whole - self._doubted_since) * self._block_ms
            if lasted_ms >= self._rules.freeze_days * DAY_MS:
                return Doubt(0.0, ("doubt_lasted",), rollback=False)
            return Doubt(HALF, ("log_loss_doubted",), rollback=False)
        return Doubt(1.0, (), rollback=False)

    @property
    def gain(self) -> Estimate | None:
        """Mean gain over the days of the doubt, nats; None while there is too little."""
        return self._gain

    @property
    def slope(self) -> Estimate | None:
        """Calibration slope over the days of the rollback; None while there is too little, or one thing is said."""
        return self._slope

    def report(self) -> dict[str, Any]:
        """What ``bot status`` shows, as JSON values; the gain in millinats."""
        return {
            "gain_millinats": None if self._gain is None else round(self._gain.value * 1000.0, 4),
            "gain_upper_millinats": _upper(self._gain, self._rules.doubt_confidence, 1000.0),
            "outcomes": 0 if self._gain is None else self._gain.outcomes,
            "slope": None if self._slope is None else round(self._slope.value, 4),
            "slope_upper": _upper(self._slope, self._rules.rollback_confidence, 1.0),
        }

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""
        return {
            "horizon": self._horizon,
            "whole": self._whole,
            "doubted": self._doubted,
            "doubted_since": self._doubted_since,
            "ended": list(self._ended),
            "blocks": [
                [getattr(block, field.name) for field in fields(Block)]
                for _, block in sorted(self._blocks.items())
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""
        self._horizon = state["horizon"]
        self._blocks = {row[0]: Block(*row) for row in state["blocks"]}
        self._doubted = state["doubted"]
        self._doubted_since = state["doubted_since"]
        self._ended = tuple(state["ended"])
        self._whole = state["whole"]
        if self._horizon:
            self._estimate()

    @property
    def _block_ms(self) -> int:
        """Length of a block."""
        return max(self._horizon, BLOCK_MINUTES) * MINUTE_MS

    def _judge(self) -> None:
        """Look at the windows that end with the last whole block."""
        rules = self._rules
        recent = self._estimate()
        if self._below(rules.doubt_confidence):
            if not self._doubted:
                self._doubted_since = self._whole
            self._doubted = True
        elif not self._below((rules.doubt_confidence + 0.5) / 2.0):
            self._doubted = False
        if self._ended:
            return
        reasons = []
        gain = gain_estimate(recent, rules.rollback_blocks, rules.min_outcomes, overlap=self._horizon > 1)
        if gain is not None and gain.upper(rules.rollback_confidence) < 0.0:
            reasons.append("log_loss")
        if self._slope is not None and self._slope.upper(rules.rollback_confidence) < rules.min_slope:
            reasons.append("calibration_collapse")
        self._ended = tuple(reasons)

    def _below(self, confidence: float) -> bool:
        """Whether gain or slope of the short window lie below what they must not, with this confidence."""
        gain, slope = self._gain, self._recent_slope
        lost = gain is not None and gain.upper(confidence) < 0.0
        return lost or (slope is not None and slope.upper(confidence) < self._rules.min_slope)

    def _estimate(self) -> list[Block]:
        """Compute gain and slope, forget what no window holds any more, and give the blocks of the long window."""
        rules, overlap = self._rules, self._horizon > 1
        long = self._span(rules.rollback_days, rules.rollback_blocks)
        short = self._span(rules.doubt_days, rules.doubt_blocks)
        oldest = self._whole - max(long, short)
        for number in [number for number in self._blocks if number < oldest]:
            del self._blocks[number]
        newest = list(self._within(short))
        self._gain = gain_estimate(newest, rules.doubt_blocks, rules.min_outcomes, overlap=overlap)
        self._recent_slope = slope_estimate(newest, rules.doubt_blocks, rules.min_outcomes, overlap=overlap)
        recent = list(self._within(long))
        self._slope = slope_estimate(recent, rules.rollback_blocks, rules.min_outcomes, overlap=overlap)
        return recent

    def _span(self, days: float, least: int) -> int:
        """Blocks of a window."""
        return max(round(days * DAY_MS / self._block_ms), least)

    def _within(self, span: int) -> Iterator[Block]:
        """The newest whole blocks that hold something, in order of time."""
        return (
            self._blocks[number]
            for number in range(self._whole - span, self._whole)
            if number in self._blocks
        )


def _bounded(probability: float) -> float:
    """A probability that has a logarithm, and so has what it leaves."""
    return min(max(probability, _LEAST_PROBABILITY), 1.0 - _LEAST_PROBABILITY)


def _upper(estimate: Estimate | None, confidence: float, unit: float) -> float | None:
    return None if estimate is None else round(estimate.upper(confidence) * unit, 4)
