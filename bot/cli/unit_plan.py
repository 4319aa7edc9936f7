"""What the units of a machine say: which program, whose user, which folders, and what a sandbox must leave open for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Final

from bot.cli.unit_files import SYSTEM_ONLY, command_line, lone_path, quoted, rendered, signed

SIM_PORT: Final = 8443
SERVED: Final = ("bot", "dashboard", "retrainer", "sim")
_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - asked whether a path lies there
_STATES: Final = Path("/var/lib")


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """What one machine's units are made of; every path is absolute.

    Attributes:
        python: The interpreter that the program is installed for.
        needed: Folders that it reads beside: its libraries, the program itself.
        state_dir: Of the daemon.
        working_dir: Where the daemon stands: a user's own strategy is looked for there.
        config: Settings files.
        words: Of ``bot run``, after all others.
        run_as: The services' user; None in a user's own manager.
        others: Which services beside the daemon's.
    """

    python: Path
    needed: tuple[Path, ...]
    state_dir: Path
    working_dir: Path
    config: tuple[Path, ...]
    words: tuple[str, ...]
    run_as: str | None
    others: frozenset[str]

    @property
    def sim_dir(self) -> Path:
        """The state folder of the simulated exchange, beside that of the daemon."""
        return self.state_dir.with_name(f"{self.state_dir.name}-sim")

    def units(self) -> dict[str, str]:
        """The text of each unit, by the name of its file."""
        chosen = [name for name in SERVED if name == "bot" or name in self.others]
        return {_file_name(name): signed(self._unit(name)) for name in chosen}

    def cautions(self) -> list[str]:
        """What a person should know of where things lie."""
        told = []
        paths = [*self._read(), self.state_dir]
        if self.run_as is not None and any(_within(path, _TEMPORARY) for path in paths):
            told.append(
                "something lies in a folder for temporary files: the services see the machine's own, and it is emptied at boot"
            )
        shut = [folder for folder in _shut_folders(self._read()) if self.run_as not in {None, "root"}]
        if shut:
            told.append(f"the user {self.run_as} may not be able to enter {', '.join(map(str, shut))}")
        return told

    def _read(self) -> list[Path]:
        return [self.python.parent, *self.needed, *self.config, self.working_dir]

    def _unit(self, name: str) -> str:
        template = package_files("config").joinpath("systemd", _file_name(name)).read_text(encoding="utf-8")
        state_dir = self.sim_dir if name == "sim" else self.state_dir
        stands = self.working_dir if name == "bot" else state_dir
        changes: dict[str, Sequence[str]] = {
            "ExecStart": [command_line(str(self.python), ["-P", "-m", "bot", *self._words(name)])],
            "WorkingDirectory": [lone_path(stands)],
            **self._sandbox(state_dir),
        }
        if name in {"bot", "retrainer"}:
            changes["Environment"] = [quoted(f"BOT_STATE_DIR={self.state_dir}")]
        if name == "bot" and "sim" in self.others:
            changes["Environment"] = [*changes["Environment"], *map(quoted, self._on_simulator())]
        if self.run_as is None:
            changes |= dict.fromkeys(SYSTEM_ONLY, ()) | {"WantedBy": ["default.target"], "Wants": []}
            changes["After"] = ["bot.service"] if name in {"dashboard", "retrainer"} else []
        text = rendered(template, changes)
        if name == "bot" and "sim" in self.others:
            text = text.replace(
                "[Unit]\n", "[Unit]\nWants=bot-sim.service\nAfter=bot-sim.service\nPartOf=bot-sim.service\n"
            )
        return text

    def _words(self, name: str) -> list[str]:
        files = [word for file in self.config for word in ("--config", str(file))]
        return {
            "bot": ["run", *files, *self.words],
            "retrainer": ["retrainer", *files],
            "dashboard": ["dashboard", *files, "--state-dir", str(self.state_dir)],
            "sim": [
                *("sim", "--state-dir", str(self.sim_dir), "--port", str(SIM_PORT)),
                *("--speed", "1", "--go-on-without-clients", "--resume"),
            ],
        }[name]

    def _on_simulator(self) -> list[str]:
        """The settings of a daemon that trades on the simulated exchange."""
        return [
            f"BOT__EXCHANGE__CONNECT_TO=127.0.0.1:{SIM_PORT}",
            f"BOT__EXCHANGE__CA_FILE={self.sim_dir / 'sim' / 'ca.pem'}",
            "BOT__EXCHANGE__SIMULATED=true",
            "BOT__EXCHANGE__CLOCK=market",
        ]

    def _sandbox(self, state_dir: Path) -> dict[str, Sequence[str]]:
        """Who it is, what it may write, and which doors of the sandbox must stay open for what it reads."""
        if self.run_as is None:
            return {"StateDirectory": [], "StateDirectoryMode": []}
        # Without Group= it is the user's own.
        changes: dict[str, Sequence[str]] = {"User": [self.run_as], "Group": []}
        writes = [quoted(str(state_dir))]
        if state_dir.parent == _STATES and quoted(state_dir.name) == state_dir.name:
            changes["StateDirectory"] = [state_dir.name]
        else:
            changes |= {"StateDirectory": [], "StateDirectoryMode": [], "ReadWritePaths": writes}
        touched = [*self._read(), state_dir]
        if any(_within(path, _HOMES) for path in touched):
            changes["ProtectHome"] = ["read-only"]
        if any(_within(path, _TEMPORARY) for path in touched):
            changes["PrivateTmp"] = ["no"]
        return changes


def _file_name(name: str) -> str:
    return "bot.service" if name == "bot" else f"bot-{name}.service"


def _within(path: Path, folders: Sequence[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _shut_folders(paths: Sequence[Path]) -> list[Path]:
    """Folders on the way to these paths that others than their owner can't enter."""
    found: dict[Path, None] = {}
    for path in paths:
        for folder in reversed(path.parents):
            try:
                shut = not folder.stat().st_mode & 0o001
            except OSError:
                continue  # whoever starts the service will be told
            if shut:
                found[folder] = None
    return list(found)
