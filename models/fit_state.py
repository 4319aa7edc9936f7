"""Where a fit stands after each epoch, kept on the disk: what the same command goes on from after an interruption.

A state holds everything that the next epoch depends on, so that a fit in two parts ends with the weights of one in
one part, to the bit.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.durable import disk, replace_file
from models.hashing import sha256

Arrays = Sequence[npt.NDArray[Any]]

FOLDER_NAME = ".unfinished"
MOST_FILES = 16
_GROUPS = ("variables", "optimizer", "best")


@dataclass(frozen=True, slots=True, eq=False)
class FitState:
    """A fit after a whole epoch.

    Attributes:
        history: Metric -> value of each epoch so far.
        ended: Why the fit ended, or empty while it goes on.
        variables: Of the network: weights and the states of its random layers.
        optimizer: Of the optimizer: moments, step, learning rate.
        best: ``variables`` as they were after the best epoch.
    """

    history: dict[str, list[float]]
    ended: str
    variables: Arrays
    optimizer: Arrays
    best: Arrays

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history["val_loss"])


class StateFile:
    """One fit's state on the disk.

    Attributes:
        path: Where it is, whether or not it exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> FitState | None:
        """What was written last; None where nothing was, or the file is damaged: then the fit begins anew."""
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                about: dict[str, Any] = json.loads(stored["about"].tobytes())
                groups = {
                    group: [stored[f"{group}_{number}"] for number in range(about["counts"][group])]
                    for group in _GROUPS
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return FitState(history=about["history"], ended=about["ended"], **groups)

    def write(self, state: FitState) -> None:
        """Put a state in the place of the last one, in one step.

        Raises:
            StorageError: The disk refused; the last state is as it was.
        """
        parts: dict[str, Arrays] = {group: getattr(state, group) for group in _GROUPS}
        about = {
            "history": state.history,
            "ended": state.ended,
            "counts": {group: len(arrays) for group, arrays in parts.items()},
        }
        stored = {
            f"{group}_{number}": array
            for group, arrays in parts.items()
            for number, array in enumerate(arrays)
        }
        stored["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **stored)
        with disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, content.getvalue())

    def remove(self) -> None:
        """Forget the state.

        Raises:
            StorageError: The disk refused.
        """
        with disk(self.path):
            self.path.unlink(missing_ok=True)


class KeptFile:
    """Bytes on the disk that belong to an unfinished run.

    Attributes:
        path: Where they are, whether or not they exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """What was written; None where nothing was."""
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def write(self, content: bytes) -> None:
        """Put them there in one step.

        Raises:
            StorageError: The disk refused; what was there is as it was.
        """
        with disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, content)

    def remove(self) -> None:
        """Forget them.

        Raises:
            StorageError: The disk refused.
        """
        with disk(self.path):
            self.path.unlink(missing_ok=True)


class UnfinishedFits:
    """The states of one training run's fits: one a network and seed.

    Args:
        root: The folder of all models.
        origin: Digests of what every fit of the run depends on: candles, code, libraries.
        anew: What is left of an earlier run is forgotten.
    """

    def __init__(self, root: Path, origin: Sequence[str], *, anew: bool = False) -> None:
        self._folder = root / FOLDER_NAME
        self._anew = anew
        self._origin = "\n".join(origin)
        self._used: list[StateFile | KeptFile] = []

    def file(self, recipe_digest: str) -> StateFile:
        """The state of the fit by one recipe, its seed included."""
        key = sha256(f"{self._origin}\n{recipe_digest}".encode())
        found = StateFile(self._folder / f"{key[:32]}.npz")
        if self._anew:
            found.remove()
        self._used.append(found)
        return found

    def kept(self, recipe_digest: str) -> KeptFile:
        """What a whole fit by one recipe left, its seed included, while others are still to be done."""
        key = sha256(f"{self._origin}\n{recipe_digest}\nwhole".encode())
        found = KeptFile(self._folder / f"{key[:32]}.npz")
        if self._anew:
            found.remove()
        self._used.append(found)
        return found

    def forget(self) -> None:
        """Remove the states of this run, and the oldest of runs that nobody went on with.

        Raises:
            StorageError: The disk refused.
        """
        for file in self._used:
            file.remove()
        with disk(self._folder):
            left = sorted(self._folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
            for path in left[:-MOST_FILES]:
                path.unlink(missing_ok=True)
            if self._folder.is_dir() and not any(self._folder.iterdir()):
                self._folder.rmdir()
