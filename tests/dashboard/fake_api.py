"""A small server that speaks the dashboard's contract with made-up data: for what a real run shows too seldom."""

from __future__ import annotations

import hashlib
import json
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.dashboard import fake_data, fake_more

PAGES: Final = Path(__file__).resolve().parents[2] / "bot" / "dashboard" / "pages"
NAMES: Final = {
    "/": "overview",
    **{f"/{name}": name for name in ("symbols", "decisions", "model", "log", "health")},
}
CSP: Final = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
TYPES: Final = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
NO_JOURNAL: Final = "There is no journal in var yet."


def _static(name: str) -> Path:
    if name == "plotly.min.js":
        import plotly

        return Path(plotly.__file__).parent / "package_data" / name
    return PAGES / name


class FakeApi:
    """The server of one kind of run; ``push`` sends an event to every open page.

    Args:
        kind: "run", "empty", "one", "many", "hostile", or "none" where there is no journal.
        port: Where to listen; 0 takes a free one.
    """

    def __init__(self, kind: str = "run", port: int = 0) -> None:
        self.kind = kind
        self.overview = fake_data.overview(kind)
        self.streams: list[queue.Queue[bytes | None]] = []
        self._lines: list[socket.socket] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                api._lines.append(self.connection)

            def do_GET(self) -> None:
                api.answer(self)

            def log_message(self, *_: Any) -> None:
                """The test's output is not a log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop answering, and end every stream."""
        self._server.shutdown()
        self._server.server_close()
        for stream in self.streams:
            stream.put(None)
        for line in self._lines:
            with suppress(OSError):  # it was over before
                line.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def push(self, event: str, data: Any) -> None:
        """Send an event to every page that listens."""
        for stream in self.streams:
            stream.put(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        parts = urlsplit(request.path)
        if parts.path == "/api/stream" and self.kind != "none":
            self._stream(request)
            return
        if parts.path in NAMES or parts.path.startswith("/static/"):
            self._file(request, f"{NAMES[parts.path]}.html" if parts.path in NAMES else parts.path[8:])
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = None if self.kind == "none" else self._json(unquote(parts.path), query)
        status = 503 if self.kind == "none" else 404 if found is None else 200
        body = (
            found
            if found is not None
            else {"error": NO_JOURNAL if status == 503 else "There is no such page."}
        )
        _send(request, json.dumps(body).encode(), "application/json", status)

    def _file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        file = _static(name)
        body = file.read_bytes()
        if file.suffix == ".html":
            body = re.sub(rb"\{\{v:([\w.]+)\}\}", lambda found: _digest(found[1].decode()).encode(), body)
        age = "no-cache" if "?v=" not in request.path else "public, max-age=31536000, immutable"
        _send(request, body, TYPES[file.suffix], 200, age)

    def _json(self, path: str, query: dict[str, str]) -> Any:
        kind = self.kind
        answers: dict[str, Callable[[], Any]] = {
            "/api/overview": lambda: self.overview,
            "/api/equity": lambda: fake_data.equity(kind),
            "/api/candles": lambda: fake_data.market(
                kind,
                query["symbol"],
                int(query["minutes"]),
                int(query["until_ms"]) if "until_ms" in query else None,
            ),
            "/api/decisions": lambda: self._decisions(query),
            "/api/trades": lambda: fake_data.trades(kind),
            "/api/model": lambda: fake_more.model(kind),
            "/api/log": lambda: self._log(query),
            "/api/health": lambda: fake_more.health(kind),
        }
        if path.startswith("/api/decision/"):
            return fake_more.explanation(kind, path.removeprefix("/api/decision/"))
        return answers[path]() if path in answers else None

    def _decisions(self, query: dict[str, str]) -> dict[str, Any]:
        first = 100 if "before_ms" in query else 0
        rows = (
            [fake_data.decision(self.kind, at) for at in range(first, first + 100)]
            if self.kind != "empty"
            else []
        )
        wanted = {"acted": "approved", "refused": "refused"}.get(query.get("kind", "all"))
        rows = [row for row in rows if wanted is None or row[wanted]]
        rows = [row for row in rows if query.get("symbol") in {None, row["symbol"]}]
        return {"decisions": rows, "next_before_ms": fake_data.NOW_MS - 9_000 if rows and not first else None}

    def _log(self, query: dict[str, str]) -> dict[str, Any]:
        rows = [fake_data.log_line(self.kind, at) for at in range(120)] if self.kind != "empty" else []
        ranks = {"": 0, "info": 0, "warning": 1, "error": 2}
        rows = [row for row in rows if ranks[row["level"]] >= ranks[query.get("level", "")]]
        rows = [row for row in rows if row["event"].startswith(query.get("event", ""))]
        return {"lines": rows, "next_before": None}

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        own: queue.Queue[bytes | None] = queue.Queue()
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Cache-Control", "no-store")
        request.end_headers()
        request.wfile.write(b"retry: 500\n\n: here\n\n")
        self.streams.append(own)
        request.close_connection = True
        while (chunk := own.get()) is not None:
            try:
                request.wfile.write(chunk)
            except OSError:
                break


def _digest(name: str) -> str:
    return hashlib.sha256(_static(name).read_bytes()).hexdigest()[:12]


def _send(
    request: BaseHTTPRequestHandler, body: bytes, kind: str, status: int, age: str = "no-store"
) -> None:
    headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": age}
    headers |= {"Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff"}
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    try:
        request.wfile.write(body)
    except OSError:
        request.close_connection = True


@contextmanager
def fake_api(kind: str = "run", port: int = 0) -> Iterator[FakeApi]:
    """A server for the length of a block."""
    api = FakeApi(kind, port)
    try:
        yield api
    finally:
        api.close()
