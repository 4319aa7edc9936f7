"""What the figures of an inspection are called and mean: the same words on the pictures and on the page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.importance import ColumnImportance, Effect
    from models.inspection import Inspection

PLAIN, PALE, FAINT, SECOND, GREY, HELD = "#1f5fa8", "#b9cde4", "#7aa5d2", "#d1661b", "#777777", "#a36cc2"
"""Colours: what is measured, its pale form, what is secondary to the second colour, what is forecast, aids, withheld."""

SIMULATED = "SIMULATED MARKET"

IMPORTANCE_TITLE = "Permutation importance"
ATTENTION_TITLE = "Attention over the window (attention, not attribution)"
PREDICTION_TITLE = "Forecasts beside what came"
PATH_TITLE = "Forecast from one moment"
CURVES_TITLE = "Training curves"

IMPORTANCE_MEANING = (
    "How much worse the forecasts get when one column's values over the whole window are those of another moment: the "
    "longer the bar, the more the forecasts rest on that column."
)
IMPORTANCE_READING = (
    "Bars are means over shuffles, whiskers one standard deviation over shuffles. Pale bars cannot be told from 0: the "
    "95 % interval over market time holds it, or there is too little time for one. Columns that say the same share "
    "their importance, or hide it."
)
ATTENTION_MEANING = (
    "How the network shares out its attention over the minutes of its window. This is attention, not attribution: a "
    "minute that is looked at need not have moved the forecast."
)
PREDICTION_MEANING = (
    "Each forecast stands at the minute that it is about, so a good one lies on the price; persistence, which repeats "
    "the last price, is what it has to beat."
)
PATH_MEANING = "All that the model says at one moment, beside the closes that came after it."
CURVES_MEANING = "The loss of each epoch on what was learnt from and on the early-stop slice; the dotted line is the epoch kept."


def time_words(at_ms: int) -> str:
    """A time to the minute, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def sample_words(found: Inspection) -> str:
    """Whether the model had seen these candles."""
    if not found.training_known:
        return "it is not known what the model was made from"
    return "IN SAMPLE: the fit, not the forecast" if found.in_sample else "out of sample"


def warning_words(found: Inspection) -> list[str]:
    """What a reader has to know before any figure."""
    told = []
    if found.in_sample:
        told.append(
            "IN SAMPLE: the model was made from candles of this time; this is its fit, not its forecast."
        )
    if not found.training_known:
        told.append(
            "The model does not say what it was made from: whether it had seen these candles is not known."
        )
    if found.left_out:
        told.append(f"{found.left_out:,} windows from the time that the model was made from were left out.")
    if found.withheld:
        told.append(
            f"{found.withheld:,} of {found.importance.windows:,} windows lie beyond what was seen in training: the bot "
            "gives no forecast there; the figures count them all the same."
        )
    if not found.importance.probability_moves:
        told.append(
            "P(up) is the same whatever the columns are: the calibration found this model's forecasts worth nothing, so the "
            "log loss cannot tell columns apart. By how much the output moves still tells what the model reads."
        )
    return told


def subtitle(found: Inspection) -> str:
    """What was looked at, for under a picture's title."""
    parts = [
        *([SIMULATED] if found.simulated else []),
        found.model_id,
        ", ".join(found.symbols),
        f"{time_words(found.from_ms)} to {time_words(found.until_ms)} UTC",
        sample_words(found),
    ]
    return " · ".join(parts)


def price_unit(symbol: str) -> str:
    """The quote currency of a symbol such as ``BTC/USDT:USDT``; "quote currency" where the name does not tell it."""
    _, slash, quote = symbol.partition("/")
    return quote.partition(":")[0] if slash else "quote currency"


def horizon_words(found: Inspection) -> str:
    """How far ahead, and how much of the network's word is believed."""
    stretch = found.stretch
    ahead = f"{stretch.horizon_minutes} minute{'' if stretch.horizon_minutes == 1 else 's'} ahead"
    if stretch.return_scale is None or stretch.return_scale >= 1.0:
        return ahead
    return f"{ahead}, {stretch.return_scale:.0%} of what the network says is believed"


def expected_words(found: Inspection) -> str:
    """What the line of expected prices is called: only where it differs is it said that it is not the network's own."""
    return "forecast, as believed" if shows_said(found) else "forecast"


def shows_said(found: Inspection) -> bool:
    """Whether the network says something else than what is believed."""
    scale = found.stretch.return_scale
    return scale is not None and scale < 1.0


def moved_words(column: ColumnImportance) -> str:
    """By how much a column moves the output, in percent of the output's deviation."""
    return "–" if column.moved is None else f"{column.moved:.1%}"


def bar_colour(effect: Effect | None) -> str:
    """Pale where an effect cannot be told from 0."""
    return PLAIN if effect is not None and effect.told_from_zero else PALE
