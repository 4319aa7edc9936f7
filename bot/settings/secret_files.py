"""Files that hold secrets: each is read only where nobody else of the machine can read it too."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from bot.errors import ConfigError

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
"""systemd's: the folder of the credentials that a unit was given (``LoadCredential=``)."""

_MOST_BYTES: Final = 65_536


def read_secret(file: Path, said: str, *, of_system: bool = False) -> str:
    """The one secret that a file holds, without the blanks around it.

    Args:
        file: Its path.
        said: Who named it and for which setting, for errors.
        of_system: A credential of systemd, whose folder is private and whose access list shows as a group's.

    Raises:
        ConfigError: It can't be read, is empty, no text or too long, or others can read it.
    """
    try:
        with file.open("rb") as opened:
            # Asked of the open file: its name may lead elsewhere a moment later.
            fault = private_fault(os.fstat(opened.fileno()), file, of_system=of_system)
            if fault is not None:
                raise ConfigError(f"{said}: {fault}")
            text = opened.read(_MOST_BYTES + 1).decode("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{said}: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Without its cause, which would hold what was in the file.
        raise ConfigError(
            f"{said}: cannot read {file}: it is not text; write the secret into it as one line"
        ) from None
    if not text:
        raise ConfigError(f"{said}: {file} is empty; write the secret into it")
    if len(text) > _MOST_BYTES:
        raise ConfigError(f"{said}: {file} is too long for a secret; it may hold nothing else")
    return text


def private_fault(status: os.stat_result, file: Path, *, of_system: bool = False) -> str | None:
    """Why a file is no place for a secret, with what to do about it; None where it is one.

    Its owner's group may read a file of another owner (``root:bot``, mode 640): the reader could not otherwise.
    """
    mode = stat.S_IMODE(status.st_mode)
    own = status.st_uid == os.geteuid()
    forbidden = stat.S_IRWXO | stat.S_IWGRP if of_system or not own else stat.S_IRWXO | stat.S_IRWXG
    if not stat.S_ISREG(status.st_mode) or not mode & forbidden:
        return None
    wanted = "600" if own else "640"
    return (
        f"{file} can be read or written by others (mode {mode:03o}); make it private: chmod {wanted} {file}"
    )
