"""A program of ours in the background: low in priority, on one thread, and never longer alive than the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.daemon.sd_notify import VARIABLES

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
"""Libraries that would take every core take one, so that trading keeps the others."""

STOP_SECONDS = 10.0
KEPT_LINES = 20
LONGEST_LINE = 4_000
MOST_SAID = 1_000_000
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended.

    Attributes:
        code: Its exit code; below 0 the signal that killed it.
        said: The end of its standard output.
        complained: The last lines of its standard error.
        timed_out: It was ended since its time was over.
    """

    code: int
    said: str
    complained: tuple[str, ...]
    timed_out: bool = False

    @property
    def fault(self) -> str | None:
        """Why it failed, None when it did not."""
        if self.timed_out:
            return "it took too long and was ended"
        if self.code < 0:
            return f"it was killed by {signal.Signals(-self.code).name}"
        if self.code == 0:
            return None
        last = self.complained[-1] if self.complained else "without a word"
        return f"exit code {self.code}: {last.removeprefix('error: ')}"


async def run_lowly(
    program: Sequence[str], *, timeout_seconds: float, complain: Callable[[str], object]
) -> Ending:
    """Run a program to its end; when this is cancelled, the program and what it started are ended too.

    Args:
        program: Absolute path and words.
        timeout_seconds: It is ended after so long.
        complain: Gets each line of its standard error.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # a folder named bot where the user stands is not ours
        "-m",
        "bot.daemon.lowly",
        str(os.getpid()),
        *program,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**without_settings(os.environ), **ONE_THREAD},
        start_new_session=True,  # Ctrl-C is for the daemon; and the whole group can be ended
    )
    said = bytearray()
    complained: deque[str] = deque(maxlen=KEPT_LINES)

    def heard(line: str) -> None:
        complained.append(line)
        complain(line)

    readers = (_keep(process.stdout, said), _read(process.stderr, heard))
    timed_out = False
    try:
        async with asyncio.timeout(timeout_seconds):
            await asyncio.gather(*readers)
            await process.wait()
    except TimeoutError:
        timed_out = True
    finally:
        await _end(process)
    return Ending(process.returncode or 0, said.decode(errors="replace"), tuple(complained), timed_out)


_OURS_ALONE = VARIABLES | {"CREDENTIALS_DIRECTORY"}
"""Of a service manager to the daemon: no program that it starts may speak in its name."""


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without our settings: a program of ours in the background gets them as flags, and needs no key."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("BOT__") and name not in _OURS_ALONE
    }


async def _keep(stream: asyncio.StreamReader | None, said: bytearray) -> None:
    """Keep the end of what a stream says."""
    while stream is not None and (piece := await stream.read(_CHUNK)):
        said += piece
        del said[:-MOST_SAID]


async def _read(stream: asyncio.StreamReader | None, take: Callable[[str], object]) -> None:
    """Hand on what a stream says line by line; a line without an end is cut."""
    rest = b""
    while stream is not None and (piece := await stream.read(_CHUNK)):
        *lines, rest = (rest + piece).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            _take(line, take)
        rest = rest[-_CHUNK:]
    _take(rest, take)


def _take(line: bytes, take: Callable[[str], object]) -> None:
    text = line.decode(errors="replace").strip()
    if text:
        take(text[:LONGEST_LINE])


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the group that a program leads, in order if it can, and wait for it."""
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            pass
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # nobody of it is left
