"""The model card's sentences on how far the price may move, and how far a forecast may be off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from models.markdown import NONE, Table, as_table, is_number

NONE_MEASURED = "No volatility forecast and no interval were measured."


def range_words(report: Table) -> Iterator[str]:
    """One sentence each on ``volatility`` and ``conformal`` of a report, where they are there."""
    if moves := as_table(report.get("volatility")):
        yield _volatility_words(moves)
        if network := as_table(moves.get("network")):
            yield _network_words(network)
    if interval := as_table(report.get("conformal")):
        yield _interval_words(interval)


def _volatility_words(found: Table) -> str:
    losses, explained = as_table(found.get("qlike")), as_table(found.get("r2_log_variance"))
    return (
        f"Volatility over {found.get('horizon_minutes', NONE)} minutes: QLIKE {_form(losses.get('model'), '.3f')}, "
        f"{_form(losses.get('naive'), '.3f')} where it is taken to stay as it was (gain "
        f"{_with_bounds(as_table(found.get('qlike_gain')), '+.3f')}); R² of log variance "
        f"{_form(explained.get('model'), '.3f')} against {_form(explained.get('naive'), '.3f')}; mean square of the "
        f"returns in units of their forecast deviation {_form(found.get('standardized_variance'), '.2f')} (1 is right)."
    )


def _network_words(found: Table) -> str:
    used = "used" if found.get("served") else "not used: the regression was better on the calibrate slice"
    return (
        f"The network's own volatility forecast: QLIKE {_form(found.get('qlike'), '.3f')} against "
        f"{_form(found.get('qlike_regression'), '.3f')} of the regression, levels from the calibrate slice (gain "
        f"{_with_bounds(as_table(found.get('qlike_gain')), '+.3f')}); {used}."
    )


def _interval_words(found: Table) -> str:
    return (
        f"Interval that is meant to hold {_form(found.get('level'), '.0%')} of returns: it held "
        f"{_with_bounds(as_table(found.get('coverage')), '.1%')}, {_form(found.get('coverage_calm'), '.1%')} in the calmest "
        f"and {_form(found.get('coverage_wild'), '.1%')} in the wildest third; "
        f"{_form(found.get('mean_width_bps'), '.1f')} bps wide on average."
    )


def _form(value: Any, form: str) -> str:
    """A figure in this form; a dash for what is none."""
    return format(value, form) if is_number(value) else NONE


def _with_bounds(figure: Table, form: str) -> str:
    """A figure with its 95 % interval, where there is one."""
    said, low, high = _form(figure.get("value"), form), figure.get("low"), figure.get("high")
    return (
        f"{said} ({format(low, form)} … {format(high, form)})" if is_number(low) and is_number(high) else said
    )
