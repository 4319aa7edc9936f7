"""What ``bot train``, ``bot evaluate`` and ``bot models`` print: tables and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bot.cli.data_tables import time_words

if TYPE_CHECKING:
    from rich.table import Table

    from models.fit_progress import TrainingProgress

_NAMES = {
    "model": "model",
    "persistence": "persistence",
    "base_rate": "base rate",
    "last_return_sign": "last return's sign",
    "logistic_regression": "logistic regression",
    "lightgbm": "LightGBM",
}
_NONE = "–"
_FILE_WIDTH = 250
"""Columns for a table that is read by a program or from a file."""
_Column = tuple[str, str, str, float]
"""Heading, key of the figure, its form, and what it is multiplied by."""
_PROBABILITIES: tuple[_Column, ...] = (
    ("AUC", "auc", ".4f", 1.0),
    ("MCC", "mcc", "+.3f", 1.0),
    ("Brier", "brier", ".4f", 1.0),
    ("ECE", "ece", ".4f", 1.0),
)
_CALIBRATION: tuple[_Column, ...] = (
    ("slope", "probability_slope", "+.2f", 1.0),
    ("intercept", "probability_intercept", "+.3f", 1.0),
    ("Theil's U", "theil_u", ".4f", 1.0),
    ("R²", "return_r2", "+.3f", 1.0),
)


def print_report(report: dict[str, Any]) -> None:
    """The forecast beside its baselines, the legacy figures under it, and the verdict at the end.

    Reports that older versions stored lack some of the figures: those tables are left out.
    """
    from rich.console import Console

    console = Console()
    # Lines are wrapped for eyes only: a program that reads them finds each in one piece.
    loose = not console.is_terminal
    console.print(f"[bold]{_title(report)}[/]", highlight=False, soft_wrap=loose)
    tables = Console(width=_FILE_WIDTH) if loose else console
    tables.print(_main_table(report))
    for columns in (_PROBABILITIES, _CALIBRATION):
        if columns[0][1] in report["forecasts"]["model"]:
            tables.print(_figures_table(report, columns))
    if report.get("costs"):
        tables.print(_money_table(report))
    for line in _footnotes(report):
        console.print(line, highlight=False, soft_wrap=loose)
    console.print(f"[bold]{report['verdict']['sentence']}[/]", highlight=False, soft_wrap=loose)


def _main_table(report: dict[str, Any]) -> Table:
    """Direction, gain and errors."""
    table = _empty_table("right %", "95 %", "gain", "95 %", "MAE", "R²")
    for name, metrics in _rows(report):
        table.add_row(
            name,
            _percent(metrics["direction_accuracy"]),
            _range(metrics["direction_interval"], 100.0, ".1f"),
            _number(metrics["log_loss_gain_millinats"], "+.2f"),
            _range(metrics["log_loss_gain_interval"], 1.0, "+.1f"),
            _number(metrics["mae_bps"], ".1f"),
            _number(metrics["return_r2"], "+.3f"),
        )
    return table


def _figures_table(report: dict[str, Any], columns: tuple[_Column, ...]) -> Table:
    """Figures with their intervals below them."""
    table = _empty_table(*(heading for heading, _, _, _ in columns))
    for name, metrics in _rows(report):
        cells = [
            _with_range(metrics.get(key), metrics.get(f"{key}_interval"), form, factor)
            for _, key, form, factor in columns
        ]
        table.add_row(name, *cells)
    return table


def _money_table(report: dict[str, Any]) -> Table:
    """What trades on the forecasts earned, bps each; and the test against the model."""
    table = _empty_table("trades", "gross bps", "net at 1×", "net at 2×", "model better, p")
    for (name, metrics), key in zip(_rows(report), _present(report), strict=True):
        earned = metrics.get("expectancy")
        test = report.get("diebold_mariano", {}).get(key)
        cells = [_NONE] * 4
        if earned is not None:
            at_once, at_twice = earned["at_1x"], earned["at_2x"]
            cells = [
                f"{earned['trades']:,}",
                _number(earned["gross_bps"], "+.1f"),
                _with_range(at_once["net_bps"], at_once["net_interval"], "+.1f"),
                _with_range(at_twice["net_bps"], at_twice["net_interval"], "+.1f"),
            ]
        table.add_row(name, *cells, _test_words(test))
    return table


def _test_words(test: dict[str, Any] | None) -> str:
    """Whether the model had the lower losses, and by how little chance."""
    if test is None:
        return _NONE
    return f"{'yes' if test['mean'] > 0.0 else 'no'}, {test['p_value']:.3f}"


def _empty_table(*columns: str) -> Table:
    """A table of forecasts with these columns of figures."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("forecast", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _present(report: dict[str, Any]) -> list[str]:
    """The forecasters of a report, in the order of the tables."""
    return [key for key in _NAMES if key in report["forecasts"]]


def _rows(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each forecaster's name and figures."""
    for key in _present(report):
        yield _NAMES[key], report["forecasts"][key]


def _title(report: dict[str, Any]) -> str:
    """What was measured, and when."""
    return (
        f"{report['model_id']} on {', '.join(report['symbols'])}: {report['samples']:,} forecasts of "
        f"{report['horizon_minutes']} min from {time_words(report['from_ms'])} to {time_words(report['until_ms'])}"
    )


def _footnotes(report: dict[str, Any]) -> Iterator[str]:
    """What the columns mean, and the figures that mislead when they stand alone."""
    model = report["forecasts"]["model"]
    yield (
        f"right: sign of the forecast against the move from the last close, {report['ties']:,} ties left out; "
        "gain: of log loss over the base rate, in millinats; MAE in bps and R² of returns, not of prices."
    )
    yield (
        f"RMSE {_number(model['rmse_bps'], '.2f')} bps, persistence "
        f"{_number(report['forecasts']['persistence']['rmse_bps'], '.2f')}; "
        f"correlation {_number(model['correlation'], '+.4f')}, calibration slope "
        f"{_number(model['calibration_slope'], '+.3f')} (1 is calibrated, less is too bold); "
        f"share of rises {_percent(report['share_up'])} %, in training {_percent(report['base_rate_train'])} %."
    )
    if "auc" in model:
        yield (
            "Below each figure its 95 % interval, by stationary block bootstrap. AUC 0.5 and MCC 0 know nothing; Brier and "
            "ECE (distance of P(up) from what came): less is better; slope 1 and intercept 0 of P(up) are right; Theil's U: "
            "error over persistence's."
        )
    if report.get("costs"):
        yield (
            f"Net: return of a trade in bps, {report['costs']['round_trip_bps']:g} bps a round trip taken off once and twice; "
            "trades do not overlap, and funding is not counted. Model better: lower losses than this forecaster's, with the p "
            "of the test of Diebold and Mariano."
        )
    for name, why in report.get("missing_baselines", {}).items():
        yield f"{_NAMES.get(name, name)} is not beside the model: {why}."
    if "trials" in report:
        yield _trials_words(report["trials"])
    if "seeds" in report:
        yield _seeds_words(report["seeds"])
    if "legacy" in report:
        legacy, level = report["legacy"], report["price_level"]
        yield (
            f"legacy direction accuracy (signs of consecutive predicted levels): {_percent(legacy['direction_accuracy'])} %,"
            f" persistence {_percent(legacy['direction_accuracy_persistence'])} %; price-level R²: "
            f"{_number(level['r2_model'], '.4f')}, persistence {_number(level['r2_persistence'], '.4f')}; price-level RMSE: "
            f"{_percent(level.get('rmse_share_model'))} % of the price, persistence "
            f"{_percent(level.get('rmse_share_persistence'))} %."
        )
    if report.get("in_sample"):
        yield "IN SAMPLE: the model was made from candles of this time; this is its fit, not its forecast."
    if report.get("left_out"):
        yield f"{report['left_out']:,} windows from the time that the model was made from were left out."


def _trials_words(trials: dict[str, Any]) -> str:
    """How often these minutes were tried upon, and what that asks of the verdict."""
    before = trials["trials"] - 1
    if not trials["accesses"]:
        return "No trial of the ledger looked at these minutes before: the verdict asks for 95 %."
    others = (
        "none of another model"
        if not before
        else f"{before:,} other trial{'s' if before > 1 else ''} among them"
    )
    return (
        f"The ledger has {trials['accesses']:,} earlier look{'s' if trials['accesses'] > 1 else ''} at minutes of these, "
        f"{others}: the verdict asks for {100.0 * trials['confidence']:.4g} %."
    )


def _seeds_words(seeds: dict[str, Any]) -> str:
    """What one seed alone would have brought."""
    right = seeds["spread"].get("direction_accuracy", {})
    gain = seeds["spread"].get("log_loss_gain_millinats", {})
    return (
        f"mean of the forecasts of {len(seeds['each'])} seeds ({', '.join(seeds['each'])}); each alone: right "
        f"{_percent(right.get('lowest'))} … {_percent(right.get('highest'))} %, gain "
        f"{_number(gain.get('lowest'), '+.2f')} … {_number(gain.get('highest'), '+.2f')}."
    )


@contextmanager
def training_bar(*, quiet: bool) -> Iterator[Callable[[TrainingProgress], None]]:
    """Show a training run on standard error: a bar on a terminal, else a line for each epoch."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    live = console.is_terminal and not quiet
    with Progress(*columns, console=console, disable=not live) as progress:
        task = progress.add_task("features", total=None, note="")

        def show(state: TrainingProgress) -> None:
            progress.update(
                task,
                description=_phase(state),
                completed=state.batch or None,
                total=state.batches or None,
                note=_note(state),
            )
            if state.phase == "epoch_ended" and not quiet:
                console.print(f"{_phase(state)}: {_note(state)}", highlight=False, soft_wrap=True)
            elif state.phase == "resumed" and not quiet:
                console.print(f"{_phase(state)} (--restart begins anew)", highlight=False, soft_wrap=True)
            elif state.phase in {"features", "export", "evaluation", "seeds"} and not quiet and not live:
                console.print(_phase(state), highlight=False)

        yield show


def _phase(state: TrainingProgress) -> str:
    """Where the run stands, in words."""
    words = {
        "features": "computing features",
        "resumed": f"going on after epoch {state.epoch} of an interrupted run",
        "export": "exporting to ONNX",
        "evaluation": "evaluating",
        "trees": f"{state.batch} of {state.batches} trees",
        "seeds": f"{state.batch} of {state.batches} seeds",
    }
    said = words.get(state.phase, f"epoch {state.epoch} of at most {state.epochs}")
    return f"{state.part}: {said}" if state.part else said


def _note(state: TrainingProgress) -> str:
    """Loss, speed, and the time left at most."""
    parts = []
    if state.loss is not None:
        parts.append(f"loss {state.loss:.5f}")
    if state.validation_loss is not None:
        parts.append(f"validation {state.validation_loss:.5f}")
    if state.windows_per_second:
        parts.append(f"{state.windows_per_second:,.0f} windows/s")
    if state.seconds_left is not None:
        minutes, seconds = divmod(round(state.seconds_left), 60)
        parts.append(f"at most {minutes}:{seconds:02d} left")
    return ", ".join(parts)


def _number(value: float | None, form: str) -> str:
    """A number, or a dash where there is none."""
    return _NONE if value is None else format(value, form)


def _with_range(value: float | None, bounds: list[float] | None, form: str, factor: float = 1.0) -> str:
    """A figure with its interval below it."""
    if value is None:
        return _NONE
    shown = format(value * factor, form)
    if bounds is None:
        return shown
    return f"{shown}\n{bounds[0] * factor:{form}}…{bounds[1] * factor:{form}}"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{value * 100:.2f}"


def _range(bounds: list[float] | None, factor: float, form: str) -> str:
    """Both bounds of an interval."""
    return _NONE if bounds is None else f"{bounds[0] * factor:{form}} … {bounds[1] * factor:{form}}"
