"""``python -m bench``: run the benches, each in a process of its own, and show and store what they found."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.context import ROOT, Context, Scale
from bench.figures import Figure
from bench.processes import BenchError, environment

BENCHES = {
    "decision_latency": "bench.decision_latency",
    "retrain_latency": "bench.retrain_latency",
    "dashboard_load": "bench.dashboard_load",
    "many_symbols": "bench.many_symbols",
    "daemon_memory": "bench.daemon_memory",
    "inference": "bench.inference",
    "features": "bench.features",
    "engines": "bench.engines",
    "whole_backtest": "bench.whole_backtest",
    "kernel": "bench.kernel",
    "training": "bench.training",
    "time_to_loss": "bench.time_to_loss",
    "journal": "bench.journal",
    "log_line": "bench.log_line",
    "help": "bench.command_line",
}
"""Each bench, and the module whose ``measure`` makes its figures."""

LIMIT_SECONDS = 600.0
STOP_SECONDS = 15.0
WIDTH = 160
"""Of the table where it is written to a file."""

DEFAULT_JSON = Path("var/bench/bench.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 if every bench ran (whether or not it reached its goals), else 1."""
    given = _parser().parse_args(arguments)
    if given.inside is not None:
        return run_inside(given.inside, Context(given.folder, Scale(given.scale)), given.json)
    chosen = given.only or list(BENCHES)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    folder = (ROOT / "var" / "bench" / f"work-{os.getpid()}").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    scale = Scale.QUICK if given.quick else Scale(given.scale)
    started_at = datetime.now(UTC)
    results = []
    try:
        for place, name in enumerate(chosen, start=1):
            console.print(f"[{place}/{len(chosen)}] {name} …", markup=False, end=" ")
            result = run_bench(name, folder, scale)
            results.append(result)
            console.print(outcome(result), markup=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report = {
        "started_at": started_at.isoformat(timespec="seconds"),
        "scale": scale.value,
        "machine": machine(),
        "benches": results,
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report, indent=1) + "\n")
    console.print(table(results))
    console.print(f"Written to {given.json}; docs/bench.md says how to read it.")
    return 1 if any(result["error"] for result in results) else 0


def outcome(result: dict[str, Any]) -> str:
    """How a bench ended, in one line; the report holds all that it said."""
    if result["error"]:
        return "failed: " + str(result["error"]).splitlines()[-1]
    return f"{result['seconds']:.0f} s, load {result['load']:.1f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the bot on this machine.")
    parser.add_argument("--only", action="append", choices=list(BENCHES), help="only this bench; repeatable")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, metavar="FILE", help="where figures go")
    parser.add_argument("--quick", action="store_true", help="fewer samples: a look, not a report")
    parser.add_argument("--scale", default="full", choices=[s.value for s in Scale], help=argparse.SUPPRESS)
    parser.add_argument("--inside", choices=list(BENCHES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


def measurer(name: str) -> Callable[[Context], list[Figure]]:
    """A bench's function; its module, with all that it imports, is loaded now."""
    found: Callable[[Context], list[Figure]] = importlib.import_module(BENCHES[name]).measure
    return found


def run_inside(name: str, context: Context, out: Path) -> int:
    """Run one bench in this process and write its figures."""
    try:
        figures = measurer(name)(context)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    out.write_text(json.dumps([figure.row() for figure in figures]))
    return 0


def run_bench(
    name: str, folder: Path, scale: Scale, *, limit_seconds: float = LIMIT_SECONDS
) -> dict[str, Any]:
    """Run one bench in a process group of its own, which is ended when it takes too long."""
    out = folder / f"{name}.json"
    words = [sys.executable, "-m", "bench", "--inside", name, "--scale", scale.value]
    words += ["--folder", str(folder), "--json", str(out)]
    load_before, began, error = os.getloadavg()[0], time.perf_counter(), ""
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=limit_seconds)
        if process.returncode != 0:
            error = said.strip()[-1500:] or f"it ended with exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        error = f"not done within {limit_seconds:.0f} s"
    finally:
        _end_group(process)
    figures = json.loads(out.read_text()) if not error else []
    seconds = time.perf_counter() - began
    load = max(load_before, os.getloadavg()[0])
    return {"name": name, "figures": figures, "seconds": seconds, "load": load, "error": error}


def _end_group(process: subprocess.Popen[str]) -> None:
    """End a bench and the programs that it started; they are all of the group that it leads."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        os.killpg(process.pid, number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()}


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(results: Sequence[dict[str, Any]]) -> Table:
    """All figures, a bench a section."""
    shown = Table("bench", "figure", "value", "unit", "goal", "note", title="Measured here and now")
    shown.columns[2].justify = "right"
    for result in results:
        for place, row in enumerate(result["figures"]):
            mark = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[row["met"]]
            goal = f"{row['goal']} {mark}" if row["goal"] else ""
            name = result["name"] if place == 0 else ""
            shown.add_row(name, row["name"], worded(row["value"]), row["unit"], goal, row["note"])
        if result["error"]:
            shown.add_row(result["name"], "[red]failed[/]", "", "", "", "")
        shown.add_section()
    return shown


def worded(value: float) -> str:
    """A number with the digits that mean something."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
