"""A dashboard that is served over a real journal, which a daemon without sockets has made."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bot.clock import monotonic_ns, wall_ms
from bot.core.market import MINUTE_MS
from bot.dashboard.contracts import DashboardRules, Sources
from bot.dashboard.server import Dashboard
from bot.dashboard.static import PATHS
from bot.web.files import Address
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, Silent, random_market, random_predictions

MINUTES = 300
LAST_MS = MIDNIGHT + MINUTES * MINUTE_MS
MODEL = "tiny-20231114T221320-000007"
LINES = 40


class StandIn:
    """A daemon that says what it is told to."""

    def __init__(self) -> None:
        self.process: int | None = 4242
        self.asked = 0
        self.text: str | None = "bot_minutes_decided_total 300.0\n"
        self.answer: dict[str, Any] | None = {
            "healthy": True,
            "ready": True,
            "stalled": False,
            "since_decided_seconds": 1.5,
        }

    def process_id(self) -> int | None:
        return self.process

    def health(self) -> Mapping[str, Any] | None:
        self.asked += 1
        return self.answer

    def figures(self) -> str | None:
        return self.text


async def decided(folder: Path, minutes: int = MINUTES, *, upto: int | None = None, seed: int = 61) -> None:
    """Let a daemon decide the first minutes of a market, or go on with it; ``upto`` of them."""
    candles = random_market(seed, minutes)
    daemon = Daemon(folder, candles, random_predictions(seed, candles), now_ms=MIDNIGHT)
    try:
        daemon.journal.meta("run_id", "run")
        daemon.journal.meta("simulated", "true")
        await daemon.start()
        ready = {"model_id": MODEL, "proven": False, "mode": "paper", "refused": None}
        daemon.journal.note("service.ready", MIDNIGHT, ready)
        await daemon.run(until_ms=None if upto is None else MIDNIGHT + upto * MINUTE_MS)
    finally:
        daemon.close()


def log_row(number: int, **fields: Any) -> dict[str, Any]:
    """A line of the daemon's log."""
    level = ("info", "warning", "error", "debug")[number % 4]
    row = {"ts": f"2024-01-01T00:00:{number % 60:02d}.000Z", "level": level, "event": "decision.made"}
    return {**row, "symbol": ("BTC/USDT:USDT", "ETH/USDT:USDT")[number % 2], "number": number, **fields}


def append_log(folder: Path, *rows: Mapping[str, Any]) -> None:
    """Append lines to the daemon's log."""
    path = folder / "logs" / "bot.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for row in rows:
            file.write(json.dumps(row).encode() + b"\n")


def plain_pages(folder: Path) -> Path:
    """Pages without anything in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PATHS.values():
        (folder / name).write_text(
            f'<title>{name}</title><script src="/static/app.js?v={{{{v:app.js}}}}"></script>'
        )
    (folder / "app.js").write_text("// a script\n" + "x" * 2_000)
    (folder / "style.css").write_text("body { margin: 0 }\n")
    return folder


class Served:
    """A dashboard at work.

    Attributes:
        folder: The state folder.
        board: The dashboard.
        address: Where it listens.
        client: Asks with the token.
        stranger: Asks without.
        daemon: What it asks.
        log: What it said.
    """

    def __init__(
        self, folder: Path, board: Dashboard, address: Address, daemon: StandIn, log: Silent
    ) -> None:
        self.folder = folder
        self.board = board
        self.address = address
        self.daemon = daemon
        self.log = log
        url = f"http://127.0.0.1:{address.port}"
        self.client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {board.token}"}, trust_env=False
        )
        self.stranger = httpx.AsyncClient(base_url=url, trust_env=False)

    async def json(self, path: str, status: int = 200, **query: Any) -> Any:
        """The JSON of an answer with this status."""
        answer = await self.client.get(path, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def raw(self, sent: bytes, *, until: bytes = b"", seconds: float = 10.0) -> bytes:
        """What comes back on a connection of its own for some bytes, to its end or until something is in it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.address.port)
        writer.write(sent)
        got = b""
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65_536):
                got += piece
                if until and until in got:
                    break
        writer.close()
        return got

    @property
    def bearer(self) -> bytes:
        """The header with the token."""
        return f"Authorization: Bearer {self.board.token}\r\n".encode()


def sources(daemon: StandIn, explain: Any = None) -> Sources:
    """What commands hand down, without the heavy parts."""
    return Sources(
        daemon,
        lambda model_id, rows: {"model_id": model_id, "forecasts": len(rows), "live": {}},
        explain or (lambda decision_id: {"decision_id": decision_id}),
        wall_ms,
        monotonic_ns,
    )


@asynccontextmanager
async def served(
    folder: Path,
    *,
    poll_seconds: float = 0.02,
    explain: Any = None,
    host: str = "127.0.0.1",
    loopback: bool = True,
    pages: Path | None = None,
) -> AsyncIterator[Served]:
    """A dashboard that is served while the block runs."""
    daemon, log = StandIn(), Silent()
    rules = DashboardRules(
        state_dir=folder,
        models_dir=folder / "models",
        log_file=folder / "logs" / "bot.jsonl",
        version="1.2.3",
        host=host,
        loopback=loopback,
        poll_seconds=poll_seconds,
    )
    own = pages or plain_pages(folder.parent / f"{folder.name}-pages")
    board = Dashboard(rules, sources(daemon, explain), log, own)
    address = board.open()
    stop = asyncio.Event()
    serving = asyncio.create_task(board.serve(stop))
    one = Served(folder, board, address, daemon, log)
    try:
        yield one
    finally:
        await one.client.aclose()
        await one.stranger.aclose()
        stop.set()
        await asyncio.wait_for(serving, 10)


def copied(template: Path, folder: Path) -> Path:
    """A state folder of one's own."""
    return Path(shutil.copytree(template, folder))
