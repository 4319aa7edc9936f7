"""What stands between a command line and live trading: consent, and a process whose memory is not left behind."""

from __future__ import annotations

import secrets
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bot.clock import wall_ms
from bot.daemon.consent import LiveAccount, require_consent
from bot.daemon.doctor_probes import DISTRIBUTION
from bot.daemon.hardening import forbid_core_dumps
from bot.errors import StorageError


def enter_live(state_dir: Path, account: LiveAccount, *, understood: bool) -> list[str]:
    """Let a process go on to trade live.

    Args:
        state_dir: The state folder; made where it is missing.
        account: What will be traded on.
        understood: Whether a person says now that they understand live trading.

    Returns:
        Lines for that person: what could not be made safe, and that consent was written down.

    Raises:
        ConfigError: Nobody has consented to this folder, exchange and key.
        StorageError: The state folder can't be written.
    """
    lines = forbid_core_dumps()
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the state folder {state_dir} can't be made: {error.strerror}") from error
    given = require_consent(
        state_dir,
        account,
        understood=understood,
        at_ms=wall_ms(),
        version=_version(),
        random_bytes=secrets.token_bytes,
    )
    if given:
        lines.append(f"understood: live trading on {account.exchange}, kept in {state_dir}")
    return lines


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
