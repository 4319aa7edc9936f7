"""What ``bot train``, ``bot evaluate`` and ``bot models`` print: tables and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bot.cli.data_tables import time_words

if TYPE_CHECKING:
    from models.fit_progress import TrainingProgress

_NAMES = {
    "model": "model",
    "persistence": "persistence",
    "base_rate": "base rate",
    "last_return_sign": "last return's sign",
    "logistic_regression": "logistic regression",
}
_NONE = "–"


def print_report(report: dict[str, Any]) -> None:
    """The forecast beside its baselines, the legacy figures under it, and one sentence at the end."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("forecast", no_wrap=True)
    for name in ("right %", "95 %", "gain", "95 %", "MAE", "R²"):
        table.add_column(name, justify="right", no_wrap=True)
    for key, name in _NAMES.items():
        metrics = report["forecasts"][key]
        table.add_row(
            name,
            _percent(metrics["direction_accuracy"]),
            _range(metrics["direction_interval"], 100.0, ".1f"),
            _number(metrics["log_loss_gain_millinats"], "+.2f"),
            _range(metrics["log_loss_gain_interval"], 1.0, "+.1f"),
            _number(metrics["mae_bps"], ".1f"),
            _number(metrics["return_r2"], "+.3f"),
        )
    console = Console()
    # Lines are wrapped for eyes only: a program that reads them finds each in one piece.
    loose = not console.is_terminal
    console.print(f"[bold]{_title(report)}[/]", highlight=False, soft_wrap=loose)
    console.print(table)
    for line in _footnotes(report):
        console.print(line, highlight=False, soft_wrap=loose)
    console.print(f"[bold]{report['verdict']['sentence']}[/]", highlight=False, soft_wrap=loose)


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
    if "seeds" in report:
        yield _seeds_words(report["seeds"])
    if "legacy" in report:
        legacy, level = report["legacy"], report["price_level"]
        yield (
            f"legacy direction accuracy (signs of consecutive predicted levels): {_percent(legacy['direction_accuracy'])} %,"
            f" persistence {_percent(legacy['direction_accuracy_persistence'])} %; price-level R²: "
            f"{_number(level['r2_model'], '.4f')}, persistence {_number(level['r2_persistence'], '.4f')}."
        )
    if report.get("in_sample"):
        yield "IN SAMPLE: the model was made from candles of this time; this is its fit, not its forecast."
    if report.get("left_out"):
        yield f"{report['left_out']:,} windows from the time that the model was made from were left out."


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
            elif state.phase in {"features", "export", "evaluation"} and not quiet and not live:
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


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{value * 100:.2f}"


def _range(bounds: list[float] | None, factor: float, form: str) -> str:
    """Both bounds of an interval."""
    return _NONE if bounds is None else f"{bounds[0] * factor:{form}} … {bounds[1] * factor:{form}}"
