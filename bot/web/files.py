"""What a server leaves in the state folder: the token that it asks for, and the address that it listens on."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bot.errors import StorageError

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST = 4096


class Address(NamedTuple):
    """Where a server listens, and which process it is."""

    host: str
    port: int
    pid: int

    @property
    def netloc(self) -> str:
        """Host and port as an address of the web has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def reached_at(self) -> str:
        """The host that a client of this machine asks; a server on every address is asked on loopback."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - asks, never listens


def make_token() -> str:
    """A new token: 32 random bytes as text."""
    return secrets.token_urlsafe(32)


def keep_token(path: Path, make: Callable[[], str] = make_token) -> tuple[str, str | None]:
    """The token of a file, made where there is none that can be trusted.

    Args:
        path: The file.
        make: Makes a token.

    Returns:
        The token, and why an old one was replaced (others could read it, it is damaged); None where none was.

    Raises:
        StorageError: The folder can't be written.
    """
    token, fault = _trusted(path)
    if token is not None:
        return token, None
    token = make()
    replace_file(path, f"{token}\n", 0o600)
    return token, fault


def read_token(path: Path) -> str | None:
    """The token, for who asks; None where there is none or it may not be read."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if _TOKEN.fullmatch(text) else None


def write_address(path: Path, address: Address) -> None:
    """Tell where a server listens; whole or not at all."""
    replace_file(path, json.dumps(address._asdict()) + "\n", 0o644)


def remove_address(path: Path) -> None:
    """Tell that it listens no more."""
    path.unlink(missing_ok=True)


def read_address(path: Path) -> Address | None:
    """Where a server listens; None where no file says so, or it is no address."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")[:_LONGEST])
        host, port, pid = found["host"], found["port"], found["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(host, str) or not isinstance(port, int) or not isinstance(pid, int):
        return None
    return Address(host, port, pid) if 0 < port < 65_536 else None


def _trusted(path: Path) -> tuple[str | None, str | None]:
    """The token that lies there, if nobody else could read or place it; else why it isn't used."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, f"it could not be read: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        text = file.read(_LONGEST).decode("ascii", "replace").strip()
    if status.st_uid != os.geteuid():
        return None, "it belonged to another user"
    if status.st_mode & 0o077:
        return None, f"others could read it (mode {status.st_mode & 0o777:04o})"
    if _TOKEN.fullmatch(text) is None:
        return None, "it was damaged"
    return text, None


def replace_file(path: Path, text: str, mode: int) -> None:
    """Write a file in one step, never readable by more than its mode says."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror or error}") from error
