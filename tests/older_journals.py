"""Journals as older versions of the bot have written them, one of each schema."""

from __future__ import annotations

import gzip
from pathlib import Path

from bot.core.market import MINUTE_MS
from tests.core_builders import MIDNIGHT

FOLDER = Path(__file__).parent / "bot" / "journal" / "older"
VERSIONS = (1, 2, 3, 4, 5)
MINUTES = 100
"""Decided in each of them."""

SEED = 21
EQUITY = 9978.014584667138
TRADES = 9
UNTIL_MS = MIDNIGHT + MINUTES * MINUTE_MS


def older_journal(version: int, state_dir: Path) -> Path:
    """Lay a journal of a schema's time into a state folder; returns its path."""
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / "journal.sqlite"
    path.write_bytes(gzip.decompress((FOLDER / f"schema{version}.sqlite.gz").read_bytes()))
    return path
