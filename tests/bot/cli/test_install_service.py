"""``bot install-service``: units for this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot import cli
from bot.cli import install_service
from bot.cli.unit_files import is_as_written

ANALYZE = shutil.which("systemd-analyze")
OTHERS = ("--with", "dashboard", "--with", "retrainer", "--with", "sim")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own and an environment without settings."""
    for name in [name for name in os.environ if name.startswith("BOT_")]:
        monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def values(text: str, key: str) -> list[str]:
    """All values of a key of a unit."""
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def installed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What the command tells as JSON."""
    assert cli.main(["install-service", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def odd_config(folder: Path) -> Path:
    """Settings at a path with whatever a shell or systemd could trip over."""
    file = folder / "100% of $HOME" / 'my "own" settings.yaml'
    file.parent.mkdir(parents=True)
    file.write_text("mode: paper\n")
    return file


def test_the_units_are_of_this_machine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Interpreter, settings, folders and user are absolute; the next steps name them."""
    config = odd_config(here)
    told = installed(
        capsys,
        *("--unit-dir", str(here / "units"), "--state-dir", "/srv/bot one", "--config", str(config)),
        *("--run-as", "trader", *OTHERS, "--", "--unproven", "--set", 'strategy.parameters={"threshold": 1}'),
    )
    text = (here / "units" / "bot.service").read_text()
    [line] = values(text, "ExecStart")
    assert line.startswith(f"{sys.executable} -P -m bot run --config ")
    assert '/100%% of $$HOME/my \\"own\\" settings.yaml"' in line
    assert line.endswith('--unproven --set "strategy.parameters={\\"threshold\\": 1}"')
    assert values(text, "WorkingDirectory") == ["/srv/bot one"]
    assert values(text, "ReadWritePaths") == ['"/srv/bot one"']
    assert values(text, "StateDirectory") == []
    assert (values(text, "User"), values(text, "Group")) == (["trader"], [])
    assert sorted(file.name for file in (here / "units").iterdir()) == [
        "bot-dashboard.service",
        "bot-retrainer.service",
        "bot-sim.service",
        "bot.service",
    ]
    steps = told["next"]
    assert any("useradd" in step and "trader" in step for step in steps)
    assert "sudo install -d -m 700 -o trader '/srv/bot one' '/srv/bot one-sim'" in steps
    assert steps[-3].startswith("sudo systemctl enable --now bot-dashboard.service")


def test_a_state_folder_where_systemd_keeps_them_is_made_by_systemd(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """/var/lib/NAME needs no folder made by hand."""
    told = installed(capsys, "--unit-dir", str(here), "--run-as", "root-of-nothing")
    text = (here / "bot.service").read_text()
    assert (values(text, "StateDirectory"), values(text, "ReadWritePaths")) == (["bot"], [])
    assert values(text, "Environment") == ["BOT_STATE_DIR=/var/lib/bot"]
    assert not any("install -d" in step for step in told["next"])


def test_homes_are_shut_unless_something_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox opens what the program needs, to be read, and nothing else."""
    from bot.cli.unit_plan import UnitPlan

    def doors(python: str, state: str) -> tuple[list[str], list[str]]:
        plan = UnitPlan(Path(python), (), Path(state), Path(state), (), (), run_as="bot", others=frozenset())
        text = plan.units()["bot.service"]
        return values(text, "ProtectHome"), values(text, "PrivateTmp")

    assert doors("/opt/bot/python", "/var/lib/bot") == (["yes"], ["yes"])
    assert doors("/home/ann/bot/python", "/var/lib/bot") == (["read-only"], ["yes"])
    assert doors("/opt/bot/python", "/root/state") == (["read-only"], ["yes"])
    assert doors("/homes/python", "/tmp/state") == (["yes"], ["no"])


def test_ones_own_manager_gets_what_it_can_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No user, no keys of the machine's stores, no target that it lacks; the state folder is made, for its owner alone."""
    installed(capsys, "--user", *OTHERS)
    units = here / "home" / ".config" / "systemd" / "user"
    state = here / "home" / ".local" / "state" / "bot"
    text = (units / "bot.service").read_text()
    for key in ("User", "LoadCredential", "ProtectSystem", "StateDirectory", "CapabilityBoundingSet"):
        assert values(text, key) == []
    assert values(text, "WantedBy") == ["default.target"]
    assert "network-online" not in text
    assert values(text, "NoNewPrivileges") == ["yes"]
    assert f"BOT_STATE_DIR={state}" in values(text, "Environment")
    assert (state.stat().st_mode & 0o777, state.with_name("bot-sim").is_dir()) == (0o700, True)


def test_the_daemon_finds_the_simulated_exchange(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its settings are those of the exchange beside it, and a restart of that one restarts it: the certificate is new."""
    installed(capsys, "--unit-dir", str(here), "--with", "sim", "--run-as", "x")
    text, sim = (here / "bot.service").read_text(), (here / "bot-sim.service").read_text()
    assert "BOT__EXCHANGE__CONNECT_TO=127.0.0.1:8443" in values(text, "Environment")
    assert "BOT__EXCHANGE__CA_FILE=/var/lib/bot-sim/sim/ca.pem" in values(text, "Environment")
    assert "--port 8443" in values(sim, "ExecStart")[0]
    assert "--state-dir /var/lib/bot-sim" in values(sim, "ExecStart")[0]
    assert "bot-sim.service" in values(text, "PartOf")


def test_a_dry_run_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the whole units, and what would be typed next goes to the other stream."""
    folder = here / "units"
    assert cli.main(["install-service", "--unit-dir", str(folder), "--dry-run", "--user"]) == 0
    said = capsys.readouterr()
    assert not folder.exists()
    assert not (here / "home").exists()
    assert "[Service]" in said.out
    assert "systemctl --user daemon-reload" in said.err


def test_a_unit_that_was_changed_by_hand_is_left_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused with what to do, none of the others is written either; --force overwrites; our own text is replaced without a word."""
    words = ["install-service", "--unit-dir", str(here / "units"), "--run-as", "x"]
    file = here / "units" / "bot.service"
    assert cli.main(words) == 0
    assert cli.main(words) == 0
    assert "unchanged: " in capsys.readouterr().out
    assert cli.main([*words, "--", "--unproven"]) == 0
    assert "replaced: " in capsys.readouterr().out
    changed = file.read_text() + "Nice=5\n"
    file.write_text(changed)
    assert cli.main([*words, *OTHERS]) == 4
    assert "systemctl edit bot.service" in capsys.readouterr().err
    assert file.read_text() == changed
    assert [one.name for one in (here / "units").iterdir()] == ["bot.service"]
    assert cli.main([*words, "--force"]) == 0
    assert is_as_written(file.read_text())


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--with", "moon"], 2, "--with moon: choose of dashboard, retrainer, sim"),
        (["--user", "--run-as", "ann"], 2, "--run-as belongs to a system service"),
        (["--run-as", "root"], 4, "the bot needs no such rights"),
        (["--config", "/nowhere.yaml"], 4, "/nowhere.yaml: cannot be read"),
        (["--", "--no-such-option"], 2, "--no-such-option"),
        (["--", "--state-dir=/x"], 2, "say it before the --"),
        (["--run-as", "x", "--state-dir", "/srv/a\nExecStartPre=/bin/false"], 4, "control character"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    """Nothing is written, and the exit code is the error's."""
    assert cli.main(["install-service", "--unit-dir", str(here / "units"), *words]) == code
    assert sentence in capsys.readouterr().err
    assert not (here / "units").exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says sudo, or --user."""
    (here / "file").write_text("")
    assert cli.main(["install-service", "--unit-dir", str(here / "file"), "--run-as", "x"]) == 4
    assert "say sudo, or --user" in capsys.readouterr().err


def test_the_service_never_runs_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root installs it for the user bot; whoever calls by sudo, or without, is its user where there is no such."""
    known: set[str] = set()
    monkeypatch.setattr(install_service, "_is_user", known.__contains__)
    monkeypatch.setattr("bot.cli.install_service.os.geteuid", lambda: 0)
    assert install_service._service_user() == "bot"
    monkeypatch.setenv("SUDO_USER", "ann")
    assert install_service._service_user() == "ann"
    known.add("bot")
    assert install_service._service_user() == "bot"


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("own", [False, True])
def test_systemd_finds_nothing_wrong_with_them(
    here: Path, capsys: pytest.CaptureFixture[str], own: bool
) -> None:
    """Odd paths included, not a word is said, and those of the machine are as shut as those that are shipped."""
    units, runtime = here / "units", here / "runtime"
    runtime.mkdir()
    words = ["--unit-dir", str(units), "--config", str(odd_config(here)), *OTHERS]
    installed(
        capsys, *words, *(("--user", "--state-dir", str(here / "my state")) if own else ("--run-as", "x"))
    )
    assert ANALYZE is not None
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    for unit in sorted(units.iterdir()):
        verify = [ANALYZE, "verify", *(["--user"] if own else []), str(unit)]
        said = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60, env=environ)
        assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
        if not own:
            words = [ANALYZE, "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, done.stdout[-1500:]
