"""``bot install-service``: the units of systemd for this machine."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from bot.cli.unit_plan import UnitPlan

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
SYSTEM_STATE: Final = Path("/var/lib/bot")
SERVICE_USER: Final = "bot"


def install_service(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[-- WORDS OF bot run]...", help="Added to `bot run`.")
    ] = None,
    user: Annotated[
        bool, typer.Option("--user", help="For your own manager, without root; less of a sandbox.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the units; write nothing.")] = False,
    unit_dir: Annotated[
        Path | None, typer.Option("--unit-dir", help="Where units lie, if not where systemd looks.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Of the daemon; /var/lib/bot, or ~/.local/state/bot.")
    ] = None,
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings of the daemon; repeat it.")
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="SERVICE", help="dashboard, retrainer or sim beside it; repeat it."),
    ] = None,
    run_as: Annotated[
        str | None,
        typer.Option("--run-as", metavar="NAME", help="The services' user; bot where there is one."),
    ] = None,
    working_dir: Annotated[
        Path | None,
        typer.Option("--working-dir", help="Where your own strategy lies; else the state folder."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a unit that was changed by hand.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the systemd units of this machine: this interpreter, these settings, a sandbox that fits; and say what comes next.

    Nothing is started. A unit that was changed by hand is left alone; changes belong into `systemctl edit`.

    Example: bot install-service --dry-run

    Example: bot install-service --user --state-dir var/demo --with dashboard -- --unproven
    """
    plan = make_plan(
        config or [],
        words or [],
        user=user,
        state_dir=state_dir,
        beside=beside or [],
        run_as=run_as,
        working_dir=working_dir,
    )
    folder = (unit_dir or (_user_units() if user else SYSTEM_UNITS)).absolute()
    units = plan.units()
    if not dry_run:
        outcomes = write_units(folder, units, force=force)
        if user:
            _make_folders(plan)
    else:
        outcomes = dict.fromkeys(units, "not written")
    steps, cautions = next_steps(plan, list(units)), plan.cautions()
    if as_json:
        rows: list[dict[str, Any]] = [
            {"name": name, "path": str(folder / name), "outcome": outcomes[name]}
            | ({"text": text} if dry_run else {})
            for name, text in units.items()
        ]
        typer.echo(json.dumps({"units": rows, "cautions": cautions, "next": steps}, indent=2))
        return
    for name, text in units.items():
        typer.echo(f"# {folder / name}\n{text}" if dry_run else f"{outcomes[name]}: {folder / name}")
    for caution in cautions:
        typer.echo(f"mind: {caution}", err=True)
    typer.echo("next:" if not dry_run else "# next:", err=dry_run)
    for step in steps:
        typer.echo(f"  {step}", err=dry_run)


def make_plan(
    config: list[Path],
    words: list[str],
    *,
    user: bool,
    state_dir: Path | None,
    beside: list[str],
    run_as: str | None,
    working_dir: Path | None,
) -> UnitPlan:
    """What the units say.

    Raises:
        UsageError: Words that ``bot run`` does not take, an unknown service, or a user for a user's own manager.
        ConfigError: The settings are wrong, or a path cannot be said in a unit.
    """
    from bot.cli.unit_plan import SERVED, UnitPlan
    from bot.errors import ConfigError, UsageError
    from bot.settings import load_settings

    if unknown := [name for name in beside if name not in SERVED[1:]]:
        raise UsageError(f"--with {unknown[0]}: choose of {', '.join(SERVED[1:])}")
    if user and run_as is not None:
        raise UsageError("--run-as belongs to a system service; a user's own manager runs as you")
    _check_words(words)
    files = tuple(file.expanduser().absolute() for file in config)
    load_settings(files)  # now, and not when the service is started
    states = _user_state() if user else SYSTEM_STATE
    folder = (states if state_dir is None else state_dir.expanduser()).absolute()
    if not user and run_as is None:
        run_as = _service_user()
    if run_as == "root":
        raise ConfigError("--run-as root: the bot needs no such rights; make a user for it")
    import bot

    return UnitPlan(
        python=Path(os.path.abspath(sys.executable)),  # noqa: PTH100 - a link of a virtual environment stays one
        needed=(Path(sys.prefix), Path(sys.base_prefix), Path(bot.__file__).absolute().parents[1]),
        state_dir=folder,
        working_dir=folder if working_dir is None else working_dir.expanduser().absolute(),
        config=files,
        words=tuple(words),
        run_as=None if user else run_as,
        others=frozenset(beside),
    )


def _check_words(words: list[str]) -> None:
    """Refuse what ``bot run`` would refuse, and what this command says itself."""
    from bot.cli import load_command
    from bot.errors import UsageError

    for word in words:
        if word.partition("=")[0] in {"--config", "--state-dir"}:
            raise UsageError(f"{word}: say it before the --, it is needed for the sandbox too")
    load_command("run").make_context("bot run", list(words))


def write_units(folder: Path, units: dict[str, str], *, force: bool) -> dict[str, str]:
    """Write every unit or none; gives what became of each.

    Raises:
        ConfigError: A unit was changed by hand, or the folder cannot be written.
    """
    from bot.cli.unit_files import is_as_written
    from bot.errors import ConfigError

    outcomes = {}
    try:
        for name, text in units.items():
            file = folder / name
            there = file.read_text(encoding="utf-8", errors="replace") if file.exists() else None
            if there is not None and not is_as_written(there) and not force:
                raise ConfigError(
                    f"{file} was changed by hand: move your lines to `systemctl edit {name}`, or say --force"
                )
            outcomes[name] = "written" if there is None else "unchanged" if there == text else "replaced"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in units.items():
            if outcomes[name] != "unchanged":
                _replace(folder / name, text)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}): say sudo, or --user for a service of your own"
        ) from error
    return outcomes


def _replace(file: Path, text: str) -> None:
    """The whole file at once, readable by all: a unit holds no secret."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(file)


def _make_folders(plan: UnitPlan) -> None:
    """A user's own manager makes none."""
    for folder in [plan.state_dir, *([plan.sim_dir] if "sim" in plan.others else [])]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def next_steps(plan: UnitPlan, names: list[str]) -> list[str]:
    """What a person types next, line by line."""
    own = plan.run_as is None
    control = "systemctl --user" if own else "sudo systemctl"
    steps = []
    if plan.run_as is not None and not _is_user(plan.run_as):
        steps.append(
            f"sudo useradd --system --user-group --home-dir {shlex.quote(str(plan.state_dir))} --shell /usr/sbin/nologin {plan.run_as}"
        )
    if plan.run_as is not None and plan.state_dir.parent != SYSTEM_STATE.parent:
        folders = [plan.state_dir, *([plan.sim_dir] if "sim" in plan.others else [])]
        told = " ".join(shlex.quote(str(folder)) for folder in folders)
        steps.append(f"sudo install -d -m 700 -o {plan.run_as} {told}")
    steps += [f"{control} daemon-reload", f"{control} enable --now {' '.join(sorted(names))}"]
    if own:
        steps.append("loginctl enable-linger    # it goes on when you log out")
    steps.append(f"{control.removeprefix('sudo ')} status bot.service")
    steps.append(f"journalctl {'--user ' if own else ''}-u bot.service -f")
    return steps


def _service_user() -> str:
    """The user named bot where there is one, else whoever asks; never root."""
    caller = os.environ.get("SUDO_USER") or pwd.getpwuid(os.geteuid()).pw_name
    return SERVICE_USER if _is_user(SERVICE_USER) or caller == "root" else caller


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _user_units() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _user_state() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bot"
