"""The exchange as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from bot.errors import ConfigError, StorageError
from bot.exchange_client import SimControl, open_exchange
from bot.simexchange.config import SimConfig
from bot.simexchange.server import running

ROOT = Path(__file__).resolve().parents[3]


async def _start(state_dir: Path, *arguments: str) -> tuple[Process, dict[str, Any]]:
    """Start the module as a process and wait until it says that it is ready."""
    command = [sys.executable, "-m", "bot.simexchange", "--state-dir", str(state_dir), *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    return process, json.loads(line)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_serves_until_a_signal(tmp_path: Path, make_tape, number: int) -> None:
    """It says where it listens, on stdout and in its file, serves ccxt, and ends cleanly with a client connected."""
    process, ready = await _start(tmp_path, "--tape", str(make_tape()), "--speed", "0")
    try:
        assert (ready["event"], ready["pid"], ready["exchange_id"]) == (
            "sim.ready",
            process.pid,
            "binanceusdm",
        )
        endpoint = json.loads((tmp_path / "sim" / "endpoint.json").read_text())
        assert {"event": "sim.ready", **endpoint} == ready
        address = (endpoint["host"], endpoint["port"])
        async with open_exchange(
            "binanceusdm", connect_to=address, ca_file=Path(endpoint["ca_file"])
        ) as exchange:
            await exchange.watch_ohlcv("BTC/USDT:USDT", "1m")
            now = (await SimControl(exchange).clock())["now_ms"]
            process.send_signal(number)
            assert await asyncio.wait_for(process.wait(), 5) == 0
        assert not (tmp_path / "sim" / "endpoint.json").exists()
        assert json.loads((tmp_path / "sim" / "clock.json").read_text())["now_ms"] >= now
    finally:
        if process.returncode is None:
            process.kill()


async def test_a_process_ends_with_its_parent(tmp_path: Path, make_tape) -> None:
    """When the process that it was told to watch is gone, it ends by itself."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=PIPE)
    process, _ = await _start(tmp_path, "--tape", str(make_tape()), "--parent-pid", str(parent.pid))
    try:
        parent.kill()
        await parent.wait()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_the_loss_of_ones_own_parent_is_noticed(tmp_path: Path, make_tape) -> None:
    """A child of a killed process ends though the dead parent's number may still be taken."""
    code = (
        "import subprocess, sys, os\n"
        "child = subprocess.Popen([sys.executable, '-m', 'bot.simexchange', *sys.argv[1:], "
        "'--parent-pid', str(os.getpid())])\n"
        "child.wait()\n"
    )
    arguments = ["--state-dir", str(tmp_path), "--tape", str(make_tape())]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, cwd=ROOT, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout is not None
    assert json.loads(await asyncio.wait_for(parent.stdout.readline(), 60))["event"] == "sim.ready"
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(10):
        while (tmp_path / "sim" / "endpoint.json").exists():
            await asyncio.sleep(0.05)


async def test_a_taken_port_is_refused(tmp_path: Path, make_tape) -> None:
    """A port that somebody else listens on is a ConfigError that names it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = SimConfig(state_dir=tmp_path / "state", tapes=(str(make_tape()),), port=port)
        with pytest.raises(ConfigError, match=f"port: {port}"):
            async with running(config):
                pass


async def test_a_state_folder_that_cannot_be_made_is_refused(tmp_path: Path, make_tape) -> None:
    """A file in the place of the folder is a StorageError that names it."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StorageError, match="state"):
        async with running(SimConfig(state_dir=tmp_path / "state", tapes=(str(make_tape()),))):
            pass
