"""``bot audit noise`` and ``bot audit planted``: would the weekly pipeline promote nothing, and would it know an edge?"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.audit_tables import audit_run, end_audit, show_noise, show_planted
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.audits.paths import Market, PathAudit
    from bot.audits.runner import PathPlan

_DAY_MINUTES = 1440
_WEEK_MINUTES = 7 * _DAY_MINUTES
_PIPELINE = "bot.audits.weekly:weekly_audit"


class MartingaleName(str, Enum):
    """The markets without an edge."""

    GARCH_T = "garch_t"
    BOUNCE = "bounce"


class ModelName(str, Enum):
    """What the pipeline trains."""

    FAST = "fast"
    LSTM = "lstm"


ModelOption = Annotated[
    ModelName,
    typer.Option(
        "--model", help="fast: seconds a fit. lstm: a small one, which goes on from last week's weights."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the first path; the others follow.")]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, max=512, help="Processes at a time (default: all cores).")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder of the results; a second start goes on there (default: BOT_STATE_DIR/audits).",
    ),
]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Forget the finished paths of the same settings.")
]
PipelineOption = Annotated[
    str,
    typer.Option(
        "--pipeline", metavar="MODULE:FACTORY", help="A pipeline of your own in place of the bot's."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def noise(
    paths: Annotated[int, typer.Option("--paths", min=1, help="Markets of each kind.")] = 200,
    kinds: Annotated[
        list[MartingaleName] | None, typer.Option("--kind", help="May be repeated (default: both).")
    ] = None,
    model: ModelOption = ModelName.FAST,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=520, help="Weekly decisions a path.")] = 26,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    out: OutOption = None,
    restart: RestartOption = False,
    pipeline: PipelineOption = _PIPELINE,
    as_json: JsonOption = False,
) -> None:
    """Run the weekly pipeline on markets in which nothing can be forecast, and count what it promotes.

    Ends with 8 when it ever promoted a model on more than 2 % of the paths of a kind. Ctrl-C keeps the finished paths.

    Example: bot audit noise --paths 200 --kind garch_t
    """
    from bot.audits.findings import noise_finding
    from bot.audits.paths import MartingaleMarket, pipeline_audit

    audit = pipeline_audit(pipeline, model=model.value, weeks=weeks, watch_minutes=0)
    minutes = _last_decision(audit, weeks)
    chosen = dict.fromkeys(kinds or list(MartingaleName))
    plans = [_plan(MartingaleMarket(kind=kind.value, minutes=minutes), audit, paths, seed) for kind in chosen]
    folder = out or _default_folder()
    run = audit_run(plans, folder, jobs=jobs, restart=restart, quiet=as_json)
    found = [noise_finding(state.kind, list(state.results.values())) for state in run.states]
    document: dict[str, Any] = {
        "audit": "noise",
        "model": model.value,
        "weeks": weeks,
        "kinds": [finding.as_json() for finding in found],
        "passed": all(finding.passed for finding in found),
    }
    run.keep(document, folder / "noise.json")
    if not as_json:
        show_noise(found, weeks=weeks)
    missed = [f"{finding.kind}: {finding.promoted.count} of {finding.promoted.total}" for finding in found
              if not finding.passed]  # fmt: skip
    sentence = f"a model was promoted where nothing can be forecast: {', '.join(missed)}" if missed else None
    end_audit(run, document, sentence, as_json=as_json)


def planted(
    accuracies: Annotated[
        list[float] | None,
        typer.Option(
            "--accuracy",
            min=0.5,
            max=0.6,
            help="Share of next-minute directions that can be known; may be repeated (default: 0.51 0.52 0.53).",
        ),
    ] = None,
    paths: Annotated[int, typer.Option("--paths", min=1, help="Markets of each edge.")] = 50,
    model: ModelOption = ModelName.FAST,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=520, help="Weekly decisions a path.")] = 12,
    watch_days: Annotated[
        int,
        typer.Option("--watch-days", min=0, max=60, help="Days after the edge has turned; 0: it does not."),
    ] = 5,
    volatility_bps: Annotated[
        float, typer.Option("--volatility-bps", min=0.5, max=100, help="Deviation of a minute's return.")
    ] = 30.0,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    out: OutOption = None,
    restart: RestartOption = False,
    pipeline: PipelineOption = _PIPELINE,
    as_json: JsonOption = False,
) -> None:
    """Run the weekly pipeline on markets with a known edge: how soon is it found, and how soon dropped when it turns?

    Ends with 8 when an edge of 52 % or more is not promoted on 98 % of the paths, or a champion whose edge has turned
    is not at half its size within a day and out within three. Writes planted.json and power.html.

    Example: bot audit planted --accuracy 0.52 --paths 50
    """
    from bot.audits.findings import planted_finding
    from bot.audits.paths import PlantedMarket, pipeline_audit
    from bot.audits.power_page import power_page
    from models.durable import disk, replace_file

    sizes = list(dict.fromkeys(accuracies or [0.51, 0.52, 0.53]))
    watch = watch_days * _DAY_MINUTES
    audit = pipeline_audit(pipeline, model=model.value, weeks=weeks, watch_minutes=watch)
    turn = _last_decision(audit, weeks)
    plans = [
        _plan(PlantedMarket(size, turn + watch, turn if watch else None, volatility_bps / 1e4), audit, paths, seed)
        for size in sizes
    ]  # fmt: skip
    folder = out or _default_folder()
    run = audit_run(plans, folder, jobs=jobs, restart=restart, quiet=as_json)
    found = [
        planted_finding(size, list(state.results.values()), weeks=weeks, flipped=watch > 0)
        for size, state in zip(sizes, run.states, strict=True)
    ]
    document: dict[str, Any] = {
        "audit": "planted",
        "model": model.value,
        "weeks": weeks,
        "edges": [finding.as_json() for finding in found],
        "passed": all(finding.passed for finding in found),
    }
    run.keep(document, folder / "planted.json")
    about = f"{paths} markets of each edge, model {model.value}, {weeks} weekly decisions."
    with disk(folder / "power.html"):
        replace_file(folder / "power.html", power_page(found, about=about).encode())
    if not as_json:
        show_planted(found)
    missed = [f"{finding.accuracy:g}" for finding in found if not finding.passed]
    sentence = f"the pipeline did not do what it must at {', '.join(missed)}" if missed else None
    end_audit(run, document, sentence, as_json=as_json)


def _plan(market: Market, audit: PathAudit, paths: int, seed: int) -> PathPlan:
    """So many paths from a seed on, at the costs that trading is simulated with by default."""
    from bot.audits.runner import PathPlan
    from bot.core.matching import Costs

    if audit.history_minutes < 0:
        raise UsageError("the pipeline asks for a history of less than nothing")
    return PathPlan(market, audit, Costs(), tuple(range(seed, seed + paths)))


def _last_decision(audit: PathAudit, weeks: int) -> int:
    """Minutes from the first candle to the last weekly decision."""
    return audit.history_minutes + (weeks - 1) * _WEEK_MINUTES


def _default_folder() -> Path:
    return Path(os.environ.get("BOT_STATE_DIR") or "var") / "audits"
