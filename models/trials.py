"""The trial ledger: every look that was ever taken at test minutes, so that a later claim can be cut down to size.

``ROOT/trials.jsonl`` gets a line for each look, on the disk before its figures are shown. Who tries twenty recipes and
shows the best one has not found what its 95 % interval says: with N distinct trials on the same minutes a verdict asks
for the confidence (1 − 0.05)^(1/N) instead (Z. Šidák, Rectangular confidence regions for the means of multivariate
normal distributions, 1967). One trial keeps its 95 %. The rule takes trials for independent; where they resemble each
other it asks for too much, never for too little.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal, get_args

from bot.errors import ModelError
from models.durable import append_line, disk, folder_lock, read_lines
from models.windows import MINUTE_MS

LEDGER_FILE = "trials.jsonl"
LEVEL = 0.95
"""The confidence of a single trial's interval."""

Kind = Literal["training", "walk_forward", "evaluation", "comparison", "sweep", "threshold"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Trial:
    """One look at test minutes.

    Attributes:
        kind: What looked. An ``evaluation`` is an access: it is a trial only where nothing else tried the same.
        at_ms: When, ms UTC.
        recipe: Name of the recipe, or of what else was tried.
        digest: SHA-256 of the recipe or the settings that were tried.
        data: SHA-256 of the candles.
        test_from_ms: First minute that was forecast, ms.
        test_until_ms: End of them, not included, ms.
        gain_millinats: Log-loss gain over the base rate; None where it was not measured.
        sharpe: Sharpe ratio of the daily net returns, a day; None where there is none.
        note: For people.
    """

    kind: Kind
    at_ms: int
    recipe: str
    digest: str
    data: str
    test_from_ms: int
    test_until_ms: int
    gain_millinats: float | None = None
    sharpe: float | None = None
    note: str = ""

    @property
    def subject(self) -> tuple[str, str, int, int]:
        """What was tried on which minutes, whoever looked."""
        return self.digest, self.data, self.test_from_ms, self.test_until_ms


@dataclass(frozen=True, slots=True)
class Subject:
    """What is about to be looked at; the minutes are known once the sample is.

    Attributes:
        kind: What looks.
        at_ms: When, ms UTC.
        recipe: Name of the recipe.
        digest: SHA-256 of the recipe or the settings.
        data: SHA-256 of the candles.
        note: For people.
    """

    kind: Kind
    at_ms: int
    recipe: str
    digest: str
    data: str
    note: str = ""

    def trial(self, from_ms: int, until_ms: int) -> Trial:
        """The look at these minutes, before anything is known of its outcome."""
        return Trial(
            self.kind, self.at_ms, self.recipe, self.digest, self.data, from_ms, until_ms, note=self.note
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where looks are written down, and the time to write.

    Attributes:
        root: The folder of models.
        at_ms: ms UTC.
    """

    root: Path
    at_ms: int


@dataclass(frozen=True, slots=True)
class Record:
    """How often the minutes of one trial were tried upon.

    Attributes:
        trials: Distinct trials on overlapping minutes, this one among them.
        accesses: Looks at overlapping minutes before this one, repeated ones included.
    """

    trials: int = 1
    accesses: int = 0

    @property
    def confidence(self) -> float:
        """What the verdict's interval must hold at."""
        return deflated_confidence(self.trials)

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"trials": self.trials, "accesses": self.accesses, "confidence": self.confidence}


ALONE = Record()
"""Minutes that nothing was tried upon before."""


def record_trial(root: Path, trial: Trial) -> None:
    """Write a look into the ledger and wait until the disk has it.

    Args:
        root: The folder of models; made if missing.
        trial: The look.

    Raises:
        ModelError: The trial's minutes end before they begin, or a figure of it is not finite.
        StorageError: The disk refused; the ledger is as it was.
    """
    record_trials(root, [trial])


def record_trials(root: Path, trials: Sequence[Trial]) -> None:
    """Write some looks into the ledger at once and wait until the disk has them; the errors are those of ``record_trial``."""
    for trial in trials:
        _check(trial, "the trial")
    if not trials:
        return
    path = root / LEDGER_FILE
    lines = [json.dumps(asdict(trial), allow_nan=False).encode() for trial in trials]
    with disk(path):
        root.mkdir(parents=True, exist_ok=True)
        with folder_lock(root):
            append_line(path, b"\n".join(lines))


def read_trials(root: Path) -> list[Trial]:
    """Every look that was written down, oldest first; an unfinished last line is none.

    Raises:
        ModelError: A line is damaged; names the file and the line.
    """
    path = root / LEDGER_FILE
    return [_read_line(line, f"{path} line {number}") for number, line in enumerate(read_lines(path), 1)]


def trials_overlapping(trials: Iterable[Trial], from_ms: int, until_ms: int) -> list[Trial]:
    """The trials that looked at any minute of [from, until), in their order."""
    return [one for one in trials if one.test_from_ms < until_ms and from_ms < one.test_until_ms]


def count_distinct(trials: Iterable[Trial]) -> int:
    """How many different things were tried: looking again at the same thing on the same minutes is no new trial."""
    return len({one.subject for one in trials})


def record_of(trial: Trial, earlier: Sequence[Trial]) -> Record:
    """How often this trial's minutes were tried upon, the trial itself included."""
    before = trials_overlapping(earlier, trial.test_from_ms, trial.test_until_ms)
    return Record(count_distinct([*before, trial]), len(before))


def deflated_confidence(trials: int) -> float:
    """Confidence at which each of so many intervals must hold for all to hold at 95 % (Šidák, 1967)."""
    return float(LEVEL ** (1.0 / max(trials, 1)))


def deflated_bounds(value: float, low: float, high: float, trials: int) -> tuple[float, float]:
    """A 95 % interval at the confidence that so many trials ask for.

    Each side is stretched by the ratio of the two normal quantiles: a tail of one in a thousand cannot be read off two
    thousand resamples, but the spread and the skew of the interval can.

    Args:
        value: The estimate.
        low: Its lower bound at 95 %.
        high: Its upper bound at 95 %.
        trials: How many.
    """
    stretch = two_sided_quantile(deflated_confidence(trials)) / two_sided_quantile(LEVEL)
    return value - (value - low) * stretch, value + (high - value) * stretch


def two_sided_quantile(confidence: float) -> float:
    """How many standard errors either side of a normal estimate hold it with this confidence."""
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def minutes_range(first_ms: int, last_ms: int) -> tuple[int, int]:
    """[from, until) of forecasts whose first and last minutes are given, ms."""
    return first_ms, last_ms + MINUTE_MS


def _read_line(line: bytes, where: str) -> Trial:
    """Read one line of the ledger."""
    try:
        trial = Trial(**json.loads(line))
    except (ValueError, TypeError) as fault:
        raise ModelError(f"{where} is no trial: {fault}") from fault
    _check(trial, where)
    return trial


def _check(trial: Trial, where: str) -> None:
    """Refuse values that no look can have."""
    texts = (trial.recipe, trial.digest, trial.data, trial.note)
    times = (trial.at_ms, trial.test_from_ms, trial.test_until_ms)
    figures = [value for value in (trial.gain_millinats, trial.sharpe) if value is not None]
    whole = (
        trial.kind in KINDS
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(time, int) and not isinstance(time, bool) for time in times)
        and all(isinstance(value, int | float) and math.isfinite(value) for value in figures)
    )
    if not whole or trial.test_from_ms >= trial.test_until_ms:
        shown = ", ".join(f"{part.name}={getattr(trial, part.name)!r}" for part in fields(trial))
        raise ModelError(f"{where} is no trial: {shown}")
