"""The units that are shipped: sound, shut, and in step with the program."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot import errors
from bot.cli import load_command
from bot.daemon.sd_notify import STEP_SECONDS, STOP_SECONDS
from bot.settings import load_settings
from bot.settings.layers import secret_fields

FOLDER = Path(__file__).resolve().parents[2] / "config" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")
EXPOSURE_TENTHS = 20

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
every_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def analyze(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of unit files; it starts nothing."""
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *words], capture_output=True, text=True, check=False, timeout=60, env=environ or None
    )


def values(unit: Path, key: str) -> list[str]:
    """All values of a key, in order."""
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def seconds(text: str) -> int:
    """A time span of one number and one unit."""
    found = re.fullmatch(r"(\d+)(min|s)", text)
    assert found is not None, text
    return int(found[1]) * {"min": 60, "s": 1}[found[2]]


def test_there_is_a_unit_for_each_process() -> None:
    """The daemon, the exchange, the pages and the retraining."""
    names = [unit.name for unit in UNITS]
    assert names == ["bot-dashboard.service", "bot-retrainer.service", "bot-sim.service", "bot.service"]


@needs_systemd
@every_unit
def test_systemd_finds_nothing_wrong(unit: Path, tmp_path: Path) -> None:
    """With the interpreter of this machine in the place of the one that the unit names, not a word is said."""
    text = unit.read_text().replace("/opt/bot/.venv/bin/python", sys.executable)
    for other in UNITS:  # those that it names in After=
        (tmp_path / other.name).write_text(
            other.read_text().replace("/opt/bot/.venv/bin/python", sys.executable)
        )
    (tmp_path / unit.name).write_text(text)
    said = analyze("verify", str(tmp_path / unit.name))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@needs_systemd
@every_unit
def test_what_a_unit_may_do_is_little(unit: Path) -> None:
    """Its exposure is 2.0 of 10 at most."""
    said = analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager", str(unit))
    assert said.returncode == 0, said.stdout[-2000:]
    found = re.search(r"exposure level for \S+: (\d+\.\d)", said.stdout)
    assert found is not None
    assert float(found[1]) * 10 <= EXPOSURE_TENTHS


@needs_systemd
def test_an_open_door_would_be_found(tmp_path: Path) -> None:
    """The two checks above can fail."""
    open_unit = tmp_path / "open.service"
    open_unit.write_text(f"[Service]\nType=notify\nExecStart={sys.executable} -c pass\nWatchdogSeconds=1\n")
    assert analyze("verify", str(open_unit)).stderr != ""
    words = ("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager", str(open_unit))
    assert analyze(*words).returncode != 0


@every_unit
def test_its_command_line_is_one_that_the_program_takes(unit: Path) -> None:
    """Command, options and their values."""
    [line] = values(unit, "ExecStart")
    head, _, rest = line.partition(" -m bot ")
    assert head == "/opt/bot/.venv/bin/python -P"
    name, *words = rest.split()
    command: Any = load_command(name)
    command.make_context(f"bot {name}", words)


@every_unit
def test_what_a_restart_does_not_mend_is_not_restarted(unit: Path) -> None:
    """Wrong words and wrong settings end it; an exchange or a disk that fails does not."""
    [told] = values(unit, "RestartPreventExitStatus")
    codes = {int(word) for word in told.split()}
    assert {errors.UsageError.exit_code, errors.ConfigError.exit_code} <= codes
    assert not {0, errors.TransientError.exit_code, errors.StorageError.exit_code} & codes
    assert values(unit, "Restart") == ["on-failure"]


@every_unit
def test_it_counts_as_started_when_it_can_be_used(unit: Path) -> None:
    """READY comes from the main process alone; the retraining, which nobody waits for, says nothing."""
    told = (values(unit, "Type"), values(unit, "NotifyAccess"))
    assert told == ((["exec"], []) if unit.name == "bot-retrainer.service" else (["notify"], ["main"]))


def test_a_daemon_that_may_not_trade_is_not_started_again() -> None:
    """A model that is refused is refused the next time too, and a halt wants a person."""
    unit = FOLDER / "bot.service"
    [told] = values(unit, "RestartPreventExitStatus")
    assert {errors.ModelError.exit_code, errors.HaltError.exit_code} <= {int(word) for word in told.split()}


def test_its_times_are_longer_than_what_they_wait_for() -> None:
    """The watchdog than what mends itself, the stop than the drain, the start than a step; a slow failure never gives up."""
    unit, settings = FOLDER / "bot.service", load_settings(environ={})
    watchdog, stop, start, pause, interval = (
        seconds(values(unit, f"{key}Sec")[0])
        for key in ("Watchdog", "TimeoutStop", "TimeoutStart", "Restart", "StartLimitInterval")
    )
    assert watchdog > settings.control.stalled_seconds
    assert watchdog > settings.exchange.stall_seconds * 2
    assert stop > STOP_SECONDS
    assert start >= STEP_SECONDS
    burst = int(values(unit, "StartLimitBurst")[0])
    assert interval / (pause + 31) < burst  # eight tries of an exchange take 31 seconds at least
    assert interval / (pause + 5) > burst  # a crash at the start


def test_every_secret_of_the_settings_can_be_handed_over() -> None:
    """A secret that is added to the settings is added to the unit; what is not there stops nothing."""
    wanted = ["_".join(path) for path in secret_fields()]
    told = dict(value.split(":") for value in values(FOLDER / "bot.service", "LoadCredential"))
    # A name and no path: systemd looks for it in its stores, and goes on where there is none.
    assert told == {name: f"bot.{name}" for name in wanted}
