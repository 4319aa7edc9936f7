"""Model artifacts on disk: ``ROOT/<model_id>/``, each written in one step and verified before it is used.

``ROOT/champion`` is a file with the id of the model that trades by default, or with the word ``no-trade``;
``ROOT/challenger`` one with the id of the model that may follow it. ``models.champions`` keeps the history of the
champions, ``models.verdicts`` what the gate said.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import ModelError
from models.durable import disk, folder_lock, remove_abandoned, replace_file, sync_folder, write_durably
from models.hashing import sha256
from models.passport import FILE_NAME, ModelPassport, read_passport

REQUIRED_FILES = ("model.onnx", "scaler.json", "calibration.json", "recipe.json", "metrics.json")
WORKSHOP = ".writing-"
"""What the names of folders begin with in which artifacts are being written; a killed writer leaves one behind."""

NO_TRADE = "no-trade"
"""The champion where nothing beats the baselines; ``bot.core.promotion`` has the same word."""

MOST_BYTES = 1 << 29
"""Of all files of a model together; a network of this program has some megabytes, an ensemble some dozen."""

CHAMPION_FILE = "champion"
CHALLENGER_FILE = "challenger"
_MODEL_ID = re.compile(r"(?P<recipe>[a-z0-9][a-z0-9-]*)-(?P<stamp>\d{8}T\d{6})-(?P<content>[0-9a-f]{6})")
_MEND = "; copy its folder here again, or go back to the champion before: bot models rollback"


def make_model_id(recipe: str, created_at_ms: int, content_digest: str) -> str:
    """``<recipe>-<yyyymmddThhmmss>-<6 hex>``: sorts by time within a recipe, and tells contents apart."""
    stamp = datetime.fromtimestamp(created_at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{recipe}-{stamp}-{content_digest[:6]}"


def write_artifact(root: Path, passport: ModelPassport, files: Mapping[str, bytes]) -> Path:
    """Write a new artifact in one step: a reader sees all of it or nothing.

    What writers that were killed have left behind is removed.

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
    with disk(target):
        root.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise ModelError(f"there is a model {passport.model_id} in {root} already")
        with ExitStack() as held:
            with folder_lock(root):
                remove_abandoned(root, WORKSHOP)
                workshop = Path(tempfile.mkdtemp(prefix=WORKSHOP, dir=root))
                held.enter_context(folder_lock(workshop))
            try:
                for name, content in {**files, FILE_NAME: sealed.to_json()}.items():
                    write_durably(workshop / name, content)
                workshop.chmod(0o755)
                sync_folder(workshop)
                workshop.rename(target)
                sync_folder(root)
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
        strangers = [entry.name for entry in folder.iterdir() if not entry.is_file() or entry.is_symlink()]
        contents = _contents(folder, strangers)
    except OSError as fault:
        raise ModelError(f"model {folder} cannot be read: {fault.strerror}") from fault
    if FILE_NAME not in contents:
        raise ModelError(f"{folder / FILE_NAME} is missing: this is not a model, or a damaged one")
    passport = read_passport(contents.pop(FILE_NAME), str(folder / FILE_NAME))
    for name in sorted({*passport.files, *REQUIRED_FILES} - contents.keys()):
        raise ModelError(f"{folder / name} is missing{_MEND}")
    for name in sorted({*contents, *strangers} - passport.files.keys()):
        raise ModelError(f"{folder / name} is not part of this model; take it out of the folder")
    for name, digest in sorted(passport.files.items()):
        if name in strangers or sha256(contents[name]) != digest:
            raise ModelError(
                f"{folder / name} was altered: its bytes are not those that the passport names{_MEND}"
            )
    try:
        passport.feature_set()
    except ModelError as fault:
        raise ModelError(f"{folder / FILE_NAME}: {fault}") from fault
    return passport, contents


def _contents(folder: Path, strangers: Collection[str]) -> dict[str, bytes]:
    """What the files of a folder hold; links and folders are not followed, and no more is read than a model may have."""
    entries = [entry for entry in sorted(folder.iterdir()) if entry.name not in strangers]
    if sum(entry.stat().st_size for entry in entries) > MOST_BYTES:
        raise ModelError(f"{folder} holds more than {MOST_BYTES >> 20} MiB: this is no model of this program")
    return {entry.name: entry.read_bytes() for entry in entries}


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
    kind, instead = f"model of recipe {recipe}", ""
    if recipe is None:
        kind, instead = "model", f"; or begin without one: bot models promote no-trade --models {root}"
    raise ModelError(
        f"there is no {kind} in {root}; train one with: bot train --recipe scalping --candles FILE{instead}"
    )


def recipe_of(model_id: str) -> str:
    """The recipe's name in a model id."""
    match = _MODEL_ID.fullmatch(model_id)
    if match is None:
        raise ModelError(f"{model_id!r} is not a model id")
    return match["recipe"]


def champion(root: Path) -> str | None:
    """The id of the model that trades by default, or ``NO_TRADE``; None when none was named."""
    return _named(root / CHAMPION_FILE)


def challenger(root: Path) -> str | None:
    """The id of the model that may follow the champion, or None when none was named."""
    return _named(root / CHALLENGER_FILE)


def set_champion(root: Path, model_id: str) -> None:
    """Name the model that trades by default, or ``NO_TRADE``, in one step; ``models.champions.promote`` writes history.

    Raises:
        ModelError: The model is refused by ``read_member``.
        StorageError: The disk refused; the champion is who it was.
    """
    _name(root / CHAMPION_FILE, model_id)


def set_challenger(root: Path, model_id: str) -> None:
    """Name the model that may follow the champion, in one step.

    Raises:
        ModelError: The model is refused by ``read_member``.
        StorageError: The disk refused; the challenger is who it was.
    """
    _name(root / CHALLENGER_FILE, model_id)


def clear_challenger(root: Path, model_id: str) -> None:
    """Take the challenger's name away from this model; where another one has it by now, nothing happens.

    Raises:
        ModelError: The file is damaged.
        StorageError: The disk refused; the challenger is who it was.
    """
    with disk(root), folder_lock(root):
        if challenger(root) == model_id:
            (root / CHALLENGER_FILE).unlink()
            sync_folder(root)


def read_member(root: Path, model_id: str) -> ModelPassport:
    """Verify the model of this id under a root.

    Raises:
        ModelError: It is no id, ``read_verified`` refuses it, or the folder holds a model of another id.
    """
    recipe_of(model_id)
    passport, _ = read_verified(root / model_id)
    if passport.model_id != model_id:
        raise ModelError(f"{root / model_id} holds the model {passport.model_id}: folders are named by model")
    return passport


def member_id(root: Path, folder: Path) -> str:
    """The id of a model's folder under a root.

    Raises:
        ModelError: The folder lies elsewhere: only a model of the root can be named champion or challenger.
    """
    found = folder.resolve()
    if found.parent != root.resolve():
        raise ModelError(f"{folder} is not in {root}: copy the model's folder there first")
    return found.name


def _named(alias: Path) -> str | None:
    """The id that an alias file holds, or None where there is no such file."""
    try:
        text = alias.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise ModelError(f"{alias} cannot be read: {fault}") from fault
    if not _MODEL_ID.fullmatch(text) and not _is_no_trade(alias, text):
        raise ModelError(f"{alias} does not hold a model id")
    return text


def _name(alias: Path, model_id: str) -> None:
    """Write a whole model's id into an alias file, in one step."""
    if not _is_no_trade(alias, model_id):
        read_member(alias.parent, model_id)
    with disk(alias):
        replace_file(alias, f"{model_id}\n".encode())


def _is_no_trade(alias: Path, text: str) -> bool:
    """Whether this is the word for nobody, which only a champion can be."""
    return text == NO_TRADE and alias.name == CHAMPION_FILE


def resolve(root: Path, name: str | None = None) -> Path:
    """The folder of a model: by id, by path, ``champion``, ``challenger``, ``latest``.

    None is the champion or else the latest.

    Raises:
        ModelError: There is no such model, or it is ``NO_TRADE``, which has no folder.
    """
    if name is None:
        return _folder_of(root, champion(root) or latest(root))
    if name in {CHAMPION_FILE, CHALLENGER_FILE}:
        chosen = _named(root / name)
        if chosen is None:
            raise ModelError(f"no model was named {name} in {root}")
        return _folder_of(root, chosen)
    if name == NO_TRADE:
        return _folder_of(root, name)
    if name == "latest":
        return root / latest(root)
    if name in list_models(root):
        return root / name  # whole or not: who loads it says what is wrong with it
    for folder in (root / name, Path(name)):
        with suppress(OSError):  # such as a name that is too long for one
            if (folder / FILE_NAME).is_file():
                return folder
    known = ", ".join(list_models(root)[-3:]) or "none"
    raise ModelError(f"there is no model {name!r} in {root} (newest: {known})")


def _folder_of(root: Path, model_id: str) -> Path:
    """The folder of a model; nobody has none."""
    if model_id == NO_TRADE:
        raise ModelError(
            f"the champion of {root} is {NO_TRADE}, which is no model: nothing has beaten the baselines; "
            "name a model by its id, or latest"
        )
    return root / model_id


def _age(model_id: str) -> tuple[str, str]:
    """Sort key: the time in the id, then the id."""
    match = _MODEL_ID.fullmatch(model_id)
    return (match["stamp"] if match else "", model_id)
