"""What the control API leaves in the state folder: the token that commands need, and the address that it listens on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bot.web import files
from bot.web.files import Address, make_token

__all__ = [
    "ADDRESS_FILE",
    "TOKEN_FILE",
    "Address",
    "keep_token",
    "make_token",
    "read_address",
    "read_token",
    "remove_address",
    "write_address",
]

TOKEN_FILE = "control.token"  # noqa: S105 - the name of a file
ADDRESS_FILE = "control.json"


def keep_token(state_dir: Path, make: Callable[[], str] = make_token) -> tuple[str, str | None]:
    """The token of a state folder, made where there is none that can be trusted, and why an old one was replaced.

    Raises:
        StorageError: The folder can't be written.
    """
    return files.keep_token(state_dir / TOKEN_FILE, make)


def read_token(state_dir: Path) -> str | None:
    """The token, for who gives commands; None where there is none or it may not be read."""
    return files.read_token(state_dir / TOKEN_FILE)


def write_address(state_dir: Path, address: Address) -> None:
    """Tell where the API listens; whole or not at all."""
    files.write_address(state_dir / ADDRESS_FILE, address)


def remove_address(state_dir: Path) -> None:
    """Tell that it listens no more."""
    files.remove_address(state_dir / ADDRESS_FILE)


def read_address(state_dir: Path) -> Address | None:
    """Where the API of the folder's daemon listens; None where no file says so, or it is no address."""
    return files.read_address(state_dir / ADDRESS_FILE)
