"""``make bench-peers``: our engines beside backtrader, backtesting.py and vectorbt, on one tape, in one run.

Every peer is a process of its own that has read the tape and warmed up; they are asked in turns, so that a change of the
machine's mood reaches all of them. The figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from bench.__main__ import WIDTH, machine, table
from bench.context import ROOT, Scale
from bench.figures import Figure
from bench.peer_ours import has_kernel
from bench.peer_tape import PeerTape, Rules, make_tape, write_tape
from bench.processes import BenchError, end, environment

DAY_MINUTES = 1440
PEERS_PYTHON = Path("var/peers/bin/python")
DEFAULT_JSON = Path("var/bench/peers.json")

PEERS = {
    "backtrader": ("bench.peer_backtrader", ()),
    "backtesting": ("bench.peer_backtesting", ()),
    "vectorbt": ("bench.peer_vectorbt", ()),
    "fast": ("bench.peer_ours", ("fast",)),
    "driver": ("bench.peer_ours", ("backtrader",)),
    "kernel": ("bench.peer_ours", ("kernel",)),
}
"""Each peer: the module that is run, and its further words. The last three are ours."""

OURS = ("fast", "driver", "kernel")

GOALS = (
    ("fast_over_backtrader", "fast", "backtrader", ">= 20"),
    ("fast_over_backtesting", "fast", "backtesting", ">= 3"),
    ("driver_over_backtrader", "driver", "backtrader", ">= 2.3"),
    ("kernel_over_vectorbt", "kernel", "vectorbt", ">= 5"),
)
"""Ratios of bars a second, and what they should be."""

KERNEL_GOAL = ">= 50e6"
SLOWEST_SECONDS = 600.0
EQUITY_SLACK = 1e-9
"""Relative: sums in another order differ in their last digits."""

WHY_NOT = {
    "backtrader": "its stop and target wake on the bar after the entry",
    "vectorbt": "no stop in the bar of the entry, one action a bar, sizes from the cash at the start",
}
"""Why a peer may have traded a little otherwise."""


@dataclass(slots=True)
class Turns:
    """What a peer said in its turns.

    Attributes:
        version: Of the library.
        compile_seconds: What it compiled before the first.
        seconds: Wall time of each.
        trades: Round trips, the same in every turn.
        equity: At the last close.
    """

    version: str
    compile_seconds: float
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    trades: int = 0
    equity: float = 0.0

    def take(self, row: Mapping[str, Any]) -> None:
        """One turn."""
        self.seconds.append(row["seconds"])
        self.processor_seconds.append(row["processor_seconds"])
        self.trades, self.equity = row["trades"], row["equity"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show and store; 1 when a peer could not run, whether or not goals were met."""
    given = _parser().parse_args(arguments)
    scale = Scale.QUICK if given.quick else Scale(given.scale)
    minutes = {Scale.FULL: 365, Scale.QUICK: 20, Scale.TINY: 2}[scale] * DAY_MINUTES
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    names = [name for name in PEERS if name != "kernel" or has_kernel()]
    before = os.getloadavg()[0]
    tape, error, found = make_tape(minutes, Rules(loud_share=given.loud_share)), "", {}
    try:
        with TemporaryDirectory(prefix="bench-peers-") as folder:
            path = Path(folder) / "tape.npz"
            write_tape(path, tape)
            found = measured(path, names, given.rounds, given.peers_python, console)
    except BenchError as fault:
        error = str(fault)
    figures = [] if error else [figure.row() for figure in figures_of(tape, found)]
    load = max(before, os.getloadavg()[0])
    result = {"name": "peers", "figures": figures, "load": load, "error": error}
    report = {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scale": scale.value,
        "rounds": given.rounds,
        "machine": machine(),
        "turns": {name: turns_row(turns) for name, turns in found.items()},
        "benches": [result],
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report, indent=1) + "\n")
    console.print(table([result]))
    if error:
        console.print(f"failed: {error}", markup=False)
    console.print(
        f"Load {load:.1f} on {os.cpu_count()} cores. Written to {given.json}; docs/bench.md says how to read it."
    )
    return 1 if error else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description="Measure our engines beside others."
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each peer (default: 3)")
    parser.add_argument("--quick", action="store_true", help="twenty days instead of a year")
    parser.add_argument(
        "--loud-share",
        type=float,
        default=Rules().loud_share,
        metavar="SHARE",
        help="how many of the forecasts are traded on (default: 0.005, some five trades a day)",
    )
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, metavar="FILE", help="where figures go")
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=PEERS_PYTHON,
        metavar="FILE",
        help="the interpreter that has the peers (default: the one that make bench-peers sets up)",
    )
    parser.add_argument("--scale", default="full", choices=[s.value for s in Scale], help=argparse.SUPPRESS)
    return parser


def measured(
    tape: Path, names: Sequence[str], rounds: int, peers_python: Path, console: Console
) -> dict[str, Turns]:
    """Ask every peer in turns, so many times.

    Raises:
        BenchError: One could not start or did not answer.
    """
    with ExitStack() as stack:
        processes, found = {}, {}
        for name in names:
            python = sys.executable if name in OURS else str(peers_python)
            processes[name] = stack.enter_context(_peer(python, name, tape))
            row = _answer(processes[name], name)
            found[name] = Turns(row["ready"], row["compile_seconds"])
        for number in range(1, rounds + 1):
            for name, process in processes.items():
                _ask(process)
                found[name].take(_answer(process, name))
            console.print(f"round {number} of {rounds}", markup=False)
    return found


@contextmanager
def _peer(python: str, name: str, tape: Path) -> Iterator[subprocess.Popen[str]]:
    """A peer's process for the time of the block; what it grumbles is thrown away, how it ends is not."""
    module, words = PEERS[name]
    try:
        process = subprocess.Popen(
            [python, "-m", module, str(tape), *words],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    except OSError as fault:
        raise BenchError(f"{python} can't be run: `make bench-peers` sets up what the peers need") from fault
    try:
        yield process
    finally:
        end(process)


def _ask(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.write("run\n")
        process.stdin.flush()


def _answer(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise BenchError(
            f"{name} ended with {process.wait(SLOWEST_SECONDS)} and no answer; it said why above"
        )
    row: dict[str, Any] = json.loads(line)
    return row


def figures_of(tape: PeerTape, found: Mapping[str, Turns]) -> list[Figure]:
    """Bars a second of each peer, then the ratios that we have goals for."""
    speed = {name: len(tape) / statistics.median(turns.seconds) for name, turns in found.items()}
    ours = found["fast"]
    figures = [
        Figure(name, speed[name], "1/s", KERNEL_GOAL if name == "kernel" else "", note_of(name, turns, ours))
        for name, turns in found.items()
    ]
    figures += [
        Figure(name, speed[one] / speed[other], "ratio", goal)
        for name, one, other, goal in GOALS
        if one in speed and other in speed
    ]
    return [
        *figures,
        *(
            Figure(f"{name}_compile", turns.compile_seconds, "s", note="before the first round, once")
            for name, turns in found.items()
            if turns.compile_seconds
        ),
        Figure("trades", ours.trades, "count", note=f"of {len(tape):,} candles, by {tape.rules}"),
    ]


def note_of(name: str, turns: Turns, ours: Turns) -> str:
    """Which version it was, and whether it did the same work as the exact core."""
    same = turns.trades == ours.trades and abs(turns.equity / ours.equity - 1) <= EQUITY_SLACK
    did = "the same trades and equity" if same else f"{turns.trades:,} trades, equity {turns.equity:,.0f}"
    if not same and name in WHY_NOT:
        did += f": {WHY_NOT[name]}"
    return f"{turns.version}; {did}"


def turns_row(turns: Turns) -> dict[str, Any]:
    """A peer's turns as JSON values."""
    return {name: getattr(turns, name) for name in Turns.__slots__}


if __name__ == "__main__":
    sys.exit(main())
