"""`bot dashboard` as people start it, and beside another command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from bot.cli import main
from bot.cli.dashboard import RunningDaemon, page_address
from bot.cli.dashboard_child import dashboard_beside
from bot.dashboard.contracts import ADDRESS_FILE, TOKEN_FILE
from bot.settings import load_settings
from bot.web.files import Address, read_address, read_token
from tests.core_builders import MIDNIGHT
from tests.dashboard_rig import decided
from tests.service_rig import running

WORDS = [sys.executable, "-P", "-m", "bot", "dashboard"]


def alone() -> dict[str, str]:
    """An environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BOT_")}


def test_it_serves_what_a_daemon_has_left_and_ends_in_order(tmp_path: Path) -> None:
    """The address that it prints leads to the pages; SIGTERM ends it with 0 and takes the address away."""
    asyncio.run(decided(tmp_path, 65))
    words = [*WORDS, "--state-dir", str(tmp_path), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=alone()) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            address = read_address(tmp_path / ADDRESS_FILE)
            assert address == Address("127.0.0.1", told["port"], process.pid)
            token = read_token(tmp_path / TOKEN_FILE)
            assert token is not None
            assert told["address"] == page_address(address, token)
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            with opener.open(told["address"], timeout=20) as page:
                assert b"<html" in page.read()
                assert "token" not in page.url
            request = urllib.request.Request(f"http://127.0.0.1:{address.port}/api/overview")
            request.add_header("Authorization", f"Bearer {token}")
            with opener.open(request, timeout=20) as answer:
                shown = json.load(answer)
            assert shown["last_closed_at_ms"] == MIDNIGHT + 65 * 60_000
            assert shown["ended"] is True
            assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert not (tmp_path / ADDRESS_FILE).exists()
    assert token.encode() not in out + err


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    """Exit code 4, and the setting's name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [*WORDS, "--state-dir", str(tmp_path), "--port", str(taken.getsockname()[1])]
        done = subprocess.run(words, capture_output=True, text=True, env=alone(), timeout=60, check=False)
    assert done.returncode == 4
    assert "dashboard.port: cannot listen" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"), [(["--host", "example.org"], 4), (["--port", "70000"], 2), (["--set", "x"], 2)]
)
def test_wrong_words_start_nothing(tmp_path: Path, words: list[str], code: int) -> None:
    """One sentence before anything is opened."""
    assert main(["dashboard", "--state-dir", str(tmp_path / "state"), *words]) == code
    assert not (tmp_path / "state").exists()


def test_an_address_is_one_that_can_be_opened() -> None:
    """A server on every address is asked on loopback, and IPv6 has its brackets."""
    assert page_address(Address("0.0.0.0", 80, 1), "t") == "http://127.0.0.1:80/?token=t"
    assert page_address(Address("::", 80, 1), "t") == "http://[::1]:80/?token=t"


async def test_beside_another_command_it_ends_with_it(tmp_path: Path) -> None:
    """It is there in the block, and its process is gone after it; its address, too."""
    settings = load_settings(overrides={"state_dir": tmp_path}, environ={})
    async with dashboard_beside(settings) as board:
        assert board.fault is None
        address = read_address(tmp_path / ADDRESS_FILE)
        assert address is not None
        assert board.address == page_address(address, read_token(tmp_path / TOKEN_FILE) or "")
        os.kill(address.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(address.pid, 0)
    assert not (tmp_path / ADDRESS_FILE).exists()


async def test_where_it_cannot_start_the_other_command_goes_on(tmp_path: Path) -> None:
    """And is told why."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = load_settings(
            overrides={"state_dir": tmp_path, "dashboard.port": taken.getsockname()[1]}, environ={}
        )
        async with dashboard_beside(settings) as board:
            assert board.address is None
            assert board.fault is not None
            assert "cannot listen" in board.fault


async def test_a_running_daemon_is_asked(tmp_path: Path) -> None:
    """Health and figures are those of its control API; without one, or with a strange one, nothing is known."""
    nobody = RunningDaemon(tmp_path / "none")
    assert [nobody.process_id(), nobody.health(), nobody.figures()] == [None, None, None]
    async with running(tmp_path) as one:
        await one.minutes(3)
        daemon = RunningDaemon(tmp_path)
        assert daemon.process_id() == os.getpid()
        health = await asyncio.to_thread(daemon.health)
        assert health is not None
        assert health["healthy"] is True
        figures = await asyncio.to_thread(daemon.figures)
        assert figures is not None
        assert "bot_minutes_decided_total 3.0" in figures
