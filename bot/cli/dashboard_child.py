"""A dashboard beside another command: a process of its own, low in priority, that ends with who started it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class Beside(NamedTuple):
    """A dashboard that was started, or could not be.

    Attributes:
        address: What a person opens; None where it did not start.
        fault: Why not; None where it did.
    """

    address: str | None
    fault: str | None


@asynccontextmanager
async def dashboard_beside(settings: Any) -> AsyncIterator[Beside]:
    """Serve the pages of these settings' state folder for the time of the block; it goes on without where that fails.

    Args:
        settings: All settings.
    """
    from bot.daemon.child import ONE_THREAD, without_settings

    process = await asyncio.create_subprocess_exec(
        *_words(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**without_settings(os.environ), **ONE_THREAD},
        start_new_session=True,  # Ctrl-C is for who started it, who then ends it in order
    )
    drains: list[asyncio.Task[bytes]] = []
    try:
        started = await _started(process)
        drains = [asyncio.create_task(_drain(stream)) for stream in (process.stdout, process.stderr)]
        yield started
    finally:
        for drain in drains:
            drain.cancel()
        await asyncio.gather(*drains, return_exceptions=True)
        await _end(process)


def _words(settings: Any) -> list[str]:
    """The program: ``bot.daemon.lowly`` ties it to this process, however that one dies."""
    section = settings.dashboard
    words = [sys.executable, "-P", "-m", "bot.daemon.lowly", str(os.getpid())]
    words += [sys.executable, "-P", "-m", "bot", "dashboard", "--json"]
    words += ["--state-dir", str(settings.state_dir), "--host", section.host, "--port", str(section.port)]
    if settings.model.root is not None:
        words += ["--set", f"model.root={Path(settings.model.root).absolute()}"]
    return words


async def _started(process: asyncio.subprocess.Process) -> Beside:
    """Wait for the line that says where it listens, or for the reason why there is none."""
    line = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.stdout is not None and (line := await process.stdout.readline()):
                told = _row(line)
                if "address" in told:
                    return Beside(str(told["address"]), None)
                if "error" in told and "exit_code" in told:
                    return Beside(None, str(told["error"]))
            return Beside(None, f"it ended with exit code {await process.wait()}")
    return Beside(None, f"it did not start within {START_SECONDS:.0f} seconds")


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


async def _drain(stream: asyncio.StreamReader | None) -> bytes:
    """Read what it says, so that it never waits for a reader."""
    while stream is not None and await stream.read(65_536):
        continue
    return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it, in order if it can."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
