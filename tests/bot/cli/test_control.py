"""`bot pause`, `resume`, `halt`, `flatten` and `healthcheck`, spoken to a daemon that runs."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from bot.cli import main
from bot.daemon.control_files import TOKEN_FILE, Address, keep_token, make_token, write_address
from bot.daemon.lock import state_lock
from tests.service_rig import running, service_rules


async def call(*words: str) -> int:
    """Run a command line in a thread: the daemon runs in this one."""
    return await asyncio.to_thread(main, words)


async def test_each_command_says_the_state_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for a person and JSON for a program; exit code 0."""
    folder = str(tmp_path)
    async with running(tmp_path) as one:
        await one.minutes(100)
        assert await call("pause", "--reason", "tea", "--state-dir", folder) == 0
        assert capsys.readouterr().out.startswith("pause: state reducing (pause), ")
        for name, state in (("resume", "trading"), ("halt", "halted"), ("flatten", "halted")):
            assert await call(name, "--state-dir", folder, "--json") == 0
            assert json.loads(capsys.readouterr().out)["state"] == state


async def test_healthy_is_progress_whatever_may_be_traded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 while minutes are decided, halted too; 1 once they are not."""
    folder = str(tmp_path)
    async with running(tmp_path) as one:
        await one.minutes(100)
        assert await call("halt", "--state-dir", folder) == 0
        capsys.readouterr()
        assert await call("healthcheck", "--state-dir", folder) == 0
        assert capsys.readouterr().out.startswith("healthy: state halted, ")
        one.service.progress.expected_seconds = 0.0
        assert await call("healthcheck", "--state-dir", folder) == 1
        assert capsys.readouterr().out.startswith("stalled: state halted, ")
        assert await call("healthcheck", "--state-dir", folder, "--json") == 1
        assert json.loads(capsys.readouterr().out)["stalled"] is True


@pytest.mark.parametrize("name", ["pause", "resume", "halt", "flatten", "healthcheck"])
def test_without_a_daemon_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Exit code 3 and what to do, also where a killed daemon left its address behind."""
    keep_token(tmp_path)
    write_address(tmp_path, Address("127.0.0.1", 9, 1))
    assert main([name, "--state-dir", str(tmp_path), "--json"]) == 3
    assert "bot run" in json.loads(capsys.readouterr().out)["error"]


def test_a_daemon_that_takes_no_commands_is_no_missing_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it starts, or without a control API: exit code 1, and the sentence says which it may be."""
    with state_lock(tmp_path):
        keep_token(tmp_path)
        assert main(["pause", "--state-dir", str(tmp_path)]) == 1
        assert "control.enabled" in capsys.readouterr().err
        assert main(["healthcheck", "--state-dir", str(tmp_path)]) == 1


def test_a_daemon_that_does_not_answer_ends_the_wait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that takes connections and says nothing, or nonsense, is not health."""
    with state_lock(tmp_path), socket.create_server(("127.0.0.1", 0)) as deaf:
        write_address(tmp_path, Address("127.0.0.1", deaf.getsockname()[1], os.getpid()))
        assert main(["healthcheck", "--state-dir", str(tmp_path), "--timeout", "0.2"]) == 1
        assert "does not answer" in capsys.readouterr().err

        def babble() -> None:
            for _ in range(2):
                connection, _ = deaf.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(b"SSH-2.0 hello\r\n\r\n")

        babbling = threading.Thread(target=babble)
        babbling.start()
        assert main(["healthcheck", "--state-dir", str(tmp_path)]) == 1
        babbling.join(20)


async def test_a_token_of_another_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4 where the token can't be read or is not the daemon's; nothing is done."""
    async with running(tmp_path, service_rules()) as one:
        token = tmp_path / TOKEN_FILE
        kept = token.read_text()
        token.write_text(make_token())
        assert await call("halt", "--state-dir", str(tmp_path)) == 4
        assert "token is wrong" in capsys.readouterr().err
        token.write_text("")
        assert await call("halt", "--state-dir", str(tmp_path)) == 4
        assert "as the user of the daemon" in capsys.readouterr().err
        assert one.daemon.engine.risk.state.value == "warming_up"
        token.write_text(kept)
        assert await call("halt", "--state-dir", str(tmp_path)) == 0


@pytest.mark.parametrize("reason", ["", "x" * 201])
def test_a_reason_has_a_length(tmp_path: Path, capsys: pytest.CaptureFixture[str], reason: str) -> None:
    """Exit code 2 before anybody is asked."""
    assert main(["pause", "--reason", reason, "--state-dir", str(tmp_path)]) == 2
    assert "--reason" in capsys.readouterr().err
