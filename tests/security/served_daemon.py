"""A real daemon that serves its control API from a thread of its own, for clients that are not asynchronous."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.daemon.control_files import read_address, read_token
from tests.service_rig import Running, running, service_rules

MINUTES = 200


class Served:
    """A daemon with a control API.

    Attributes:
        url: Where it is.
        token: What opens it.
        one: The daemon; its parts belong to its own thread.
    """

    def __init__(self, folder: Path, one: Running) -> None:
        address, token = read_address(folder), read_token(folder)
        assert address is not None
        assert token is not None
        self.url = f"http://127.0.0.1:{address.port}"
        self.token = token
        self.one = one


@contextmanager
def served_daemon(folder: Path) -> Iterator[Served]:
    """A daemon that has traded some hours, runs, and answers while the block runs."""
    ready, over = threading.Event(), threading.Event()
    found: list[Served] = []

    async def live() -> None:
        log_file = folder / "bot.jsonl"
        rules = dataclasses.replace(service_rules(), log_file=log_file)
        async with running(folder, rules) as one:
            await one.minutes(MINUTES)
            log_file.write_bytes(one.text.getvalue())
            found.append(Served(folder, one))
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="served-daemon")
    thread.start()
    try:
        while not ready.wait(0.1):
            assert thread.is_alive(), "the daemon did not start"
        yield found[0]
    finally:
        over.set()
        thread.join(30)
        assert not thread.is_alive()
