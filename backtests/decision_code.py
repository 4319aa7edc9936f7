"""Which code decides: a digest of the sources that turn candles and forecasts into decisions."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

PACKAGES = ("bot.core", "strategies")
"""Everything that a decision on given forecasts depends on, but a strategy of the user's own."""


@cache
def decision_code() -> str:
    """Hex digest, 16 characters."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for entry in sorted(resources.files(package).iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".py"):
                digest.update(f"{package}/{entry.name};".encode())
                digest.update(entry.read_bytes())
    return digest.hexdigest()[:16]
