"""One journal for all tests of the dashboard: made once, copied by who changes it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.dashboard_rig import LINES, append_log, copied, decided, log_row


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with five hours of two symbols and forty lines of a log; nobody writes into it."""
    folder = tmp_path_factory.mktemp("past")
    asyncio.run(decided(folder))
    append_log(folder, *(log_row(number) for number in range(LINES)))
    return folder


@pytest.fixture
def folder(past: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copied(past, tmp_path / "state")
