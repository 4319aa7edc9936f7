"""docs/events.md names the fields of every event: those of the code, and those of a daemon that runs."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot import logs
from bot.core.market import MINUTE_MS, Candle
from bot.logs import get_logger
from bot.ports import CandleRevised, FeedNotice
from tests.bot.test_log_taps import Config
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS, Daemon, random_market, random_predictions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "events.md"
ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]*) \| (.*) \|$", re.MULTILINE)
WORD = re.compile(r"`([a-z][a-z0-9_]*)`")
EVERY_LINE = {
    "ts",
    "level",
    "event",
    "run_id",
    "mode",
    "module",
    "simulated",
    "unproven",
    "exception",
    "exc_info",
}
"""What any line may have, beside its own fields."""

ALWAYS_SAID = {"repeated_count", "repeated_seconds", "fields_left_out"}
TELLERS = {
    "debug",
    "info",
    "warning",
    "error",
    "exception",
    "tell",
    "warn",
    "note",
    "alarm",
    "_tell",
    "_notice",
}

NO_FIELDS = {"alarm": {"halt"}}
"""Keywords of tellers that are none of the line's: an alarm says whether it halts."""


def fields_of_page(text: str) -> dict[str, set[str]]:
    """The words in code of each row's last column; ``the same`` takes those of the row above along."""
    found: dict[str, set[str]] = {}
    before: set[str] = set()
    for event, _, words in ROW.findall(text):
        named = set(WORD.findall(words))
        if re.search(r"\bthe same\b", words) or "and the trade" in words:
            named |= before
        found[event] = found.get(event, set()) | named
        before = named
    return found


def fields_of_source(source: str) -> dict[str, set[str]]:
    """Fields that are written by name where an event is told by name; those that come as a mapping are not seen here."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        event = node.args[0].value
        if name in TELLERS and isinstance(event, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", event):
            words = {word.arg for word in node.keywords if word.arg is not None}
            found.setdefault(event, set()).update(words - NO_FIELDS.get(name, set()))
    return found


def undocumented(
    page: Mapping[str, set[str]], seen: Iterable[tuple[str, Iterable[str]]]
) -> dict[str, set[str]]:
    """Fields by event that the page does not name."""
    missing: dict[str, set[str]] = {}
    for event, names in seen:
        if extra := set(names) - page.get(event, set()) - EVERY_LINE:
            missing.setdefault(event, set()).update(extra)
    return missing


def test_the_page_names_every_field_that_the_code_writes_by_name() -> None:
    """Whatever keyword an event is told with stands in its row."""
    page = fields_of_page(PAGE.read_text(encoding="utf-8"))
    files = [file for file in (ROOT / "bot").rglob("*.py") if "cli" not in file.relative_to(ROOT).parts]
    seen = [item for file in files for item in fields_of_source(file.read_text(encoding="utf-8")).items()]
    assert len(seen) > 50
    assert undocumented(page, seen) == {}


async def told_by_a_daemon(folder: Path) -> list[dict[str, Any]]:
    """Lines of a daemon that traded through gaps, commands, revisions and notices, a restart included."""
    stream = io.BytesIO()
    logs.configure(Config(level="debug"), stream=stream, run_id="r1", mode="paper", simulated=True)
    candles = random_market(21, 300, missing=0.02)
    now_ms = MIDNIGHT
    for until in (150, 300):
        daemon = Daemon(folder, candles, random_predictions(21, candles), now_ms=now_ms)
        daemon.log = get_logger("bot.daemon")  # type: ignore[assignment]  # as the daemon itself has it
        await daemon.start()
        assert daemon.loop is not None
        candle = candles[0]
        daemon.loop._take(CandleRevised(candle, candle))
        daemon.loop._take(FeedNotice("feed.disconnected", {"cause": "cut", "failures": 1}))
        await daemon.run(until_ms=MIDNIGHT + until * MINUTE_MS)
        daemon.loop.act(flatten=True)
        now_ms = MIDNIGHT + until * MINUTE_MS
        late = Candle(SYMBOLS[0], MIDNIGHT, *candle[2:])
        del late
        daemon.close()
    logs.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_the_page_names_every_field_of_a_daemon_that_runs(tmp_path: Path) -> None:
    """Every event that was really written is on the page, with all of its fields."""
    page = fields_of_page(PAGE.read_text(encoding="utf-8"))
    rows = await told_by_a_daemon(tmp_path)
    kinds = {row["event"] for row in rows}
    assert {"candle.closed", "candle.missing", "prediction.made", "decision.made", "order.filled"} <= kinds
    assert {"trade.closed", "order.accepted", "candle.revised", "feed.disconnected", "order.made"} <= kinds
    assert kinds <= set(page)
    assert undocumented(page, [(row["event"], row) for row in rows]) == {}


def test_every_line_s_own_fields_are_explained_above_the_tables() -> None:
    """What any line may have, and what stands for lines that were left out."""
    head = PAGE.read_text(encoding="utf-8").split("\n## ", 1)[0]
    assert (EVERY_LINE - {"exc_info"}) | ALWAYS_SAID <= set(WORD.findall(head))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("| `a.b` | info | `x`, `y` (of `z`) |", {"a.b": {"x", "y", "z"}}),
        ("| `a.b` | info | `x` |\n| `a.c` | info | the same, and `y` |", {"a.b": {"x"}, "a.c": {"x", "y"}}),
    ],
)
def test_rows_are_read_as_they_are_meant(row: str, found: dict[str, set[str]]) -> None:
    """Names in code are fields, in brackets too; a row that says the same has those of the one above."""
    assert fields_of_page(row) == found


def test_a_field_that_is_not_on_the_page_is_found() -> None:
    """The finder sees keywords of every teller, and nothing of calls that tell no event."""
    seen = fields_of_source(
        'log.warning("a.b", x=1, **more)\nteller.warn("a.b", y=2)\nopen("a.txt", z=1)\nf("a.b", q=1)'
    )
    assert seen == {"a.b": {"x", "y"}}
    assert undocumented({"a.b": {"x"}}, seen.items()) == {"a.b": {"y"}}
