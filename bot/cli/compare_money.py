"""The way of ``bot compare --variant``, from its flags to what it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bot.cli.train import default_models_root
from bot.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bot.cli.backtest_input import Wishes


def refuse_given(options: Mapping[str, object], why: str) -> None:
    """A flag of the other kind of comparison would be ignored: say so instead."""
    for name, value in options.items():
        if value is not None and value is not False and value != []:
            raise UsageError(f"{name} {why}")


def only_model(models: Sequence[str] | None) -> str | None:
    """The model of the variants that name none."""
    if models and len(models) > 1:
        raise UsageError('--model is of all variants; compare several as --variant "NAME: model=ID"')
    return models[0] if models else None


def compare_money(
    wishes: Wishes,
    texts: list[str],
    file: Path | None,
    told_baseline: str | None,
    jobs: int | None,
    out: Path | None,
    *,
    simulated: bool,
    as_json: bool,
) -> None:
    """Run all variants, write them down as trials, and show them."""
    from backtests.comparison import compare_runs
    from bot.cli.compare_runs import (
        baseline_of,
        document_of,
        prepared_field,
        run_field,
        written_down,
    )
    from bot.cli.compare_table import print_runs, store_runs
    from bot.cli.compare_variants import told_variants
    from bot.cli.data_tables import print_json
    from bot.cli.out_folder import refuse_unwritable
    from bot.clock import wall_ms
    from models.trials import Ledger

    variants = told_variants(texts, file)
    baseline = baseline_of(variants, told_baseline)
    if out is not None:
        refuse_unwritable(out)
    field = prepared_field(variants, wishes)
    run_field(field, jobs=jobs, quiet=as_json)
    trials = written_down(field, wishes, Ledger(wishes.models_root or default_models_root(), wall_ms()))
    document = document_of(
        field, compare_runs(field.runs, baseline, trials=trials), trials, simulated=simulated
    )
    if out is not None:
        store_runs(out, document, field)
    if as_json:
        print_json(document)
        return
    print_runs(document)
    if out is not None:
        typer.echo(f"the page is {out / 'comparison.html'}")
