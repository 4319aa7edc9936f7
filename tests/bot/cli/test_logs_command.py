"""`bot logs` over rotated files and systemd's journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli import main
from bot.cli.logs import LOG_FILE
from bot.logs import RotatingFile

ROOT = Path(__file__).resolve().parents[3]


def line(number: int, **fields: object) -> bytes:
    """A line of a log, one a second."""
    ts = f"2024-01-31T12:{number // 60:02d}:{number % 60:02d}.000Z"
    row = {"ts": ts, "level": "info", "event": "a.said", "run_id": "r", "number": number, **fields}
    return json.dumps(row).encode() + b"\n"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder whose log has been rotated many times."""
    writer = RotatingFile(tmp_path / LOG_FILE, 1_000, 30)
    for number in range(100):
        writer.write(line(number))
    writer.close()
    assert len(list((tmp_path / "logs").iterdir())) > 8
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], state: Path, *words: str) -> list[int]:
    """Numbers of the lines that the command prints."""
    assert main(["logs", "--state-dir", str(state), "--json", *words]) == 0
    return [json.loads(row)["number"] for row in capsys.readouterr().out.splitlines()]


def test_rotated_files_are_read_in_order(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest fifty, or as many as are asked for, over as many files as that takes; since asks for all of them."""
    assert shown(capsys, state) == list(range(50, 100))
    assert shown(capsys, state, "--limit", "95") == list(range(5, 100))
    assert shown(capsys, state, "--lines", "3") == [97, 98, 99]
    assert shown(capsys, state, "-n", "0") == []
    assert shown(capsys, state, "--limit", "1000") == list(range(100))
    assert shown(capsys, state, "--since", "2024-01-31T12:00:20Z") == list(range(20, 100))
    between = ("--since", "2024-01-31T12:00:20Z", "--until", "2024-01-31T12:00:25Z")
    assert shown(capsys, state, *between) == [20, 21, 22, 23, 24]
    assert shown(capsys, state, *between, "--limit", "2") == [23, 24]
    assert shown(capsys, state, "--until", "2024-01-31T12:00:02Z") == [0, 1]


def test_a_decision_is_followed_over_files(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line that names its orders may lie in an older file than their executions."""
    path = state / LOG_FILE
    oldest = path.with_name(f"{path.name}.25")
    oldest.write_bytes(line(-1, event="decision.made", decision_id="A@t", orders=["run1e"]))
    with path.open("ab") as file:
        file.write(line(100, event="order.filled", client_order_id="run1s"))
    assert shown(capsys, state, "--decision", "A@t") == [-1, 100]


def test_another_file_may_be_named(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the settings write the log elsewhere."""
    elsewhere = tmp_path / "other.jsonl"
    elsewhere.write_bytes(line(7))
    assert shown(capsys, state, "--file", str(elsewhere)) == [7]


def test_the_terminal_form_obeys_nothing_that_is_in_the_log(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An escape sequence and a line feed in a field are shown as text."""
    with (state / LOG_FILE).open("ab") as file:
        file.write(line(100, text="\x1b[31mred\nFAKE  error  order.filled", path="/a\u2028b"))
    assert main(["logs", "--state-dir", str(state), "-n", "1"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert "\\x1b[31mred\\nFAKE" in out


def test_it_reads_systemds_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--journald takes the lines of the unit out of journalctl, filtered as those of a file."""
    entries = "\n".join(json.dumps({"MESSAGE": line(number).decode()}) for number in range(9))
    program = tmp_path / "journalctl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{entries}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert shown(capsys, tmp_path, "--journald", "--limit", "2") == [7, 8]
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert main(["logs", "--journald"]) == 4
    assert "journalctl is not on this machine" in capsys.readouterr().err


def test_following_goes_on_over_a_rotation(state: Path) -> None:
    """What is written after the start comes as it is written, from the new file too; Ctrl-C ends it."""
    words = [sys.executable, "-m", "bot", "logs", "--state-dir", str(state), "--json", "-f", "-n", "1"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["number"] == 99
        writer = RotatingFile(state / LOG_FILE, 1_000, 30)
        for number in range(100, 130):
            writer.write(line(number))
        writer.close()
        seen = [json.loads(process.stdout.readline())["number"] for _ in range(30)]
        assert seen == list(range(100, 130))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
