"""Who was champion when, and why: promotion, rollback, and the history that both are written to.

``ROOT/champions.jsonl`` gets a line for each change, on the disk before the file ``champion`` is replaced. So a crash
between the two leaves a line that did not come true. It is told by what follows: the next change, or today's
champion, then still starts from the line's ``previous``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from bot.errors import ModelError
from models.durable import append_line, disk, folder_lock, read_lines
from models.registry import NO_TRADE, champion, read_member, recipe_of, set_champion

HISTORY_FILE = "champions.jsonl"
PROMOTED = "promoted"
ROLLED_BACK = "rolled back"

Verify = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class ChampionChange:
    """A change of champion, as it was written down before it was made.

    Attributes:
        model_id: Who becomes champion; ``NO_TRADE`` is nobody.
        at_ms: When, ms UTC.
        reason: ``promoted`` or ``rolled back``.
        previous: Who was champion; None where nobody was named.
        why: What a person, the gate or the watch said about it.
    """

    model_id: str
    at_ms: int
    reason: str
    previous: str | None
    why: str | None = None


def promote(
    root: Path, model_id: str, *, at_ms: int, verify: Verify | None = None, why: str | None = None
) -> ChampionChange | None:
    """Name a model champion and write it to the history.

    Args:
        root: The folder of models; made if missing.
        model_id: A model of it, or ``NO_TRADE``.
        at_ms: The time to write down, ms UTC.
        verify: A further check of the folder, such as running the graph; raises ModelError.
        why: Kept with the change.

    Returns:
        The change, or None where the model is champion already.

    Raises:
        ModelError: The model is refused; the champion is who it was.
        StorageError: The disk refused; the champion is who it was.
    """
    _check(root, model_id, verify)
    with disk(root):
        root.mkdir(parents=True, exist_ok=True)
        with folder_lock(root):
            previous = champion(root)
            if previous == model_id:
                return None
            return _change(root, ChampionChange(model_id, at_ms, PROMOTED, previous, why))


def rollback(
    root: Path, *, at_ms: int, verify: Verify | None = None, why: str | None = None
) -> ChampionChange:
    """Bring back the champion before today's, and write it to the history; again brings the one before that.

    Raises:
        ModelError: There is none, the history is damaged, or that model is refused; the champion is who it was.
        StorageError: The disk refused; the champion is who it was.
    """
    if not root.is_dir():
        raise ModelError(f"there are no models in {root}")
    with disk(root), folder_lock(root):
        current = champion(root)
        if current is None:
            raise ModelError(f"no model was named champion in {root}: there is nothing to take back")
        followed = lineage(read_history(root), current)
        if len(followed) < 2:
            raise ModelError(f"no champion before {current} is known in {root}; it stays champion")
        try:
            _check(root, followed[-2], verify)
        except ModelError as fault:
            raise ModelError(
                f"the champion before is refused, and {current} stays champion: {fault}; "
                "name another with: bot models promote MODEL"
            ) from fault
        return _change(root, ChampionChange(followed[-2], at_ms, ROLLED_BACK, current, why))


def lineage(changes: Sequence[ChampionChange], current: str | None) -> list[str]:
    """The champions that a rollback goes back through, oldest first, today's last.

    Args:
        changes: The history, those that a crash kept from coming true included.
        current: Today's champion.
    """
    line: list[str] = []
    states = [*(change.previous for change in changes), current]
    for change, (before, after) in zip(changes, pairwise(states), strict=True):
        _arrive(line, before)
        if after == change.previous:
            continue  # it was written down, and the crash came before it was done
        if change.reason == ROLLED_BACK and line:
            line.pop()
        _arrive(line, change.model_id)
    _arrive(line, current)
    return line


def read_history(root: Path) -> list[ChampionChange]:
    """Every change that was written down, oldest first; an unfinished last line is none.

    Raises:
        ModelError: A line is damaged; names the file and the line.
    """
    path = root / HISTORY_FILE
    return [_read_line(line, f"{path} line {number}") for number, line in enumerate(read_lines(path), 1)]


def _check(root: Path, model_id: str, verify: Verify | None) -> None:
    """Refuse a model that is not whole; nobody is always whole."""
    if model_id == NO_TRADE:
        return
    read_member(root, model_id)
    if verify is not None:
        verify(root / model_id)


def _change(root: Path, change: ChampionChange) -> ChampionChange:
    """Write the change down, then make it."""
    append_line(root / HISTORY_FILE, json.dumps(asdict(change)).encode())
    set_champion(root, change.model_id)
    return change


def _arrive(line: list[str], who: str | None) -> None:
    """Let the line end in who was champion then, however that came about."""
    if who is None:
        line.clear()
    elif not line or line[-1] != who:
        line.append(who)


def _read_line(line: bytes, where: str) -> ChampionChange:
    """Read one line of the history."""
    try:
        change = ChampionChange(**json.loads(line))
        for who in (change.model_id, *([] if change.previous is None else [change.previous])):
            if who != NO_TRADE:
                recipe_of(who)
    except (ValueError, TypeError, ModelError) as fault:
        raise ModelError(f"{where} is no change of champion: {fault}") from fault
    if (
        change.reason not in {PROMOTED, ROLLED_BACK}
        or not isinstance(change.at_ms, int)
        or not isinstance(change.why, (str, type(None)))
    ):
        raise ModelError(f"{where} is no change of champion: {line.decode(errors='replace')}")
    return change
