"""A backup becomes a state folder again: unpacked aside, checked to the last byte, and only then put in place.

Everything is unpacked into ``STATE_DIR/.restoring-unchecked`` first; a death there leaves the folder as it was. Once every file
is as the manifest says and the journal is sound, that folder is called ``.restoring``, and what was there before is moved
aside into ``replaced-…``, then what is new is moved out of ``.restoring``. While a folder of that name is there no daemon starts:
a death in between leaves nothing that looks whole and is not. The same command, said again, finishes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.daemon.backup import CHUNK_BYTES, SPARE_BYTES, SUFFIX
from bot.daemon.backup_manifest import MOST_BYTES, NAME, Entry, Manifest, read_manifest
from bot.daemon.backup_parts import JOURNAL
from bot.daemon.lock import LOCK_NAME, RESTORING, RETRAINER_LOCK, state_lock
from bot.errors import ConfigError, DataError, StorageError
from bot.journal.copying import check_journal
from bot.journal.schema import SCHEMA_VERSION
from models.durable import sync_folder

UNCHECKED: Final = ".restoring-unchecked"
REPLACED: Final = "replaced-"
"""What the names of folders begin with that hold what was there before a restore."""

_STAYS: Final = (LOCK_NAME, RETRAINER_LOCK, RESTORING, UNCHECKED, "backups", "lost+found")


@dataclass(frozen=True, slots=True)
class Restored:
    """A state folder that was restored.

    Attributes:
        state_dir: The folder.
        manifest: What it was made of.
        replaced: Where what was there before lies now; None where nothing was.
    """

    state_dir: Path
    manifest: Manifest
    replaced: Path | None


def backup_at(path: Path) -> Path:
    """The backup that a path means: the file, or of a folder of backups the newest.

    Raises:
        DataError: There is none.
    """
    if path.is_dir():
        found = sorted(path.glob(f"bot-backup-*{SUFFIX}"), key=lambda one: one.name.rpartition("-")[2])
        if not found:
            raise DataError(f"there is no backup in {path}: name a file that `bot backup` has made")
        return found[-1]
    if not path.is_file():
        raise DataError(f"there is no backup at {path}")
    return path


def restore(
    backup: Path, state_dir: Path, *, force: bool, stamp: str, progress: Callable[[str, int, int], None]
) -> Restored:
    """Make a state folder of a backup.

    Args:
        backup: The file.
        state_dir: The folder; made if missing. Without ``force`` it must hold nothing.
        force: Whether what it holds may be moved aside, into a folder of its own in it; nothing is deleted.
        stamp: Names that folder.
        progress: Told what is done in words, and of which bytes are done how many.

    Raises:
        DataError: It is no backup, it is damaged, or a newer version made it; the folder is as it was.
        ConfigError: A daemon is running on the folder, or it holds something.
        StorageError: The disk refused.
    """
    with (
        _disk(state_dir),
        state_lock(state_dir, unfinished=True),
        state_lock(state_dir, RETRAINER_LOCK, "a retrainer", unfinished=True),
    ):
        _require_empty(state_dir, force=force)
        unchecked = state_dir / UNCHECKED
        shutil.rmtree(unchecked, ignore_errors=True)
        unchecked.mkdir(mode=0o700)
        try:
            manifest = _unpacked(backup, unchecked, progress)
        except BaseException:
            shutil.rmtree(unchecked, ignore_errors=True)
            raise
        return Restored(state_dir, manifest, _put_in_place(state_dir, stamp))


def _require_empty(state_dir: Path, *, force: bool) -> None:
    names = _held(state_dir)
    if names and not force and not (state_dir / RESTORING).exists():
        raise ConfigError(
            f"{state_dir} is not empty ({', '.join(names[:3])}): choose a new folder, or --force to move what is "
            f"there into {state_dir}/{REPLACED}…"
        )


def _unpacked(backup: Path, folder: Path, progress: Callable[[str, int, int], None]) -> Manifest:
    """Unpack a backup and check every file of it; the disk has them when this returns."""
    with _readable(backup), tarfile.open(backup, "r|gz") as archive:
        members = iter(archive)
        manifest = _first(archive, members, backup)
        _require_space(folder, manifest)
        left, done = dict(manifest.files), 0
        for member in members:
            entry = left.pop(member.name, None)
            if entry is None or not member.isreg() or member.size != entry.size:
                raise DataError(
                    f"{backup} holds {member.name!r}, which its manifest does not tell of: it was altered"
                )
            # The tar's own rules of safety beside those of the manifest: names, links, owners, permissions.
            safe = tarfile.data_filter(member, str(folder))
            _write(archive, safe, folder / member.name, entry, backup)
            done += entry.size
            progress("files", done, manifest.total_bytes)
    if left:
        raise DataError(f"{backup} lacks {min(left)}: it is cut off, or was altered")
    if manifest.files.keys().isdisjoint({JOURNAL}):
        raise DataError(f"{backup} holds no journal: it is no backup of a bot")
    progress("checking the journal", 0, 1)
    try:
        check_journal(folder / JOURNAL)
    except StorageError as error:
        raise DataError(f"{backup}: {error}") from error
    for below in sorted({folder, *(path for path in folder.rglob("*") if path.is_dir())}):
        sync_folder(below)
    return manifest


def _first(archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], backup: Path) -> Manifest:
    """The manifest, which is the first thing in a backup."""
    member = next(members, None)
    if member is None or member.name != NAME or not member.isreg() or member.size > MOST_BYTES:
        raise DataError(f"{backup} does not begin with {NAME}: it is no backup of a bot")
    file = archive.extractfile(member)
    manifest = read_manifest(b"" if file is None else file.read(), str(backup))
    if manifest.schema > SCHEMA_VERSION:
        raise DataError(
            f"{backup} was made by version {manifest.version} of the bot: its journal has schema {manifest.schema}, and this "
            f"version knows {SCHEMA_VERSION}; restore it with that version"
        )
    return manifest


def _require_space(folder: Path, manifest: Manifest) -> None:
    needed, free = manifest.total_bytes + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder.parent} has {free / 1e6:,.0f} MB of free space, and the backup takes {needed / 1e6:,.0f} MB"
        )


def _write(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, entry: Entry, backup: Path
) -> None:
    """Write one file, and refuse it unless it is as it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    digest = hashlib.sha256()
    # Nobody else writes it, and nobody else's secrets become readable.
    descriptor = os.open(
        target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, entry.mode & 0o755 | 0o600
    )
    with os.fdopen(descriptor, "wb") as file:
        while source is not None and (piece := source.read(CHUNK_BYTES)):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(descriptor)
    if digest.hexdigest() != entry.sha256:
        raise DataError(
            f"{backup}: {member.name} is damaged: its bytes are not those that the manifest names"
        )


def _put_in_place(state_dir: Path, stamp: str) -> Path | None:
    """Move what was there aside, and what was checked into its place."""
    shutil.rmtree(
        state_dir / RESTORING, ignore_errors=True
    )  # of a restore that died; its backup was unpacked anew
    (state_dir / UNCHECKED).rename(state_dir / RESTORING)
    sync_folder(state_dir)
    old = _held(state_dir)
    replaced = None
    if old:
        replaced = state_dir / f"{REPLACED}{stamp}"
        replaced.mkdir(mode=0o700, exist_ok=True)
        for name in old:
            (state_dir / name).rename(replaced / name)
    for entry in sorted((state_dir / RESTORING).iterdir()):
        entry.rename(state_dir / entry.name)
    sync_folder(state_dir)
    (state_dir / RESTORING).rmdir()
    sync_folder(state_dir)
    return replaced


def _held(state_dir: Path) -> list[str]:
    """Names of what a folder holds beside what a restore leaves alone, in order."""
    names = sorted(entry.name for entry in state_dir.iterdir())
    return [name for name in names if name not in _STAYS and not name.startswith(REPLACED)]


@contextmanager
def _readable(backup: Path) -> Iterator[None]:
    """What is wrong with an archive, in one sentence."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{backup} is no backup of a bot, or a damaged one: {error}") from error


@contextmanager
def _disk(state_dir: Path) -> Iterator[None]:
    """What the operating system refuses, in one sentence."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{error.filename or state_dir}: the disk refused it ({error.strerror or error})"
        ) from error
