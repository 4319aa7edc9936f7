"""Finished points on the disk, each there before the next is asked for: an interrupted sweep goes on where it was.

``DIR/points.jsonl`` has a line for each point that ended: its key, what it sets, and its figures or why it failed. The key
is a digest of everything that the figures depend on: candles, predictions, funding, blocks, engine, the rules and
parameters of the point, and the program. So other inputs, settings or sources never find what is not theirs, and
several sweeps may share a folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np

from backtests.inputs import BacktestInput, PredictionColumns
from backtests.program import program_digest
from backtests.sweep_blocks import Block
from backtests.sweep_point import LEAD_MINUTES, PointFigures, PointJob
from backtests.sweep_space import Point
from bot.core.market import Symbol
from bot.errors import BotError, DataError, StorageError, UsageError
from models.durable import append_line, disk
from models.hashing import data_digest, sha256

FILE_NAME = "points.jsonl"


def ground_digest(data: BacktestInput, blocks: Sequence[Block], engine: str) -> str:
    """SHA-256 of what all points share, and of the program.

    Args:
        data: Candles, predictions and funding.
        blocks: What is traded.
        engine: By what.
    """
    parts = (
        data_digest(data.candles),
        predictions_digest(data.predictions),
        repr(data.funding),
        repr([(block.since_ms, block.until_ms) for block in blocks]),
        engine,
        str(LEAD_MINUTES),
        program_digest(),
    )
    return sha256("\n".join(parts).encode())


def predictions_digest(predictions: Mapping[Symbol, PredictionColumns]) -> str:
    """SHA-256 of every prediction."""
    digest = hashlib.sha256()
    for symbol in sorted(predictions):
        columns = predictions[symbol]
        for field in fields(columns):
            value = getattr(columns, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f"{symbol}:{field.name}:{value.dtype.str}:{len(value)};".encode())
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update(f"{symbol}:{field.name}={value!r};".encode())
    return digest.hexdigest()


def settings_digest(job: PointJob) -> str:
    """SHA-256 of a point's rules and parameters; of a user's own strategy its source too."""
    return sha256(f"{job.config!r}\n{job.make_strategy!r}\n{_own_source(job)}".encode())


def point_key(ground: str, job: PointJob) -> str:
    """What a point's figures are found by.

    Args:
        ground: ``ground_digest`` of what it shares.
        job: What is its own.
    """
    return sha256(f"{ground}\n{settings_digest(job)}".encode())


class PointStore:
    """The file of a folder.

    Attributes:
        path: The file.
        found: Key -> figures of every finished point in it.
    """

    def __init__(self, folder: Path) -> None:
        """Read what is there.

        Raises:
            DataError: A line is not what a sweep writes.
            StorageError: The disk refused.
        """
        self.path = folder / FILE_NAME
        self.found: dict[str, PointFigures] = dict(_stored(self.path))

    def keep(self, key: str, point: Point, outcome: PointFigures | BotError) -> None:
        """Write down how a point ended, and wait until the disk has it.

        Raises:
            StorageError: The disk refused; what was there is as it was.
        """
        entry: dict[str, object] = {"key": key, "point": dict(point)}
        if isinstance(outcome, PointFigures):
            self.found[key] = outcome
            entry["figures"] = outcome.as_json()
        else:
            entry["failed"] = str(outcome)
        with disk(self.path):
            append_line(self.path, json.dumps(entry, allow_nan=False).encode())


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if missing: two sweeps at once would cut each other's lines.

    Raises:
        UsageError: Another sweep holds it.
        StorageError: The disk refused.
    """
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another sweep is writing to {folder}; wait for it, or give --out") from None
        yield
    finally:
        os.close(handle)


def _stored(path: Path) -> Iterator[tuple[str, PointFigures]]:
    """Finished points of a file; an unfinished last line is what a kill left behind, and is passed over."""
    try:
        *whole, _ = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as fault:
        raise StorageError(f"{path} can't be read: {fault.strerror}") from fault
    for number, line in enumerate(whole, start=1):
        try:
            entry = json.loads(line)
            if "failed" not in entry:
                yield str(entry["key"]), PointFigures.from_json(entry["figures"])
        except (ValueError, KeyError, TypeError, DataError) as fault:
            raise DataError(f"{path}: line {number} is no point of a sweep: {fault}") from fault


def _own_source(job: PointJob) -> str:
    """Digest of the module of a user's own strategy; empty for those that come with the bot."""
    path = getattr(job.make_strategy, "path", "")
    spec = importlib.util.find_spec(path.partition(":")[0]) if path else None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return ""
    return sha256(Path(spec.origin).read_bytes())
