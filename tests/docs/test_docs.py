"""The pages say what is: links lead somewhere, commands exist with their options, events are those of the code."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli import COMMANDS, load_command
from bot.daemon.metric_families import Families

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EVENTS_PAGE = ROOT / "docs" / "events.md"
METRICS_PAGE = ROOT / "docs" / "metrics.md"
NO_FIGURES = {"bot_help"}
"""Words of the pages that only look like figures."""
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EVENT = re.compile(
    r"(service|candle|feed|order|trade|risk|prediction|decision|funding|log|position|target)\.[a-z_]+"
)
DOTTED = re.compile(r"[a-z]+\.[a-z_]+")
TELLERS = {
    "debug",
    "info",
    "warning",
    "error",
    "exception",
    "note",
    "_tell",
    "_notice",
    "tell",
    "warn",
    "FeedNotice",
    "alarm",
}
"""Functions whose first argument is the name of an event."""

UNSHELLED = re.compile(r"\s(#.*|[|>;&].*)$")


def text_of(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in a link."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    broken = []
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        missing_anchor = (
            anchor and file.suffix == ".md" and file.is_file() and anchor not in anchors(text_of(file))
        )
        if not file.exists() or missing_anchor:
            broken.append(target)
    return broken


def command_lines(text: str) -> Iterator[str]:
    """The words after ``bot`` on every such line of the fenced blocks of a page."""
    for language, body in FENCE.findall(text):
        if language not in {"sh", "console", "bash"}:
            continue
        for line in body.replace("\\\n", " ").splitlines():
            if language == "console" and not line.startswith("$ "):
                continue
            found = re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?bot (.*)", line)
            if found:
                yield UNSHELLED.sub("", " " + found.group(1)).strip()


def fault_of(line: str) -> str | None:
    """What is wrong with the words of a command line; None when command and options exist and fit."""
    words = shlex.split(line)
    if words[0] not in COMMANDS:
        return f"there is no command {words[0]}"
    command: Any = load_command(words[0])
    rest = words[1:]
    if hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return f"{words[0]} has no command {rest[:1]}"
        command, rest = command.commands[rest[0]], rest[1:]
    try:
        # Only the words are read; nothing is run.
        command.make_context("bot", rest, resilient_parsing=False)
    except Exception as error:  # noqa: BLE001 - whatever typer says about the words is the finding
        return str(error)
    return None


def events_of_page(text: str) -> set[str]:
    """Names in the first column of the tables."""
    return set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", text, re.MULTILINE))


def events_of_source(source: str) -> set[str]:
    """Names of events in a module: what tellers are called with, and what looks like one anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and EVENT.fullmatch(node.value):
            found.add(node.value)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            word = node.args[0].value
            if name in TELLERS and isinstance(word, str) and DOTTED.fullmatch(word):
                found.add(word)
    return found


def events_of_code() -> set[str]:
    """Every event that the program can write."""
    files = (file for file in (ROOT / "bot").rglob("*.py") if "cli" not in file.relative_to(ROOT).parts)
    return set().union(*(events_of_source(text_of(file)) for file in files))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A link to a file or a heading of ours must exist."""
    assert broken_links(page, text_of(page)) == []


def test_a_dead_link_and_a_dead_heading_are_found() -> None:
    """The finder of dead links knows one when it sees one."""
    text = "# Here\n[a](nowhere.md) [b](#here) [c](#there) [d](README.md) [e](https://example.org/x)"
    assert broken_links(ROOT / "CHANGELOG.md", text.replace("[b](#here) [c](#there) ", "")) == ["nowhere.md"]
    assert anchors(text) == {"here"}
    assert broken_links(ROOT / "README.md", "[x](docs/models.md#no-such-heading)") == [
        "docs/models.md#no-such-heading"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_is_one_that_bot_takes(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands, options and values in the fenced blocks are accepted by the command line itself."""
    monkeypatch.delenv("BOT_STATE_DIR", raising=False)
    faults = {line: fault for line in command_lines(text_of(page)) if (fault := fault_of(line)) is not None}
    assert faults == {}


@pytest.mark.parametrize(
    "line", ["fly", "models polish", "backtest --nonsense", "data list --store", "run --speed fast"]
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    """The checker of command lines refuses unknown commands, unknown options and values of the wrong kind."""
    assert fault_of(line) is not None


def test_command_lines_are_found_in_every_spelling() -> None:
    """Prompts, variables before the command, paths, comments and continued lines are understood; output is not."""
    text = "```sh\nbot status --json  # look\nA=1 .venv/bin/bot logs \\\n  --lines 3 | head\n```\n"
    text += "```console\n$ bot trades > file\nbot is fine\n```\n```text\nbot nothing\n```\n"
    assert [" ".join(line.split()) for line in command_lines(text)] == [
        "status --json",
        "logs --lines 3",
        "trades",
    ]


def test_every_command_has_its_example() -> None:
    """docs/commands.md shows at least one command line of each command."""
    shown = {line.split()[0] for line in command_lines(text_of(ROOT / "docs" / "commands.md"))}
    assert shown == set(COMMANDS)


def test_the_events_of_the_page_are_those_of_the_code() -> None:
    """Nothing is documented that is never written, and nothing is written that is not documented."""
    assert events_of_page(text_of(EVENTS_PAGE)) == events_of_code()


def test_events_are_found_however_they_are_written() -> None:
    """The finder sees tellers, tables and choices, and leaves other dotted words alone."""
    source = 'log.info("cash.moved", x=1)\nT = {A: "order.lost"}\ne = "risk.up" if x else "risk.down"\nopen("a.txt")'
    assert events_of_source(source) == {"cash.moved", "order.lost", "risk.up", "risk.down"}


def test_the_figures_of_the_page_are_those_of_the_registry() -> None:
    """docs/metrics.md names every figure with its kind and its labels, and none that there is not."""
    families = Families()
    known = {}
    for family in families.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        made = families.registry._names_to_collectors.get(family.name)
        known[name] = (family.type, tuple(getattr(made, "_labelnames", ())))
    rows = re.findall(
        r"^\| `((?:bot|process)_[a-z_]+)` \| (\w+) \| ([^|]*) \|", text_of(METRICS_PAGE), re.MULTILINE
    )
    assert len(rows) == len(known)
    assert {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == known


def test_every_figure_that_a_page_names_exists() -> None:
    """Whatever looks like a figure anywhere in the pages is one, suffixes of histograms included."""
    families = list(Families().registry.collect())
    known = {family.name for family in families} | {f"{family.name}_total" for family in families}
    known |= {f"{family.name}_{part}" for family in families for part in ("bucket", "sum", "count")}
    for page in PAGES:
        assert set(re.findall(r"\bbot_[a-z]+_?[a-z_]*\b", text_of(page))) - known - NO_FIGURES == set(), page
