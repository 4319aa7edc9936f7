"""Somebody who carries out a page of the documents: its very commands, in a folder that stands for the clone, in the order of the page.

What `make` sets up is there already: the environment of the tests. TESTS=all carries out the long blocks too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?P<remark><!--[^\n]*-->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
SAVED = re.compile(r"Save this as `([\w.]+)`")
LASTING = {"make run": "decision.made", "bot dashboard": "?token="}
"""Commands that go on until they are told to stop, and what they print when they are at work."""
ELSEWHERE = re.compile(r"git clone |cd |make run TAPE=|.*# asks the exchange$")
"""Lines that are not carried out: the folder is there, a year of candles is not, and a test asks no exchange."""
LONG = os.environ.get("TESTS") == "all"


class Block(NamedTuple):
    """A block of the page: what it is written in, its text, the text before it, whether it is for the long test."""

    language: str
    body: str
    before: str
    long: bool


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    found, end = [], 0
    for match in BLOCK.finditer(text):
        long = "long test" in (match["remark"] or "")
        found.append(Block(match["language"], match["body"], text[end : match.start()], long))
        end = match.end()
    return found


def lines_of(block: Block) -> list[str]:
    """The commands of a block that can be carried out here."""
    joined = block.body.replace("\\\n", " ").splitlines()
    return [line for line in joined if line.strip() and not ELSEWHERE.match(line)]


class Newcomer:
    """Somebody who types the commands of the page into terminals of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        clone(folder)
        home = folder.parent / "home"
        home.mkdir()
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        # The documented ways to be faster: SPEED of `make run`, and one thread for each library.
        self.environ = {**kept, "HOME": str(home), "SPEED": "600", "OMP_NUM_THREADS": "1", "TERM": "dumb"}
        self.lasting: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self.said: dict[str, str] = {}

    def type_in(self, line: str) -> None:
        """Carry out one line; one that lasts is left running once it is at work."""
        kind = next((name for name in LASTING if line.startswith(name)), None)
        if kind is not None:
            self._begin(kind, line)
            return
        words = ["bash", "-c", f"test ! -e .activated || source .venv/bin/activate; {line}"]
        done = subprocess.run(
            words, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        if line.startswith("source "):
            (self.folder / ".activated").touch()
        self.said[line] = done.stdout

    def _begin(self, kind: str, line: str) -> None:
        output = self.folder.parent / f"{kind.replace(' ', '-')}.txt"
        words = ["bash", "-c", f"test ! -e .activated || source .venv/bin/activate; {line}"]
        with output.open("wb") as file:
            process = subprocess.Popen(
                words, cwd=self.folder, env=self.environ, stdout=file, stderr=file, start_new_session=True
            )
        self.lasting[kind] = process, output
        until = time.monotonic() + (600 if LONG else 120)
        while LASTING[kind] not in self.printed(kind):
            assert process.poll() is None, self.printed(kind)
            assert time.monotonic() < until, self.printed(kind)
            time.sleep(0.1)

    def printed(self, kind: str) -> str:
        """What a lasting command has printed so far."""
        return self.lasting[kind][1].read_text(encoding="utf-8", errors="replace")

    def press_ctrl_c(self, kind: str) -> str:
        """End what lasts as a terminal does, by a signal to all of its group; gives what it printed."""
        process, _ = self.lasting[kind]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        said = self.printed(kind)
        del self.lasting[kind]
        return said

    def leaves(self) -> None:
        """End whatever still lasts."""
        for kind in list(self.lasting):
            self.press_ctrl_c(kind)

    def carries_out(self, page: Path) -> None:
        """Save the files of a page and type in its commands; each must end well, and what lasts must begin to work."""
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language == "python":
                name = SAVED.search(block.before)
                assert name is not None, f"a file of {page.name} has no name"
                (self.folder / name[1]).write_text(block.body, encoding="utf-8")
            elif block.language == "sh" and (LONG or not block.long):
                for line in lines_of(block):
                    self.type_in(line)


def clone(folder: Path) -> None:
    """Make a folder as `git clone` and the set-up of `make` leave it, as far as the pages' commands look at it."""
    environment = folder / ".venv" / "bin"
    environment.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "config").symlink_to(ROOT / "config")
    start = f'PYTHONPATH="{ROOT}" exec "{sys.executable}"'
    for name, words in {"bot": "-P -m bot", "python": "", "uv": "-c 'raise SystemExit(9)'"}.items():
        (environment / name).write_text(f'#!/bin/sh\n{start} {words} "$@"\n', encoding="utf-8")
        (environment / name).chmod(0o755)
    (environment / "activate").write_text(f'PATH="{environment}:$PATH"\n', encoding="utf-8")
    for old in (*(folder / "requirements").iterdir(), folder / "pyproject.toml"):
        os.utime(old, (0, 0))
    for done in (".dev", ".train"):
        (folder / ".venv" / done).touch()
