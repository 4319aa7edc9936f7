"""``bot backup`` and ``bot restore``: a state folder as one file, while its daemon runs, and back again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.watch import DEFAULT_STATE_DIR, StateDir

if TYPE_CHECKING:
    from bot.daemon.backup import Backup

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")]
PROJECT = "lstm-scalping-bot"


def backup(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.tar.gz|DIR",
            help="The file to make, or a folder for it (default: STATE_DIR/backups).",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Of this bot's backups in that folder keep so many, the newest."),
    ] = None,
    models_root: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Folder of models (default: STATE_DIR/models)."),
    ] = None,
    candles: Annotated[
        bool, typer.Option("--candles", help="Downloaded candles too; they can be fetched anew.")
    ] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Log files too.")] = False,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Tokens too; they are made anew where they are missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup of a state folder while the bot runs: journal, models, replays, consent; one file, whole or not there.

    Keys of an exchange are never in it: they do not lie in the state folder. Without --with-secrets no token is either.

    Example: bot backup --state-dir var --out /mnt/backups --keep 7
    """
    from bot.cli.data_tables import print_json
    from bot.clock import monotonic_ns
    from bot.daemon.backup import back_up, thin_out
    from bot.daemon.backup_parts import Choice
    from bot.errors import UsageError

    began_ns = monotonic_ns()
    run_id = _run_id(state_dir)
    target, folder = _target(state_dir, out, run_id)
    if keep is not None and folder is None:
        raise UsageError("--keep needs a folder of backups: give one with --out, or leave --out away")
    with _progress(shown=not as_json) as progress:
        choice = Choice(with_secrets, candles, logs)
        made = back_up(state_dir, models_root or state_dir / "models", target, choice, _tools(progress))
    removed = thin_out(folder, run_id, keep) if keep is not None and folder is not None else ()
    row = _told(made, [str(path) for path in removed], round((monotonic_ns() - began_ns) / 1e9, 2))
    if as_json:
        print_json(row)
        return
    typer.echo(
        f"{row['path']}: {row['files']:,} files, {row['bytes'] / 1e6:,.1f} MB, journal up to {row['newest'] or 'no minute yet'}, "
        f"{row['seconds']:g} s"
    )
    if row["left_out"]:
        typer.echo(f"not in it: {', '.join(row['left_out'])}")
    if removed:
        typer.echo(f"removed: {', '.join(path.name for path in removed)}")


def restore(
    source: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="A file that `bot backup` made, or a folder of them.")
    ],
    state_dir: Annotated[
        Path, typer.Option("--state-dir", metavar="NEW", help="The folder to make; best a new one.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Move what is there into NEW/replaced-...; nothing is deleted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a state folder of a backup: every file is checked first, and no daemon may be running on the folder.

    Afterwards `bot run --state-dir NEW` goes on. The bot that the backup is of must not run any more: two on one account find
    each other's orders, and both halt.

    Example: bot restore /mnt/backups --state-dir var-restored
    """
    from bot.candles.columns import iso_utc
    from bot.cli.data_tables import print_json
    from bot.clock import utc_now
    from bot.daemon.restore import backup_at
    from bot.daemon.restore import restore as put_back

    file = backup_at(source)
    with _progress(shown=not as_json) as progress:
        stamp = f"{utc_now():%Y%m%dT%H%M%S}"
        done = put_back(file, state_dir, force=force, stamp=stamp, progress=progress)
    manifest = done.manifest
    row = {
        "backup": str(file),
        "state_dir": str(state_dir),
        "run_id": manifest.run_id,
        "version": manifest.version,
        "schema": manifest.schema,
        "made": iso_utc(manifest.made_ms),
        "newest": None if manifest.newest_ms is None else iso_utc(manifest.newest_ms),
        "files": len(manifest.files),
        "bytes": manifest.total_bytes,
        "replaced": None if done.replaced is None else str(done.replaced),
    }
    if as_json:
        print_json(row)
        return
    typer.echo(
        f"{state_dir}: {row['files']:,} files of {file.name}, journal up to {row['newest'] or 'no minute yet'}; every file is "
        "as the manifest says"
    )
    if done.replaced is not None:
        typer.echo(f"what was there lies in {done.replaced}")
    typer.echo(f"go on with: bot run --state-dir {state_dir}, and the settings of before")


def _run_id(state_dir: Path) -> str | None:
    """Of the daemon whose folder it is."""
    from bot.journal.reader import JournalReader

    reader = JournalReader(state_dir / "journal.sqlite")
    try:
        return reader.meta().get("run_id")
    finally:
        reader.close()


def _target(state_dir: Path, out: Path | None, run_id: str | None) -> tuple[Path, Path | None]:
    """The file to make, and the folder of backups that it is made in; None where the file was named."""
    from bot.cli.out_folder import refuse_unwritable
    from bot.clock import wall_ms
    from bot.daemon.backup import SUFFIX, default_name
    from bot.errors import UsageError

    if out is not None and out.name.endswith(SUFFIX) and not out.is_dir():
        refuse_unwritable(out.parent)
        return out.absolute(), None
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: write a folder, or a file that ends in {SUFFIX}")
    folder = (state_dir / "backups" if out is None else out).absolute()
    refuse_unwritable(folder)
    return folder / default_name(run_id, wall_ms()), folder


def _tools(progress: Callable[[str, int, int], None]) -> Any:
    from importlib.metadata import version
    from time import sleep

    from bot.clock import wall_ms
    from bot.daemon.backup import Tools

    return Tools(sleep, progress, wall_ms(), version(PROJECT))


def _told(made: Backup, removed: list[str], seconds: float) -> dict[str, Any]:
    from bot.candles.columns import iso_utc

    manifest = made.manifest
    return {
        "path": str(made.path),
        "bytes": made.size_bytes,
        "files": len(manifest.files),
        "unpacked_bytes": manifest.total_bytes,
        "run_id": manifest.run_id,
        "version": manifest.version,
        "schema": manifest.schema,
        "newest": None if manifest.newest_ms is None else iso_utc(manifest.newest_ms),
        "left_out": list(manifest.left_out),
        "removed": removed,
        "seconds": seconds,
    }


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal; nothing elsewhere."""
    if not shown or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=max(total, 1)
        )
