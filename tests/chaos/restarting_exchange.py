"""The simulated exchange, started again whenever it ends: ``python -m tests.chaos.restarting_exchange STATE_DIR PORT …``.

What follows is for ``python -m bot.simexchange``. The exchange makes its certificate at its start and keeps the key to
itself; here its parent makes it, so that a client that trusted one life trusts the next, as with a real exchange.
SIGTERM ends both. Each life is noted in ``STATE_DIR/lives.txt``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bot.simexchange import server
from bot.simexchange.__main__ import main
from bot.simexchange.tls import server_context

PAUSE_SECONDS = 0.5


def serve(state: Path, port: str, words: list[str]) -> None:
    """Let it live until it is told to end."""
    context = server_context((state / "sim" / "ca.pem").absolute())
    vars(server)["server_context"] = lambda _file: context
    ending: list[Any] = []
    child = 0

    def end(number: int, _frame: object) -> None:
        ending.append(number)
        if child:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    lives = 0
    while not ending:
        lives += 1
        (state / "lives.txt").write_text(str(lives))
        resume = ["--resume"] if lives > 1 else []
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            parent = ["--parent-pid", str(os.getppid())]
            os._exit(main(["--state-dir", str(state), "--port", port, *parent, *words, *resume]))
        os.waitpid(child, 0)
        child = 0
        if not ending:
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
