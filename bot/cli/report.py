"""``bot report``: a paper or live run with the pages of a backtest, and laid over its backtest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.report_input import Stretch, final_candles, funding_rates, open_recording, rules_maker
from bot.cli.watch import DEFAULT_STATE_DIR, StateDir

if TYPE_CHECKING:
    from backtests.overlay_run import OverlayRun
    from backtests.recorded import Recording, RulesOf

FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="DATE", help="First day or time, UTC; today and yesterday are days too."),
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="DATE", help="End, not included.")]
MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Overlaid:
    """What the backtest of a run is given.

    Attributes:
        model: Forecasts of this model instead of the recorded ones.
        models_root: Where it is.
        candles: Files of candles as the exchange has them.
        funding: Files of funding rates.
    """

    model: str | None = None
    models_root: Path | None = None
    candles: tuple[str, ...] = ()
    funding: tuple[str, ...] = ()


def report(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    since: FromOption = None,
    until: ToOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the report.")] = None,
    against: Annotated[
        bool, typer.Option("--against-backtest", help="Backtest the same time, and explain every difference.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="ID", help="With --against-backtest: let this model forecast instead."
        ),
    ] = None,
    models_root: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Folder of models (default: STATE_DIR/models)."),
    ] = None,
    candles: Annotated[
        list[str] | None,
        typer.Option(
            "--candles",
            metavar="PARQUET",
            help="With --against-backtest: candles as the exchange has them, to find missed ones.",
        ),
    ] = None,
    funding: Annotated[
        list[str] | None,
        typer.Option(
            "--funding", metavar="PARQUET", help="With --against-backtest: funding rates, as in bot backtest."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 8 where a difference is not explained.")
    ] = False,
    most: Annotated[
        int, typer.Option("--list", min=0, metavar="N", help="How many differences JSON lists.")
    ] = MOST_LISTED,
    configs: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="F", help="Settings, for a journal of an older version."),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Single ones of them.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="JSON", help="Its trading rules, as in bot backtest.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Report on a paper or live run from its journal, as bot backtest does on a backtest; the bot may be running.

    Example: bot report --state-dir var --from 2024-05-01 --out report

    With --against-backtest the same time is backtested, and every difference gets a cause: latency, missed candles, fill
    prices, commands, restarts.

    Example: bot report --against-backtest --from yesterday --to today --strict --json
    """
    from bot.errors import DifferenceError, UsageError

    if not against and (model or candles or funding or strict):
        raise UsageError("--model, --candles, --funding and --strict belong to --against-backtest")
    recording = open_recording(
        state_dir, Stretch(since, until, tuple(configs or ()), tuple(changes or ()), rules)
    )
    rules_of = rules_maker(recording.run_id)
    wishes = Overlaid(model, models_root or state_dir / "models", tuple(candles or ()), tuple(funding or ()))
    laid = overlaid(recording, rules_of, wishes) if against else None
    summary = reported(recording, rules_of, out, laid, most)
    if as_json:
        from bot.cli.data_tables import print_json

        print_json(summary)
    else:
        _print(summary, laid)
        if out is not None:
            typer.echo(f"the report is in {out}: open {out / 'report.html'}")
    if strict and laid is not None and laid.overlay.unexplained:
        fault = DifferenceError(
            f"{len(laid.overlay.unexplained)} differences are not explained; the first: "
            f"{laid.overlay.unexplained[0].sentence()}"
        )
        if as_json:
            from bot.cli.data_tables import failed_after_json

            raise failed_after_json(fault)
        raise fault


def overlaid(recording: Recording, rules_of: RulesOf, wishes: Overlaid) -> OverlayRun:
    """The run laid over its backtest.

    Raises:
        ModelError: The model is refused. DataError: A file is refused.
        DifferenceError: The journal can't be followed up to where the time begins.
    """
    from backtests.decision_code import decision_code
    from backtests.overlay_run import Given, overlay
    from bot.cli.report_forecasts import forecasts_of
    from models.registry import resolve

    forecasts = None
    if wishes.model is not None and wishes.models_root is not None:
        forecasts = forecasts_of(recording, resolve(wishes.models_root, wishes.model))
    given = Given(
        forecasts,
        final_candles(recording, wishes.candles),
        funding_rates(recording, rules_of(recording.rules_row), wishes.funding),
    )
    return overlay(recording, rules_of, given, code=decision_code())


def reported(
    recording: Recording, rules_of: RulesOf, out: Path | None, laid: OverlayRun | None, most: int
) -> dict[str, Any]:
    """Sum the run up and write the report, if one is wanted; returns the summary."""
    from backtests.overlay_page import overlay_section
    from backtests.recorded_facts import facts_of
    from backtests.recorded_page import heading_of, run_section
    from backtests.recorded_replay import opening_of
    from backtests.recorded_result import recorded_run
    from backtests.report import ReportFolder
    from bot.clock import wall_ms

    opening = opening_of(recording, rules_of)
    if out is None:
        run = recorded_run(recording, rules_of, opening)
        return _summary(recording, run, facts_of(recording, run), laid, most)
    with ReportFolder(out) as folder:
        run = recorded_run(recording, rules_of, opening, folder.take_stored)
        facts = facts_of(recording, run)
        sections = [run_section(facts), *([] if laid is None else [overlay_section(laid)])]
        return folder.finish(
            run.result,
            run.data,
            _summary(recording, run, facts, laid, most),
            simulated=recording.is_simulated,
            extra_sections=sections,
            heading=heading_of(facts, run.data.symbols),
            made_at_ms=wall_ms(),
        )


def _summary(
    recording: Recording, run: Any, facts: Mapping[str, Any], laid: OverlayRun | None, most: int
) -> dict[str, Any]:
    from backtests.recorded_facts import unproven_words
    from backtests.report import summarize

    chosen = recording.rules_row["settings"].get("strategy", {})
    name = str(chosen.get("name", ""))
    name = name if ":" in name else f"{name}:{chosen.get('parameter_set', 'default')}"
    summary = summarize(
        run.result,
        run.data,
        strategy=name,
        parameters=chosen.get("parameters", {}),
        warnings=_warnings(recording, facts),
        simulated=recording.is_simulated,
    )
    summary |= {
        "models": list(dict.fromkeys(row["model_id"] for row in facts["models"])),
        "unproven": unproven_words(facts["unproven"]),
        "bars_per_second": None,
        "null_because": summary["null_because"] | {"bars_per_second": "a record, not a run of an engine"},
        "run": dict(facts),
    }
    return summary if laid is None else summary | {"overlay": laid.overlay.to_json(most)}


def _warnings(recording: Recording, facts: Mapping[str, Any]) -> list[str]:
    found = []
    if not recording.kept_rules:
        found.append(
            "the journal is of an older version, which kept no rules: costs, limits and trading rules are those given now"
        )
    if facts["carried"]:
        found.append(
            f"held when this time begins: {', '.join(facts['carried'])}; entered at the first open as far as costs are "
            "concerned"
        )
    return found


def _print(summary: Mapping[str, Any], laid: OverlayRun | None) -> None:
    from backtests.overlay_page import CAUSE_HEAD, cause_rows, verdict_words
    from backtests.recorded_page import run_lines
    from backtests.report_words import summary_rows
    from bot.cli.data_tables import print_table

    if summary["simulated_market"]:
        typer.secho("SIMULATED MARKET", bold=True)
    if summary["unproven"]:
        typer.secho(f"UNPROVEN: {summary['unproven']}", bold=True)
    title = f"{', '.join(summary['symbols'])}, {summary['from']} to {summary['to']}, {summary['strategy']}"
    print_table(["figure", "value"], [list(row) for row in summary_rows(summary)], title=title)
    print_table(["the run", ""], [list(row) for row in run_lines(summary["run"])], title="What ran")
    if laid is not None:
        rows = [list(row) for row in cause_rows(laid.overlay)]
        print_table([name.lower() for name in CAUSE_HEAD], rows, title="Against its backtest")
        typer.echo(verdict_words(laid.overlay))
    for words in summary["warnings"]:
        typer.secho(f"warning: {words}", err=True)
