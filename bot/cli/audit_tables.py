"""What ``bot audit noise`` and ``bot audit planted`` print, keep and end with; the bar while they run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bot.cli.data_tables import failed_after_json, print_json, print_table
from bot.errors import BotError, DifferenceError

if TYPE_CHECKING:
    from bot.audits.findings import NoiseFinding, PlantedFinding, Proportion
    from bot.audits.runner import PathPlan, RunState

_LISTED = 5


@dataclass(frozen=True, slots=True)
class AuditRun:
    """All kinds of one audit, run.

    Attributes:
        plans: What was asked for.
        states: What came of each.
    """

    plans: list[PathPlan]
    states: list[RunState]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Every path that failed, with its reason."""
        return [
            {"kind": state.kind, "seed": seed, "reason": reason}
            for state in self.states
            for seed, reason in sorted(state.failures.items())
        ]

    @property
    def warnings(self) -> list[str]:
        """What a reader of the figures should know."""
        return [
            f"{state.kind}: the finished paths were made by {len(state.programs)} versions of the program; "
            "--restart runs them all by this one"
            for state in self.states
            if len(state.programs) > 1
        ]

    def keep(self, document: dict[str, Any], path: Path) -> None:
        """Complete a document by what was run, by failures and warnings, and write it."""
        from bot.audits.runner import settings_of
        from models.durable import disk, replace_file

        document["settings"] = [settings_of(plan) for plan in self.plans]
        document["results"] = [str(plan.file(path.parent)) for plan in self.plans]
        document["failed"] = self.failures
        document["warnings"] = self.warnings
        document["seconds"] = round(
            sum(result.seconds for state in self.states for result in state.results.values()), 1
        )
        with disk(path):
            replace_file(path, json.dumps(document, indent=2).encode() + b"\n")


def audit_run(
    plans: list[PathPlan], folder: Path, *, jobs: int | None, restart: bool, quiet: bool
) -> AuditRun:
    """Run all plans, one after the other, under a bar.

    Raises:
        KeyboardInterrupt: Ctrl-C; how to go on has been said.
    """
    from bot.audits.runner import run_paths

    states: list[RunState] = []
    with paths_bar(sum(len(plan.seeds) for plan in plans), quiet=quiet) as show:
        for plan in plans:
            try:
                states.append(run_paths(plan, folder, jobs=jobs, restart=restart, on_progress=show))
            except KeyboardInterrupt:
                typer.echo(
                    f"interrupted; the finished paths are kept in {folder}: start the same command"
                    f"{' without --restart' if restart else ''} again to go on",
                    err=True,
                )
                raise
    return AuditRun(plans, states)


@contextmanager
def paths_bar(total: int, *, quiet: bool) -> Iterator[Callable[[RunState], None]]:
    """Show a run on standard error: a bar on a terminal, else a line for each path that ended."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.1f} %"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    live = console.is_terminal and not quiet
    before: dict[str, float] = {}
    ended: dict[str, int] = {}
    with Progress(*columns, console=console, disable=not live) as progress:
        task = progress.add_task("paths", total=total, note="")

        def show(state: RunState) -> None:
            before[state.kind] = state.share * state.total
            count = len(state.results) + len(state.failures)
            note = _note(state)
            progress.update(task, description=state.kind, completed=sum(before.values()), note=note)
            if not quiet and not live and count != ended.get(state.kind, 0):
                console.print(f"{state.kind}: {note}", highlight=False, soft_wrap=True)
            ended[state.kind] = count

        yield show


def _note(state: RunState) -> str:
    """Where a run stands, in words."""
    promoted = sum(result.promoted_week is not None for result in state.results.values())
    failed = f", {len(state.failures)} failed" if state.failures else ""
    return f"{len(state.results)} of {state.total} paths, {promoted} promoted{failed}"


def show_noise(found: Sequence[NoiseFinding], *, weeks: int) -> None:
    """How many were ever promoted, and which tests stopped the others."""
    rows: list[list[Any]] = [
        [
            finding.kind,
            f"{finding.promoted.count} of {finding.promoted.total}",
            share_words(finding.promoted),
            "yes" if finding.passed else "NO",
        ]
        for finding in found
    ]
    title = f"Promoted in {weeks} weekly decisions, where nothing can be forecast"
    print_table(["market", "paths promoted", "95 %", "at most 2 %"], rows, title=title)
    for finding in found:
        _show_refusals(finding.kind, finding.stopped_by)


def show_planted(found: Sequence[PlantedFinding]) -> None:
    """The power of each edge by week, and how the champions ended when it turned."""
    weeks = sorted({week for finding in found for week in finding.power})
    rows: list[list[Any]] = [
        [f"{finding.accuracy:g}", str(finding.power[weeks[0]].total),
         *(f"{finding.power[week].share:.0%}" for week in weeks), share_words(finding.power[weeks[-1]])]
        for finding in found
    ]  # fmt: skip
    columns = ["edge", "paths", *(f"{week} weeks" for week in weeks), f"95 % of {weeks[-1]}"]
    print_table(columns, rows, title="Promoted within so many weekly decisions")
    reactions = [(finding.accuracy, finding.reaction) for finding in found if finding.reaction is not None]
    if reactions:
        print_table(
            [
                "edge",
                "out before",
                "half within a day",
                "flat within three",
                "half, median … worst",
                "flat, median … worst",
            ],
            [
                [
                    f"{accuracy:g}",
                    f"{reaction.early.count} of {reaction.early.total}",
                    f"{reaction.half_in_time.count} of {reaction.half_in_time.total}",
                    f"{reaction.flat_in_time.count} of {reaction.flat_in_time.total}",
                    f"{_minutes(reaction.half_median)} … {_minutes(reaction.half_worst)}",
                    f"{_minutes(reaction.flat_median)} … {_minutes(reaction.flat_worst)}",
                ]
                for accuracy, reaction in reactions
            ],
            title="After the edge has turned, minutes",
        )
    for finding in found:
        _show_refusals(f"edge {finding.accuracy:g}", finding.stopped_by)


def end_audit(run: AuditRun, document: dict[str, Any], missed: str | None, *, as_json: bool) -> None:
    """Print the document if asked for, and end with what was found.

    Raises:
        DifferenceError: The pipeline did what it must not.
        BotError: Paths failed.
    """
    if as_json:
        print_json(document)
    for warning in run.warnings:
        typer.echo(f"warning: {warning}", err=True)
    error = _verdict(run, missed)
    if error is not None:
        raise failed_after_json(error) if as_json else error


def _verdict(run: AuditRun, missed: str | None) -> BotError | None:
    """What the command ends with; failed paths are named either way."""
    failed = run.failures
    total = sum(len(plan.seeds) for plan in run.plans)
    reasons = "; ".join(f"{path['kind']} seed {path['seed']}: {path['reason']}" for path in failed[:_LISTED])
    more = f"; and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
    words = f"{len(failed)} of {total} paths failed ({reasons}{more})"
    if missed is not None and not _nothing_finished(run):
        return DifferenceError(f"{missed}; {words}" if failed else missed)
    if failed:
        return BotError(f"{words}; the same command tries them again")
    return None


def _nothing_finished(run: AuditRun) -> bool:
    """Whether a kind has no result at all: that is a failure and no finding."""
    return any(not state.results for state in run.states)


def _show_refusals(name: str, stopped_by: dict[str, float]) -> None:
    """Which tests of the gate refused, as shares of the weekly decisions."""
    if stopped_by:
        rows: list[list[Any]] = [[test, f"{share:.1%}"] for test, share in stopped_by.items()]
        print_table(["test", "refused"], rows, title=f"{name}: refused weekly decisions")


def share_words(found: Proportion) -> str:
    """The interval of a share, in per cent."""
    return f"{found.low:.1%} … {found.high:.1%}"


def _minutes(value: float | None) -> str:
    return "never" if value is None else f"{value:,.0f}"
