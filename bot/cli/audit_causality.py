"""``bot audit causality``: alter the future, and see whether anything that was known before changes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.train import FromOption, JsonOption, RootOption, ToOption
from bot.errors import ConfigError, DifferenceError, UsageError

if TYPE_CHECKING:
    from bot.audits.causality import Pipeline, StageCheck
    from bot.audits.causality_run import CausalityReport
    from models.candle_arrays import CandleArrays

FIT_EPOCHS = 2
LEAST_DAYS = 5


def causality(
    recipes: Annotated[
        list[str] | None,
        typer.Option("--recipe", metavar="NAME", help="Recipe, by name or file; may be repeated."),
    ] = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            metavar="NAME",
            help="name, name:set, or your own package.module:factory; may be repeated.",
        ),
    ] = None,
    pipelines: Annotated[
        list[str] | None,
        typer.Option(
            "--pipeline", metavar="PATH", help="Your own pipeline, package.module:factory; may be repeated."
        ),
    ] = None,
    fits: Annotated[
        list[str] | None,
        typer.Option(
            "--fit",
            metavar="NAME",
            help="Recipe to train anew for every question, slow for a network; may be repeated.",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", metavar="ID", help="Stored model: id, path, champion or latest; may be repeated."
        ),
    ] = None,
    candles: Annotated[
        list[str] | None,
        typer.Option(
            "--candles",
            metavar="FILE",
            help="Candle file, or SYMBOL=FILE; may be repeated (default: simulated ones).",
        ),
    ] = None,
    since: FromOption = None,
    until: ToOption = None,
    moments: Annotated[
        int, typer.Option("--moments", min=1, max=1000, help="Random moments for each subject.")
    ] = 8,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of moments, futures and simulated candles.")
    ] = 1,
    days: Annotated[
        int,
        typer.Option("--days", min=LEAST_DAYS, max=400, help="How many days to simulate, without --candles."),
    ] = 7,
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, help="Epochs of each --fit: a short fit asks the same question.")
    ] = FIT_EPOCHS,
    calendar: Annotated[
        bool,
        typer.Option(
            "--calendar", help="The strategy may know the calendar: do not ask it about other dates."
        ),
    ] = False,
    models_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Alter every candle after random moments: what was known before must stay the same to the bit.

    Without --recipe, --strategy, --pipeline, --fit or --model, all that is shipped is audited: the candle path, every
    feature set, every recipe (the forest trained), every strategy. A difference ends it with exit code 8.

    Example: bot audit causality --strategy momentum:make --moments 20
    """
    from bot.audits.causality_probe import ProbePlan
    from bot.audits.causality_run import audit, default_market
    from bot.cli.train import read_series

    chosen = _Subjects(seed, epochs, models_root)
    chosen.add(recipes or (), strategies or (), pipelines or (), fits or (), models or ())
    if not chosen.found:
        chosen.add_shipped()
    if candles is None and (since is not None or until is not None):
        raise UsageError("--from and --to cut the files of --candles; simulated candles have --days")
    market: dict[str, CandleArrays] = (
        read_series(candles, since, until) if candles else default_market(seed, days=days)
    )
    with _progress_bar(len(chosen.found), quiet=as_json) as step:
        report = audit(chosen.found, market, ProbePlan(moments, seed), dates=not calendar, on_step=step)
    _tell(report, simulated=candles is None, as_json=as_json)


class _Subjects:
    """Who is audited, in order.

    Attributes:
        found: Pipelines so far.
    """

    def __init__(self, seed: int, epochs: int, models_root: Path | None) -> None:
        self.found: list[Pipeline] = []
        self._seed = seed
        self._epochs = epochs
        self._root = models_root

    def add(self, recipes: Any, strategies: Any, pipelines: Any, fits: Any, models: Any) -> None:
        """Whatever the options name; what is wrong with a name is said before anything runs."""
        for name in recipes:
            self._recipe(name)
        for name in fits:
            self._fit(name)
        for name in models:
            self._model(name)
        for name in strategies:
            self._strategy(name)
        self.found += [user_pipeline(path) for path in pipelines]

    def add_shipped(self) -> None:
        """Everything that comes with the program."""
        from bot.audits.causality_models import FeaturePipeline
        from bot.audits.causality_trading import CandlePath
        from models.features import FEATURE_SETS
        from models.recipe import recipe_names
        from strategies.factory import built_in_sets

        self.found += [CandlePath(flagged=True), CandlePath(flagged=False)]
        self.found += [FeaturePipeline(features) for _, features in sorted(FEATURE_SETS.items())]
        for name in recipe_names():
            self._recipe(name)
        self._fit("forest")
        for name in built_in_sets():
            self._strategy(name)

    def _recipe(self, name: str) -> None:
        from bot.audits.causality_models import RecipePipeline
        from models.recipe import load_recipe

        self.found.append(RecipePipeline(load_recipe(name)))

    def _fit(self, name: str) -> None:
        from bot.audits.causality_models import TrainedRecipe
        from bot.clock import monotonic_ns
        from models.recipe import load_recipe

        self.found.append(TrainedRecipe(load_recipe(name), monotonic_ns, max_epochs=self._epochs))

    def _model(self, name: str) -> None:
        from bot.audits.causality_models import StoredModel
        from bot.cli.train import default_models_root
        from models.forecaster import load_forecaster
        from models.registry import resolve

        self.found.append(StoredModel(load_forecaster(resolve(self._root or default_models_root(), name))))

    def _strategy(self, name: str) -> None:
        from bot.audits.causality_trading import StrategyPipeline
        from strategies import strategy_factory

        self.found.append(StrategyPipeline(name, strategy_factory(name), self._seed))


def user_pipeline(path: str) -> Pipeline:
    """The pipeline that a user's factory makes.

    Args:
        path: ``package.module:factory``; called without arguments.

    Raises:
        ConfigError: It cannot be imported or called, or what it makes has no ``answer``.
    """
    from bot.audits.causality_run import UserPipeline

    module_name, _, attribute = path.partition(":")
    if not attribute:
        raise ConfigError(f"--pipeline {path}: write package.module:factory")
    try:
        made = getattr(importlib.import_module(module_name), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError, SyntaxError, NameError) as error:
        raise ConfigError(f"pipeline {path!r} can't be made: {error}") from error
    if not callable(getattr(made, "answer", None)):
        raise ConfigError(f"pipeline {path!r} has no method answer(market)")
    return UserPipeline(path, made)


def _tell(report: CausalityReport, *, simulated: bool, as_json: bool) -> None:
    """Print the report; a difference is told as an error, once."""
    from bot.cli.data_tables import failed_after_json, print_json

    failed = report.failed
    verdict = None
    if failed:
        sentences = [
            f"{check.subject}: {check.finding.sentence}" for check in failed if check.finding is not None
        ]
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        verdict = DifferenceError(f"{sentences[0]}{more}")
    if as_json:
        print_json({**report.as_json(), "simulated_market": simulated})
        if verdict is not None:
            raise failed_after_json(verdict)
        return
    _print(report, simulated=simulated)
    if verdict is not None:
        raise verdict


def _print(report: CausalityReport, *, simulated: bool) -> None:
    from bot.cli.data_tables import print_table

    if simulated:
        typer.secho("SIMULATED MARKET", bold=True)
    market = report.market
    title = (
        f"Causality on {', '.join(market['symbols'])}, {market['from']} to {market['to']}, "
        f"{market['candles']:,} candles, seed {report.plan.seed}"
    )
    groups: dict[tuple[str, str], list[StageCheck]] = {}
    for check in report.checks:
        groups.setdefault((check.subject, check.stage), []).append(check)
    rows: list[list[Any]] = [
        [subject, stage, _asked(checks), sum(check.values for check in checks), _verdict(checks)]
        for (subject, stage), checks in groups.items()
    ]
    print_table(["subject", "stage", "asked, and how often", "values", ""], rows, title=title)
    for note in dict.fromkeys(f"{check.subject}: {check.note}" for check in report.checks if check.note):
        typer.echo(note)
    for check in report.failed:
        if check.finding is not None:
            typer.echo(f"{check.subject}: {check.finding.sentence}")
    values = sum(check.values for check in report.checks)
    subjects = len({check.subject for check in report.checks})
    if not report.failed:
        who = f"{subjects} subject{'s' if subjects != 1 else ''}"
        typer.echo(f"no difference: {who}, {len(report.checks)} comparisons, {values:,} values")


def _asked(checks: list[StageCheck]) -> str:
    """What a stage was asked, in a word each, and at how many moments."""
    from bot.audits.causality_run import SHORT_WORDS

    return ", ".join(
        f"{SHORT_WORDS[check.compared]} {check.moments}" if check.moments > 1 else SHORT_WORDS[check.compared]
        for check in checks
    )


def _verdict(checks: list[StageCheck]) -> str:
    differing = [check for check in checks if check.finding is not None]
    return "DIFFERS" if differing else "same"


@contextmanager
def _progress_bar(total: int, *, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """A bar on standard error that counts subjects and names the question; silent unless that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        # Brackets in a name are no markup.
        yield lambda done, step: progress.update(
            task, completed=done, description=Text(step).plain.replace("[", "(")
        )
