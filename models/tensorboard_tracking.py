"""Runs as TensorBoard shows them: a folder a run, laid out as Keras' own callback does it.

``DIR/RUN/train`` and ``DIR/RUN/validation`` hold ``epoch_loss`` and every other metric under one name, so that both
lie on one chart; the learning rate is ``epoch_learning_rate`` of ``train``. Where several networks are fitted, the
folders are ``DIR/RUN/PART/train`` and so on. The step is the epoch, from 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import StorageError
from models.event_file import EventFile
from models.fit_progress import TrainingProgress
from models.run_figures import plain_name
from models.run_tracking import RunFacts

if TYPE_CHECKING:
    from models.training import TrainedModel

_VALIDATION = "val_"


class TensorBoardTracker:
    """Writes a run's curves under a folder.

    Args:
        root: Folder of all runs; made if missing.
        wall_ms: ms UTC, for the time stamps of points.
    """

    def __init__(self, root: Path, *, wall_ms: Callable[[], int]) -> None:
        self._root = root
        self._wall_ms = wall_ms
        self._folder = root
        self._files: dict[Path, EventFile] = {}
        self._fault: StorageError | None = None

    @property
    def name(self) -> str:
        """For people."""
        return "TensorBoard"

    def begin(self, facts: RunFacts) -> None:
        """Make the run's folder and write the recipe there.

        Raises:
            StorageError: The disk refuses.
        """
        with self._disk():
            self._folder = self._new_folder(facts.name)
            self._write_text("recipe", _as_code(facts.recipe.model_dump(mode="json")))

    def told(self, state: TrainingProgress) -> None:
        """Write an epoch's metrics; after a refusal of the disk nothing more is written, and ``finished`` raises."""
        if state.phase != "epoch_ended" or state.metrics is None or self._fault is not None:
            return
        try:
            with self._disk():
                self._write_epoch(state)
        except StorageError as fault:
            self._fault = fault

    def finished(self, trained: TrainedModel) -> dict[str, str]:
        """Write the verdict and close the files.

        Raises:
            StorageError: The disk refused, now or at an epoch before.
        """
        sentence = str(trained.report.get("verdict", {}).get("sentence", ""))
        self._close(f"**{trained.model_id}**\n\n{sentence}")
        return {"folder": str(self._folder)}

    def failed(self, reason: str, *, interrupted: bool) -> None:
        """Write the reason and close the files.

        Raises:
            StorageError: The disk refused, now or at an epoch before.
        """
        self._close(f"**{'interrupted' if interrupted else 'failed'}**\n\n{reason}")

    def _new_folder(self, name: str) -> Path:
        """A folder that no other run has: two may begin in the same second."""
        self._root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = self._root / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder

    def _write_epoch(self, state: TrainingProgress) -> None:
        """One point of each curve."""
        seconds = self._wall_ms() / 1000.0
        part = self._folder / plain_name(state.part)
        for name, value in (state.metrics or {}).items():
            if math.isfinite(value):
                side = "validation" if name.startswith(_VALIDATION) else "train"
                tag = f"epoch_{name.removeprefix(_VALIDATION)}"
                self._file(part / side).scalar(tag, value, state.epoch, seconds)
        for side in ("train", "validation"):
            self._file(part / side).flush()

    def _write_text(self, tag: str, markdown: str) -> None:
        """A text of the run as a whole."""
        file = self._file(self._folder)
        file.text(tag, markdown, self._wall_ms() / 1000.0)
        file.flush()

    def _file(self, folder: Path) -> EventFile:
        """The open event file of a folder."""
        if folder not in self._files:
            self._files[folder] = EventFile(folder, self._wall_ms() / 1000.0)
        return self._files[folder]

    def _close(self, outcome: str) -> None:
        """Write the outcome and close every file, whatever becomes of the others."""
        if self._fault is None:
            with self._disk():
                self._write_text("outcome", outcome)
        files, self._files = list(self._files.values()), {}
        for file in files:
            with self._disk():
                file.close()
        if self._fault is not None:
            raise self._fault

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """A refusal of the disk as one sentence."""
        try:
            yield
        except OSError as fault:
            raise StorageError(
                f"TensorBoard's files in {self._folder} cannot be written: {fault.strerror or fault}"
            ) from fault


def _as_code(document: object) -> str:
    """A JSON value as a block of code in Markdown."""
    lines = json.dumps(document, indent=1, ensure_ascii=False).splitlines()
    return "\n".join(f"    {line}" for line in lines)
