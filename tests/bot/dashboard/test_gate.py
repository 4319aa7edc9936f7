"""Who may look: token, cookie, host, and what is no question at all."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from bot.dashboard.gate import SECURITY, Admission
from tests.dashboard_rig import served

PLACES = ("/", "/health", "/static/app.js", "/api/overview", "/api/stream", "/openapi.json", "/nowhere")


async def test_everything_needs_the_token(folder: Path) -> None:
    """Pages, files, JSON, the stream and what is not there: 401 with a sentence, and no word of what is behind."""
    async with served(folder) as one:
        for place in PLACES:
            answer = await one.stranger.get(place)
            assert answer.status_code == 401, place
            assert set(answer.json()) == {"error"}
            assert answer.headers["www-authenticate"] == "Bearer"
            wrong = await one.stranger.get(place, headers={"Authorization": f"Bearer {'A' * 43}"})
            assert wrong.status_code == 401
            assert "wrong" in wrong.json()["error"]
            assert one.board.token not in answer.text + wrong.text
        page = await one.stranger.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 401
        assert "needs its token" in page.text
        told = [fields for event, fields in one.log.lines if event == "dashboard.refused"]
        assert len(told) == 1


async def test_the_address_with_the_token_becomes_a_cookie(folder: Path) -> None:
    """The browser is sent to the same place without the token; the cookie is enough from then on, and is not the token."""
    async with served(folder) as one:
        answer = await one.stranger.get("/decisions", params={"token": one.board.token, "kind": "acted"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/decisions?kind=acted"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert one.board.token not in cookie
        name, _, value = cookie.partition(";")[0].partition("=")
        one.stranger.cookies.clear()
        for place in ("/decisions", "/api/overview", "/static/app.js"):
            shown = await one.stranger.get(place, headers={"Cookie": f"other=1; {name}={value}"})
            assert shown.status_code == 200
        for wrong in (f"{name}={value[:-1]}", f"{name}=x", f"{name}x={value}", f"{name}={one.board.token}"):
            assert (await one.stranger.get("/", headers={"Cookie": wrong})).status_code == 401


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "/\\evil.example", "/x\r\nSet-Cookie: a=b", "/%0d%0aX: y", "///a//b"]
)
async def test_the_redirect_stays_here(folder: Path, path: str) -> None:
    """Whatever stands before the token, the next address is one of this server, in one line."""
    async with served(folder) as one:
        target = quote(path, safe="/\\%")
        got = await one.raw(
            f"GET {target}?token={one.board.token} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        head = got.partition(b"\r\n\r\n")[0].lower()
        location = next(line for line in head.split(b"\r\n") if line.startswith(b"location: "))
        assert location.startswith(b"location: /")
        assert not location.startswith(b"location: //")
        assert b"\\" not in location
        assert head.count(b"\nset-cookie: ") == 1
        assert b"\nx: y" not in head


async def test_a_wrong_token_in_the_address_is_refused(folder: Path) -> None:
    """Even where the cookie or the header would do; an empty one too."""
    async with served(folder) as one:
        for token in ("", "x", "é" * 10, one.board.token + "x"):
            answer = await one.client.get("/", params={"token": token})
            assert answer.status_code == 401, token


async def test_only_this_machine_is_meant(folder: Path) -> None:
    """A page of the web that points its name here gets 421, token or not."""
    async with served(folder) as one:
        for host in ("example.org", "127.0.0.1.example.org", "example.org:80"):
            answer = await one.client.get("/api/overview", headers={"Host": host})
            assert answer.status_code == 421, host
        for host in ("localhost:1", "127.0.0.1", "[::1]"):
            assert (await one.client.get("/api/overview", headers={"Host": host})).status_code == 200


async def test_on_another_address_any_name_will_do_but_not_without_the_token(folder: Path) -> None:
    """Where others are let in by setting, the host is not judged."""
    async with served(folder, loopback=False) as one:
        assert (await one.client.get("/", headers={"Host": "bot.example"})).status_code == 200
        assert (await one.stranger.get("/", headers={"Host": "bot.example"})).status_code == 401


async def test_nothing_can_be_sent(folder: Path) -> None:
    """Methods that change something, and bodies, are refused before anything reads them."""
    async with served(folder) as one:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            answer = await one.client.request(method, "/api/overview")
            assert answer.status_code == 405, method
            assert answer.headers["allow"] == "GET, HEAD"
        body = await one.client.request("GET", "/api/overview", content=b"{}")
        assert body.status_code == 413
        long = await one.client.get("/api/overview", params={"x": "y" * 4_000})
        assert long.status_code == 414


async def test_every_answer_has_the_headers_that_protect_it(folder: Path) -> None:
    """Also refusals, files and what is not there; JSON is not kept by anybody."""
    async with served(folder) as one:
        for place in ("/", "/static/style.css", "/api/overview", "/nowhere", "/api/candles"):
            for client in (one.client, one.stranger):
                answer = await client.get(place)
                for name, value in SECURITY:
                    assert answer.headers[name.decode()] == value.decode(), place
        assert (await one.client.get("/api/overview")).headers["cache-control"] == "no-store"
        policy = (await one.client.get("/")).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy


async def test_what_is_no_http_is_dropped(folder: Path) -> None:
    """Garbage, a head without an end and one that is too long end the connection, and the next one is served."""
    async with served(folder) as one:
        assert b"400" in await one.raw(b"\x00\x01\x02\r\n\r\n")
        assert b"200 OK" not in await one.raw(b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n")
        assert (await one.client.get("/")).status_code == 200


def test_the_cookie_tells_nothing_of_the_token() -> None:
    """Two folders have cookies of two names, and the value is no part of the token."""
    first, second = Admission("a" * 43, loopback=True, host="x"), Admission("b" * 43, loopback=True, host="x")
    assert first.cookie != second.cookie
    assert first.session != second.session
    assert "aaaa" not in first.cookie + first.session


@pytest.mark.parametrize("cookie", [b"x", b"a=b; a=b", b"\xff=\xff", b"a" * 9_000, b'bot_dashboard_=";'])
def test_a_broken_cookie_is_none(cookie: bytes) -> None:
    """Whatever a header says, it is a refusal and no fault."""
    admission = Admission("a" * 43, loopback=True, host="x")
    own = admission.cookie.encode()
    for header in (cookie, own + b"=" + cookie, own + b'="' + cookie, b"a[]=1; " + own + b"=\xe9"):
        refused = admission.fault({b"cookie": header})
        assert refused is not None
        assert refused.status == 401
