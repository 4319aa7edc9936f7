"""The gate's decisions of a walk-forward backtest, one after the other, each durable before the next begins.

``bot.retraining.run.retrain`` decides, in a folder of models of its own. What a decision changed in that folder is one
file, ``CACHE/decisions/KEY/NNN.json``; a start that finds it puts the change in place and does not decide again. The
folder itself is made anew at every start, so a kill at any moment leaves nothing half done.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bot.core.market import DAY_MS
from bot.errors import ModelError
from bot.retraining.folds import FOLDER as WEEKS
from bot.retraining.run import RetrainPlan, Telling, retrain
from bot.retraining.served_fits import KeptFits
from bot.retraining.served_schedule import Retraining
from models import champions, trials, verdicts
from models.candle_arrays import CandleArrays
from models.durable import disk, replace_file
from models.hashing import code_digest, data_digest, sha256
from models.registry import CHALLENGER_FILE, CHAMPION_FILE

DECISIONS = "decisions"
_KEPT_FILES = (CHAMPION_FILE, CHALLENGER_FILE, champions.HISTORY_FILE, trials.LEDGER_FILE)
_SILENT = Telling(phase=lambda _: None, week=lambda _, __: None)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one retraining came to.

    Attributes:
        model_id: Its model.
        kind: ``recipe`` or ``refit``.
        promote: Whether the gate lets it follow.
        objections: Sentences of the tests that failed.
        champion_then: Who was champion when it was judged; None where nobody was.
        evidence: The figures that were judged, as JSON values.
    """

    model_id: str
    kind: str
    promote: bool
    objections: tuple[str, ...]
    champion_then: str | None
    evidence: Mapping[str, Any]


class GateSteps:
    """Judges the retrainings of one run, in order.

    Args:
        plan: How a retraining is judged; its time is that of each retraining.
        series: Candles of each symbol.
        fits: Where models and weeks come from.
    """

    def __init__(self, plan: RetrainPlan, series: Mapping[str, CandleArrays], fits: KeptFits) -> None:
        self._plan = replace(plan, root=fits.root)
        self._series = series
        self._fits = fits
        self._count = 0
        self._folder = fits.cache / DECISIONS / self._run_key()
        _empty(fits.root)

    @property
    def root(self) -> Path:
        """The folder of models, as it is after the last retraining."""
        return self._plan.root

    def judge(self, run: Retraining, monotonic_ns: Callable[[], int]) -> tuple[Judged, bool]:
        """Judge one retraining; and whether it was known from before.

        Raises:
            ConfigError, DataError, ModelError, StorageError: As ``bot.retraining.run.retrain`` does.
        """
        self._count += 1
        before = _small_files(self.root)
        key, path = self._step_key(run, before), self._folder / f"{self._count:04}.json"
        kept = _read(path)
        if kept is not None and kept["key"] == key:
            self._replay(run, kept)
            return _judged(kept["judged"]), True
        judged = self._decide(run, monotonic_ns)
        after = _small_files(self.root)
        changed = {name: text for name, text in after.items() if before.get(name) != text}
        document = {"key": key, "judged": asdict(judged), "files": changed}
        with disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, json.dumps(document, indent=1).encode() + b"\n")
        return judged, False

    def _decide(self, run: Retraining, monotonic_ns: Callable[[], int]) -> Judged:
        outcome = retrain(
            replace(self._plan, now_ms=run.began_ms),
            self._series,
            monotonic_ns=monotonic_ns,
            telling=_SILENT,
            fit=self._fits.adopt,
        )
        stored = verdicts.read_verdict(self.root, outcome.model_id)
        if stored is None:
            raise ModelError(f"the verdict on {outcome.model_id} is gone from {self.root}")
        return Judged(
            outcome.model_id,
            outcome.kind,
            stored.promote,
            stored.objections,
            stored.champion_then,
            stored.evidence,
        )

    def _replay(self, run: Retraining, kept: Mapping[str, Any]) -> None:
        """Put in place what the decision had changed."""
        plan = self._plan
        since_ms = run.began_ms - plan.train_days * DAY_MS
        seen = {name: candles.between(since_ms, run.began_ms) for name, candles in self._series.items()}
        terms = {"created_at_ms": run.began_ms, "max_seconds": plan.max_minutes * 60.0}
        self._fits.adopt(plan.recipe, seen, self.root, **terms)
        with disk(self.root):
            for name, text in kept["files"].items():
                target = self.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                replace_file(target, text.encode())

    def _run_key(self) -> str:
        """What every decision of the run depends on."""
        plan = self._plan
        settings = {
            "recipe": plan.recipe.digest(),
            "train_days": plan.train_days,
            "max_weeks": plan.max_weeks,
            "max_minutes": plan.max_minutes,
            "rules": asdict(plan.rules),
            "costs": asdict(plan.costs),
            "empties": plan.empties,
            "symbols": sorted(self._series),
        }
        text = json.dumps(settings, sort_keys=True)
        return sha256(f"{text}\n{judging_code()}\n{code_digest()}".encode())[:24]

    def _step_key(self, run: Retraining, before: Mapping[str, str]) -> str:
        """What one decision depends on besides: its time, the candles before it, and all that was decided before."""
        seen = {name: candles.between(0, run.began_ms) for name, candles in self._series.items()}
        state = json.dumps(before, sort_keys=True)
        return sha256("\n".join((str(run.began_ms), data_digest(seen), state)).encode())


@cache
def judging_code() -> str:
    """Hex digest of the Python sources that judge, besides those of ``models``."""
    digest = hashlib.sha256()
    for package in ("bot.retraining", "bot.core"):
        for entry in sorted(resources.files(package).iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".py"):
                digest.update(f"{package}/{entry.name};".encode() + entry.read_bytes())
    return digest.hexdigest()


def _empty(root: Path) -> None:
    """A folder of models without any; the forecast weeks in it stay."""
    with disk(root):
        root.mkdir(parents=True, exist_ok=True)
        for entry in root.iterdir():
            if entry.name == WEEKS:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _small_files(root: Path) -> dict[str, str]:
    """All that decisions depend on, besides models and candles: name -> content."""
    paths = [root / name for name in _KEPT_FILES]
    paths += sorted((root / verdicts.FOLDER).glob("*.json"))
    return {str(path.relative_to(root)): path.read_text() for path in paths if path.is_file()}


def _read(path: Path) -> dict[str, Any] | None:
    """A decision that was kept; None where there is none, or it is damaged: then it is made again."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    sound = isinstance(found, dict) and {"key", "judged", "files"} <= found.keys()
    return found if sound else None


def _judged(row: Mapping[str, Any]) -> Judged:
    return Judged(**{**row, "objections": tuple(row["objections"])})
