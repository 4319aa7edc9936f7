"""How a peer is asked: a process that answers every line it reads with a line of JSON; standard library and numpy only.

It first says ``{"ready": …}``; for each line on its standard input it runs the tape once and says what it found.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.peer_tape import PeerTape, read_tape


class Outcome(NamedTuple):
    """What a run left: round trips done, and what the account is worth at the last close."""

    trades: int
    equity: float


class Runner(NamedTuple):
    """A peer that is ready.

    Attributes:
        run: What is timed; gives what ``outcome`` reads.
        outcome: Reads a run; not timed.
        version: Of the library.
        compile_seconds: What was compiled before, where something was.
    """

    run: Callable[[], Any]
    outcome: Callable[[Any], Outcome]
    version: str
    compile_seconds: float = 0.0


def serve(prepare: Callable[[PeerTape], Runner]) -> None:
    """Answer on standard output until standard input ends; what a library prints goes to standard error."""
    said, sys.stdout = sys.stdout, sys.stderr
    runner = prepare(read_tape(Path(sys.argv[1])))
    _say(said, {"ready": runner.version, "compile_seconds": runner.compile_seconds})
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        found = runner.run()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        _say(said, {"seconds": wall, "processor_seconds": processor, **runner.outcome(found)._asdict()})


def _say(stream: Any, row: dict[str, Any]) -> None:
    stream.write(json.dumps(row) + "\n")
    stream.flush()
