"""Looks at this machine for a check-up: Python, packages, state folder, journal, model. Nothing is changed."""

from __future__ import annotations

import operator
import os
import re
import shutil
import stat
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from bot.core.position import Position
from bot.daemon.doctor import JournalFacts, ModelFact, PackageFact, StateFacts
from bot.daemon.lock import holder
from bot.daemon.serving import ModelShelf
from bot.errors import BotError, NotRunningError
from bot.journal.reader import JournalReader

DISTRIBUTION = "lstm-scalping-bot"
LEAST_PYTHON = (3, 11)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*\(?([^;()]*)\)?\s*(;.*)?")
_BOUND = re.compile(r"(>=|<=|==|!=|<|>)\s*([0-9][0-9.]*)")
_SIGNS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


def look_at_packages() -> list[PackageFact]:
    """What the bot needs to run, as its own metadata lists it; extras are left out."""
    try:
        listed = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return [PackageFact(DISTRIBUTION, "any", None, fits=False)]
    return [fact for line in listed if (fact := package_fact(line)) is not None]


def package_fact(requirement: str) -> PackageFact | None:
    """One line of a distribution's requirements (``name>=1,<2``); None for one of an extra."""
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if match is None or "extra" in (match[3] or ""):
        return None
    name, wanted = match[1], match[2].strip() or "any"
    try:
        installed = version(name)
    except PackageNotFoundError:
        return PackageFact(name, wanted, None, fits=False)
    bounds = _BOUND.findall(wanted)
    return PackageFact(
        name, wanted, installed, fits=all(_holds(installed, sign, bound) for sign, bound in bounds)
    )


def _holds(installed: str, sign: str, bound: str) -> bool:
    """Compare as many numbers as both have, the missing ones being 0 (2.5 is at least 2)."""
    have, want = _numbers(installed), _numbers(bound)
    length = max(len(have), len(want))
    return bool(_SIGNS[sign](have + (0,) * (length - len(have)), want + (0,) * (length - len(want))))


def _numbers(text: str) -> tuple[int, ...]:
    leading = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, leading[0].split("."))) if leading else ()


def look_at_state(folder: Path) -> StateFacts:
    """Whether the state folder can be written; one that is not there yet is looked for in the folders above it."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    fault = _write_fault(place)
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        fault, free = fault or str(error.strerror), 0
    open_to_all = folder.is_dir() and bool(folder.stat().st_mode & stat.S_IWOTH)
    return StateFacts(str(folder), fault, free, holder(folder), open_to_all)


def _write_fault(folder: Path) -> str | None:
    """Why a folder takes no file and no sync, None where it does."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return None


def look_at_journal(path: Path) -> JournalFacts:
    """What the journal says, read-only."""
    if not path.exists():
        return JournalFacts(exists=False)
    try:
        reader = JournalReader(path)
    except NotRunningError:
        return JournalFacts(exists=False)
    except BotError as error:
        return JournalFacts(exists=True, fault=str(error))
    try:
        return _read_journal(reader)
    except BotError as error:
        return JournalFacts(exists=True, fault=str(error))
    except (KeyError, TypeError, ValueError) as error:
        return JournalFacts(exists=True, fault=f"the journal {path} is damaged: {error}")
    finally:
        reader.close()


def _read_journal(reader: JournalReader) -> JournalFacts:
    snapshot = reader.snapshot()
    equity = reader.last_equity()
    rows = [] if snapshot is None else snapshot["account"]["positions"]
    positions = [Position(*row) for row in rows]
    return JournalFacts(
        exists=True,
        schema=reader.schema(),
        last_closed_at_ms=equity.at_ms if equity else None,
        run_id=reader.meta().get("run_id"),
        equity=equity.equity if equity else None,
        held={held.symbol: held.quantity for held in positions if not held.is_flat},
        open_orders={row["client_order_id"]: row["symbol"] for row in reader.open_orders()},
    )


def look_at_model(root: Path, name: str | None, fallback: str | None) -> ModelFact:
    """Load the model that a start would load, proven or not: whether it may trade is judged elsewhere."""
    shelf = ModelShelf(root, unproven=True)
    try:
        serving = shelf.load_first(name, fallback)
    except BotError as error:
        return ModelFact(None, refused=str(error))
    return ModelFact(serving.model_id, serving.proven, serving.refused)
