"""One plain sentence about a forecast: an edge was shown, or none was, or there is too little to tell.

A model is judged by its paired log-loss gain over the **best** baseline, the one with the lowest log loss on these very
minutes: chosen in hindsight, which is against the model. The interval holds at the confidence that all trials on these
minutes ask for (``models.trials``).

- **edge shown**: the whole interval lies above 0.
- **not enough data**: less than the least that can be judged on; or the gain is above 0, its interval includes 0, and
  also ``LEAST_GAIN`` or more: these days could not have told. Then it is said how many days would be enough.
- **no edge shown**: everything else.

**Days that would be enough** to tell a gain of the observed size, or of ``LEAST_GAIN`` where that is more, from none:
days · ((z + z₈₀) · error / gain)², with the error as it was observed, z of the confidence asked for and z₈₀ = 0.84, so
that four samples of five would show it (J. Cohen, Statistical Power Analysis, 1988). It assumes that gain and variance
stay as they are, and that the error falls with the square root of the time.

What is left after costs is said separately: a forecast can know something and still not pay for one trade.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from models.figures import Figure
from models.trials import ALONE, LEVEL, Record, deflated_bounds, two_sided_quantile

LEAST_MOVES = 1000
LEAST_BLOCKS = 20.0
"""Fewer independent stretches than this leave the interval itself uncertain."""
LEAST_GAIN = 0.1
"""Millinats. A smaller gain interests nobody: no market pays for it."""
POWER = 0.8

_NAMES = {
    "base_rate": "the base rate",
    "persistence": "persistence",
    "last_return_sign": "the last return's sign",
    "logistic_regression": "logistic regression",
    "lightgbm": "LightGBM",
}


@dataclass(frozen=True, slots=True)
class NetOfCosts:
    """What trades on the forecasts earned after the configured costs.

    Attributes:
        trades: How many.
        bps: Mean net return of a trade, bps; None without trades.
    """

    trades: int
    bps: Figure | None


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict rests on.

    Attributes:
        rival: Name of the best baseline.
        gain: Paired log-loss gain over it, millinats; None where the model says no probabilities.
        moves: Samples that are not ties.
        blocks: Length of the sample in bootstrap blocks.
        days: Length of the sample, days of minutes.
        record: The trials on these minutes.
        net: After costs; None where they were not counted.
    """

    rival: str
    gain: Figure | None
    moves: int
    blocks: float
    days: float
    record: Record = ALONE
    net: NetOfCosts | None = None


def judge(case: Case) -> dict[str, Any]:
    """Judge a model.

    Returns:
        ``edge`` (``shown``, ``not_shown`` or ``not_enough_data``), ``net`` (the same of trades after costs, None where
        they were not counted), ``sentence``, ``best_baseline``, ``gain_millinats``, ``gain_interval`` (at
        ``confidence``), ``trials``, ``days`` and ``days_enough`` (None where nothing more is needed or it cannot be
        told).
    """
    bounds = None if case.gain is None else _deflated(case.gain, case.record)
    edge = _edge(case, bounds)
    enough = days_enough(case) if edge == "not_enough_data" else None
    net = None if case.net is None else _net_edge(case.net, case.record)
    sentences = [
        _edge_sentence(case, edge, bounds),
        _days_sentence(case, enough),
        _net_sentence(case, edge, net),
    ]
    return {
        "edge": edge,
        "net": net,
        "sentence": " ".join(sentence for sentence in sentences if sentence),
        "best_baseline": case.rival,
        "gain_millinats": None if case.gain is None else case.gain.value,
        "gain_interval": None if bounds is None else list(bounds),
        "confidence": case.record.confidence,
        "trials": case.record.trials,
        "days": case.days,
        "days_enough": enough,
    }


def days_enough(case: Case) -> float | None:
    """How many days would be enough to judge; None where nothing can be extrapolated from.

    Without a gain above 0 there is none to tell: then these are the least that can be judged on.
    """
    if case.days <= 0.0 or case.moves <= 0:
        return None
    floor = case.days * max(LEAST_MOVES / case.moves, LEAST_BLOCKS / max(case.blocks, 1e-9))
    gain = case.gain
    if gain is None or gain.low is None or gain.high is None or gain.value <= 0.0:
        return floor
    error = (gain.high - gain.low) / (2.0 * two_sided_quantile(LEVEL))
    reach = two_sided_quantile(case.record.confidence) + NormalDist().inv_cdf(POWER)
    return max(floor, case.days * (reach * error / max(gain.value, LEAST_GAIN)) ** 2)


def name_words(name: str) -> str:
    """A baseline's name in a sentence."""
    return _NAMES.get(name, name.replace("_", " "))


def _edge(case: Case, bounds: tuple[float, float] | None) -> str:
    """The rule of the module's docstring."""
    if _too_little(case) or case.gain is None or bounds is None:
        return "not_enough_data"
    low, high = bounds
    if low > 0.0:
        return "shown"
    return "not_enough_data" if case.gain.value > 0.0 and high >= LEAST_GAIN else "not_shown"


def _deflated(figure: Figure, record: Record) -> tuple[float, float] | None:
    """A figure's interval at the confidence that all trials ask for."""
    if figure.low is None or figure.high is None:
        return None
    return deflated_bounds(figure.value, figure.low, figure.high, record.trials)


def _too_little(case: Case) -> bool:
    """Whether the sample is below the least that can be judged on."""
    return case.moves < LEAST_MOVES or case.blocks < LEAST_BLOCKS


def _edge_sentence(case: Case, edge: str, bounds: tuple[float, float] | None) -> str:
    """What the log loss says."""
    if case.gain is None or bounds is None or _too_little(case):
        return (
            f"Not enough data: {case.moves:,} moves over {case.blocks:.0f} independent stretches; "
            f"{LEAST_MOVES:,} over {LEAST_BLOCKS:.0f} are the least that an edge can be judged on."
        )
    best = name_words(case.rival)
    figures = f"{case.gain.value:+.2f} millinats, {_interval(bounds, case.record)}"
    if edge == "shown":
        return f"Edge shown: the log loss is better than that of the best baseline, {best}, by {figures}."
    if edge == "not_enough_data":
        return f"Not enough data: the gain over the best baseline, {best}, is {figures}, which includes none."
    if bounds[1] < 0.0:
        return f"No edge shown: worse than the best baseline, {best} ({figures})."
    return f"No edge shown: the gain over the best baseline, {best}, is {figures}, which includes none."


def _days_sentence(case: Case, enough: float | None) -> str:
    """How many days would be enough, where the days are too few."""
    if enough is None:
        return ""
    days = _days(enough)
    if case.gain is None or case.gain.low is None or case.gain.value <= 0.0:
        return f"At least {days} like these would be needed (these are {case.days:.1f})."
    size = max(case.gain.value, LEAST_GAIN)
    return (
        f"About {days} would be enough to tell a gain of {size:.2f} from none "
        f"(these are {case.days:.1f}; at this variance, with a power of {POWER:.0%})."
    )


def _days(count: float) -> str:
    """A number of days in two digits at most: it is no better known than that."""
    whole = math.ceil(count)
    if whole >= 100:
        step = int(10 ** (math.floor(math.log10(whole)) - 1))
        whole = math.ceil(whole / step) * step
    return "1 day" if whole == 1 else f"{whole:,} days"


def _net_edge(net: NetOfCosts, record: Record) -> str:
    """Whether trades earn something after costs, by the same confidence."""
    if net.bps is None:
        return "not_shown"
    bounds = _deflated(net.bps, record)
    if bounds is None:
        return "not_enough_data"
    return "shown" if bounds[0] > 0.0 else "not_shown"


def _net_sentence(case: Case, edge: str, net: str | None) -> str:
    """What is left after costs, said by itself."""
    if case.net is None:
        return "Costs are not counted."
    earned = _earned(case.net, case.record)
    if edge == "shown" and net == "shown":
        return f"After costs too: {earned}."
    if edge == "shown":
        return f"An edge in log loss, but none {'shown ' if case.net.trades else ''}after costs: {earned}."
    return f"Net of costs: {earned}."


def _earned(net: NetOfCosts, record: Record) -> str:
    """The figures of the trades."""
    if net.bps is None:
        return "no forecast is large enough to pay for a trade"
    trades = "1 trade" if net.trades == 1 else f"{net.trades:,} trades"
    bounds = _deflated(net.bps, record)
    said = f"{net.bps.value:+.1f} bps a trade over {trades}"
    return (
        f"{said}, too few for an interval"
        if bounds is None
        else f"{said}, {_interval(bounds, record, '+.1f')}"
    )


def _interval(bounds: tuple[float, float], record: Record, form: str = "+.2f") -> str:
    """An interval, and why its confidence is not 95 % where it is not."""
    shown = f"{100.0 * record.confidence:.4g} % interval {bounds[0]:{form}} to {bounds[1]:{form}}"
    return shown if record.trials == 1 else f"{shown} ({record.trials} trials on these minutes)"
