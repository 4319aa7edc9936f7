"""The command line: a table of commands, each imported only when it is called, and errors in one sentence.

Nothing heavy may be imported here: ``bot --help`` reads the table and no more.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from bot.errors import BotError, StorageError
from bot.redaction import redacted

PROGRAM: Final = "bot"
INTERRUPTED: Final = 130
_DISK_FAULTS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class CommandEntry(NamedTuple):
    """Where a command is: the attribute of a module, a function or a group of commands; and its line of help."""

    module: str
    attribute: str
    line: str


COMMANDS: Final = {
    "run": CommandEntry("bot.cli.run", "run", "The daemon: trade on paper, or live."),
    "doctor": CommandEntry(
        "bot.cli.doctor", "doctor", "Is everything there that trading needs, live trading too?"
    ),
    "demo": CommandEntry("bot.cli.demo", "demo", "Watch it trade a simulated market or a recorded tape."),
    "dashboard": CommandEntry("bot.cli.dashboard", "dashboard", "Pages that show the bot at work."),
    "status": CommandEntry("bot.cli.watch", "status", "Account, positions and state of the daemon."),
    "logs": CommandEntry("bot.cli.logs", "logs", "What happened, event by event."),
    "explain": CommandEntry(
        "bot.cli.explain", "explain", "One decision, from its candles to what came of it."
    ),
    "trades": CommandEntry("bot.cli.watch", "trades", "Round trips, newest first."),
    "pause": CommandEntry("bot.cli.control", "pause", "Tell a running bot to open no new positions."),
    "resume": CommandEntry("bot.cli.control", "resume", "Tell it to take on risk again."),
    "halt": CommandEntry("bot.cli.control", "halt", "Tell it to stop until somebody resumes."),
    "flatten": CommandEntry("bot.cli.control", "flatten", "Tell it to close every position now."),
    "healthcheck": CommandEntry("bot.cli.control", "healthcheck", "Does a running bot get on?"),
    "notify": CommandEntry("bot.cli.notify", "app", "Send a test message to whom the bot tells."),
    "report": CommandEntry("bot.cli.report", "report", "A run with the pages of a backtest, and against it."),
    "shadow-replay": CommandEntry(
        "bot.cli.shadow_replay", "shadow_replay", "Decide a recorded day again and compare."
    ),
    "backup": CommandEntry("bot.cli.backup", "backup", "The state folder as one file, while the bot runs."),
    "restore": CommandEntry("bot.cli.backup", "restore", "A state folder out of a backup."),
    "backtest": CommandEntry("bot.cli.backtest", "backtest", "Run the strategy over stored candles."),
    "verify-parity": CommandEntry(
        "bot.cli.verify_parity", "verify_parity", "Prove that every driver decides the same on a tape."
    ),
    "compare": CommandEntry("bot.cli.compare", "compare", "Models beside baselines on the same candles."),
    "sweep": CommandEntry(
        "bot.cli.sweep", "sweep", "Many parameters: chosen in sample, scored out of sample."
    ),
    "train": CommandEntry("bot.cli.train", "train", "Train a model by a recipe."),
    "retrain": CommandEntry("bot.cli.retrain", "retrain", "Train a new model and let the gate judge it."),
    "retrainer": CommandEntry(
        "bot.cli.retrainer", "retrainer", "Retrain by the schedule, in a process of its own."
    ),
    "evaluate": CommandEntry("bot.cli.train", "evaluate", "Measure a model's forecasts beside baselines."),
    "predict": CommandEntry("bot.cli.train", "predict", "Write a model's predictions to a file."),
    "evidence": CommandEntry(
        "bot.cli.evidence", "evidence", "What can be foretold of some markets, and what cannot."
    ),
    "models": CommandEntry("bot.cli.models", "app", "List, show, verify, promote and export models."),
    "audit": CommandEntry("bot.cli.audit", "app", "Does the pipeline cheat, and would it know an edge?"),
    "data": CommandEntry("bot.cli.data", "app", "Download, import, check and list candles."),
    "sim": CommandEntry("bot.cli.sim", "sim", "The simulated exchange by itself."),
    "install-service": CommandEntry(
        "bot.cli.install_service", "install_service", "The systemd units of this machine."
    ),
    "config": CommandEntry("bot.cli.config", "app", "Show and check settings."),
}
"""Every command of the program, in the order in which help lists them."""


def load_command(name: str) -> Any:
    """Import a command of the table and make a typer command of it."""
    entry = COMMANDS[name]
    target = getattr(importlib.import_module(entry.module), entry.attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False)
        target.command(name)(function)
    command = typer.main.get_command(target)
    command.name = name
    _without_rich(command)
    return command


def _without_rich(command: Any) -> None:
    """Plain help: importing rich's costs 0.3 s, and it would read brackets in a text as markup."""
    command.rich_markup_mode = None
    for below in getattr(command, "commands", {}).values():
        _without_rich(below)


class LazyCommands(TyperGroup):
    """The root group: it lists the table, and imports the one command that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=entry.line, rich_markup_mode=None)
            for name, entry in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Put the real command in the place of its line in the table."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else load_command(name), rest


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{PROGRAM} {version('lstm-scalping-bot')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Candles in, decisions out, the same way everywhere: an LSTM scalping bot.

    Example: bot demo --speed 60
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; every failure ends in one sentence on stderr.

    Args:
        arguments: The words after ``bot``; those of the process where it is None.

    Returns:
        The exit code (``bot.errors`` has the table; 130 when interrupted).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "" not in sys.path:
        sys.path.append("")  # a user's own strategy lies where they stand; ours come first
    as_json = "--json" in words
    try:
        code = _invoke(words)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except BotError as error:
        return _failed(str(error), error.exit_code, as_json=as_json)
    except typer.TyperException as error:
        return _misused(error, as_json=as_json)
    except typer.Abort:
        return _failed("aborted", 1, as_json=as_json)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost edge: nothing is swallowed, all of it is printed
        return _unexpected(error, as_json=as_json)
    return code


def _invoke(words: list[str]) -> int:
    """Run the command; a result that is no exit code of typer's is success."""
    command = typer.main.get_command(app)
    # A command that writes down how it was called finds the words in its context.
    result = command.main(args=words, prog_name=PROGRAM, standalone_mode=False, obj=tuple(words))
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _failed(sentence: str, code: int, *, as_json: bool) -> int:
    """Say what failed, on stderr, and as JSON on stdout for a program that reads it."""
    one_line = " ".join(redacted(sentence).split()) or "failed without a reason"
    try:
        if as_json:
            sys.stdout.write(json.dumps({"error": one_line, "exit_code": code}) + "\n")
            sys.stdout.flush()
        sys.stderr.write(f"error: {one_line}\n")
    except BrokenPipeError:
        _reader_gone()
    return code


def _misused(error: typer.TyperException, *, as_json: bool) -> int:
    """Wrong words: the usage line of the command, then the sentence; no words at all: the whole help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # its class is private to typer
        sys.stderr.write(f"{error.format_message()}\n")
        return error.exit_code
    if context is not None:
        sys.stderr.write(f"{context.get_usage()}\nTry '{context.command_path} --help'.\n")
    return _failed(error.format_message(), error.exit_code, as_json=as_json)


def _unexpected(error: Exception, *, as_json: bool) -> int:
    """A disk that is full is a sentence; anything else is a bug of ours and shows where it is."""
    if isinstance(error, OSError) and error.errno in _DISK_FAULTS:
        place = f"{error.filename}: " if error.filename else ""
        refusal = StorageError(
            f"{place}the disk refused a write: {error.strerror}; what was stored is as it was"
        )
        return _failed(str(refusal), refusal.exit_code, as_json=as_json)
    sys.stderr.write(redacted("".join(traceback.format_exception(error))))
    sentence = f"{type(error).__name__}: {error} - this is a bug of the program; the lines above tell where"
    return _failed(sentence, BotError.exit_code, as_json=as_json)


def _reader_gone() -> int:
    """Whoever read our output has closed it (``bot trades | head``): end without a word."""
    # The interpreter flushes stdout once more when it ends; that must not fail either.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
