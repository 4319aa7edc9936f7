"""The command line as a whole: the table of commands, and how failures end."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from bot import cli
from bot.cli import COMMANDS, CommandEntry, load_command, main
from bot.errors import ConfigError, DifferenceError, HaltError

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("numpy", "pandas", "pyarrow", "tensorflow", "keras", "ccxt", "aiohttp", "onnxruntime", "pydantic", "yaml",
         "structlog", "rich", "talib", "backtrader", "plotly")  # fmt: skip


def words_of(name: str, command: Any) -> list[list[str]]:
    """The words that call a command, or each command of a group but its hidden ones."""
    below = getattr(command, "commands", None)
    if below is None:
        return [[name]]
    return [[name, inner] for inner, found in below.items() if not found.hidden]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_has_help_with_an_example(name, capsys):
    """Each entry of the table can be imported, and its help, of every command of a group, shows how to call it."""
    for words in words_of(name, load_command(name)):
        assert main([*words, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert f"Example: bot {' '.join(words)}" in text
        assert "--json" in text


def test_help_lists_every_command_and_imports_nothing_heavy():
    """`bot --help` reads the table and no library that a command needs."""
    code = (
        "import sys\nfrom bot.cli import main\ncode = main(['--help'])\n"
        f"print('loaded', [name for name in {HEAVY!r} if name in sys.modules])\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.rstrip().endswith("loaded []")
    for name, entry in COMMANDS.items():
        assert any(line.split() == [name, *entry.line.split()] for line in done.stdout.splitlines()), name


def test_the_version_is_printed(capsys):
    """--version names the program and ends well."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bot 0.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["confg"], "No such command 'confg'. Did you mean 'config'?"),
        (["config", "show", "--nonsense"], "No such option: --nonsense"),
        (["config", "show", "--set", "a"], "--set a: write section.key=value"),
        (["sim", "--market", "x"], "--market x: use spot or usdm"),
    ],
)
def test_wrong_words_end_with_2(words, said, capsys):
    """A word that is off is named on stderr; stdout stays empty."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"error: {said}" in err


def test_no_words_show_the_help(capsys):
    """`bot` alone shows what there is, and is a wrong use."""
    assert main([]) == 2
    assert "verify-parity" in capsys.readouterr().err


def test_errors_are_json_too_where_json_was_asked_for(capsys):
    """With --json a program reads error and exit code from stdout, a person the sentence from stderr."""
    assert main(["config", "check", "--json", "--set", "sizing.equity_fraction=-1"]) == 4
    out, err = capsys.readouterr()
    failure = json.loads(out)
    assert failure["exit_code"] == 4
    assert "sizing.equity_fraction: must be greater than 0" in failure["error"]
    assert err == f"error: {failure['error']}\n"
    assert main(["nothing", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ConfigError("a\n b"), 4, "error: a b\n"),
        (HaltError("halted"), 7, "error: halted\n"),
        (DifferenceError("differs"), 8, "error: differs\n"),
        (typer.Abort(), 1, "error: aborted\n"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y"), 1,
         "error: /x/y: the disk refused a write: No space left on device; what was stored is as it was\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)  # fmt: skip
def test_each_failure_is_one_sentence_and_its_code(raised, code, said, monkeypatch, capsys):
    """What a command raises ends in one line on stderr and the exit code of its kind."""

    def fail(_words):
        raise raised

    monkeypatch.setattr(cli, "_invoke", fail)
    assert main(["run"]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", said)


def test_a_bug_shows_where_it_is(monkeypatch, capsys):
    """What nobody foresaw is not swallowed: the whole traceback, then a sentence, exit code 1."""
    table: dict[str, int] = {}
    monkeypatch.setattr(cli, "_invoke", lambda _words: table["gone"])
    assert main(["run"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: KeyError: 'gone' - this is a bug")


def test_results_of_commands_are_no_exit_codes(monkeypatch, tmp_path, capsys):
    """A command that returns something ends with 0; one that raises typer.Exit with the code it says."""
    (tmp_path / "planted_commands.py").write_text(
        "import typer\n\n\ndef fine() -> str:\n    return 'x'\n\n\ndef three() -> None:\n    raise typer.Exit(3)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(COMMANDS, "fine", CommandEntry("planted_commands", "fine", "Planted."))
    monkeypatch.setitem(COMMANDS, "three", CommandEntry("planted_commands", "three", "Planted."))
    assert main(["fine"]) == 0
    assert main(["three"]) == 3
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_goes_away_is_no_error():
    """`bot config docs | head -1` ends without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "bot", "config", "docs"], cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, timeout=60,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == b""
