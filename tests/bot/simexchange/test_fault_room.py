"""A process of its own that a fault plan ends, and that is started again."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
MINUTE_MS = 60_000


async def _start(state_dir: Path, *arguments: str) -> tuple[Process, dict[str, Any]]:
    """Start the exchange and wait until it says that it is ready."""
    words = [sys.executable, "-m", "bot.simexchange", "--state-dir", str(state_dir), *arguments]
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdout=PIPE, stderr=DEVNULL)
    assert process.stdout is not None
    return process, json.loads(await asyncio.wait_for(process.stdout.readline(), 60))


def _plan(tmp_path: Path, how: str) -> list[str]:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"faults: [{{match: {{state: exchange, minute: [+2m, null]}}, action: {{kind: restart, how: {how}}}}}]"
    )
    return ["--speed", "600", "--no-hold-without-clients", "--faults", str(plan)]


async def test_a_plan_kills_the_process_once(tmp_path: Path, make_tape) -> None:
    """It is gone at its time as by SIGKILL; started again with --resume, it goes on and is not killed again."""
    words = ["--tape", str(make_tape()), *_plan(tmp_path, "kill")]
    process, _ = await _start(tmp_path, *words)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL
    again, _ = await _start(tmp_path, *words, "--resume")
    try:
        async with asyncio.timeout(30):
            while (clock := _clock(tmp_path))["now_ms"] < clock["start_ms"] + 4 * MINUTE_MS:
                await asyncio.sleep(0.02)
    finally:
        again.terminate()
        assert await again.wait() == 0
    lines = (tmp_path / "sim" / "faults.jsonl").read_text().splitlines()
    assert [record["event"] for record in map(json.loads, lines)] == ["plan", "act", "counts"]


async def test_a_plan_stops_the_process_in_order(tmp_path: Path, make_tape) -> None:
    """It ends with exit code 0, its counts written and its endpoint gone."""
    process, _ = await _start(tmp_path, "--tape", str(make_tape()), *_plan(tmp_path, "stop"))
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert not (tmp_path / "sim" / "endpoint.json").exists()
    last = (tmp_path / "sim" / "faults.jsonl").read_text().splitlines()[-1]
    assert json.loads(last) == {"event": "counts", "counts": {"fault-0": {"matched": 1, "acted": 1}}}


def _clock(state_dir: Path) -> dict[str, Any]:
    clock: dict[str, Any] = json.loads((state_dir / "sim" / "clock.json").read_text())
    return clock
