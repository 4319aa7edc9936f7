"""Forecasters side by side on the same out-of-sample minutes: who knows something, and who only repeats a baseline.

A model **adds** something when its log loss is below that of the best baseline of its horizon, minute by minute, and
the whole 95 % interval of that gain lies above 0. The best baseline is the one with the lowest log loss on these very
minutes: the choice is made in hindsight, and so makes it harder for the model, never easier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_minutes
from models.figures import Figure, mean_figure
from models.log_loss import log_loss
from models.skill import MILLI, Skill, skill
from models.trials import deflated_bounds, deflated_confidence
from models.verdict import LEAST_BLOCKS, LEAST_MOVES

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

LEAST_COVERAGE = 0.5
"""A model that forecasts in fewer of its minutes than this is measured on its own minutes: it would else take them
from all the others."""
_SYMBOL_SHIFT = 44
_TIME_MASK = (1 << _SYMBOL_SHIFT) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One forecaster at n moments.

    Attributes:
        name: For people: a model's recipe or id, a baseline's name.
        ground: What its baselines were fitted on; contenders of one ground share features and train slice.
        horizon: Minutes ahead.
        is_model: False for a baseline.
        moments: int64 [n], strictly increasing, by ``moment_keys``.
        realized: float64 [n], the return that came; NaN where it is not known.
        direction: float64 [n]; the sign is the direction said.
        probability: float64 [n], P(up), or None.
        given: bool [n], where there is a forecast.
        expected: float64 [n], the log return expected, or None.
    """

    name: str
    ground: str
    horizon: int
    is_model: bool
    moments: Indices
    realized: Floats
    direction: Floats
    probability: Floats | None
    given: Flags
    expected: Floats | None = None

    @property
    def coverage(self) -> float:
        """Share of its moments that it gives a forecast for."""
        return float(self.given.mean()) if len(self.given) else 0.0

    def answered(self) -> Indices:
        """Moments with a forecast and a known outcome."""
        return self.moments[self.given & np.isfinite(self.realized)]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a contender stands.

    Attributes:
        contender: Who.
        samples: Moments that it was measured on.
        moves: Of them, those that are no tie.
        shared: False for a model on minutes of its own (``LEAST_COVERAGE``).
        skill: The figures; None where there is nothing to measure on.
        rival: Name of the best baseline of its horizon on these minutes; None for a baseline.
        rival_ground: Its ground.
        edge: Gain over that baseline, millinats; None for a baseline.
        adds: Whether it adds something; None for a baseline, and where there is too little to tell. A model that
            never forecasts adds nothing.
        sentence: The verdict in plain words; empty for a baseline.
    """

    contender: Contender
    samples: int
    moves: int
    shared: bool
    skill: Skill | None
    rival: str | None = None
    rival_ground: str | None = None
    edge: Figure | None = None
    adds: bool | None = None
    sentence: str = ""

    def as_json(self) -> dict[str, Any]:
        """The standing as JSON values."""
        one = self.contender
        return {
            "name": one.name,
            "ground": one.ground,
            "is_model": one.is_model,
            "horizon_minutes": one.horizon,
            "coverage": one.coverage,
            "samples": self.samples,
            "ties": self.samples - self.moves,
            "shared_minutes": self.shared,
            "skill": None if self.skill is None else self.skill.as_json(),
            "best_baseline": self.rival,
            "best_baseline_ground": self.rival_ground,
            "gain_over_best_baseline": None if self.edge is None else self.edge._asdict(),
            "adds": self.adds,
            "verdict": self.sentence,
        }


def moment_keys(symbol: npt.NDArray[np.int16], ts: Indices) -> Indices:
    """One number for a symbol's minute, int64 [n]: the same symbol numbers must mean the same symbols."""
    return (symbol.astype(np.int64) << _SYMBOL_SHIFT) + ts


def compare(contenders: Sequence[Contender], *, trials: int = 1) -> list[Standing]:
    """Measure all on the minutes that all have, models beside the baselines of their horizons.

    Minutes count where every baseline and every model of enough coverage has a forecast, and every horizon its
    outcome. Within a horizon baselines come first, then models, each in the order given.

    Args:
        contenders: Each model's ground must have a baseline named ``base_rate``.
        trials: Distinct trials on these minutes, these models among them; what adds something must do so at the
            confidence that so many ask for (``models.trials``).
    """
    common = shared_moments(contenders)
    standings = []
    for horizon in sorted({one.horizon for one in contenders}):
        field = [one for one in contenders if one.horizon == horizon]
        baselines = [one for one in field if not one.is_model]
        standings += [_measured(one, baselines, common, shared=True) for one in baselines]
        standings += [_judged(one, baselines, common, trials) for one in field if one.is_model]
    return standings


def shared_moments(contenders: Iterable[Contender]) -> Indices:
    """Moments that every baseline and every model of enough coverage has answered."""
    counted = [one.answered() for one in contenders if not one.is_model or one.coverage >= LEAST_COVERAGE]
    return reduce(_both, counted) if counted else np.empty(0, np.int64)


def _judged(model: Contender, baselines: Sequence[Contender], common: Indices, trials: int) -> Standing:
    """A model with its verdict, on the common minutes or, where it seldom speaks, on its own."""
    shared = model.coverage >= LEAST_COVERAGE
    chosen = common if shared else reduce(_both, [one.answered() for one in baselines], model.answered())
    measured = _measured(model, baselines, chosen, shared=shared)
    if measured.skill is None:
        words = (
            f"{model.name} adds nothing: in none of the minutes does it give a forecast that can be measured."
        )
        return _with_verdict(measured, None, None, False, words)
    realized = _at(model, model.realized, chosen)
    ts = chosen & _TIME_MASK
    losses = {
        place: log_loss(_at(one, one.probability, chosen), realized)
        for place, one in enumerate(baselines)
        if one.probability is not None
    }
    best = min(losses, key=lambda place: float(np.nanmean(losses[place])))
    said = log_loss(_at(model, model.probability, chosen), realized)
    edge = mean_figure(ts, (losses[best] - said) * MILLI, block_minutes(model.horizon))
    blocks = len(np.unique(ts)) / block_minutes(model.horizon)
    asked = _deflated(edge, trials)
    adds = _adds(asked, measured.moves, blocks)
    words = _sentence(model.name, baselines[best], asked, adds, measured.moves, blocks, trials)
    return _with_verdict(measured, baselines[best], edge, adds, words)


def _measured(one: Contender, baselines: Sequence[Contender], chosen: Indices, *, shared: bool) -> Standing:
    """A contender's figures at the chosen moments."""
    realized = _at(one, one.realized, chosen)
    moves = int(np.count_nonzero(realized))
    if not moves:
        return Standing(one, len(chosen), moves, shared, None)
    base = next(other for other in baselines if other.name == "base_rate" and other.ground == one.ground)
    figures = skill(
        chosen & _TIME_MASK,
        realized,
        _at(one, one.direction, chosen),
        None if one.probability is None else _at(one, one.probability, chosen),
        _at(base, base.probability, chosen),
        block=block_minutes(one.horizon),
        expected=None if one.expected is None else _at(one, one.expected, chosen),
    )
    return Standing(one, len(chosen), moves, shared, figures)


def _with_verdict(
    measured: Standing, rival: Contender | None, edge: Figure | None, adds: bool | None, sentence: str
) -> Standing:
    """The standing of a model with its verdict."""
    return Standing(
        measured.contender,
        measured.samples,
        measured.moves,
        measured.shared,
        measured.skill,
        rival=None if rival is None else rival.name,
        rival_ground=None if rival is None else rival.ground,
        edge=edge,
        adds=adds,
        sentence=sentence,
    )


def _deflated(edge: Figure | None, trials: int) -> Figure | None:
    """The gain with its interval at the confidence that so many trials ask for."""
    if edge is None or edge.low is None or edge.high is None:
        return edge
    return Figure(edge.value, *deflated_bounds(edge.value, edge.low, edge.high, trials))


def _adds(edge: Figure | None, moves: int, blocks: float) -> bool | None:
    """Whether the whole interval lies above 0; None where the sample is too small to tell."""
    if edge is None or edge.low is None or moves < LEAST_MOVES or blocks < LEAST_BLOCKS:
        return None
    return edge.low > 0.0


def _sentence(
    name: str,
    rival: Contender,
    edge: Figure | None,
    adds: bool | None,
    moves: int,
    blocks: float,
    trials: int,
) -> str:
    """The verdict in plain words."""
    if adds is None or edge is None:
        return (
            f"{name}: not enough data, {moves:,} moves over {blocks:.0f} independent stretches; "
            f"{LEAST_MOVES:,} over {LEAST_BLOCKS:.0f} are the least that it can be judged on."
        )
    share = f"{100.0 * deflated_confidence(trials):.4g} %"
    figures = f"{edge.value:+.2f} millinats, {share} interval {edge.low:+.2f} to {edge.high:+.2f}"
    best = rival.name.replace("_", " ")
    if adds:
        return f"{name} adds something: it beats the best baseline, {best}, by {figures}."
    if edge.high is not None and edge.high < 0.0:
        return f"{name} adds nothing: it is worse than the best baseline, {best} ({figures})."
    return f"{name} adds nothing: its gain over the best baseline, {best}, is {figures}, which includes none."


def _at(one: Contender, values: Floats | None, chosen: Indices) -> Floats:
    """A column at the chosen moments, all of which the contender has."""
    if values is None:
        return np.empty(0)
    picked: Floats = values[np.searchsorted(one.moments, chosen)]
    return picked


def _both(one: Indices, other: Indices) -> Indices:
    """Moments of both."""
    return np.intersect1d(one, other, assume_unique=True)
