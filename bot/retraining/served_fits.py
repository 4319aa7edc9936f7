"""The fits of a walk-forward backtest: made once, in any order, on any process, and kept by what they are made of.

A fit depends on its moment alone: it sees the ``train_days`` before. The model of a retraining and the evidence's week
that begins at the same moment come from one fit. ``CACHE/fits/KEY/`` is a folder of one model, so that an interrupted
fit goes on as ``bot train`` does; the evidence's weeks lie where ``bot.retraining.folds`` looks for them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.market import DAY_MS
from bot.errors import BotError, EngineProtocolError
from bot.retraining.folds import FoldPlan, forecast_week, kept_file, seen_and_history
from bot.retraining.scored import to_parquet
from models.assessment import finished_trial
from models.candle_arrays import CandleArrays
from models.durable import disk, replace_file
from models.hashing import code_digest, data_digest, sha256
from models.recipe import Recipe
from models.registry import list_models, read_verified, write_artifact
from models.training import TrainedModel, library_versions, train, with_training
from models.trials import Subject, record_trial

FITS = "fits"
ROOT = "models"
"""Under the cache: the folder of models in which the retrainings are judged."""

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class FitWorld:
    """What every fit has in common; handed to each process once.

    Attributes:
        recipe: What is fitted, as it is written.
        series: Candles of each symbol.
        train_days: Days of candles that each fit is made of.
        max_minutes: Time limit of each fit.
        monotonic_ns: A local clock, a function of a module.
    """

    recipe: Recipe
    series: Mapping[str, CandleArrays]
    train_days: int
    max_minutes: float
    monotonic_ns: Callable[[], int]

    @property
    def limited(self) -> Recipe:
        """The recipe as it is trained: its time limit is part of what a model is made of."""
        return with_training(self.recipe, max_seconds=self.max_minutes * 60.0)

    def seen(self, at_ms: int) -> dict[str, CandleArrays]:
        """The candles that a fit at a moment is made of."""
        since_ms = at_ms - self.train_days * DAY_MS
        return {name: candles.between(since_ms, at_ms) for name, candles in self.series.items()}


@dataclass(frozen=True, slots=True)
class FitJob:
    """One fit.

    Attributes:
        at_ms: Its moment, ms UTC: nothing at or after it is seen.
        root: Where its model is kept; None sends it back.
        made: The files of its model, where that is there already.
        week: Whether the week after it is forecast, as evidence.
    """

    at_ms: int
    root: Path | None
    made: Files | None
    week: bool


@dataclass(frozen=True, slots=True)
class FitDone:
    """What came of it.

    Attributes:
        at_ms: Its moment.
        files: The model's files by name; empty where they are kept already.
        week: Parquet of ``ScoredForecasts``; None where it was not asked for.
    """

    at_ms: int
    files: Files = field(default_factory=dict)
    week: bytes | None = None


def fit_once(world: FitWorld, job: FitJob) -> FitDone:
    """Do a job; a function of a module, for other processes.

    Raises:
        ConfigError, DataError, ModelError, StorageError: As ``models.training.train`` does.
    """
    with tempfile.TemporaryDirectory(prefix="bot-fit-") as temporary, warnings.catch_warnings():
        # joblib tells each forest that a process of ours starts no processes of its own.
        warnings.filterwarnings("ignore", message="Loky-backed parallel loops")
        model, files = _model(world, job, Path(temporary))
        week = _week(world, model, job.at_ms) if job.week else None
        return FitDone(job.at_ms, files, week)


def _model(world: FitWorld, job: FitJob, temporary: Path) -> tuple[Path, Files]:
    """The model's folder, and its files where they must be sent back."""
    if job.made is not None:
        for name, content in job.made.items():
            (temporary / name).write_bytes(content)
        return temporary, {}
    trained = train(
        world.recipe,
        world.seen(job.at_ms),
        job.root or temporary,
        created_at_ms=job.at_ms,
        monotonic_ns=world.monotonic_ns,
        max_seconds=world.max_minutes * 60.0,
    )
    return trained.folder, {} if job.root is not None else _all_files(trained.folder)


def _week(world: FitWorld, model: Path, at_ms: int) -> bytes:
    plan = FoldPlan(world.recipe, world.train_days, world.max_minutes, model)
    seen, history = seen_and_history(plan, world.series, at_ms)
    return to_parquet(forecast_week(model, seen, history, at_ms, world.monotonic_ns))


def _all_files(folder: Path) -> dict[str, bytes]:
    """Every file of an artifact, its passport included."""
    read_verified(folder)
    return {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir())}


class KeptFits:
    """The fits of one cache.

    Args:
        world: What they have in common.
        cache: The folder.
    """

    def __init__(self, world: FitWorld, cache: Path) -> None:
        self.world = world
        self.cache = cache
        self.root = cache / ROOT
        self._folds = FoldPlan(world.recipe, world.train_days, world.max_minutes, self.root)
        self._keys: dict[int, str] = {}

    def missing(self, models: Collection[int], weeks: Collection[int], *, here: bool) -> dict[str, FitJob]:
        """The jobs that are left to do, by key.

        Args:
            models: Moments whose models are wanted.
            weeks: Moments whose weeks are wanted.
            here: Whether jobs see this machine's disk.
        """
        jobs = {}
        for at_ms in sorted({*models, *weeks}):
            kept, week = self._kept(at_ms), at_ms in weeks and not self._week_file(at_ms).is_file()
            if (kept is None and at_ms in models) or week:
                root = self._fit_root(at_ms) if here else None
                made = None if kept is None else _all_files(kept)
                jobs[self._key(at_ms)] = FitJob(at_ms, root, made, week)
        return jobs

    def store(self, done: FitDone, *, keep: bool) -> None:
        """Keep what a job has brought, durably; without ``keep`` the model is thrown away and its week stays.

        Raises:
            ModelError: What came is no model.
            StorageError: The disk refused.
        """
        root = self._fit_root(done.at_ms)
        if done.files and keep:
            self._write(root, done.files)
        if done.week is not None:
            file = self._week_file(done.at_ms)
            with disk(file):
                replace_file(file, done.week)
        if not keep:
            shutil.rmtree(root, ignore_errors=True)

    def model(self, at_ms: int) -> Path:
        """The kept model of a moment."""
        kept = self._kept(at_ms)
        if kept is None:
            raise EngineProtocolError(f"the fit of {at_ms} was not made before it was asked for")
        return kept

    def adopt(
        self, recipe: Recipe, series: Mapping[str, CandleArrays], out_root: Path, **terms: Any
    ) -> TrainedModel:
        """In place of ``models.training.train``: the kept fit of the same moment, put where that would have put it.

        Raises:
            EngineProtocolError: The fit is of another recipe or of other candles than those given.
            ModelError: What is kept is damaged.
        """
        passport, files = read_verified(self.model(terms["created_at_ms"]))
        wanted = with_training(recipe, max_seconds=terms["max_seconds"]).digest()
        data = data_digest(series)
        if (passport.hashes.get("config"), passport.hashes.get("data")) != (wanted, data):
            raise EngineProtocolError(f"the kept fit {passport.model_id} is not of what is retrained")
        report = json.loads(files["metrics.json"])
        subject = Subject(
            "training",
            passport.created_at_ms,
            recipe.name,
            wanted,
            passport.hashes["data"],
            passport.model_id,
        )
        record_trial(out_root, finished_trial(subject, report))
        return TrainedModel(passport.model_id, write_artifact(out_root, passport, files), report, {})

    def _kept(self, at_ms: int) -> Path | None:
        root = self._fit_root(at_ms)
        found = list_models(root)
        return root / found[0] if found else None

    def _write(self, root: Path, files: Files) -> None:
        with tempfile.TemporaryDirectory(prefix="bot-fit-") as temporary:
            for name, content in files.items():
                (Path(temporary) / name).write_bytes(content)
            passport, contents = read_verified(Path(temporary))
        write_artifact(root, passport, contents)

    def _fit_root(self, at_ms: int) -> Path:
        return self.cache / FITS / self._key(at_ms)

    def _week_file(self, at_ms: int) -> Path:
        return kept_file(self._folds, *seen_and_history(self._folds, self.world.series, at_ms), at_ms)

    def _key(self, at_ms: int) -> str:
        """Everything that a fit depends on."""
        if at_ms not in self._keys:
            world = self.world
            parts = (
                str(at_ms),
                world.limited.digest(),
                data_digest(world.seen(at_ms)),
                code_digest(),
                str(library_versions()),
            )
            self._keys[at_ms] = sha256("\n".join(parts).encode())[:24]
        return self._keys[at_ms]


def failed(at_words: str, fault: BotError) -> BotError:
    """The same fault, which says which fit it was."""
    return type(fault)(f"the fit of {at_words}: {fault}")
