"""The first thing in a backup: what it is of, and every file with its size and digest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from bot.errors import DataError

NAME: Final = "manifest.json"
FORMAT: Final = 1
"""Version of this document."""

MOST_BYTES: Final = 64_000_000
_PART: Final = re.compile(r"[^/\x00-\x1f\x7f]{1,200}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a backup.

    Attributes:
        size: Bytes.
        sha256: Of its content, hexadecimal.
        mode: Permissions of its owner and others.
    """

    size: int
    sha256: str
    mode: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of.

    Attributes:
        version: Of the bot that made it.
        made_ms: When, ms UTC of its machine.
        run_id: Of the daemon, None where it never started.
        schema: Of the journal's tables.
        newest_ms: Close of the newest minute that the journal has decided, ms UTC; None before the first.
        files: By name.
        left_out: What lay in the state folder and is not in here.
        format: Version of this document.
    """

    version: str
    made_ms: int
    run_id: str | None
    schema: int
    newest_ms: int | None
    files: Mapping[str, Entry]
    left_out: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return sum(entry.size for entry in self.files.values())

    def to_json(self) -> bytes:
        """The document."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"


def read_manifest(content: bytes, where: str) -> Manifest:
    """The manifest of a backup; nothing of it is believed that could lead out of a folder.

    Raises:
        DataError: It is none, it is damaged, or a newer version of the bot made it.
    """
    try:
        row = json.loads(content)
        if isinstance(row, dict) and isinstance(row.get("format"), int) and row["format"] > FORMAT:
            raise DataError(
                f"{where} was made by version {row.get('version')} of the bot, which is newer: restore it with that one"
            )
        manifest = _manifest(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where} has no sound {NAME}: it is no backup of a bot, or a damaged one") from error
    return manifest


def safe_name(name: str) -> bool:
    """Whether a name stays inside the folder that it is put into."""
    parts = name.split("/")
    return len(name) <= 1_000 and all(
        _PART.fullmatch(part) is not None and part not in {".", ".."} for part in parts
    )


def _manifest(row: Any) -> Manifest:
    files = {}
    for name, told in row["files"].items():
        entry = Entry(_count(told["size"]), str(told["sha256"]), _count(told["mode"]) & 0o777)
        if not safe_name(name) or _DIGEST.fullmatch(entry.sha256) is None:
            raise ValueError(name)
        files[name] = entry
    newest_ms = row["newest_ms"]
    run_id = row["run_id"]
    return Manifest(
        version=str(row["version"]),
        made_ms=_count(row["made_ms"]),
        run_id=None if run_id is None else str(run_id),
        schema=_count(row["schema"]),
        newest_ms=None if newest_ms is None else _count(newest_ms),
        files=files,
        left_out=tuple(map(str, row["left_out"])),
    )


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value
