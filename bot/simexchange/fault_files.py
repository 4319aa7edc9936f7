"""Fault plans and the log of what they did, as files.

The log, ``STATE_DIR/sim/faults.jsonl``, has a line for each plan taken up, each act before it is carried out, what
was true of it after, and the counts at an orderly end. It is the truth that a client was not told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from bot.bounded_yaml import bounded_load, bounded_text
from bot.errors import ConfigError, StorageError
from bot.simexchange.fault_desk import Record
from bot.simexchange.fault_plan import FaultPlan, parse_plan

LOG_NAME = "faults.jsonl"


def read_plan(path: Path) -> FaultPlan:
    """Read a plan from YAML (or JSON, which is YAML); raises ConfigError that names file, entry and field."""
    try:
        given: Any = bounded_load(bounded_text(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"faults: {path}: cannot be read: {reason}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"faults: {path}: is no YAML: {' '.join(str(error).split())}") from error
    try:
        return parse_plan({} if given is None else given)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


class FaultLog:
    """Lines are handed to the system one by one, so that they outlive the process."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Go on with the file, or begin it anew; raises StorageError."""
        self._path = path
        self.before: list[Record] = []
        try:
            if resume:
                self.before, size = read_log(path)
                self._file = path.open("a", encoding="utf-8")
                self._file.truncate(size)  # a line that was torn at the end goes
            else:
                self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from error

    def write(self, record: Record) -> None:
        """Append one line; raises StorageError."""
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_log(path: Path) -> tuple[list[Record], int]:
    """The lines of a log and their bytes, without one at the end that was torn; raises ConfigError if one is no line."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; start without --resume") from error
    whole = content[: content.rfind(b"\n") + 1]
    try:
        records = [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise ConfigError(f"{path}: is damaged: {error}; start without --resume") from error
    return records, len(whole)


def running_plan(given: FaultPlan | None, before: Iterable[Record]) -> tuple[FaultPlan, list[Record]]:
    """The plan to go on with after a restart, and the lines of its counts.

    What ran before goes on, unless the exchange is now started with another plan than it was then.
    """
    first: Any = None
    last: Any = None
    since: list[Record] = []
    for record in before:
        if record["event"] == "plan":
            first = record["plan"] if record["origin"] == "start" else first
            last, since = record["plan"], []
        else:
            since.append(record)
    if last is None or (given is not None and given.written() != first):
        return given or FaultPlan(), []
    return parse_plan(last), since
