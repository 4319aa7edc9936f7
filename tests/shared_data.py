"""Real candles and exchange messages, where they are at hand; tests that need them skip elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_file(*parts: str) -> Path:
    """A file of the shared data, or a skip that says which one is missing."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the shared data file {'/'.join(parts)}")
    return path


def candle_file(name: str) -> Path:
    """A Parquet file of real candles, by its name in the shared data."""
    return shared_file("candles", name)
