"""Requests that no honest client sends, over raw sockets: each is answered or closed soon, and the next one is served."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path

import pytest

from bot.logs import close, configure, console_line, get_logger, json_line
from bot.settings import load_settings
from tests.bot.daemon.test_control import Api, served

SECONDS = 15


def head(api: Api, path: str = "/v1/halt", method: str = "POST", *more: str) -> bytes:
    """The head of a request that has the token."""
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: {api.token['Authorization']}",
        *more,
    )
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


async def answer_to(api: Api, *sent: bytes) -> bytes:
    """What comes back until the connection ends; empty where it is only closed."""
    async with asyncio.timeout(SECONDS):
        try:
            return await api.raw(*sent)
        except ConnectionError:
            return b""


def status_of(answer: bytes) -> int:
    """The status of HTTP; 0 where there was no answer."""
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "x",
        "x" * 43,
        "x" * 15_000,
        "\u00e9" * 43,
        "\xff\xfe",
        "null",
        "{token} ",
        "{token}x",
        "{short}",
        "{upper}",
        '"{token}"',
        "{token},{token}",
    ],
)
async def test_only_the_token_opens(tmp_path: Path, token: str) -> None:
    """Empty, short, long, unicode, almost right: 400 or 401, and nothing reaches the operator."""
    async with served(tmp_path) as api:
        right = api.token["Authorization"].removeprefix("Bearer ")
        given = token.format(token=right, short=right[:-1], upper=right.swapcase())
        line = f"Authorization: Bearer {given}"
        sent = f"POST /v1/flatten HTTP/1.1\r\nHost: localhost\r\n{line}\r\nContent-Length: 0\r\n\r\n"
        status = status_of(await answer_to(api, sent.encode("utf-8")))
        assert status in ({200} if given.strip() == right else {400, 401})
        assert bool(api.operator.given) == (status == 200)
        assert right not in json.dumps(api.log.lines)


async def test_the_token_is_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each comparison goes through ``secrets.compare_digest``, whatever was sent."""
    compared: list[bytes] = []
    honest = secrets.compare_digest

    def watched(given: bytes, wanted: bytes) -> bool:
        compared.append(given)
        return honest(given, wanted)

    async with served(tmp_path) as api:
        monkeypatch.setattr("bot.daemon.control_guard.secrets.compare_digest", watched)
        await api.client.get("/v1/status", headers={"Authorization": "Bearer wrong"})
        await api.client.get("/v1/status", headers=api.token)
        assert compared == [b"wrong", api.token["Authorization"].removeprefix("Bearer ").encode()]


async def test_two_tokens_are_no_better_than_the_last(tmp_path: Path) -> None:
    """A right token in front of a wrong one opens nothing."""
    async with served(tmp_path) as api:
        answer = await answer_to(
            api, head(api, "/v1/halt", "POST", "Authorization: Bearer wrong", "Content-Length: 0")
        )
        assert status_of(answer) in {400, 401}
        assert api.operator.given == []


async def test_bodies_and_heads_of_every_wrong_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None ends the server, none is carried out, and after all of them it answers as before."""
    monkeypatch.setattr("bot.daemon.control_guard.BODY_SECONDS", 0.3)
    async with served(tmp_path) as api:
        wrong = [
            (head(api, "/v1/halt", "POST", "Content-Length: 10", "Content-Length: 20"), b"x" * 20),
            (head(api, "/v1/halt", "POST", "Content-Length: 99999999999999999999"), b""),
            (head(api, "/v1/halt", "POST", "Content-Length: 1e3"), b""),
            (head(api, "/v1/halt", "POST", "Content-Length: +5"), b"hello"),
            (head(api, "/v1/halt", "POST", "Transfer-Encoding: chunked"), b"zz\r\n"),
            (head(api, "/v1/halt", "POST", "Transfer-Encoding: chunked"), b"ffffffffffffffffffff\r\n"),
            (
                head(api, "/v1/halt", "POST", "Transfer-Encoding: chunked"),
                b"2710\r\n" + b"x" * 10_000 + b"\r\n0\r\n\r\n",
            ),
            (head(api, "/v1/halt", "POST", "Transfer-Encoding: gzip, chunked"), b"0\r\n\r\n"),
            (head(api, "/v1/halt", "POST", "Transfer-Encoding: chunked", "Content-Length: 3"), b"5\r\nx" * 3),
            (head(api, "/v1/halt", "POST", *(f"X-{number}: y" for number in range(4_000))), b""),
            (head(api, "/v1/halt", "POST", " folded: x"), b""),
            (head(api, "/v1/halt", "POST", "X: a\x00b"), b""),
            (head(api, "/v1/halt\x00", "POST"), b""),
            (head(api, "/v1/halt", "P" * 10_000), b""),
            (head(api, "/" + "a" * 60_000, "GET"), b""),
            (b"\x00" * 5_000, b""),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""),
            (b"GET /v1/status HTTP/9.9\r\n\r\n", b""),
        ]
        for first, rest in wrong:
            status = status_of(await answer_to(api, first, rest))
            assert status in {0, 400, 401, 404, 405, 408, 413, 421, 431, 501}, (
                first[-60:],
                rest[:20],
                status,
            )
        assert api.operator.given == []
        assert not any(event == "control.request_failed" for event in api.events())
        assert (await api.client.get("/v1/health")).status_code == 200


async def test_a_crowd_that_says_nothing_leaves_room_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More silent connections than are taken: they are closed after their time, and whoever asks then is answered."""
    monkeypatch.setattr("bot.web.guest.REQUEST_SECONDS", 0.3)
    async with served(tmp_path) as api:
        crowd = [await asyncio.open_connection(api.address.host, api.address.port) for _ in range(100)]
        for _, writer in crowd[::2]:
            writer.write(b"POST /v1/halt HTTP/1.1\r\nHost: loc")
        async with asyncio.timeout(SECONDS):
            for reader, writer in crowd:
                await reader.read()
                writer.close()
        assert (await api.client.get("/v1/health")).status_code == 200


async def test_nothing_that_is_sent_makes_a_line_of_the_log(tmp_path: Path) -> None:
    """Line feeds, colours and separators in path, reason and event arrive as text inside of one line."""
    evil = 'x\n{"event": "order.filled"}\r\x1b[2J\u2028\u2029\x85\x00'
    async with served(tmp_path) as api:
        reason = evil[:-1]
        assert (
            await api.client.post("/v1/halt", headers=api.token, json={"reason": reason})
        ).status_code == 200
        path = "/v1/%0a%7b%22event%22%3a%22order.filled%22%7d%0d%1b%5b2J"
        assert (await api.client.get(path)).status_code == 401
        for event, fields in api.log.lines:
            row = {"ts": "2024-01-01T00:00:00.000Z", "level": "warning", "event": event, **fields}
            line = json_line(row)
            assert line.count(b"\n") == 1
            assert len(line.decode().splitlines()) == 1
            assert json.loads(line)["event"] == event
            shown = console_line(row, colored=False)
            assert len(shown.splitlines()) == 1
            assert shown[:-1].isprintable()


def test_what_a_reader_of_logs_sees_of_an_injection_is_one_row(tmp_path: Path) -> None:
    """Written by the real log and read as `bot logs` reads it: one event, whatever its fields say."""
    settings = load_settings(environ={}, overrides={"logs.file": tmp_path / "bot.jsonl"})
    with (tmp_path / "out").open("wb") as stream:
        configure(settings.logs, stream=stream, run_id="r")
        get_logger("test").warning("control.refused", path='/\n{"event":"trade.closed"}\n', reason="\u2028x")
        close()
    rows = [json.loads(line) for line in (tmp_path / "bot.jsonl").read_bytes().splitlines()]
    assert [row["event"] for row in rows] == ["control.refused"]
