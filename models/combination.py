"""How an ensemble's members become one forecast: by fixed weights, by volatility, or by how each did lately.

Each member says a standardized return; its own calibration turns that into P(up) and cuts down what it boasts.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.hashing import canonical_json

FILE_NAME = "ensemble.json"
MINUTE_MS = 60_000

Floats = npt.NDArray[np.float64]
Combine = Literal["fixed", "volatility", "online"]
COMBINES: tuple[Combine, ...] = ("fixed", "volatility", "online")

_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its shares, and what its output is worth.

    Attributes:
        name: Name of its output column.
        weight: Its share in calm times, before shares are made to add up to 1.
        wild_weight: Its share where volatility is above the threshold.
        slope: P(up) = 1 / (1 + exp(-(slope · z + intercept))).
        intercept: Of the same.
        return_scale: How much of its expected return to believe.
        return_scale_error: Standard error of that; None where nobody measured it.
    """

    name: str
    weight: float
    wild_weight: float
    slope: float
    intercept: float
    return_scale: float
    return_scale_error: float | None = None


@dataclass(frozen=True, slots=True)
class Combination:
    """The members of an ensemble and how they are weighed.

    Attributes:
        combine: ``fixed``, ``volatility`` or ``online``.
        members: In the order of the graph's columns.
        threshold: Causal one-minute volatility above which times are wild.
        rate: Online: learning rate on log losses.
        share: Online: share of all weights that is shared out anew each minute.
        period_minutes: Online: weights start anew at whole multiples of it, and rest on one to two of them.
    """

    combine: Combine
    members: tuple[Member, ...]
    threshold: float
    rate: float
    share: float
    period_minutes: int

    @property
    def moves(self) -> bool:
        """Whether weights depend on the past, not on the moment alone."""
        return self.combine == "online"

    def memory_minutes(self, horizon: int) -> int:
        """Candles before a forecast that its weights may rest on."""
        return 2 * self.period_minutes + horizon if self.moves else 0

    def probabilities(self, raw: Floats) -> Floats:
        """Each member's P(up) for outputs [n, members], float64 of the same shape."""
        slope = np.array([member.slope for member in self.members])
        intercept = np.array([member.intercept for member in self.members])
        found: Floats = 1.0 / (1.0 + np.exp(-(slope * raw + intercept)))
        return found

    def weights(self, volatility: Floats) -> Floats:
        """The members' shares by volatility alone, float64 [n, members]; each row adds up to 1."""
        calm, wild = self._shares()
        if self.combine == "fixed":
            return np.tile(calm, (len(volatility), 1))
        return np.where((volatility > self.threshold)[:, None], wild, calm)

    def combine_rows(
        self, raw: Floats, volatility: Floats, horizon: int, weights: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """(expected log return, P(up), mean output), float64 [n] each.

        Args:
            raw: float64 [n, members], standardized returns.
            volatility: float64 [n], causal, of one minute.
            horizon: Minutes.
            weights: float64 [n, members] where they move in time; None takes ``weights(volatility)``.
        """
        shares = self.weights(volatility) if weights is None else weights
        believed = raw * np.array([member.return_scale for member in self.members])
        expected = _row_sums(shares * believed) * (volatility * math.sqrt(horizon))
        return expected, _row_sums(shares * self.probabilities(raw)), _row_sums(shares * raw)

    def uncertainty(
        self, raw: Floats, volatility: Floats, horizon: int, weights: Floats | None = None
    ) -> Floats:
        """Standard deviation of the expected log return, float64 [n]; NaN where a member's error is not known.

        The members were calibrated on the same candles and err together, so their deviations are added, which no
        correlation between them can exceed.

        Args:
            raw: As for ``combine_rows``, and so are the others.
            volatility: float64 [n].
            horizon: Minutes.
            weights: float64 [n, members] or None.
        """
        known = [member.return_scale_error for member in self.members]
        errors = np.array([math.nan if error is None else error for error in known])
        shares = self.weights(volatility) if weights is None else weights
        return _row_sums(shares * np.abs(raw) * errors) * (volatility * math.sqrt(horizon))

    def tracker(self, horizon: int) -> WeightTracker:
        """What follows one symbol and gives the members' weights at each minute."""
        return WeightTracker(self._shares()[0], self.rate / horizon, self.share, self.period_minutes, horizon)

    def _shares(self) -> tuple[Floats, Floats]:
        """Shares in calm and in wild times; each adds up to 1."""
        calm = np.array([member.weight for member in self.members])
        wild = np.array([member.wild_weight for member in self.members])
        return calm / calm.sum(), wild / wild.sum()

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(asdict(self))


class WeightTracker:
    """Weights of the members by their log losses, minute by minute: a hedge with fixed share.

    After M. Herbster and M. Warmuth, Tracking the Best Expert (1998). A label is known ``horizon`` minutes after
    its forecast and overlaps its neighbours, so each weighs ``rate / horizon``. Two chains of weights run, each
    begun anew at every other whole multiple of ``period_minutes``; the elder one counts. So the weights depend on
    two periods at most, and a restart that reads so much history has them again to the last digit.
    """

    def __init__(self, prior: Floats, rate: float, share: float, period_minutes: int, horizon: int) -> None:
        self._prior = prior.tolist()
        self._rate = rate
        self._share = share
        self._period = period_minutes
        self._horizon = horizon
        self._pending: deque[tuple[float, Sequence[float]]] = deque()
        self._last_ms: int | None = None
        self._elder = list(self._prior)
        self._younger = list(self._prior)

    def step(self, ts: int, close: float, probabilities: Floats) -> list[float]:
        """Take in one minute and give the weights of the forecast made on it.

        Args:
            ts: Open time of the minute, ms. One that does not follow the last begins anew.
            close: Its close.
            probabilities: Each member's P(up) on it.
        """
        if self._last_ms is None or ts != self._last_ms + MINUTE_MS:
            self._pending.clear()
            self._elder, self._younger = list(self._prior), list(self._prior)
        elif ts // MINUTE_MS % self._period == 0:
            self._elder, self._younger = self._younger, list(self._prior)
        self._last_ms = ts
        if len(self._pending) == self._horizon:
            before, said = self._pending.popleft()
            if close != before:
                losses = [_loss(p, up=close > before) for p in said]
                self._elder = self._learn(self._elder, losses)
                self._younger = self._learn(self._younger, losses)
        self._pending.append((close, probabilities.tolist()))
        return self._elder

    def _learn(self, weights: list[float], losses: list[float]) -> list[float]:
        """Weights after one outcome: multiplied down by loss, then shared out a little."""
        least = min(losses)
        grown = [w * math.exp(-self._rate * (loss - least)) for w, loss in zip(weights, losses, strict=True)]
        total = math.fsum(grown)
        keep = 1.0 - self._share
        return [keep * w / total + self._share * prior for w, prior in zip(grown, self._prior, strict=True)]


def combination_from_json(content: bytes, names: tuple[str, ...]) -> Combination:
    """Read what ``Combination.to_json`` wrote; ModelError when it is not that, or for other members."""
    try:
        document: dict[str, Any] = json.loads(content)
        members = tuple(Member(**member) for member in document.pop("members"))
        found = Combination(members=members, **document)
        fine = _usable(found)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as fault:
        raise ModelError(f"{FILE_NAME} does not describe an ensemble: {fault}") from fault
    if not fine:
        raise ModelError(f"{FILE_NAME} holds a number that cannot be used")
    if tuple(member.name for member in members) != names:
        raise ModelError(f"{FILE_NAME} names other members than the passport")
    return found


def _usable(read: Combination) -> bool:
    """Whether every number is one, and within its bounds."""
    members = read.members
    shares = [member.weight for member in members], [member.wild_weight for member in members]
    curves = [value for member in members for value in (member.slope, member.intercept)]
    return (
        all(math.isfinite(value) and abs(value) < 1e6 for value in (*shares[0], *shares[1], *curves))
        and all(min(share) >= 0.0 and sum(share) > 0.0 for share in shares)
        and all(0.0 <= member.return_scale <= 1.0 for member in members)
        and all(0.0 <= (member.return_scale_error or 0.0) <= 1.0 for member in members)
        and read.combine in COMBINES
        and math.isfinite(read.threshold)
        and 0.0 < read.rate < math.inf
        and 0.0 <= read.share < 1.0
        and type(read.period_minutes) is int
        and read.period_minutes > 0
    )


def _loss(probability: float, *, up: bool) -> float:
    """-log of the probability given to what came, nats."""
    given = probability if up else 1.0 - probability
    return -math.log(min(max(given, _LEAST_PROBABILITY), 1.0))


def _row_sums(table: Floats) -> Floats:
    """Sums of rows column by column: the same to the bit for one row and for a thousand."""
    total = np.zeros(len(table))
    for column in range(table.shape[1]):
        total += table[:, column]
    return total
