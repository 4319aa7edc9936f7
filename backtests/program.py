"""Which program this is: a digest of the sources that a backtest, a fit or a job of either may use."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

_CODE = ("models", "models.architectures", "bot.core", "bot.retraining", "strategies", "backtests")


@lru_cache(maxsize=1)
def program_digest() -> str:
    """Hex digest of their Python sources, as they were on the disk when it was first asked for."""
    digest = hashlib.sha256()
    for package in _CODE:
        for entry in sorted(resources.files(package).iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".py"):
                digest.update(f"{package}/{entry.name};".encode())
                digest.update(entry.read_bytes())
    return digest.hexdigest()[:12]
