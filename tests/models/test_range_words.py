"""The model card's sentences on volatility and intervals."""

from __future__ import annotations

from typing import Any

from models.range_words import range_words

REPORT: dict[str, Any] = {
    "volatility": {
        "horizon_minutes": 15,
        "qlike": {"model": 0.41, "naive": 0.49},
        "qlike_gain": {"value": 0.08, "low": 0.05, "high": 0.118},
        "r2_log_variance": {"model": 0.645, "naive": 0.586},
        "standardized_variance": 1.06,
    },
    "conformal": {
        "level": 0.9,
        "coverage": {"value": 0.912, "low": 0.901, "high": 0.923},
        "coverage_calm": 0.92,
        "coverage_wild": 0.9,
        "mean_width_bps": 71.24,
    },
}


def test_both_are_told_with_their_intervals() -> None:
    """What the forecast is worth beside a volatility that stays, and how often the interval held."""
    volatility, interval = range_words(REPORT)
    assert volatility == (
        "Volatility over 15 minutes: QLIKE 0.410, 0.490 where it is taken to stay as it was (gain +0.080 (+0.050 … "
        "+0.118)); R² of log variance 0.645 against 0.586; mean square of the returns in units of their forecast deviation "
        "1.06 (1 is right)."
    )
    assert interval == (
        "Interval that is meant to hold 90% of returns: it held 91.2% (90.1% … 92.3%), 92.0% in the calmest and 90.0% in "
        "the wildest third; 71.2 bps wide on average."
    )


def test_the_networks_own_forecast_is_told_with_whether_it_is_used() -> None:
    """Beside the regression's, after it."""
    network = {
        "qlike": 0.42,
        "qlike_regression": 0.41,
        "qlike_gain": {"value": -0.01, "low": None, "high": None},
    }
    (_, told, _) = range_words(
        REPORT | {"volatility": REPORT["volatility"] | {"network": network | {"served": False}}}
    )
    assert told == (
        "The network's own volatility forecast: QLIKE 0.420 against 0.410 of the regression, levels from the calibrate slice "
        "(gain -0.010); not used: the regression was better on the calibrate slice."
    )


def test_what_was_not_measured_is_left_out_or_a_dash() -> None:
    """Reports without them, with None, and with figures of samples too short for an interval are told all the same."""
    assert not list(range_words({}))
    assert not list(range_words({"volatility": None, "conformal": None}))
    (told,) = range_words(
        {"conformal": {"level": 0.9, "coverage": {"value": 0.5, "low": None, "high": None}}}
    )
    assert told.startswith("Interval that is meant to hold 90% of returns: it held 50.0%, – in the calmest")
