"""Who may follow the model that trades, by the folder of models: every call reads the disk, so none is for the loop."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bot.daemon.serving import ModelShelf, Serving
from bot.errors import ModelError
from models import champions
from models.registry import NO_TRADE, challenger, champion, clear_challenger
from models.verdicts import read_verdict, require_proven


class Challenger(NamedTuple):
    """A challenger that was named, and what speaks against it standing beside the champion."""

    model_id: str
    objections: tuple[str, ...]


class Heirs:
    """The folder of models, as the succession sees it.

    Args:
        shelf: Loads them.
    """

    def __init__(self, shelf: ModelShelf) -> None:
        self._shelf = shelf
        self.root: Path = shelf.root

    def load(self, model_id: str) -> Serving:
        """Verify and load a model; ModelError when it is refused, or is not proven and may not trade."""
        return self._shelf.load(model_id)

    def champion_now(self) -> tuple[str | None, str]:
        """Who is champion by the file, and why, by the history; ModelError when either is damaged."""
        named = champion(self.root)
        history = champions.read_history(self.root)
        last = history[-1] if history and history[-1].model_id == named else None
        if last is None:
            return named, "named by hand"
        return named, last.why or f"{last.reason} by hand"

    def challenger_now(self, serving_id: str) -> Challenger | None:
        """Who is challenger by the file, unless that is who trades; ModelError when the file is damaged."""
        named = challenger(self.root)
        if named is None:
            return None
        if named == serving_id:
            clear_challenger(self.root, named)  # a crash came between its promotion and this
            return None
        return Challenger(named, self._objections(named, serving_id))

    def promote(self, model_id: str, serving_id: str, *, at_ms: int, why: str) -> None:
        """Name a challenger champion, durably.

        Raises:
            ModelError: It is damaged by now, or was judged beside another champion.
            StorageError: The disk refused; the champion is who it was.
        """
        objections = self._objections(model_id, serving_id)
        if objections:
            raise ModelError("; ".join(objections))
        champions.promote(self.root, model_id, at_ms=at_ms, why=why)

    def dismiss(self, model_id: str) -> None:
        """Take the challenger's name away from a model, if it has it; StorageError when the disk refuses."""
        clear_challenger(self.root, model_id)

    def take_back(self, failed: str, *, at_ms: int, why: str) -> Serving:
        """Make the champion before a failed one champion again, or nobody, durably; and load it.

        A champion that was named meanwhile is taken as it is. Whoever is refused or not proven gives way to nobody.

        Raises:
            ModelError: The file that names the champion is damaged.
            StorageError: The disk refused; the champion is who it was.
        """
        current = champion(self.root)
        if current not in {None, failed}:
            return self._or_nobody(current)
        before = self._before(current)
        serving = self._or_nobody(before)
        if serving.model_id == before and before is not None:
            champions.rollback(self.root, at_ms=at_ms, why=why)
        else:
            champions.promote(self.root, NO_TRADE, at_ms=at_ms, why=why)
        return serving

    def nobody(self, refused: str | None = None) -> Serving:
        """Nobody, and why somebody else does not predict."""
        return self._shelf.load(NO_TRADE)._replace(refused=refused)

    def _before(self, current: str | None) -> str | None:
        """The champion before, None where none is known."""
        try:
            followed = champions.lineage(champions.read_history(self.root), current)
        except ModelError:
            return None  # a damaged history names nobody
        return followed[-2] if len(followed) > 1 else None

    def _or_nobody(self, model_id: str | None) -> Serving:
        """A model, or nobody where there is none, or it is refused."""
        try:
            return self._shelf.load(model_id or NO_TRADE)
        except ModelError as fault:
            return self.nobody(str(fault))

    def _objections(self, model_id: str, serving_id: str) -> tuple[str, ...]:
        """Why a challenger may not follow this champion, before it has been looked at."""
        try:
            require_proven(self.root, model_id)
            verdict = read_verdict(self.root, model_id)
            history = champions.read_history(self.root)
        except ModelError as fault:
            return (str(fault),)
        if any(change.model_id == model_id for change in history):
            return (f"{model_id} was champion before; name it with: bot models promote {model_id}",)
        if verdict is not None and verdict.kind == "refit" and verdict.champion_then != serving_id:
            return (f"it was judged beside {verdict.champion_then}, and {serving_id} trades now",)
        return ()
