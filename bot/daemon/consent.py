"""Consent to trade real money: given once for a state folder, an exchange and an account, and kept there.

``STATE_DIR/live-consent.json`` says when, to which version, and for which key; the key itself is not in it, only a
salted hash, so that another account is noticed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.errors import ConfigError, StorageError

FILE_NAME: Final = "live-consent.json"
FLAG: Final = "--i-understand-live-trading"
SALT_BYTES: Final = 16
_MOST_BYTES: Final = 10_000


@dataclass(frozen=True, slots=True)
class LiveAccount:
    """What is consented to.

    Attributes:
        exchange: ccxt's name of the exchange.
        simulated: Whether its market is a simulation; consent to one is none to the other.
        key: The account's API key; never written down.
    """

    exchange: str
    simulated: bool
    key: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"LiveAccount(exchange={self.exchange!r}, simulated={self.simulated})"


def require_consent(
    state_dir: Path,
    account: LiveAccount,
    *,
    understood: bool,
    at_ms: int,
    version: str,
    random_bytes: Callable[[int], bytes],
) -> bool:
    """Refuse to trade live until a person has said that they understand it, for this folder and this account.

    Args:
        state_dir: The state folder; it exists.
        account: What would be traded on.
        understood: Whether they say so now.
        at_ms: The time, ms UTC.
        version: Of the bot.
        random_bytes: So many, such as ``secrets.token_bytes``.

    Returns:
        True where consent was given just now.

    Raises:
        ConfigError: It was never given, or for another exchange or key, and is not given now.
        StorageError: It can't be written down.
    """
    path = state_dir / FILE_NAME
    missing = objection(state_dir, account)
    if missing is None:
        return False
    if not understood:
        raise ConfigError(
            f"mode live sends real orders to {account.exchange}, and {missing}: "
            f"read docs/going-live.md, then start once with {FLAG}"
        )
    salt = random_bytes(SALT_BYTES)
    row = {
        "at_ms": at_ms,
        "version": version,
        "exchange": account.exchange,
        "simulated": account.simulated,
        "salt": salt.hex(),
        "key_hash": _hash(account.key, salt),
    }
    _write(path, json.dumps(row, indent=1).encode() + b"\n")
    return True


def objection(state_dir: Path, account: LiveAccount) -> str | None:
    """Why the consent that is there does not hold, in words; None where it does.

    Raises:
        StorageError: It can't be read.
    """
    row = _read(state_dir / FILE_NAME)
    if row is None:
        return "nobody has said in this state folder that they understand that"
    if row["exchange"] != account.exchange or row["simulated"] is not account.simulated:
        kind = "simulated" if row["simulated"] else "real"
        return f"what was understood in this state folder was the {kind} {row['exchange']}"
    if not hmac.compare_digest(row["key_hash"], _hash(account.key, bytes.fromhex(row["salt"]))):
        return "the API key is another than when that was understood in this state folder"
    return None


def _read(path: Path) -> dict[str, Any] | None:
    """What was written down; what is damaged counts as nothing: a person is asked again."""
    try:
        with path.open("rb") as file:
            row = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        return None
    return row if _is_sound(row) else None


def _is_sound(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("simulated"), bool):
        return False
    if not all(isinstance(row.get(name), str) for name in ("exchange", "salt", "key_hash")):
        return False
    try:
        return len(bytes.fromhex(row["salt"])) == SALT_BYTES
    except ValueError:
        return False


def _hash(key: str, salt: bytes) -> str:
    """A key id has 36 characters of chance and more: one round is enough."""
    return hashlib.sha256(salt + key.encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """In one step and for good; only its owner may read it."""
    written = path.with_name(f"{path.name}.new")
    try:
        written.unlink(missing_ok=True)
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
