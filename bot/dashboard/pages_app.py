"""Everything behind the gate: pages and their files, the stream, and the questions in JSON."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from bot.dashboard.cache import as_json
from bot.dashboard.static import Asset, Assets
from bot.dashboard.stream import Hub, chunk, last_id, serve_stream, topics_of
from bot.dashboard.watcher import Watcher
from bot.web.asgi import App, Receive, Refused, Scope, Send

STREAM: Final = "/api/stream"
PIECE: Final = 65_536
"""Bytes that are sent before it is waited for the client to take them."""

FOREVER: Final = b"private, max-age=31536000, immutable"
ASK_AGAIN: Final = b"private, no-cache"


class Pages:
    """An ASGI application.

    Args:
        assets: Files.
        json_app: Answers what is neither a file nor the stream.
        hub: Who listens.
        watcher: Who knows how things stand.
    """

    def __init__(self, assets: Assets, json_app: App, hub: Hub, watcher: Watcher) -> None:
        self._assets = assets
        self._json_app = json_app
        self._hub = hub
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that was let through."""
        path = scope["path"]
        found = self._assets.page(path) or self._assets.file(path)
        if found is not None:
            await _give(found, scope, send)
        elif path == STREAM:
            await self._stream(scope, receive, send)
        else:
            await self._json_app(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        topics = topics_of(query.get("topics", [None])[0])
        if topics is None:
            await _refuse(
                Refused(422, "topics: minute, decision, log and state are those that there are"), send
            )
            return
        if scope["method"] != "GET":
            await _refuse(Refused(405, "the stream is asked with GET"), send)
            return
        if self._hub.is_full:
            await _refuse(Refused(503, "too many pages are open: close some"), send)
            return
        client = self._hub.join(topics)
        try:
            events, at_ms = await self._watcher.resumed(last_id(dict(scope["headers"]).get(b"last-event-id")))
            await serve_stream(self._hub, client, chunk(events, at_ms, topics), receive, send)
        finally:
            self._hub.leave(client)


async def _refuse(refused: Refused, send: Send) -> None:
    body = as_json({"error": refused.sentence})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _give(asset: Asset, scope: Scope, send: Send) -> None:
    """A file; one that its reader has already is not sent again."""
    headers = dict(scope["headers"])
    tag = f'"{asset.version}"'.encode()
    named = asset.version.encode() in scope["query_string"]
    packed = asset.compressed if b"gzip" in headers.get(b"accept-encoding", b"") else None
    body = asset.body if packed is None else packed
    told = [
        (b"content-type", asset.kind),
        (b"etag", tag),
        (b"cache-control", FOREVER if named else ASK_AGAIN),
        (b"vary", b"accept-encoding"),
    ]
    if tag in headers.get(b"if-none-match", b""):
        await send({"type": "http.response.start", "status": 304, "headers": told})
        await send({"type": "http.response.body", "body": b""})
        return
    told.append((b"content-length", str(len(body)).encode()))
    if packed is not None:
        told.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": told})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return
    for begin in range(0, len(body), PIECE):
        piece = body[begin : begin + PIECE]
        await send({"type": "http.response.body", "body": piece, "more_body": begin + PIECE < len(body)})
