"""``bot logs``: the daemon's log, filtered, over rotated files or out of systemd's journal, and as it comes."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bot.cli.log_filter import LineFilter, chosen_level, moment_of, shown_line
from bot.cli.log_sources import Journald, LogFiles
from bot.cli.model_status import is_unproven
from bot.cli.watch import DEFAULT_STATE_DIR, StateDir

LOG_FILE: Final = Path("logs") / "bot.jsonl"
UNIT: Final = "bot"
USUAL_LIMIT: Final = 50
"""Lines that are shown where neither a number nor a beginning is asked for."""


def logs(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new lines.")] = False,
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event", help="Only this event: a name, the beginning of one, or a pattern such as '*.failed'."
        ),
    ] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    decision: Annotated[
        str | None,
        typer.Option(
            "--decision", metavar="ID", help="Only lines of this decision, and of the orders that it made."
        ),
    ] = None,
    level: Annotated[
        str | None, typer.Option("--level", help="Only this level and above: debug, info, warning, error.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only from then on: 10m, 2h, 1d (ago), or a time, UTC."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only before then, likewise.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "--lines",
            "-n",
            min=0,
            help="How many of the newest lines; 50, or with --since all of them.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="The log's file, where logs.file in the settings names another."),
    ] = None,
    journald: Annotated[
        bool, typer.Option("--journald", help="Read systemd's journal instead of the file.")
    ] = False,
    unit: Annotated[str, typer.Option("--unit", help="With --journald: the name of the service.")] = UNIT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as JSON, one a line.")] = False,
) -> None:
    """Show the log of the bot, filtered; rotated files are read in order, and --follow goes on over a rotation.

    Example: bot logs --follow --event 'order.*' --event trade.
    """
    from bot.clock import wall_ms

    now_ms = wall_ms()
    wanted = LineFilter(
        tuple(event or ()),
        symbol,
        decision,
        chosen_level(level),
        moment_of("--since", since, now_ms),
        moment_of("--until", until, now_ms),
    )
    most = limit if limit is not None else None if since is not None else USUAL_LIMIT
    if journald:
        source = Journald(unit)
        rows = source.rows(wanted.since_ms, wanted.until_ms)
        _show(_newest(rows, wanted, most), as_json=as_json)
        later: Iterator[dict[str, Any]] = source.follow()
        if follow:
            _print_as_they_come(later, wanted, as_json=as_json)
        return
    with LogFiles(file or state_dir / LOG_FILE) as files:
        _show(_of_files(files, wanted, most), as_json=as_json)
        if follow:
            _print_as_they_come(map(row_of, files.follow()), wanted, as_json=as_json)


class _Kept:
    """The lines that are wanted, and the newest whole line of all."""

    def __init__(self, most: int | None) -> None:
        self.rows: deque[dict[str, Any]] = deque(maxlen=most)
        self.newest: Mapping[str, Any] = {}

    def add(self, rows: Iterable[dict[str, Any]], wanted: LineFilter) -> None:
        """Take the next lines, in order."""
        for row in rows:
            if "run_id" in row:
                self.newest = row
            if wanted.takes(row):
                self.rows.append(row)


def _newest(rows: Iterable[dict[str, Any]], wanted: LineFilter, most: int | None) -> _Kept:
    kept = _Kept(most)
    kept.add(rows, wanted)
    return kept


def _of_files(files: LogFiles, wanted: LineFilter, most: int | None) -> _Kept:
    """The wanted lines, oldest first; older files are only read where the newer ones have too few."""
    if most is None or wanted.decision is not None:
        kept = _Kept(most)
        for number in reversed(range(files.count)):
            kept.add(map(row_of, files.lines(number)), wanted)
        return kept
    kept = _Kept(most)
    for number in range(files.count):
        older = _Kept(most - len(kept.rows))
        older.add(map(row_of, files.lines(number)), wanted)
        kept.rows.extendleft(reversed(older.rows))
        kept.newest = kept.newest or older.newest
        if len(kept.rows) >= most:
            break
    return kept


def row_of(line: bytes) -> dict[str, Any]:
    """A line's fields; one that is no JSON object (a library wrote it, or a crash cut it) is its own event's name."""
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    return row if isinstance(row, dict) else {"event": line.decode(errors="replace").strip()}


def _show(kept: _Kept, *, as_json: bool) -> None:
    if not as_json and is_unproven([kept.newest]):
        typer.echo("UNPROVEN: the gate has not promoted the model that trades.")
    for row in kept.rows:
        _print_line(row, as_json=as_json)


def _print_as_they_come(rows: Iterable[dict[str, Any]], wanted: LineFilter, *, as_json: bool) -> None:
    for row in rows:
        if wanted.takes(row):
            _print_line(row, as_json=as_json)
            sys.stdout.flush()


def _print_line(row: Mapping[str, Any], *, as_json: bool) -> None:
    sys.stdout.write(f"{json.dumps(row) if as_json else shown_line(row)}\n")
