"""One simulated exchange a state folder: a second waits until the first, whose parent may just have died, is gone."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.errors import ConfigError, StorageError

PATIENCE_SECONDS = 8.0
RETRY_SECONDS = 0.05


@asynccontextmanager
async def occupied(folder: Path) -> AsyncIterator[None]:
    """Hold a folder for the time of the block.

    Raises:
        ConfigError: Another exchange holds it and does not leave.
        StorageError: The folder can't be written.
    """
    try:
        descriptor = os.open(folder / "exchange.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"the folder {folder} can't be written: {error.strerror}") from error
    try:
        for _ in range(int(PATIENCE_SECONDS / RETRY_SECONDS)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(RETRY_SECONDS)
        else:
            raise ConfigError(
                f"another simulated exchange is running on {folder}: stop it, or use another folder"
            )
        yield
    finally:
        os.close(descriptor)
