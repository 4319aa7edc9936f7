"""The files of the pages: versions in addresses, and nothing but those files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bot.dashboard.static import CHARTS, PAGES, PATHS, Assets, charts
from bot.errors import ConfigError
from tests.dashboard_rig import plain_pages, served

OUTSIDE = (
    "/static/../server.py",
    "/static/%2e%2e/server.py",
    "/static/..%2fserver.py",
    "/static/....//server.py",
    "/static//etc/passwd",
    "/static/%00app.js",
    "/static/app.js/",
    "/static/",
    "/static",
    "/static/overview.html",
    "/overview.html",
    "/static/app.js%0d%0aX:1",
    "/static/..\\server.py",
)


def test_the_shipped_pages_are_whole() -> None:
    """Every page is there and names only files that are; the library of charts comes from its package."""
    assets = Assets(PAGES)
    for path in PATHS:
        page = assets.page(path)
        assert page is not None
        assert b"{{v:" not in page.body
    assert CHARTS in assets.names
    assert charts().compressed is not None
    assert len(charts().compressed or b"") < len(charts().body) / 2


def test_a_page_that_is_missing_or_names_what_is_not_is_refused(tmp_path: Path) -> None:
    """At the start, in a sentence, and not when somebody opens it."""
    pages = plain_pages(tmp_path / "pages")
    (pages / "model.html").write_text("{{v:nowhere.js}}")
    with pytest.raises(ConfigError, match=r"model\.html names nowhere\.js"):
        Assets(pages)
    (pages / "model.html").unlink()
    with pytest.raises(ConfigError, match=r"model\.html"):
        Assets(pages)


async def test_a_file_is_sent_once_and_kept(folder: Path) -> None:
    """For ever under the address with its hash; without it the browser asks again, and is told that it has it."""
    async with served(folder) as one:
        page = await one.client.get("/")
        version = page.text.partition("app.js?v=")[2][:12]
        assert len(version) == 12
        named = await one.client.get(f"/static/app.js?v={version}")
        assert "immutable" in named.headers["cache-control"]
        assert "immutable" not in (await one.client.get("/static/app.js?v=other")).headers["cache-control"]
        plain = await one.client.get("/static/app.js", headers={"Accept-Encoding": "identity"})
        assert plain.headers["cache-control"] == "private, no-cache"
        assert plain.content == named.content
        assert plain.headers["content-type"].startswith("text/javascript")
        again = await one.client.get("/static/app.js", headers={"If-None-Match": plain.headers["etag"]})
        assert again.status_code == 304
        assert again.content == b""
        head = await one.client.head("/static/app.js")
        assert head.status_code == 200
        assert head.content == b""


async def test_the_library_of_charts_is_sent_compressed(folder: Path) -> None:
    """A third of its size, and the same bytes as the package's file."""
    async with served(folder) as one:
        answer = await one.client.get(f"/static/{CHARTS}")
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < len(charts().body) / 2
        assert answer.content == charts().body == gzip.decompress(charts().compressed or b"")


async def test_nothing_else_is_served(folder: Path) -> None:
    """No file beside the pages, however it is spelled; a link in their folder leads nowhere."""
    pages = plain_pages(folder.parent / "linked")
    (pages / "link.js").symlink_to(folder / "dashboard.token")
    (pages / "notes.txt").write_text("not for browsers")
    async with served(folder, pages=pages) as one:
        token = one.board.token.encode()
        for path in (*OUTSIDE, "/static/link.js", "/static/notes.txt"):
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
            got = await one.raw(request + one.bearer + b"\r\n")
            assert b" 404 " in got.partition(b"\r\n")[0], path
            assert token not in got
            assert b"import" not in got
