"""The model card: one page in Markdown that says what a model is, how it did, and what is not known of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.markdown import (
    NONE,
    Table,
    as_table,
    bullets,
    flat,
    is_number,
    number,
    rows_table,
    section,
    table_of,
    time_words,
    words,
)
from models.model_card_evidence import after_costs
from models.passport import ModelPassport
from models.range_words import NONE_MEASURED, range_words

FILE_NAME = "model_card.md"
DAY_MS = 86_400_000

_FORECASTS = {
    "model": "model",
    "persistence": "persistence",
    "base_rate": "base rate",
    "last_return_sign": "last return's sign",
    "logistic_regression": "logistic regression",
    "lightgbm": "LightGBM",
}
_METRICS = {
    "direction_accuracy": "right direction",
    "log_loss": "log loss, nats",
    "log_loss_gain_millinats": "log-loss gain over the base rate, millinats",
    "auc": "AUC",
    "mcc": "MCC",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "probability_slope": "calibration slope of P(up)",
    "probability_intercept": "calibration intercept of P(up)",
    "theil_u": "Theil's U of returns",
    "mae_bps": "MAE of returns, bps",
    "rmse_bps": "RMSE of returns, bps",
    "return_r2": "R² of returns",
    "correlation": "correlation",
    "calibration_slope": "slope of returns on what was expected",
}
_PERCENT = frozenset({"direction_accuracy"})
_GAIN = "log_loss_gain_millinats"


def model_card(passport: ModelPassport, recipe_json: Table, report: Table, history: Table) -> str:
    """The card of one model; what is missing from the tables is left out or said to be missing.

    Args:
        passport: What the model is made of.
        recipe_json: ``Recipe.to_json`` as a table.
        report: The evaluation on the test slice (``models.evaluation.evaluate``). ``calibration``, where there, is a
            table of numbers; ``seeds`` as ``models.seed_spread`` gives it.
        history: How the fit went.

    Returns:
        Markdown that ends with a line break.
    """
    sections = [
        _heading(passport, recipe_json),
        section("Limits", bullets(_limits(passport, report))),
        section("Data", _data(passport)),
        section("Metrics", _metrics(report)),
        section("After costs", after_costs(report, _FORECASTS)),
        section("Calibration", _calibration(report)),
        section("How far it may move", bullets(range_words(report)) or NONE_MEASURED),
        section("Seeds", _seeds(passport, report)),
        section("Recipe", _recipe(passport, recipe_json)),
        section("How it was made", _made(passport, history)),
        section("Verdict", _verdict(report)),
    ]
    return "\n\n".join(sections) + "\n"


def _heading(passport: ModelPassport, recipe: Table) -> str:
    """Title, what it is for, and the verdict's place."""
    said = " ".join(str(recipe.get("description") or "").split())
    what = (
        f"Recipe `{passport.recipe}` for {', '.join(passport.symbols) or 'no symbol'}: it looks at {passport.window} "
        f"closed one-minute candles and forecasts {passport.horizon_minutes} minutes ahead (`{passport.target}`)."
    )
    return "\n\n".join([f"# {passport.model_id}", *([said] if said else []), what])


def _limits(passport: ModelPassport, report: Table) -> Iterable[str]:
    """What the figures do not say, in plain sentences; the verdict first."""
    yield f"**{_verdict(report)}**"
    if report.get("in_sample"):
        yield "The figures are in sample: they show the fit, not the forecast."
    network = _gain(report, "model")
    for name, label in _FORECASTS.items():
        rival = _gain(report, name)
        if (
            name not in {"model", "base_rate"}
            and network is not None
            and rival is not None
            and rival > network
        ):
            yield f"The {label} had the higher log-loss gain ({rival:+.2f} against {network:+.2f} millinats): on this test the model adds nothing to it."
    if "from_ms" in report and "until_ms" in report:
        yield (
            f"It was tested from {time_words(report['from_ms'])} to {time_words(report['until_ms'])} UTC and at no other time: how it "
            "does in another market, or months later, is not known."
        )
    symbols = ", ".join(passport.symbols)
    yield f"It was not tested on other symbols than {symbols}, nor on candles of another exchange than those in the data."
    if report.get("costs"):
        yield "Fees, spread and slippage are counted as the settings had them; funding, and what a strategy makes of the forecasts, are for a backtest."
    else:
        yield "Costs are not counted here: fees, spread, slippage and funding are for a backtest to charge."
    yield "Whoever picks the best of many models by these figures makes them too good: judge the pick on candles that no choice has looked at."
    if not _several(report):
        yield f"It was trained with one seed ({passport.seed}): how far another seed would move the figures was not measured."
    yield "Candles beyond the range of the training data make it extrapolate."


def _verdict(report: Table) -> str:
    """The last word."""
    found = as_table(report.get("verdict")).get("sentence")
    return str(found) if found else "It was not judged: no test figures are stored with it."


def _data(passport: ModelPassport) -> str:
    """Symbols, and the slices in order of time."""
    rows = [
        [
            name.replace("_", " "),
            time_words(bounds[0]),
            time_words(bounds[1]),
            f"{(bounds[1] - bounds[0]) / DAY_MS:.1f}",
        ]
        for name, bounds in sorted(passport.ranges.items(), key=lambda one: one[1])
        if len(bounds) == 2
    ]
    slices = (
        table_of(["slice", "from (UTC)", "to, not included", "days"], rows)
        if rows
        else "No slices are recorded."
    )
    return f"One-minute candles of {', '.join(passport.symbols) or 'no symbol'}.\n\n{slices}"


def _metrics(report: Table) -> str:
    """The model beside its baselines, a metric a row, the 95 % interval in brackets."""
    forecasts = {name: as_table(found) for name, found in as_table(report.get("forecasts")).items()}
    if not forecasts:
        return "No test figures are stored with this model."
    names = sorted(forecasts, key=lambda name: name != "model")
    present = {key for found in forecasts.values() for key, value in found.items() if is_number(value)}
    present -= {key for key in present if key.endswith("_samples")}
    keys = [key for key in _METRICS if key in present] + sorted(present - _METRICS.keys())
    rows = [[_METRICS.get(key, words(key)), *(_cell(forecasts[name], key) for name in names)] for key in keys]
    parts = [
        _sample_words(report),
        table_of(["", *(_FORECASTS.get(name, words(name)) for name in names)], rows),
    ]
    return "\n\n".join([*(part for part in parts if part), *_old_figures(report)])


def _sample_words(report: Table) -> str:
    """What was measured, in one sentence."""
    if not is_number(report.get("samples")):
        return ""
    ties = f", {report['ties']:,} of them without a move" if is_number(report.get("ties")) else ""
    block = f" of {report['block_minutes']} minutes" if "block_minutes" in report else ""
    return (
        f"{report['samples']:,} forecasts of the test slice{ties}. In brackets: 95 % intervals by bootstrap over blocks"
        f"{block}."
    )


def _old_figures(report: Table) -> Iterable[str]:
    """Figures that older work quotes, never without persistence beside them."""
    legacy, level = as_table(report.get("legacy")), as_table(report.get("price_level"))
    rows = [
        [
            "direction of consecutive predicted levels",
            legacy.get("direction_accuracy"),
            legacy.get("direction_accuracy_persistence"),
        ],
        ["R² of the price level", level.get("r2_model"), level.get("r2_persistence")],
    ]
    known = [[str(name), number(model), number(naive)] for name, model, naive in rows if is_number(model)]
    if known:
        yield "Figures that older work quotes; they look good for any forecaster and say nothing about an edge:"
        yield table_of(["legacy", "model", "persistence"], known)


def _calibration(report: Table) -> str:
    """How far its forecasts and probabilities can be taken at their word."""
    parts = []
    slope = as_table(as_table(report.get("forecasts")).get("model")).get("calibration_slope")
    if is_number(slope):
        parts.append(
            f"Slope of what came on what was forecast: {slope:+.3f} (1 is calibrated, less is too bold, below 0 is wrong)."
        )
    rises, trained = report.get("share_up"), report.get("base_rate_train")
    if is_number(rises) and is_number(trained):
        parts.append(f"Share of rises: {rises:.2%} in the test, {trained:.2%} in training.")
    fitted = as_table(report.get("calibration"))
    numbers = [[words(key), number(value)] for key, value in fitted.items() if is_number(value)]
    if numbers:
        parts.append(table_of(["fitted on the calibrate slice", "value"], numbers))
    parts_said = report.get("reliability")
    if isinstance(parts_said, Sequence) and parts_said:
        parts.append(
            "P(up) as it was said in the test, in parts of equal size, and the share of rises that came:"
        )
        parts.append(rows_table(parts_said))
    return "\n\n".join(parts) or "No calibration was measured."


def _seeds(passport: ModelPassport, report: Table) -> str:
    """Which seeds, and how far apart they came out."""
    each = as_table(as_table(report.get("seeds")).get("each"))
    if not each:
        return f"Seed: {passport.seed}."
    spread = as_table(as_table(report.get("seeds")).get("spread"))
    said = f"Seeds: {', '.join(each)}. The model forecasts the mean of what they forecast; each by itself:"
    rows = [{"seed": seed, **as_table(figures)} for seed, figures in each.items()]
    kinds = ("mean", "deviation", "lowest", "highest")
    over = [
        [words(name), *(number(as_table(row).get(kind)) for kind in kinds)] for name, row in spread.items()
    ]
    return "\n\n".join([said, rows_table(rows), table_of(["over the seeds", *kinds], over)])


def _recipe(passport: ModelPassport, recipe: Table) -> str:
    """Every field that decided what the model became."""
    rows = [
        [f"`{key}`", number(value)]
        for key, value in flat(recipe)
        if key != "description" and value is not None
    ]
    columns = f"Features `{passport.features}`: {', '.join(f'`{name}`' for name in passport.columns)}."
    return "\n\n".join([columns, table_of(["field", "value"], rows) if rows else "The recipe is not stored."])


def _made(passport: ModelPassport, history: Table) -> str:
    """When, how long, from which bytes, with which libraries."""
    names = (
        "best_epoch",
        "stopped_because",
        "train_windows",
        "early_stop_windows",
        "windows_per_second",
        "seconds",
    )
    rows = [["trained (UTC)", time_words(passport.created_at_ms)]]
    losses = as_table(history.get("epochs")).get("loss")
    rows += [["epochs run", str(len(losses))]] if losses else []
    rows += [[words(name), number(history[name])] for name in names if history.get(name) is not None]
    rows += [[f"SHA-256 of the {name}", f"`{digest}`"] for name, digest in sorted(passport.hashes.items())]
    rows += [[f"version of {name}", version] for name, version in sorted(passport.versions.items())]
    return table_of(["", "value"], rows)


def _several(report: Table) -> bool:
    """Whether more than one seed was trained."""
    return len(as_table(as_table(report.get("seeds")).get("each"))) > 1


def _gain(report: Table, name: str) -> float | None:
    """A forecaster's log-loss gain."""
    value = as_table(as_table(report.get("forecasts")).get(name)).get(_GAIN)
    return float(value) if value is not None and is_number(value) else None


def _cell(metrics: Table, key: str) -> str:
    """A figure and its interval."""
    value = metrics.get(key)
    if not is_number(value):
        return NONE
    percent = key in _PERCENT
    shown = f"{value:.2%}" if percent else number(value)
    for name in (f"{key}_interval", f"{key.rpartition('_')[0]}_interval"):
        bounds = metrics.get(name)
        if isinstance(bounds, Sequence) and len(bounds) == 2 and all(is_number(bound) for bound in bounds):
            low, high = (f"{bound:.2%}" if percent else number(bound) for bound in bounds)
            return f"{shown} [{low}, {high}]"
    return shown
