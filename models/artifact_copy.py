"""A verified copy of an artifact for elsewhere: a folder, or one .zip, written in one step."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import ModelError, UsageError
from models.durable import disk, replace_file, sync_folder, write_durably
from models.passport import FILE_NAME, ModelPassport
from models.registry import read_verified


def export_artifact(folder: Path, out: Path) -> ModelPassport:
    """Copy a model's files, checked before and after.

    Args:
        folder: The artifact.
        out: A name ending in ``.zip`` that is not taken (the archive holds the folder ``MODEL_ID``), else a folder
            that is empty or not there yet (it then holds the files).

    Raises:
        ModelError: The model is refused.
        UsageError: There is something at ``out`` already.
        StorageError: The disk refused; nothing is left behind.
    """
    passport, contents = read_verified(folder)
    files = {**contents, FILE_NAME: passport.to_json()}
    with disk(out):
        if out.suffix.lower() == ".zip":
            _write_zip(out, passport, files)
        else:
            _write_folder(out, files)
    return passport


def _write_zip(out: Path, passport: ModelPassport, files: Mapping[str, bytes]) -> None:
    """One archive, the same bytes for the same model; read back before it gets its name."""
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already: give a name that is not taken")
    made = datetime.fromtimestamp(passport.created_at_ms / 1000, UTC)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{passport.model_id}/{name}", made.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    with zipfile.ZipFile(buffer) as archive:
        for name, content in files.items():
            if archive.read(f"{passport.model_id}/{name}") != content:
                raise ModelError(f"{name} of {passport.model_id} could not be packed without a loss")
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, buffer.getvalue())


def _write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Fill a folder beside, verify it, then let it take the place."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out} is not a folder: give an empty one, or a name that ends in .zip")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: give an empty folder, or a name that is not taken")
    place = out.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        for name, content in files.items():
            write_durably(workshop / name, content)
        read_verified(workshop)
        workshop.chmod(0o755)
        sync_folder(workshop)
        workshop.rename(place)  # an empty folder of that name is replaced, a filled one refuses
        sync_folder(place.parent)
    except BaseException:
        shutil.rmtree(workshop, ignore_errors=True)
        raise
