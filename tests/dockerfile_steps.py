"""Reads a Dockerfile, and carries out its steps in a folder as an ordinary user, where no engine is at hand.

A stage's file system is a folder; while it is worked on it lies at ``image`` below the workshop, so that absolute paths that
programs write down (a virtual environment does) stay true in every stage. ``/opt``, ``/srv``, ``/build``, ``/tmp`` and
``/var/lib/bot`` of the file are that folder's; everything else (``/bin/bash``, the system's libraries) is this machine's.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ORDINARY = 65_534
"""Who carries the steps out where the tests are run by root: nobody."""

_OURS = re.compile(r"(?<![\w./}])/(?=(?:opt|srv|build|tmp|var/lib/bot)\b)")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its keyword in capitals, and the rest of its line, continued lines joined."""

    keyword: str
    rest: str


@dataclass(slots=True)
class Stage:
    """What follows a FROM."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def all_of(self, keyword: str) -> list[str]:
        """The rest of every instruction of a kind."""
        return [step.rest for step in self.steps if step.keyword == keyword]


def read_dockerfile(text: str) -> tuple[list[Step], dict[str, Stage]]:
    """The instructions before the first FROM, and every stage by its name."""
    stages: dict[str, Stage] = {}
    before: list[Step] = []
    current: Stage | None = None
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, rest = line.strip().partition(" ")
        step = Step(keyword.upper(), rest.strip())
        if step.keyword == "FROM":
            base, _, name = step.rest.partition(" AS ")
            current = stages[name] = Stage(base, name)
        elif current is None:
            before.append(step)
        else:
            current.steps.append(step)
    return before, stages


def lineage(stages: Mapping[str, Stage], name: str) -> list[Stage]:
    """A stage and those that it is made from, the first of ours first."""
    line = [stages[name]]
    while line[0].base in stages:
        line.insert(0, stages[line[0].base])
    return line


def last_of(stages: Mapping[str, Stage], name: str, keyword: str) -> str | None:
    """What an image has at last by an instruction of a kind; None where none says it."""
    said = [rest for stage in lineage(stages, name) for rest in stage.all_of(keyword)]
    return said[-1] if said else None


def pairs(rest: str) -> dict[str, str]:
    """``a=b c="d e"`` of an ENV or a LABEL."""
    return dict(word.split("=", 1) for word in shlex.split(rest))


def environment_of(stages: Mapping[str, Stage], name: str) -> dict[str, str]:
    """The variables that an image sets."""
    made: dict[str, str] = {}
    for stage in lineage(stages, name):
        for rest in stage.all_of("ENV"):
            made |= pairs(rest)
    return made


def ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether .dockerignore leaves a file of the context out: the last pattern that fits it, or a folder above, decides."""
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    out = False
    for line in patterns:
        pattern = line.removeprefix("!")
        if any(_fits(one, pattern) for one in above):
            out = not line.startswith("!")
    return out


def _fits(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(_fits(path[cut:], pattern[3:]) for cut in _starts(path))
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _starts(path: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer("/", path))]


class Workshop:
    """Carries out stages.

    Args:
        folder: Where; new, and readable by everybody.
        context: The folder that COPY copies from.
        dockerfile: Its text.
        arguments: What ``--build-arg`` would give.
        python: The interpreter that stands in for the base image's.
    """

    def __init__(
        self, folder: Path, context: Path, dockerfile: str, arguments: Mapping[str, str], python: Path
    ) -> None:
        self.image = folder / "image"
        self._kept = folder / "stages"
        self._context = context
        self._patterns = [
            line
            for line in (context / ".dockerignore").read_text().splitlines()
            if line and not line.startswith("#")
        ]
        self._before, self.stages = read_dockerfile(dockerfile)
        self.arguments = dict(arguments)
        self.uid = ORDINARY if os.geteuid() == 0 else os.geteuid()
        self._kept.mkdir()
        self._bin = folder / "bin"
        self._bin.mkdir()
        (self._bin / "python").symlink_to(python)
        for made in (self._kept, self._bin):
            made.chmod(0o755)

    def carry_out(self, name: str) -> Path:
        """Build a stage and what it needs; returns its file system, which the next call puts away."""
        if not (self._kept / name).exists():
            self._needs(name)
            stage = self.stages[name]
            self._take_up(stage.base)
            self._work(stage)
            self.image.rename(self._kept / name)
        return self._kept / name

    def bring_out(self, name: str) -> Path:
        """Put a built stage where its paths are true."""
        (self._kept / name).rename(self.image)
        return self.image

    def environment(self, name: str) -> dict[str, str]:
        """What a container of a stage would have for variables, with paths of this machine."""
        return {key: self._ours(value) for key, value in environment_of(self.stages, name).items()}

    def run(self, words: Sequence[str], environ: Mapping[str, str], cwd: Path, seconds: float) -> str:
        """Run a program as the ordinary user and return what it said; AssertionError where it fails."""
        done = subprocess.run(
            words,
            env=dict(environ),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            **self.as_ordinary(),
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return f"{done.stdout}{done.stderr}"

    def as_ordinary(self) -> dict[str, Any]:
        """Arguments for subprocess that leave root's rights behind."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}

    # --- steps --------------------------------------------------------------------------------------------

    def _needs(self, name: str) -> None:
        """Build what a stage begins from and copies from."""
        stage = self.stages[name]
        if stage.base in self.stages:
            self.carry_out(stage.base)
        for rest in stage.all_of("COPY"):
            source = re.match(r"--from=(\S+)", rest)
            if source:
                self.carry_out(source[1])

    def _take_up(self, base: str) -> None:
        """Begin with the files of another stage, or with none."""
        if base in self.stages:
            _link_tree(self._kept / base, self.image)
        else:
            for name in ("", "opt", "srv", "build", "tmp", "var", "var/lib"):
                (self.image / name).mkdir()
        self._give(self.image)

    def _work(self, stage: Stage) -> None:
        known = self._known(stage)
        shell = ["/bin/sh", "-c"]
        cwd = self.image
        for one in lineage(self.stages, stage.name):
            shell = next(iter([exec_words(rest) for rest in one.all_of("SHELL")]), shell)
        for step in [step for one in lineage(self.stages, stage.name)[:-1] for step in one.steps]:
            cwd = self._stands(step, cwd)
        for step in stage.steps:
            cwd = self._stands(step, cwd)
            if step.keyword == "RUN":
                self.run([*shell, self._ours(step.rest)], known, cwd, 900)
            elif step.keyword == "COPY":
                self._copy(step.rest, cwd)

    def _stands(self, step: Step, cwd: Path) -> Path:
        """Where the next step stands."""
        if step.keyword != "WORKDIR":
            return cwd
        folder = Path(self._ours(step.rest))
        folder.mkdir(parents=True, exist_ok=True)
        self._give(folder)
        return folder

    def _known(self, stage: Stage) -> dict[str, str]:
        """Variables of a RUN: this machine's way to its packages, the image's ENV, the ARGs that the stage names."""
        ways = ("PIP_", "UV_", "SSL_", "HTTP", "http", "ALL_PROXY", "NO_PROXY", "no_proxy", "REQUESTS_")
        made = {key: value for key, value in os.environ.items() if key.startswith(ways)}
        made |= {"HOME": str(self.image / "tmp")} | self.environment(stage.name)
        made["PATH"] = f"{self._bin}:{made.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
        for one in lineage(self.stages, stage.name):
            for rest in one.all_of("ARG"):
                name, _, default = rest.partition("=")
                made[name] = self.arguments.get(name, default)
        return made

    def _copy(self, rest: str, cwd: Path) -> None:
        flags = [word for word in rest.split() if word.startswith("--")]
        *sources, target = [word for word in rest.split() if not word.startswith("--")]
        into = Path(self._ours(target)) if target.startswith("/") else cwd / target
        into_folder = target.endswith("/") or len(sources) > 1
        for source in sources:
            if flags:
                found = self._kept / flags[0].removeprefix("--from=") / source.lstrip("/")
                _link_tree(found, into)
            elif (self._context / source).is_dir():
                self._copy_folder(self._context / source, into)
            else:
                self._copy_file(self._context / source, into / Path(source).name if into_folder else into)
        self._give(into)

    def _copy_folder(self, source: Path, into: Path) -> None:
        for file in source.rglob("*"):
            if file.is_file() and not ignored(str(file.relative_to(self._context)), self._patterns):
                self._copy_file(file, into / file.relative_to(source))

    def _copy_file(self, file: Path, into: Path) -> None:
        assert not ignored(str(file.relative_to(self._context)), self._patterns), (
            f"{file} is not in the context"
        )
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, into)

    def _ours(self, text: str) -> str:
        """Paths of the image as paths of this machine."""
        return _OURS.sub(f"{self.image}/", text)

    def _give(self, tree: Path) -> None:
        """Everything below belongs to the ordinary user."""
        if os.geteuid() != 0:
            return
        for path in (tree, *tree.rglob("*")):
            os.lchown(path, self.uid, self.uid)


def exec_words(rest: str) -> list[str]:
    """The words of an instruction in exec form."""
    return [str(word) for word in json.loads(rest)]


def _link_tree(source: Path, into: Path) -> None:
    """A tree again, its files as hard links: no step changes a file of another stage in place."""
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, into, symlinks=True, copy_function=os.link, dirs_exist_ok=True)


def base_python() -> Path | None:
    """An interpreter that the ordinary user may run and that can make environments; None where there is none."""
    own = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    others = [Path(folder) / own.name for folder in ("/usr/local/bin", "/usr/bin")]
    ordinary: dict[str, Any] = {}
    if os.geteuid() == 0:
        ordinary = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []}
    for candidate in (own, *others):
        try:
            done = subprocess.run(
                [candidate, "-c", "import ensurepip"], check=False, capture_output=True, **ordinary
            )
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return None
