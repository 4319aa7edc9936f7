"""The pictures of an inspection as PNG, by matplotlib, which comes with the ``train`` extra."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from models import inspection_words as words
from models.inspection_words import FAINT, GREY, HELD, PALE, PLAIN, SECOND

if TYPE_CHECKING:
    from models.attention_profile import AttentionProfile
    from models.importance import Effect
    from models.inspection import Inspection
    from models.training_curves import TrainingCurves

_DPI = 110


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def figures(found: Inspection) -> dict[str, bytes]:
    """Every picture that there is something to show for, by file name."""
    drawn = {"importance.png": importance_png(found), "prediction.png": prediction_png(found)}
    if found.attention is not None:
        drawn["attention.png"] = attention_png(found, found.attention)
    if found.curves:
        drawn["training_curves.png"] = curves_png(found)
    return drawn


def importance_png(found: Inspection) -> bytes:
    """Bars for each column, the most important on top: log loss, direction accuracy, and what moves the output."""
    columns = found.importance.ranked()[::-1]
    figure, panels = _figure(found, words.IMPORTANCE_TITLE, (13, 2.2 + 0.27 * len(columns)), (1, 3))
    left, middle, right = panels
    _bars(left, [column.log_loss for column in columns])
    _bars(middle, [column.accuracy for column in columns])
    right.barh(range(len(columns)), [(column.moved or 0.0) * 100.0 for column in columns], color=FAINT)
    left.set(xlabel="log loss rises by, millinats")
    middle.set(xlabel="direction accuracy falls by, percentage points")
    right.set(xlabel="output moves by, % of its deviation")
    if not found.importance.probability_moves:
        left.set_xlim(-1.0, 1.0)
        left.text(0.5, 0.5, "P(up) never changes", transform=left.transAxes, ha="center", color=GREY)
    for axes in panels:
        axes.set_ylim(-0.7, len(columns) - 0.3)
        axes.set_yticks(range(len(columns)), [])
        axes.grid(axis="x", alpha=0.3)
        axes.xaxis.label.set_size(9)
    left.set_yticks(range(len(columns)), [column.name for column in columns], fontsize=8)
    figure.supxlabel(
        f"mean and standard deviation of {found.importance.repeats} shuffles on {found.importance.windows:,} windows; "
        "pale: not told from 0",
        fontsize=8,
    )
    return _png(figure)


def attention_png(found: Inspection, profile: AttentionProfile) -> bytes:
    """Mean weight and quartiles by minute of the window, and one moment."""
    figure, axes = _figure(found, words.ATTENTION_TITLE, (11, 4.4), (1, 1))
    minutes = profile.minutes
    axes.fill_between(
        minutes,
        profile.low_quartile * 100.0,
        profile.high_quartile * 100.0,
        color=PALE,
        label="middle half of the windows",
    )
    axes.plot(minutes, profile.mean * 100.0, color=PLAIN, label=f"mean of {profile.windows:,} windows")
    when = f"at {words.time_words(profile.moment_ms)}"
    axes.plot(minutes, profile.moment * 100.0, color=SECOND, linewidth=1.0, label=when)
    axes.axhline(100.0 / len(minutes), color=GREY, linestyle=":", label="all minutes alike")
    axes.set(xlabel="minutes from the newest candle of the window", ylabel="weight, %")
    axes.set_xlim(minutes[0] - 0.5, 0.5)
    tallest = max(float(curve.max()) for curve in (profile.mean, profile.high_quartile, profile.moment))
    axes.set_ylim(0.0, 125.0 * tallest)
    axes.legend(fontsize=8, ncols=4, loc="upper center")
    return _png(figure)


def prediction_png(found: Inspection) -> bytes:
    """The stretch on the left with each forecast at its due time, the path of one moment on the right."""
    figure, (left, right) = _figure(found, words.PREDICTION_TITLE, (13, 5.0), (1, 2), widths=(3, 2))
    _draw_stretch(left, found)
    _draw_path(right, found)
    return _png(figure)


def curves_png(found: Inspection) -> bytes:
    """A row of panels a network."""
    rows, columns = len(found.curves), max(len(curves.panels()) for curves in found.curves)
    figure, grid = _figure(
        found,
        words.CURVES_TITLE,
        (1.0 + 5.0 * columns, 1.0 + 3.2 * rows),
        (rows, columns),
        squeeze=False,
        on_candles=False,
    )
    for axes, curves in zip(grid, found.curves, strict=True):
        _draw_curves(axes, curves)
    return _png(figure)


def _bars(axes: Any, effects: list[Effect | None]) -> None:
    """One bar a column with a whisker of one deviation."""
    axes.barh(
        range(len(effects)),
        [effect.mean if effect else 0.0 for effect in effects],
        xerr=[effect.deviation if effect else 0.0 for effect in effects],
        color=[words.bar_colour(effect) for effect in effects],
        error_kw={"elinewidth": 1.0, "ecolor": "#333333", "capsize": 2},
    )
    axes.axvline(0.0, color=GREY, linewidth=0.8)


def _draw_stretch(axes: Any, found: Inspection) -> None:
    """Closes, forecasts where they are due, and persistence."""
    stretch = found.stretch
    due = stretch.due_ts.astype("datetime64[ms]")
    given = ~stretch.withheld
    axes.plot(stretch.ts.astype("datetime64[ms]"), stretch.close, color="black", linewidth=1.1, label="close")
    if words.shows_said(found) and stretch.said is not None:
        axes.plot(due, stretch.said, color=FAINT, linewidth=0.9, label="as the network says it")
    axes.plot(due, np.where(given, stretch.expected, np.nan), color=SECOND, label=words.expected_words(found))
    if not given.all():
        held = np.where(given, np.nan, stretch.expected)
        axes.plot(due, held, color=HELD, linewidth=0.9, label="withheld: beyond training")
    # Above the forecast: one that believes little of the network lies on it.
    axes.plot(due, stretch.persistence, color="black", linestyle=":", linewidth=1.1, label="persistence")
    moment = np.datetime64(found.path.made_ts, "ms")
    axes.axvline(moment, color=GREY, linewidth=0.8, label="moment of the other panel")
    axes.set_title(f"{stretch.symbol}, {words.horizon_words(found)}", fontsize=9)
    axes.set(xlabel="open time of the minute that is forecast, UTC", ylabel=_price_label(found))
    _plain_prices(axes)
    from matplotlib import dates

    locator = dates.AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    _legend_on_top(axes, columns=3)


def _draw_path(axes: Any, found: Inspection) -> None:
    """What came, what was forecast, and persistence, by minutes from the moment."""
    path = found.path
    axes.plot(range(len(path.realized)), path.realized, color="black", linewidth=1.1, label="close")
    if words.shows_said(found) and path.said is not None:
        axes.plot(
            path.minutes, path.said, color=FAINT, marker=".", markersize=4, label="as the network says it"
        )
    axes.plot(
        path.minutes,
        path.expected,
        color=SECOND,
        marker=".",
        markersize=4,
        label=words.expected_words(found),
    )
    flat = [path.close, path.close]
    axes.plot([0, path.minutes[-1]], flat, color="black", linestyle=":", linewidth=1.1, label="persistence")
    held = ", withheld" if path.withheld else ""
    axes.set_title(f"{words.PATH_TITLE}: {words.time_words(path.made_ts)}{held}", fontsize=9)
    axes.set(xlabel="minutes from then", ylabel=_price_label(found))
    _plain_prices(axes)
    _legend_on_top(axes, columns=2)


def _draw_curves(row: Any, curves: TrainingCurves) -> None:
    """One network's metrics, training beside early stop."""
    panels = curves.panels()
    for axes in row[len(panels) :]:
        axes.set_visible(False)
    for axes, metric in zip(row, panels, strict=False):
        for key, label, color in (
            (metric, "training", PLAIN),
            (f"val_{metric}", "early-stop slice", SECOND),
        ):
            if values := curves.metrics.get(key):
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, marker="o", markersize=3, color=color, label=label)
        if curves.best_epoch is not None:
            axes.axvline(curves.best_epoch, color=GREY, linestyle=":", label="kept")
        axes.set_title(f"{curves.name}: {metric}" if curves.name else metric, fontsize=9)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8)


def _figure(
    found: Inspection,
    title: str,
    size: tuple[float, float],
    grid: tuple[int, int],
    *,
    widths: tuple[int, ...] | None = None,
    squeeze: bool = True,
    on_candles: bool = True,
) -> tuple[Any, Any]:
    """A figure with its title and what was looked at, and its panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    under = words.subtitle(found) if on_candles else found.model_id
    figure.suptitle(f"{title}\n", fontsize=12, fontweight="bold")
    figure.text(0.5, 1.0 - 0.42 / size[1], under, ha="center", va="center", fontsize=8, color=_ink(found))
    return figure, figure.subplots(*grid, width_ratios=widths, squeeze=squeeze)


def _ink(found: Inspection) -> str:
    """Red where a reader must not be misled."""
    return "#b00020" if found.simulated or found.in_sample else "#333333"


def _price_label(found: Inspection) -> str:
    """With the currency."""
    return f"price, {words.price_unit(found.stretch.symbol)}"


def _legend_on_top(axes: Any, *, columns: int) -> None:
    """The legend above the curves, with room made for it."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))
    axes.legend(fontsize=8, ncols=columns, loc="upper center")


def _plain_prices(axes: Any) -> None:
    """Prices as they are, not as a distance from a round number."""
    axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes.grid(alpha=0.2)


def _png(figure: Any) -> bytes:
    """The bytes; a figure made without pyplot draws with Agg."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DPI)
    return picture.getvalue()
