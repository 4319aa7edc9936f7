"""A backup of a state folder while its daemon runs: one compressed file, whole or not there at all.

The journal is copied first, as it is at one moment; then what lies beside it, each file as far as it reaches when it is
opened. All of it is gathered in a folder beside the target, described by a manifest, packed, brought to the disk, and renamed.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from bot.daemon.backup_manifest import NAME, Entry, Manifest
from bot.daemon.backup_parts import JOURNAL, Choice, Found, files_of, left_out
from bot.errors import NotRunningError, StorageError
from bot.journal.copying import PAUSE_SECONDS, CopiedJournal, copy_journal
from models.durable import disk, folder_lock, remove_abandoned, sync_folder, write_durably

SUFFIX: Final = ".tar.gz"
WORKSHOP: Final = ".bot-backup-"
"""What the names of folders begin with in which backups are gathered; a killed one leaves one behind, the next removes it."""

CHUNK_BYTES: Final = 1 << 20
SPARE_BYTES: Final = 16_000_000
COMPRESSION: Final = 1
"""gzip's quickest: a journal shrinks to a fourth by it, and the daemon keeps its processor."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made.

    Attributes:
        path: The file.
        size_bytes: Of it.
        manifest: What is in it.
        removed: Older backups that were removed.
    """

    path: Path
    size_bytes: int
    manifest: Manifest
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Tools:
    """What the world gives.

    Attributes:
        pause: Lets so many seconds pass.
        progress: Told what is done in words, and of which bytes are done how many.
        made_ms: Now, ms UTC.
        version: Of the bot.
    """

    pause: Callable[[float], None]
    progress: Callable[[str, int, int], None]
    made_ms: int
    version: str


def back_up(state_dir: Path, models_dir: Path, target: Path, choice: Choice, tools: Tools) -> Backup:
    """Make a backup; the daemon may be running, and goes on.

    Args:
        state_dir: What is backed up.
        models_dir: Its models, wherever they are.
        target: The file to make; its folder is made if missing.
        choice: What is wanted beside what always is.
        tools: Time and progress.

    Raises:
        NotRunningError: There is no journal.
        StorageError: The disk refused or has too little space, or the target exists; nothing is left behind.
    """
    journal = state_dir / JOURNAL
    if not journal.is_file():
        raise NotRunningError(f"there is no journal at {journal}: nothing has run in {state_dir}")
    if os.path.lexists(target):
        raise StorageError(f"{target} is there already: choose another name")
    with disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target.parent, WORKSHOP)
        found = files_of(state_dir, models_dir, choice)
        _require_space(target.parent, journal, found)
        workshop = target.parent / f"{WORKSHOP}{os.getpid()}"
        workshop.mkdir(mode=0o700)
        try:
            with folder_lock(workshop):
                manifest = _gather(state_dir, workshop, found, choice, tools)
                packed = workshop / "packed"
                _pack(workshop, packed, manifest, tools)
                size_bytes = packed.stat().st_size
                packed.rename(target)
                sync_folder(target.parent)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    return Backup(target, size_bytes, manifest)


def _require_space(folder: Path, journal: Path, found: list[Found]) -> None:
    """Refuse to begin what the disk can't hold: the files once as they are, and once packed, at the worst as large."""
    log = journal.with_name(f"{JOURNAL}-wal")
    gathered = journal.stat().st_size + (log.stat().st_size if log.exists() else 0)
    gathered += sum(one.size_bytes for one in found)
    needed, free = 2 * gathered + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder} has {free / 1e6:,.0f} MB of free space, and a backup may take {needed / 1e6:,.0f} MB while it is made: "
            "free some, or choose another disk with --out"
        )


def _gather(state_dir: Path, workshop: Path, found: list[Found], choice: Choice, tools: Tools) -> Manifest:
    """Copy everything into a folder, and say what it is."""
    content = workshop / "content"
    content.mkdir()
    page = 4096

    def journaled(done: int, total: int) -> None:
        tools.progress("the journal", done * page, total * page)

    copied: CopiedJournal = copy_journal(
        state_dir / JOURNAL, content / JOURNAL, pause=tools.pause, progress=journaled
    )
    entries = {JOURNAL: _described(content / JOURNAL)}
    total, done = sum(one.size_bytes for one in found), 0
    for one in found:
        entry = _copied(one, content / one.name, tools.pause)
        if entry is not None:
            entries[one.name] = entry
        done += one.size_bytes
        tools.progress("files", done, total)
    return Manifest(
        tools.version,
        tools.made_ms,
        copied.run_id,
        copied.schema,
        copied.newest_ms,
        entries,
        tuple(left_out(state_dir, choice)),
    )


def _copied(one: Found, target: Path, pause: Callable[[float], None]) -> Entry | None:
    """Copy a file as far as it reaches now; None where it is gone, as a rotated log may be.

    Of a file of lines only whole ones are taken: somebody may be writing the last.
    """
    try:
        descriptor = os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(descriptor, "rb") as source, target.open("wb") as copy:
        status = os.fstat(descriptor)
        left = status.st_size
        while left and (piece := source.read(min(left, CHUNK_BYTES))):
            left -= len(piece)
            if not left and one.name.endswith(".jsonl"):
                piece = piece[: piece.rfind(b"\n") + 1]
            copy.write(piece)
            digest.update(piece)
            size += len(piece)
            pause(PAUSE_SECONDS)
        copy.flush()
        os.fsync(copy.fileno())
    return Entry(size, digest.hexdigest(), status.st_mode & 0o777)


def _described(path: Path) -> Entry:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return Entry(path.stat().st_size, digest.hexdigest(), 0o600)


def _pack(workshop: Path, packed: Path, manifest: Manifest, tools: Tools) -> None:
    """Write the manifest and every file into one archive, in order of name; the disk has it when this returns."""
    write_durably(workshop / NAME, manifest.to_json())
    done, total = 0, manifest.total_bytes
    with packed.open("xb") as file:
        packed.chmod(0o600)
        with tarfile.open(
            fileobj=file, mode="w:gz", compresslevel=COMPRESSION, format=tarfile.PAX_FORMAT
        ) as archive:
            archive.add(workshop / NAME, NAME, recursive=False, filter=_anonymous)
            for name, entry in sorted(manifest.files.items()):
                with (workshop / "content" / name).open("rb") as content:
                    member = _anonymous(archive.gettarinfo(arcname=name, fileobj=content))
                    archive.addfile(member, Gently(content, tools.pause))
                done += entry.size
                tools.progress("packing", done, total)
        file.flush()
        os.fsync(file.fileno())


class Gently(io.RawIOBase):
    """A file that is read with a rest after each piece.

    Args:
        file: What is read.
        pause: Lets so many seconds pass.
    """

    def __init__(self, file: BinaryIO, pause: Callable[[float], None]) -> None:
        super().__init__()
        self._file = file
        self._pause = pause
        self._since_bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        piece = self._file.read(size)
        self._since_bytes += len(piece)
        if self._since_bytes >= CHUNK_BYTES:
            self._since_bytes = 0
            self._pause(PAUSE_SECONDS)
        return piece


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without whose file it was."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def default_name(run_id: str | None, made_ms: int) -> str:
    """What a backup is called in a folder of backups: sorts by time."""
    stamp = datetime.fromtimestamp(made_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S")
    return f"bot-backup-{run_id or 'new'}-{stamp}{SUFFIX}"


def own_backups(folder: Path, run_id: str | None) -> list[Path]:
    """The backups of a daemon in a folder, oldest first."""
    return sorted(folder.glob(f"bot-backup-{run_id or 'new'}-????????T??????{SUFFIX}"))


def thin_out(folder: Path, run_id: str | None, keep: int) -> tuple[Path, ...]:
    """Remove all but a daemon's newest backups from a folder; returns what was removed.

    Raises:
        StorageError: One can't be removed.
    """
    spare = own_backups(folder, run_id)[:-keep]
    for path in spare:
        with disk(path):
            path.unlink()
    return tuple(spare)
