"""The control API over real sockets: who may ask, what is refused, and that commands reach the operator."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from bot.clock import monotonic_ns
from bot.daemon.commanding import CommandDesk
from bot.daemon.control import ControlRules, ControlServer
from bot.daemon.control_files import ADDRESS_FILE, TOKEN_FILE, read_address, read_token
from bot.daemon.control_reads import Recordings
from bot.daemon.progress import Health
from bot.errors import ConfigError, EngineProtocolError, TransientError
from tests.daemon_harness import Silent

COMMANDS = ("pause", "resume", "halt", "flatten")
PAGES = ("positions", "orders", "trades", "decisions", "model", "commands", "logs")


class Notebook:
    """An operator that writes down what it is told."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []
        self.origins: list[str] = []
        self.since_seconds = 1.0
        self.state = "trading"
        self.fault: Exception | None = None
        self.hold: asyncio.Event | None = None

    async def command(
        self, name: Literal["pause", "resume", "halt", "flatten"], reason: str, origin: str
    ) -> dict[str, Any]:
        if self.hold is not None:
            await self.hold.wait()
        if self.fault is not None:
            raise self.fault
        self.given.append((name, reason))
        self.origins.append(origin)
        self.state = {"pause": "reducing", "flatten": "reducing", "halt": "halted"}.get(name, "trading")
        return self.status()

    def status(self) -> dict[str, Any]:
        return {"state": self.state, "equity": float("nan")}

    def health(self) -> Health:
        return Health(True, self.state, self.since_seconds, 180.0)


async def one_figure() -> bytes:
    """A page of metrics."""
    return b"bot_minutes_decided_total 1.0\n"


class Api:
    """A served API and a client of it."""

    def __init__(self, folder: Path, operator: Notebook, log: Silent, client: httpx.AsyncClient) -> None:
        self.folder = folder
        self.operator = operator
        self.log = log
        self.client = client
        token = read_token(folder)
        assert token is not None
        self.token = {"Authorization": f"Bearer {token}"}
        address = read_address(folder)
        assert address is not None
        self.address = address

    def events(self) -> list[str]:
        return [event for event, _ in self.log.lines]

    async def raw(self, *sent: bytes) -> bytes:
        """What comes back on a connection of its own for some bytes."""
        reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        for part in sent:
            writer.write(part)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer


def server_of(
    operator: Notebook,
    folder: Path,
    metrics: Callable[[], Awaitable[bytes]] | None = None,
    rules: ControlRules | None = None,
    log: Silent | None = None,
    command_seconds: float = 10.0,
) -> ControlServer:
    """A control API over an operator; its journal and its log are those of the folder."""
    log = log or Silent()
    desk = CommandDesk(operator, log, command_seconds=command_seconds)
    recordings = Recordings(folder / "journal.sqlite", folder / "bot.jsonl")
    rules = rules or ControlRules()
    return ControlServer(operator, desk, recordings, metrics, rules, folder, log, monotonic_ns)


@asynccontextmanager
async def served(
    folder: Path,
    *,
    with_metrics: bool = True,
    rules: ControlRules | None = None,
    command_seconds: float = 10.0,
) -> AsyncIterator[Api]:
    """A control API that is served while the block runs."""
    operator, log, stop = Notebook(), Silent(), asyncio.Event()
    metrics = one_figure if with_metrics else None
    server = server_of(operator, folder, metrics, rules, log, command_seconds)
    serving = asyncio.create_task(server.serve(stop))
    while read_address(folder) is None:
        assert not serving.done()
        await asyncio.sleep(0.005)
    address = read_address(folder)
    assert address is not None
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{address.port}", trust_env=False) as client:
        yield Api(folder, operator, log, client)
    stop.set()
    await asyncio.wait_for(serving, 10)


async def test_it_listens_on_loopback_and_says_where(tmp_path: Path) -> None:
    """The address is in a file while it is served, names this process, and is gone afterwards; so is the port."""
    async with served(tmp_path) as api:
        assert api.address.host == "127.0.0.1"
        assert api.address.pid == os.getpid()
        assert api.address.port > 0
    assert not (tmp_path / ADDRESS_FILE).exists()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", api.address.port)


async def test_the_token_is_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    """Mode 0600, long, and the same at the next start."""
    async with served(tmp_path) as api:
        first = api.token
        mode = (tmp_path / TOKEN_FILE).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
        assert len(first["Authorization"]) > 40
    async with served(tmp_path) as again:
        assert again.token == first
        assert "control.renewed" not in again.events()


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_reaches_the_operator_with_its_reason(tmp_path: Path, name: str) -> None:
    """It is answered with the state after it, and told in the log."""
    async with served(tmp_path) as api:
        answer = await api.client.post(f"/v1/{name}", headers=api.token, json={"reason": "tea\nbreak"})
        assert answer.status_code == 200
        assert api.operator.given == [(name, "tea\nbreak")]
        assert answer.json() == {"state": api.operator.state, "equity": None}
        told = dict(api.log.lines)["control.commanded"]
        wanted = {"command": name, "reason": "tea\nbreak", "state": api.operator.state}
        assert told == wanted | {"origin": "control api"}
        assert api.operator.origins == ["control api"]


async def test_a_command_without_a_body_is_by_hand(tmp_path: Path) -> None:
    """A bare POST is enough."""
    async with served(tmp_path) as api:
        assert (await api.client.post("/v1/pause", headers=api.token)).status_code == 200
        assert api.operator.given == [("pause", "by hand")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"X-Token": "x"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/flatten"), ("GET", "/v1/status"), ("GET", "/nowhere"), ("DELETE", "/v1/pause")],
)
async def test_nothing_is_done_or_shown_without_the_token(
    tmp_path: Path, headers: dict[str, str], method: str, path: str
) -> None:
    """A missing, empty, wrong or differently sent token gets 401 everywhere, and nothing reaches the operator."""
    async with served(tmp_path) as api:
        answer = await api.client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "control.token" in answer.json()["error"]
        assert api.operator.given == []
        assert api.events().count("control.refused") == 1


async def test_a_night_of_knocking_is_one_line_of_the_log(tmp_path: Path) -> None:
    """Refusals are told once a minute."""
    async with served(tmp_path) as api:
        for _ in range(20):
            await api.client.post("/v1/halt")
        assert api.events().count("control.refused") == 1


async def test_health_is_open_and_tells_progress(tmp_path: Path) -> None:
    """200 while minutes are decided, halted or not; 503 once they are not, though the port answers."""
    async with served(tmp_path) as api:
        api.operator.state = "halted"
        answer = await api.client.get("/v1/health")
        assert (answer.status_code, answer.json()["healthy"]) == (200, True)
        api.operator.since_seconds = 181.0
        answer = await api.client.get("/v1/health")
        assert (answer.status_code, answer.json()["stalled"]) == (503, True)
        assert answer.json()["expected_seconds"] == 180.0


async def test_metrics_are_open_on_loopback_and_absent_where_none_are_kept(tmp_path: Path) -> None:
    """Prometheus reads its text format; without metrics there is no such page."""
    async with served(tmp_path) as api:
        answer = await api.client.get("/metrics")
        assert answer.text == "bot_minutes_decided_total 1.0\n"
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    async with served(tmp_path, with_metrics=False) as api:
        assert (await api.client.get("/metrics", headers=api.token)).status_code == 404


async def test_on_another_address_everything_needs_the_token(tmp_path: Path) -> None:
    """Health and metrics too, once others can reach them."""
    async with served(tmp_path, rules=ControlRules("0.0.0.0", 0, loopback=False)) as api:
        for path in ("/v1/health", "/metrics", "/openapi.json"):
            assert (await api.client.get(path)).status_code == 401
            assert (await api.client.get(path, headers=api.token)).status_code == 200


async def test_a_page_that_points_its_name_at_this_machine_is_refused(tmp_path: Path) -> None:
    """Only requests for 127.0.0.1 or localhost are answered, so that no web page reads what is here."""
    async with served(tmp_path) as api:
        for host, status in (("evil.example", 421), ("localhost:1", 200), ("[::1]", 200), ("127.0.0.1", 200)):
            assert (await api.client.get("/metrics", headers={"Host": host})).status_code == status


@pytest.mark.parametrize(
    "body",
    [b"x" * 4097, b'{"reason": "' + b"x" * 20_000 + b'"}'],
)
async def test_an_oversized_body_is_refused_unread(tmp_path: Path, body: bytes) -> None:
    """By its announced length, and in pieces of unannounced length."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    async with served(tmp_path) as api:
        kind = api.token | {"Content-Type": "application/json"}
        assert (await api.client.post("/v1/halt", headers=kind, content=body)).status_code == 413
        assert (await api.client.post("/v1/halt", headers=kind, content=pieces())).status_code == 413
        assert api.operator.given == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"reason": 7}', 422),
        (b'{"reason": ""}', 422),
        (b'{"reason": "' + b"x" * 201 + b'"}', 422),
        (b'{"why": "x"}', 422),
        (b"[]", 422),
        (b'"pause"', 422),
        (b"[" * 2000, 400),
    ],
)
async def test_a_malformed_body_is_one_sentence(tmp_path: Path, body: bytes, status: int) -> None:
    """No JSON is 400, the wrong JSON 422; nothing reaches the operator."""
    async with served(tmp_path) as api:
        answer = await api.client.post(
            "/v1/halt", headers=api.token | {"Content-Type": "application/json"}, content=body
        )
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}
        assert api.operator.given == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/v1/%2e%2e/status",
        "//v1/status",
        "/v1/status/",
        "/v1/pause%00",
    ],
)
async def test_a_path_leads_nowhere_else(tmp_path: Path, path: str) -> None:
    """Dots, escapes and doubled strokes are pages that there are not."""
    async with served(tmp_path) as api:
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {api.token['Authorization']}\r\n\r\n"
        )
        answer = await api.raw(head.encode())
        assert answer.split(b" ")[1] in {b"404", b"405"}
        assert b"root:" not in answer
        assert api.operator.given == []


async def test_what_is_no_http_is_refused(tmp_path: Path) -> None:
    """Noise, an endless head and a length that is none get 400 or 413, and the next request is answered."""
    async with served(tmp_path) as api:
        assert b"400" in (await api.raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"))[:20]
        assert b"400" in (await api.raw(b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000))[:20]
        assert (
            b"400"
            in (await api.raw(b"POST /v1/halt HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n"))[
                :20
            ]
        )
        assert (await api.client.get("/v1/health")).status_code == 200


async def test_a_silent_connection_is_closed_and_a_slow_body_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can hold a connection by saying nothing, half a head or half a body."""
    monkeypatch.setattr("bot.web.guest.REQUEST_SECONDS", 0.2)
    monkeypatch.setattr("bot.daemon.control_guard.BODY_SECONDS", 0.2)
    async with served(tmp_path) as api:
        assert await api.raw() == b""
        assert await api.raw(b"GET /v1/health HT") == b""
        head = f"POST /v1/halt HTTP/1.1\r\nHost: localhost\r\nAuthorization: {api.token['Authorization']}\r\n"
        answer = await api.raw(f"{head}Content-Length: 20\r\n\r\n{{".encode())
        assert answer.startswith(b"HTTP/1.1 408")
        assert api.operator.given == []


async def test_a_refused_command_is_a_sentence_and_a_bug_is_told_whole(tmp_path: Path) -> None:
    """What the operator raises is answered, told in the log, and never ends the server."""
    async with served(tmp_path) as api:
        api.operator.fault = TransientError("the exchange does not answer")
        answer = await api.client.post("/v1/flatten", headers=api.token)
        assert (answer.status_code, answer.json()) == (503, {"error": "the exchange does not answer"})
        api.operator.fault = EngineProtocolError("out of order")
        answer = await api.client.post("/v1/flatten", headers=api.token)
        assert answer.status_code == 500
        assert {"control.command_failed", "control.request_failed"} <= set(api.events())
        api.operator.fault = None
        assert (await api.client.post("/v1/flatten", headers=api.token)).status_code == 200


async def test_a_command_that_takes_long_goes_on(tmp_path: Path) -> None:
    """Its sender is told so, and it is not broken off."""
    async with served(tmp_path, command_seconds=0.05) as api:
        api.operator.hold = asyncio.Event()
        answer = await api.client.post("/v1/halt", headers=api.token)
        assert answer.status_code == 504
        assert api.operator.given == []
        api.operator.hold.set()
        while not api.operator.given:
            await asyncio.sleep(0.005)
        assert api.operator.state == "halted"


async def test_the_end_waits_for_an_answer_under_way(tmp_path: Path) -> None:
    """A command that is being carried out when the daemon stops is still answered."""
    operator, stop = Notebook(), asyncio.Event()
    operator.hold = asyncio.Event()
    server = server_of(operator, tmp_path)
    serving = asyncio.create_task(server.serve(stop))
    while (address := read_address(tmp_path)) is None:
        await asyncio.sleep(0.005)
    headers = {"Authorization": f"Bearer {read_token(tmp_path)}"}
    async with httpx.AsyncClient(base_url=f"http://{address.netloc}", trust_env=False) as client:
        asking = asyncio.create_task(client.post("/v1/halt", headers=headers))
        while not server._desk.is_busy:
            await asyncio.sleep(0.005)
        stop.set()
        await asyncio.sleep(0.01)
        operator.hold.set()
        assert (await asking).status_code == 200
    await asyncio.wait_for(serving, 10)


async def test_cancelling_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """No task, no socket and no file; signals are as they were."""
    tasks = len(asyncio.all_tasks())
    server = server_of(Notebook(), tmp_path)
    serving = asyncio.create_task(server.serve(asyncio.Event()))
    while (address := read_address(tmp_path)) is None:
        await asyncio.sleep(0.005)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert serving.cancelled()
    assert len(asyncio.all_tasks()) == tasks
    assert not (tmp_path / ADDRESS_FILE).exists()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", address.port))


async def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    """One sentence that names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = server_of(Notebook(), tmp_path, rules=ControlRules(port=port))
        with pytest.raises(ConfigError, match=r"control\.port"):
            server.open()


async def test_the_description_is_valid_openapi(tmp_path: Path) -> None:
    """OpenAPI 3.1: every page and its refusals, unique operation ids, every reference found, commands by token."""
    async with served(tmp_path) as api:
        document = (await api.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    wanted = {("post", f"/v1/{name}") for name in COMMANDS}
    wanted |= {("get", f"/v1/{name}") for name in ("health", "status", *PAGES)} | {("get", "/metrics")}
    assert set(operations) == wanted
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    for (method, _path), operation in operations.items():
        assert {"200", "401", "500"} <= set(operation["responses"])
        if method == "post":
            assert operation["security"] == [{"HTTPBearer": []}]
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for reference in _references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found["type"] == "object"


async def test_every_answer_is_one_that_the_description_names(tmp_path: Path) -> None:
    """Whatever a page answers, its status and kind of content are in the document."""
    async with served(tmp_path) as api:
        document = (await api.client.get("/openapi.json")).json()
        api.operator.since_seconds = 999.0
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                for headers in ({}, api.token):
                    for content in (None, b"{}", b"{", b"x" * 5000):
                        answer = await api.client.request(
                            method,
                            path,
                            headers=headers | {"Content-Type": "application/json"},
                            content=content,
                        )
                        named = operation["responses"].get(str(answer.status_code))
                        assert named is not None, (method, path, answer.status_code)
                        kind = answer.headers["content-type"].partition(";")[0]
                        assert kind in named["content"]


def _references(document: Any) -> list[str]:
    """Every ``$ref`` of a document."""
    text = json.dumps(document)
    return [part.partition('"')[0] for part in text.split('"$ref": "')[1:]]
