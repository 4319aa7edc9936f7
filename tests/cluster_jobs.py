"""What the tests give a cluster to do: functions of a module, as its processes find them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.cluster import ONE_THREAD
from bot.errors import DataError


@dataclass(frozen=True)
class Told:
    """One job: what to do, and with which number."""

    deed: str
    number: int = 0
    folder: str = ""


class Unpicklable:
    """Something that has no way into another process."""

    def __reduce__(self) -> Any:
        raise TypeError("there is no way")


def perform(shared: npt.NDArray[np.float64] | None, told: Told) -> Any:
    """Do what a job says."""
    return globals()[f"_{told.deed}"](shared, told)


def _add(shared: npt.NDArray[np.float64] | None, told: Told) -> float:
    return told.number + (0.0 if shared is None else float(shared.sum()))


def _environment(shared: npt.NDArray[np.float64] | None, told: Told) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "threads": [os.environ.get(name) for name in ONE_THREAD],
        "writable": None if shared is None else bool(shared.flags.writeable),
    }


def _pid(shared: object, told: Told) -> int:
    return os.getpid()


def _print(shared: object, told: Told) -> int:
    print("a library says something")  # noqa: T201 - that is the deed
    return 1


def _wrong_data(shared: object, told: Told) -> None:
    raise DataError(f"row {told.number} is no candle")


def _bug(shared: object, told: Told) -> None:
    raise ZeroDivisionError("by nothing")


def _die(shared: object, told: Told) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _leave(shared: object, told: Told) -> None:
    os._exit(3)


def _no_way_back(shared: object, told: Told) -> Unpicklable:
    return Unpicklable()


def _wait(shared: object, told: Told) -> int:
    """Say that it has begun, then wait for a file: until somebody lets it, or ends it."""
    folder = Path(told.folder)
    (folder / f"began-{told.number}-{os.getpid()}").touch()
    limit = time.monotonic() + 60.0
    while not (folder / f"go-{told.number}").exists() and time.monotonic() < limit:
        time.sleep(0.01)
    return told.number
