"""A web server that takes what apprise's json:// sends, and can be slow, refuse, or drop the line."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class NoticeBoard:
    """Serves while the block runs.

    Attributes:
        notices: What was taken in, in order.
        refusals: How many of the next messages are refused with 500.
        asked: How many messages came, refused ones included.
    """

    def __init__(self, *, refusals: int = 0, silent: bool = False) -> None:
        self.notices: list[dict[str, Any]] = []
        self.refusals = refusals
        self.asked = 0
        self._silent = silent
        self._over = threading.Event()
        self._changed = threading.Condition()
        board = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(board.take(json.loads(body)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                """Say nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address as apprise writes it."""
        return f"json://127.0.0.1:{self._server.server_address[1]}/"

    def take(self, notice: dict[str, Any]) -> int:
        """A message came; returns the status of HTTP."""
        if self._silent:
            with self._changed:
                self.asked += 1
                self._changed.notify_all()
            self._over.wait(30)
            return 500
        with self._changed:
            self.asked += 1
            self._changed.notify_all()
            if self.refusals > 0:
                self.refusals -= 1
                return 500
            self.notices.append(notice)
            return 200

    def wait(self, *, asked: int = 0, notices: int = 0) -> None:
        """Until so much came; fails after twenty seconds."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.asked >= asked and len(self.notices) >= notices, timeout=20
            )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _fault: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
