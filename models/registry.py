"""Model artifacts on disk: ``ROOT/<model_id>/``, each written in one step and verified before it is used.

``ROOT/champion`` is a file with the id of the model that trades by default.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import ModelError, StorageError
from models.hashing import sha256
from models.passport import FILE_NAME, ModelPassport, read_passport

REQUIRED_FILES = ("model.onnx", "scaler.json", "calibration.json", "recipe.json", "metrics.json")
CHAMPION_FILE = "champion"
_MODEL_ID = re.compile(r"(?P<recipe>[a-z0-9][a-z0-9-]*)-(?P<stamp>\d{8}T\d{6})-(?P<content>[0-9a-f]{6})")


def make_model_id(recipe: str, created_at_ms: int, content_digest: str) -> str:
    """``<recipe>-<yyyymmddThhmmss>-<6 hex>``: sorts by time within a recipe, and tells contents apart."""
    stamp = datetime.fromtimestamp(created_at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{recipe}-{stamp}-{content_digest[:6]}"


def write_artifact(root: Path, passport: ModelPassport, files: Mapping[str, bytes]) -> Path:
    """Write a new artifact in one step: a reader sees all of it or nothing.

    Args:
        root: The folder of all models; made if missing.
        passport: All but ``files``, which is filled in here.
        files: Name -> content of every file but the passport.

    Returns:
        The artifact's folder.

    Raises:
        ModelError: There is such a model already, or a required file is missing.
        StorageError: The disk refused; nothing is left behind.
    """
    missing = [name for name in REQUIRED_FILES if name not in files]
    if missing:
        raise ModelError(f"model {passport.model_id} cannot be stored without {', '.join(missing)}")
    sealed = replace(passport, files={name: sha256(content) for name, content in files.items()})
    target = root / passport.model_id
    with _disk(target):
        root.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise ModelError(f"there is a model {passport.model_id} in {root} already")
        workshop = Path(tempfile.mkdtemp(prefix=".writing-", dir=root))
        try:
            for name, content in {**files, FILE_NAME: sealed.to_json()}.items():
                _write_durably(workshop / name, content)
            workshop.chmod(0o755)
            _sync_folder(workshop)
            workshop.rename(target)
            _sync_folder(root)
        except BaseException:
            shutil.rmtree(workshop, ignore_errors=True)
            raise
    return target


def read_verified(folder: Path) -> tuple[ModelPassport, dict[str, bytes]]:
    """Read every file of an artifact into memory and check it against the passport.

    What is returned are the very bytes that were checked.

    Raises:
        ModelError: A file is missing, altered or too many; or the features are not this program's.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no model in {folder}")
    try:
        contents = {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir()) if entry.is_file()}
        strangers = [entry.name for entry in folder.iterdir() if not entry.is_file() or entry.is_symlink()]
    except OSError as fault:
        raise ModelError(f"model {folder} cannot be read: {fault.strerror}") from fault
    if FILE_NAME not in contents:
        raise ModelError(f"{folder / FILE_NAME} is missing: this is not a model, or a damaged one")
    passport = read_passport(contents.pop(FILE_NAME), str(folder / FILE_NAME))
    for name in sorted({*passport.files, *REQUIRED_FILES} - contents.keys()):
        raise ModelError(f"{folder / name} is missing")
    for name in sorted({*contents, *strangers} - passport.files.keys()):
        raise ModelError(f"{folder / name} is not part of this model")
    for name, digest in sorted(passport.files.items()):
        if name in strangers or sha256(contents[name]) != digest:
            raise ModelError(f"{folder / name} was altered: its bytes are not those that the passport names")
    try:
        passport.feature_set()
    except ModelError as fault:
        raise ModelError(f"{folder / FILE_NAME}: {fault}") from fault
    return passport, contents


def list_models(root: Path) -> list[str]:
    """Ids of the artifacts under a root, oldest first."""
    if not root.is_dir():
        return []
    found = [entry.name for entry in root.iterdir() if entry.is_dir() and _MODEL_ID.fullmatch(entry.name)]
    return sorted(found, key=_age)


def latest(root: Path, recipe: str | None = None) -> str:
    """The id of the newest model, of one recipe or of any; ModelError when there is none."""
    for model_id in reversed(list_models(root)):
        if recipe is None or recipe_of(model_id) == recipe:
            return model_id
    kind = "model" if recipe is None else f"model of recipe {recipe}"
    raise ModelError(
        f"there is no {kind} in {root}; train one with: bot train --recipe scalping --candles FILE"
    )


def recipe_of(model_id: str) -> str:
    """The recipe's name in a model id."""
    match = _MODEL_ID.fullmatch(model_id)
    if match is None:
        raise ModelError(f"{model_id!r} is not a model id")
    return match["recipe"]


def champion(root: Path) -> str | None:
    """The id of the model that trades by default, or None when none was named."""
    try:
        text = (root / CHAMPION_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise ModelError(f"{root / CHAMPION_FILE} cannot be read: {fault}") from fault
    if not _MODEL_ID.fullmatch(text):
        raise ModelError(f"{root / CHAMPION_FILE} does not hold a model id")
    return text


def set_champion(root: Path, model_id: str) -> None:
    """Name the model that trades by default, in one step.

    Raises:
        ModelError: The model is refused by ``read_verified``.
        StorageError: The disk refused; the champion is who it was.
    """
    read_verified(root / model_id)
    target = root / CHAMPION_FILE
    with _disk(target):
        handle, name = tempfile.mkstemp(prefix=".champion-", dir=root)
        os.close(handle)
        try:
            _write_durably(Path(name), f"{model_id}\n".encode())
            Path(name).chmod(0o644)
            Path(name).replace(target)
            _sync_folder(root)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def resolve(root: Path, name: str | None = None) -> Path:
    """The folder of a model: by id, by path, ``champion``, ``latest``; None is the champion or else the latest.

    Raises:
        ModelError: There is no such model.
    """
    if name is None:
        return root / (champion(root) or latest(root))
    if name == "champion":
        chosen = champion(root)
        if chosen is None:
            raise ModelError(f"no model was named champion in {root}")
        return root / chosen
    if name == "latest":
        return root / latest(root)
    for folder in (root / name, Path(name)):
        if (folder / FILE_NAME).is_file():
            return folder
    known = ", ".join(list_models(root)[-3:]) or "none"
    raise ModelError(f"there is no model {name!r} in {root} (newest: {known})")


def _age(model_id: str) -> tuple[str, str]:
    """Sort key: the time in the id, then the id."""
    match = _MODEL_ID.fullmatch(model_id)
    return (match["stamp"] if match else "", model_id)


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    """What the operating system refuses becomes a StorageError that names the target."""
    try:
        yield
    except OSError as fault:
        raise StorageError(f"{target} could not be written: {fault.strerror or fault}") from fault


def _write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's entries."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
