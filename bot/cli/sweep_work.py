"""The work of ``bot sweep``: search, count the trials, find, write and print."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bot.cli.sweep_input import SweepInput, SweepWishes, sweep_input
from bot.cli.sweep_tables import print_sweep, sweep_bar
from bot.errors import BotError

if TYPE_CHECKING:
    from backtests.cluster import Where
    from backtests.sweep_findings import Findings
    from backtests.sweep_search import Searched
    from backtests.sweep_space import Dimension
    from bot.cli.backtest_input import Wishes
    from models.trials import Trial

_LISTED = 5


@dataclass(frozen=True, slots=True)
class Order:
    """A sweep as it was asked for.

    Attributes:
        wishes: Of the backtest.
        space: What is varied.
        asked: How it is judged.
        search: ``grid`` or ``optuna``.
        trials: Points of a study.
        seed: Of the studies.
        where: What it runs on.
        out: Folder of the results; None makes one in ``root``.
        root: Folder of folders.
        simulated: Whether the market is a simulated one.
    """

    wishes: Wishes
    space: tuple[Dimension, ...]
    asked: SweepWishes
    search: str
    trials: int
    seed: int
    where: Where
    out: Path | None
    root: Path
    simulated: bool


def run_order(order: Order, *, as_json: bool) -> None:
    """Run a sweep from its flags to its files.

    Raises:
        KeyboardInterrupt: Ctrl-C; how to go on has been said.
        BotError: Points failed; everything else is done and written.
    """
    from backtests.sweep_store import alone_in
    from bot.cli.data_tables import failed_after_json, print_json
    from bot.cli.train import default_models_root
    from models.trials import read_trials

    if order.search == "optuna":
        from backtests.sweep_search import load_optuna

        load_optuna()  # what is not installed is said before candles are read
    read_trials(order.wishes.models_root or default_models_root())  # and so is a damaged ledger
    told = sweep_input(order.wishes, order.space, order.asked)
    folder = order.out or order.root / _name(order, told)
    with alone_in(folder):
        searched = _searched(order, told, folder, quiet=as_json)
        document = _finished(order, told, searched, folder)
    if as_json:
        print_json(document)
    else:
        print_sweep(document, folder)
    if searched.failures:
        error = BotError(_failure_words(searched))
        raise failed_after_json(error) if as_json else error


def _name(order: Order, told: SweepInput) -> str:
    """A folder's name: the same for the same command, another for other inputs, settings or program."""
    from models.hashing import sha256

    words = (told.ground.digest, repr(told.prepared.data.config), repr(order.space), order.search, told.rule)
    return sha256(repr((*words, order.trials, order.seed, told.prepared.strategy)).encode())[:12]


def _searched(order: Order, told: SweepInput, folder: Path, *, quiet: bool) -> Searched:
    """Evaluate the points under a bar."""
    from backtests.cluster import workers
    from backtests.sweep_point import evaluate_point
    from backtests.sweep_search import Plan, Search
    from backtests.sweep_store import PointStore

    store = PointStore(folder)
    plan = Plan(order.space, order.search, order.trials, order.seed, told.rule, told.job_of)
    _warm(told)
    with (
        sweep_bar(plan.total(order.asked.folds), _where_words(order, told), quiet=quiet) as show,
        workers(evaluate_point, where=order.where, shared=told.ground) as ready,
    ):
        try:
            return Search(plan, told.ground, store, ready, show).run()
        except KeyboardInterrupt:
            typer.echo(
                f"interrupted; the finished points are kept in {folder}: start the same command again to go on",
                err=True,
            )
            raise


def _warm(told: SweepInput) -> None:
    """Compile the kernel once, before as many processes as cores would each do it."""
    if told.ground.tape is not None:
        from backtests.sweep_kernel import warm_up

        warm_up(told.ground.tape, told.prepared.data)


def _where_words(order: Order, told: SweepInput) -> str:
    engine = "the compiled kernel" if told.ground.tape is not None else "the exact core"
    why = f" ({told.why_exact})" if told.why_exact else ""
    return f"{engine}{why} on {order.where.words}"


def _finished(order: Order, told: SweepInput, searched: Searched, folder: Path) -> dict[str, Any]:
    """Count the trials, find, and write everything; the document of ``sweep.json``."""
    from backtests.sweep_files import write_files
    from backtests.sweep_report import sweep_document
    from bot.cli.train import default_models_root

    if not searched.figures:
        raise BotError(_failure_words(searched))
    ledger = order.wishes.models_root or default_models_root()
    findings = _found(order, told, searched, ledger)
    document = sweep_document(
        findings,
        searched,
        space=order.space,
        search=order.search,
        seed=order.seed,
        trials=order.trials,
        strategy=told.prepared.strategy,
        data=told.prepared.data,
        engine=told.ground.engine,
        warnings=_warnings(told, searched),
        simulated=order.simulated,
    )
    write_files(folder, document, findings)
    return document


def _found(order: Order, told: SweepInput, searched: Searched, ledger: Path) -> Findings:
    """What the points show. Each is a trial, on the disk before any figure is seen."""
    from backtests.sweep_findings import find
    from backtests.sweep_table import Table
    from models.trials import count_distinct, read_trials, record_trials, trials_overlapping

    keys = list(searched.figures)
    table = Table.of([searched.figures[key] for key in keys], told.ground.blocks)
    looks = _looks(order, told, table)
    earlier = read_trials(ledger)
    first = looks[0]
    own = {look.subject for look in looks}
    before = trials_overlapping(earlier, first.test_from_ms, first.test_until_ms)
    known = {trial.subject for trial in before}
    # A point that was counted is counted; the choice as a whole is written down each time that it is looked at.
    record_trials(ledger, [look for look in looks[:-1] if look.subject not in known] + looks[-1:])
    places = {key: place for place, key in enumerate(keys)}
    return find(
        table,
        told.rule,
        [[places[key] for key in candidates] for candidates in searched.candidates],
        [places[key] for key in searched.finalists],
        others=count_distinct(trial for trial in before if trial.subject not in own),
    )


def _looks(order: Order, told: SweepInput, table: Any) -> list[Trial]:
    """The points as trials, and "choose, then trade" as the last of them."""
    from backtests.sweep_store import settings_digest
    from bot.clock import wall_ms
    from models.hashing import sha256
    from models.trials import Subject

    said = told.said_digest
    since_ms, until_ms = told.ground.blocks[0].since_ms, told.ground.blocks[-1].until_ms
    now_ms, name = wall_ms(), told.prepared.strategy
    sharpes = table.summed(table.everywhere()).sharpe
    looks = []
    for point, sharpe in zip(table.points, sharpes, strict=True):
        digest = sha256(f"{said}\n{settings_digest(told.job_of(point))}".encode())
        note = " ".join(f"{key}={value}" for key, value in point.items())
        look = Subject("sweep", now_ms, name, digest, told.data_digest, note).trial(since_ms, until_ms)
        looks.append(replace(look, sharpe=float(sharpe)))
    whole = sha256(repr((said, order.space, order.search, order.trials, order.seed, told.rule, len(told.ground.blocks),
                         told.prepared.data.config, name)).encode())  # fmt: skip
    chosen = Subject("sweep", now_ms, name, whole, told.data_digest, "choose in sample, then trade")
    return [*looks, chosen.trial(since_ms, until_ms)]


def _warnings(told: SweepInput, searched: Searched) -> list[str]:
    """What a reader should know."""
    found = list(told.prepared.warnings)
    if told.why_exact:
        found.append(f"the exact core ran the points, not the compiled kernel: {told.why_exact}")
    if searched.impossible:
        point, reason = searched.impossible[0]
        words = " ".join(f"{name}={value}" for name, value in point.items())
        found.append(f"{len(searched.impossible)} combinations cannot be, such as {words}: {reason}")
    return found


def _failure_words(searched: Searched) -> str:
    """Every failed point with its reason, the first few of them."""
    reasons = [
        f"{' '.join(f'{name}={value}' for name, value in point.items())}: {reason}"
        for point, reason in searched.failures.values()
    ]
    more = f"; and {len(reasons) - _LISTED} more" if len(reasons) > _LISTED else ""
    total = len(searched.figures) + len(reasons)
    return (
        f"{len(reasons)} of {total} points failed ({'; '.join(reasons[:_LISTED])}{more}); "
        "the same command tries them again"
    )
