"""Completion in the shells: the script that a shell loads, and what it is answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli import COMMANDS, load_command, main

ROOT = Path(__file__).resolve().parents[3]
SHELLS = ("bash", "zsh", "fish")
BASH, FISH = shutil.which("bash"), shutil.which("fish")


def answer(monkeypatch, capsys, shell: str, line: str) -> str:
    """What the program tells a shell that stands at the end of a line."""
    words = line.split(" ")
    told = {
        "_BOT_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    said: str = capsys.readouterr().out
    return said


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_is_printed(shell, monkeypatch, capsys):
    """Each shell gets the script that asks the program back in that shell's way."""
    monkeypatch.setenv("_BOT_COMPLETE", f"source_{shell}")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert f"_BOT_COMPLETE=complete_{shell}" in capsys.readouterr().out


def test_every_command_is_completed_from_nothing(monkeypatch, capsys):
    """After `bot` and a blank all commands of the table are offered."""
    assert answer(monkeypatch, capsys, "bash", "bot ").split() == list(COMMANDS)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bot verify-p", "verify-parity"),
        ("bot models prom", "promote"),
        ("bot run --sym", "--symbol"),
        ("bot models show --mod", "--models"),
        ("bot backtest --engine ker", "kernel"),
    ],
)
def test_commands_options_and_choices_are_completed(shell, line, offered, monkeypatch, capsys):
    """A command, one of a group, an option and a choice, each by its beginning."""
    said = answer(monkeypatch, capsys, shell, line)
    assert offered in said.replace('"', "\t").split("\t")[0 if shell != "zsh" else 1]


def test_hidden_commands_and_other_words_are_not_offered(monkeypatch, capsys):
    """What help does not list is not completed, and neither is what does not exist."""
    assert "docs" not in answer(monkeypatch, capsys, "bash", "bot config ").split()
    assert answer(monkeypatch, capsys, "bash", "bot nonsense ").split() == list(COMMANDS)


def test_groups_offer_no_completion_of_their_own():
    """Only `bot` itself installs completion: a group's option would install one for a program that there is not."""
    for name in COMMANDS:
        options = {option for one in load_command(name).params for option in one.opts}
        assert not options & {"--install-completion", "--show-completion"}, name


@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_a_real_bash_completes(tmp_path):
    """Bash loads the script and offers `models` for `mod`."""
    program = tmp_path / "bot"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m bot "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(_BOT_COMPLETE=source_bash bot)"; COMP_WORDS=(bot mod); COMP_CWORD=1; '
        '_bot_completion bot; echo "${COMPREPLY[@]}"'
    )
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(BASH), "--norc", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["models"]


@pytest.mark.skipif(FISH is None, reason="there is no fish")
def test_a_real_fish_completes(tmp_path):
    """Fish loads the script and offers `models` for `mod`."""
    program = tmp_path / "bot"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m bot "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }
    script = "_BOT_COMPLETE=source_fish bot | source; complete --do-complete 'bot mod'"
    done = subprocess.run(
        [str(FISH), "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split()[:1] == ["models"]
