"""Rules of the house that import-linter cannot express; each finder is tried on a planted offence first."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bot", "strategies", "models", "backtests", "config")
MAX_LINES = 400
CLOCK_READS = {
    f"time.{name}{suffix}"
    for name in ("time", "monotonic", "perf_counter", "process_time")
    for suffix in ("", "_ns")
} | {"time.localtime", "time.gmtime", "time.ctime", "time.strftime"}
DATE_READS = {f"{kind}.{name}" for kind in ("datetime", "date") for name in ("now", "utcnow", "today")}


def sources() -> list[Path]:
    """Every module of the product."""
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def name_of(file: Path) -> str:
    """Dotted name of a module."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_in(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module uses, with imported names written out (``from time import time as t``)."""
    written = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    } | {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            head, _, rest = ast.unparse(node).partition(".")
            yield f"{written.get(head, head)}.{rest}".rstrip(".")


def modules_imported(tree: ast.AST) -> Iterator[str]:
    """Modules that a module imports, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def asks_the_time(tree: ast.AST) -> bool:
    """Whether a module reads a clock."""
    return any(
        name in CLOCK_READS
        or ".".join(name.split(".")[-2:]) in DATE_READS
        or name in {"pandas.Timestamp.now", "pandas.Timestamp.utcnow", "pd.Timestamp.now"}
        for name in names_in(tree)
    )


def reads_settings(tree: ast.AST) -> bool:
    """Whether a module imports the settings."""
    return any(name == "bot.settings" or name.startswith("bot.settings.") for name in modules_imported(tree))


def uses_the_seal(tree: ast.AST) -> bool:
    """Whether a module names the seal of approved orders, by any road."""
    return any(
        (isinstance(node, ast.Name) and node.id == "APPROVAL_SEAL")
        or (isinstance(node, ast.Attribute) and node.attr == "APPROVAL_SEAL")
        or (isinstance(node, ast.alias) and node.name == "APPROVAL_SEAL")
        or (isinstance(node, ast.Constant) and node.value == "APPROVAL_SEAL")
        for node in ast.walk(tree)
    )


def offenders(rule: Callable[[ast.AST], bool], allowed: Callable[[str], bool]) -> list[str]:
    """Modules that break a rule and are not allowed to."""
    return [
        name_of(file)
        for file in sources()
        if not allowed(name_of(file)) and rule(ast.parse(file.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nx = t.monotonic_ns",
        "from time import perf_counter\nperf_counter()",
        "from time import perf_counter_ns as tick\ntick()",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "from datetime import datetime as dt\ndt.utcnow()",
        "from datetime import date\ndate.today()",
    ],
)
def test_the_finder_of_clocks_sees_every_spelling(source):
    """A planted reading of the clock is found, whatever its import looks like."""
    assert asks_the_time(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "from datetime import datetime, UTC\ndatetime.fromtimestamp(0, UTC)",
        "clock.now_ms()",
        "from bot.clock import wall_ms\nwall_ms()",
    ],
)
def test_the_finder_of_clocks_leaves_others_alone(source):
    """Sleeping, converting a given time and asking our own clock are allowed."""
    assert not asks_the_time(ast.parse(source))


def test_only_the_clock_asks_the_time():
    """No module but bot.clock reads the system's time: everything else takes a clock or a time."""
    assert offenders(asks_the_time, lambda name: name == "bot.clock") == []


def test_only_the_daemons_root_and_the_commands_read_settings():
    """What a room needs is passed to it; only bot.daemon.app, its parts and bot.cli see the settings as a whole."""
    assert reads_settings(ast.parse("def f():\n    from bot.settings import Settings"))
    assert reads_settings(ast.parse("from bot import settings"))
    allowed = ("bot.daemon.app", "bot.daemon.parts", "bot.cli", "bot.settings")
    assert (
        offenders(
            reads_settings, lambda name: any(name == room or name.startswith(f"{room}.") for room in allowed)
        )
        == []
    )


def test_only_risk_holds_the_seal():
    """No module but the risk review can make an approved order."""
    for planted in (
        "from bot.core.orders import APPROVAL_SEAL",
        "orders.APPROVAL_SEAL",
        "getattr(o, 'APPROVAL_SEAL')",
    ):
        assert uses_the_seal(ast.parse(planted))
    assert offenders(uses_the_seal, lambda name: name in {"bot.core.risk", "bot.core.orders"}) == []


def test_no_module_is_too_long():
    """A module fits in a head: at most 400 lines."""
    lengths = {name_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_room_stands_on_a_floor():
    """Each module of bot, and each other package, is named by the floors that import-linter checks."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    floors = next(contract for contract in contracts if contract["id"] == "floors")["layers"]
    named = {room.strip("() ") for floor in floors for room in floor.split("|")}
    rooms = {".".join(name_of(file).split(".")[:2]) for file in sources() if name_of(file).startswith("bot.")}
    assert rooms - {"bot.__main__"} <= named
    assert {"strategies", "models", "backtests"} <= named


def test_every_package_has_its_file():
    """A folder with modules is a regular package: a namespace would leave its data files unfound."""
    folders = {file.parent for file in sources()}
    assert [
        str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").exists()
    ] == []
