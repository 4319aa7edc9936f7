"""Means and slopes over blocks of time, each with its error: what the outcomes of a live model are judged by.

Outcomes of one block, all symbols together, are one observation. All arithmetic is on sums of blocks, so that an outcome
costs the same however long a window is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

_LEAST_SPREAD = 1e-12


class Estimate(NamedTuple):
    """A mean or a slope over a window of blocks.

    Attributes:
        value: The estimate.
        error: Its standard error.
        blocks: How many blocks it is made of.
        outcomes: How many outcomes.
    """

    value: float
    error: float
    blocks: int
    outcomes: int

    def upper(self, confidence: float) -> float:
        """The one-sided upper bound."""
        return self.value + student_quantile(confidence, self.blocks - 1) * self.error


@dataclass(slots=True)
class Block:
    """Sums over the outcomes of one block: x is the logit said, y 1 for a rise and 0 for a fall.

    ``number`` counts blocks since 1970.
    """

    number: int
    n: int = 0
    gain: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    y: int = 0
    xy: float = 0.0


def student_quantile(confidence: float, freedom: int) -> float:
    """Quantile of Student's t, by its expansion about the normal one.

    M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions (1964), 26.7.5; to 0.01 from ten degrees of
    freedom on, at confidences up to 99.5 %.
    """
    z = NormalDist().inv_cdf(confidence)
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    third = (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0
    return z + first / freedom + second / freedom**2 + third / freedom**3


def gain_estimate(
    blocks: Sequence[Block], least_blocks: int, least_outcomes: int, *, overlap: bool
) -> Estimate | None:
    """The mean gain of an outcome with its error; None where there is too little to say it."""
    n = sum(block.n for block in blocks)
    if len(blocks) < least_blocks or n < least_outcomes:
        return None
    mean = math.fsum(block.gain for block in blocks) / n
    deviations = [block.gain - mean * block.n for block in blocks]
    error = math.sqrt(_variance(blocks, deviations, overlap=overlap)) / n
    return Estimate(mean, error, len(blocks), n)


def slope_estimate(
    blocks: Sequence[Block], least_blocks: int, least_outcomes: int, *, overlap: bool
) -> Estimate | None:
    """The linear calibration slope with its error; None where there is too little, or the forecast never changes."""
    n = sum(block.n for block in blocks)
    if len(blocks) < least_blocks or n < least_outcomes:
        return None
    x = math.fsum(block.x for block in blocks) / n
    y = sum(block.y for block in blocks) / n
    spread = math.fsum(block.xx - 2.0 * x * block.x + block.n * x * x for block in blocks)
    width = y * (1.0 - y)
    if spread <= _LEAST_SPREAD * n or width <= 0.0:
        return None
    beta = math.fsum(_cross(block, x, y) for block in blocks) / spread
    deviations = [
        _cross(block, x, y) - beta * (block.xx - 2.0 * x * block.x + block.n * x * x) for block in blocks
    ]
    error = math.sqrt(_variance(blocks, deviations, overlap=overlap)) / spread
    return Estimate(beta / width, error / width, len(blocks), n)


def _cross(block: Block, x: float, y: float) -> float:
    """Sum of (logit - mean logit) · (outcome - mean outcome) over a block."""
    return block.xy - x * block.y - y * block.x + block.n * x * y


def _variance(blocks: Sequence[Block], deviations: Sequence[float], *, overlap: bool) -> float:
    """Variance of the sum of the blocks' deviations; what neighbours share only adds to it."""
    size = len(blocks)
    own = math.fsum(value * value for value in deviations)
    if overlap:
        own += 2.0 * max(
            math.fsum(
                deviations[place] * deviations[place + 1]
                for place in range(size - 1)
                if blocks[place + 1].number == blocks[place].number + 1
            ),
            0.0,
        )
    return own * size / (size - 1)
