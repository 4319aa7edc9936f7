"""What a check-up finds: each check is ok, a warning or failed, in one sentence, with what to do. Pure: facts in, findings out.

``bot.daemon.doctor_market`` and ``bot.daemon.doctor_account`` judge what an exchange says; the facts come from
``bot.daemon.doctor_probes`` and ``bot.daemon.account_probes``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

MIB: Final = 1 << 20
GIB: Final = 1 << 30
DISK_FAILS_BYTES: Final = 100 * MIB
DISK_WARNS_BYTES: Final = GIB
"""A year of three symbols takes some 2 GiB of journal; below 100 MiB the next commits are in doubt."""
CANDLE_AGE_MS: Final = 180_000
"""A running daemon's last candle is at most a minute, a deadline and a backfill old."""


class Level(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says.

    Attributes:
        name: Of the check.
        level: How bad it is.
        says: One sentence without a full stop.
        todo: What to do about it; empty where all is well.
        may_pass: Whether it may be well the next time it is asked.
    """

    name: str
    level: Level
    says: str
    todo: str = ""
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """A question that had no answer.

    Attributes:
        reason: Why, in words.
        may_pass: Whether asking again later may help.
    """

    reason: str
    may_pass: bool = False


def fine(name: str, says: str) -> Finding:
    """All is well."""
    return Finding(name, Level.OK, says)


def doubtful(name: str, says: str, todo: str) -> Finding:
    """It works, and a person should know."""
    return Finding(name, Level.WARNING, says, todo)


def broken(name: str, says: str, todo: str, *, may_pass: bool = False) -> Finding:
    """It does not work, or must not."""
    return Finding(name, Level.FAILED, says, todo, may_pass)


def unanswered(name: str, what: str, answer: Unknown, todo: str) -> Finding:
    """What has to be known and is not."""
    return broken(name, f"{what}not known: {answer.reason}", todo, may_pass=answer.may_pass)


def failures(findings: Iterable[Finding]) -> list[Finding]:
    """Those that failed."""
    return [finding for finding in findings if finding.level is Level.FAILED]


def summary(findings: Iterable[Finding]) -> str:
    """The failed checks in one sentence."""
    told = [
        f"{finding.name}: {finding.says}{f' ({finding.todo})' if finding.todo else ''}"
        for finding in failures(findings)
    ]
    return "; ".join(told)


def to_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings as ``bot doctor --json`` prints them."""
    rows = [
        {"check": one.name, "level": one.level.value, "says": one.says, "todo": one.todo} for one in findings
    ]
    return {"ok": all(row["level"] != Level.FAILED.value for row in rows), "checks": rows}


# --- this machine -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PackageFact:
    """A package that the bot needs.

    Attributes:
        name: Its name.
        wanted: The versions that will do, as ``>=4.5,<5``.
        installed: The version that there is; None where there is none.
        fits: Whether it will do.
    """

    name: str
    wanted: str
    installed: str | None
    fits: bool


def judge_python(version: tuple[int, int], least: tuple[int, int]) -> Finding:
    """Whether this Python will do."""
    shown = ".".join(map(str, version))
    if version < least:
        wanted = ".".join(map(str, least))
        return broken("python", f"this is Python {shown}", f"install the bot with Python {wanted} or newer")
    return fine("python", f"Python {shown}")


def judge_packages(packages: Iterable[PackageFact]) -> Finding:
    """Whether every package is there in a version that the bot was built for."""
    listed = list(packages)
    missing = [one for one in listed if one.installed is None]
    other = [one for one in listed if one.installed is not None and not one.fits]
    if missing:
        names = ", ".join(one.name for one in missing)
        return broken("packages", f"not installed: {names}", "install the bot again: pip install .")
    if other:
        names = ", ".join(f"{one.name} {one.installed} (wanted {one.wanted})" for one in other)
        return doubtful("packages", f"other versions than it was built for: {names}", "pip install .")
    return fine("packages", f"{len(listed)} packages, versions as wanted")


@dataclass(frozen=True, slots=True)
class StateFacts:
    """The state folder.

    Attributes:
        folder: Its path.
        fault: Why it can't be written; None where it can.
        free_bytes: Of its disk.
        holder: Process id of the daemon that holds it.
        open_to_all: Whether every user of the machine can write into it.
    """

    folder: str
    fault: str | None
    free_bytes: int
    holder: int | None = None
    open_to_all: bool = False


def judge_state(facts: StateFacts) -> list[Finding]:
    """Whether the state folder can be written, and whether its disk has room."""
    if facts.fault is not None:
        todo = "make it writable for this user, or set another state_dir"
        return [broken("state folder", f"{facts.folder} can't be written: {facts.fault}", todo)]
    held = f", held by a running daemon (process {facts.holder})" if facts.holder else ""
    found = [fine("state folder", f"{facts.folder} is writable{held}")]
    if facts.open_to_all:
        says = (
            f"every user of this machine can write into {facts.folder}: journal and champion could be others"
        )
        found = [doubtful("state folder", says, f"chmod go-w {facts.folder}")]
    free = f"{facts.free_bytes / GIB:.1f} GiB free"
    if facts.free_bytes < DISK_FAILS_BYTES:
        found.append(broken("disk", f"{facts.free_bytes / MIB:.0f} MiB free", "free space on it"))
    elif facts.free_bytes < DISK_WARNS_BYTES:
        found.append(doubtful("disk", free, "free space on it: the journal stops trading when it is full"))
    else:
        found.append(fine("disk", free))
    return found


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """The journal.

    Attributes:
        exists: Whether there is one.
        fault: Why it can't be read.
        schema: Its version.
        last_closed_at_ms: Close time of the last candle that was decided.
        run_id: Its run; every order of ours begins with it.
        equity: The account after the last minute, quote currency.
        held: What it says is held, signed base units by symbol.
        open_orders: Client ids of the orders that may still trade, by symbol.
    """

    exists: bool
    fault: str | None = None
    schema: int = 0
    last_closed_at_ms: int | None = None
    run_id: str | None = None
    equity: float | None = None
    held: Mapping[str, float] | None = None
    open_orders: Mapping[str, str] | None = None


def judge_journal(facts: JournalFacts, newest_schema: int) -> Finding:
    """Whether the journal can be read; one of a newer version can't, and its fault says so."""
    if not facts.exists:
        return fine("journal", "there is none yet: the first start makes it")
    if facts.fault is not None:
        todo = "keep a copy of the state folder, and start with another one"
        return broken("journal", facts.fault, todo)
    later = f"; the next start takes it to {newest_schema}" if facts.schema < newest_schema else ""
    return fine("journal", f"readable, schema {facts.schema}{later}")


def judge_candle_age(last_closed_at_ms: int | None, now_ms: int, *, running: bool) -> Finding:
    """How long ago the last candle came; only a running daemon has to keep up."""
    if last_closed_at_ms is None:
        return fine("last candle", "none was decided on yet")
    age_ms = max(0, now_ms - last_closed_at_ms)
    says = f"closed {_duration(age_ms)} ago"
    if not running:
        return fine("last candle", f"{says}; no daemon is running")
    if age_ms > CANDLE_AGE_MS:
        return broken("last candle", f"{says}, though a daemon is running", "look into `bot logs`")
    return fine("last candle", says)


@dataclass(frozen=True, slots=True)
class ModelFact:
    """The model that a start would load.

    Attributes:
        model_id: Its id; None where none can be loaded.
        proven: Whether the gate has promoted it; None where there is nothing to judge.
        refused: Why the named one does not load.
    """

    model_id: str | None
    proven: bool | None = None
    refused: str | None = None


def judge_model(fact: ModelFact, *, live: bool, unproven: bool) -> Finding:
    """Whether the model loads, and whether it may trade here."""
    if fact.model_id is None:
        todo = "train one and let the gate judge it: bot retrain (docs/models.md)"
        return broken("model", fact.refused or "there is none", todo)
    if fact.proven is False and (live or not unproven):
        todo = (
            "live trading takes a promoted model only: bot retrain" if live else "promote one, or --unproven"
        )
        return broken("model", f"{fact.model_id} is not proven", todo)
    if fact.refused is not None:
        return doubtful("model", f"{fact.model_id}, the fallback: {fact.refused}", "bot models verify")
    if fact.proven is False:
        return doubtful("model", f"{fact.model_id} is not proven and trades on paper", "bot retrain")
    if fact.proven is None:
        return doubtful("model", f"{fact.model_id}: nothing will be traded", "bot models list")
    return fine("model", f"{fact.model_id} loads, and the gate has promoted it")


def _duration(ms: int) -> str:
    """In words, as coarse as it is long."""
    seconds = ms // 1000
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} seconds"
