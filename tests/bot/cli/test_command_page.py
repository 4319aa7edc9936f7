"""The page of all commands: current, whole, and readable as Markdown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.cli import COMMANDS, CommandEntry, load_command, main
from bot.cli.command_page import commands_page

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference-commands.md"


def test_the_committed_page_is_the_generated_one(capsys):
    """docs/reference-commands.md is what `bot config docs commands` prints: a new option without it fails here."""
    assert main(["config", "docs", "commands"]) == 0
    made = capsys.readouterr().out
    assert made == commands_page()
    assert PAGE.read_text(encoding="utf-8") == made, (
        "run: .venv/bin/bot config docs commands > docs/reference-commands.md"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_there(name):
    """Each command that is not hidden has a heading, and each of its options a line with a meaning."""
    sections = dict(re.findall(r"^#+ (bot .+)\n\n((?:(?!^#).*\n)*)", commands_page(), re.MULTILINE))
    command = load_command(name)
    below = getattr(command, "commands", {})
    shown = {f"bot {name}": command} | {
        f"bot {name} {inner}": one for inner, one in below.items() if not one.hidden
    }
    for words, one in shown.items():
        rows = re.findall(r"^\| (.+?) \| .* \| (.*) \|$", sections[words], re.MULTILINE)[1:]
        told = {option for names, meaning in rows if meaning for option in re.findall(r"`(-[\w-]+)`", names)}
        wanted = {
            option
            for param in one.params
            if param.param_type_name == "option" and not param.hidden
            for option in (*param.opts, *param.secondary_opts)
        }
        assert told == wanted


def test_signs_of_markdown_in_a_help_stay_signs(tmp_path, monkeypatch):
    """A bar does not end a cell, and neither a star nor a tag changes the text; code is left alone."""
    (tmp_path / "planted_signs.py").write_text(
        "from typing import Annotated\nimport typer\n\n\n"
        "def shown(\n    which: Annotated[int, typer.Option('--which', min=1, help='a|b *c* <d> e_f `*g*`')] = 3,\n"
        "    names: Annotated[list[str] | None, typer.Argument(help='Names.')] = None,\n"
        ") -> None:\n    '''Do it.\n\n    Example: bot shown --which 2\n    '''\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(COMMANDS, "shown", CommandEntry("planted_signs", "shown", "Planted."))
    page = commands_page()
    assert "| `--which` | whole number, >= 1 | `3` | a\\|b \\*c\\* \\<d> e_f `*g*` |" in page
    assert "| `NAMES` | text, *repeat* |  | Names. |" in page
    assert "```sh\nbot shown --which 2\n```" in page


def test_a_page_that_there_is_not_is_refused(capsys):
    """Another word than the two pages ends with 2 and names them."""
    assert main(["config", "docs", "all"]) == 2
    assert "write settings or commands" in capsys.readouterr().err
