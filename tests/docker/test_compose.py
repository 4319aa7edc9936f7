"""compose.yaml: hardened, on loopback only, its parts agree with each other, with the images and with the settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli import COMMANDS, load_command
from bot.settings import load_settings
from tests.dockerfile_steps import read_dockerfile

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DEMO: dict[str, Any] = yaml.safe_load((ROOT / "compose.demo.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("bot", "retrainer", "dashboard")
LONGEST_DRAIN_SECONDS = 30
"""Messages 5, a child process 10, the minute at hand and orders in flight: well below this."""


def default_of(text: str) -> str:
    """What compose puts in the place of ``${NAME:-default}`` where nobody says otherwise."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_the_five_parts_are_there() -> None:
    """Bot, retrainer, dashboard, Prometheus and Grafana, and nothing else."""
    assert set(SERVICES) == {*OURS, "prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_is_hardened(name: str) -> None:
    """Read-only root, no capability, no new privileges, a tmpfs for /tmp, limits, and none runs as root."""
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one
    assert "privileged" not in one
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp:") for mount in one["tmpfs"])
    assert re.fullmatch(r"\d+[mg]", one["mem_limit"])
    assert one["pids_limit"] <= 512
    assert one["init"] is True
    assert not default_of(str(one.get("user", "1"))).startswith("0")


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_beyond_this_machine(name: str) -> None:
    """Every published port names 127.0.0.1; the bot and the retrainer publish none."""
    ports = SERVICES[name].get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert bool(ports) is (name not in {"bot", "retrainer"})
    assert SERVICES[name].get("network_mode") is None


@pytest.mark.parametrize("name", SERVICES)
def test_the_engine_waits_longer_than_a_drain(name: str) -> None:
    """stop_grace_period is whole seconds, and those of the bot are more than twice its longest drain."""
    seconds = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert seconds >= (2 * LONGEST_DRAIN_SECONDS if name in {"bot", "retrainer"} else 10)


def test_images_are_built_from_the_targets_of_the_dockerfile() -> None:
    """Bot and retrainer are targets with the pinned base; the dashboard is the bot's image."""
    _, stages = read_dockerfile((ROOT / "Dockerfile").read_text())
    for name, target in (("bot", "runtime"), ("retrainer", "trainer")):
        build = SERVICES[name]["build"]
        assert build["target"] == target
        assert target in stages
        assert build["args"]["PYTHON_IMAGE"].startswith("${PYTHON_IMAGE:?")
        assert SERVICES[name]["image"].endswith(f":{target}")
    assert SERVICES["dashboard"]["image"] == SERVICES["bot"]["image"]
    for name in ("prometheus", "grafana"):
        tag = default_of(SERVICES[name]["image"]).rpartition(":")[2]
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), "a version, and not whatever is newest"


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_ones_that_the_bot_takes(name: str) -> None:
    """The environment is read by the program's own settings: paper, and retraining left to the retrainer."""
    environ = {key: default_of(value) for key, value in SERVICES[name]["environment"].items()}
    environ.pop("CREDENTIALS_DIRECTORY", None)
    settings = load_settings([], {}, environ)
    assert settings.mode == "paper"
    assert (settings.retrain.enabled, settings.retrain.by) == (True, "service")
    assert str(settings.state_dir) == "/var/lib/bot"
    assert settings.model.fallback == "no-trade"
    address = SERVICES["bot"]["networks"]["inner"]["ipv4_address"]
    assert settings.control.host == default_of(address)
    assert not settings.control.is_loopback, "so that every request needs the token"
    assert settings.exchange.symbols == ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")


@pytest.mark.parametrize(("name", "words"), [(name, SERVICES[name]["command"]) for name in OURS])
def test_commands_are_ones_that_the_bot_takes(name: str, words: list[str]) -> None:
    """Every word after ``bot`` is understood."""
    assert words[0] in COMMANDS, name
    load_command(words[0]).make_context("bot", list(words[1:]), resilient_parsing=False)


def test_the_demonstration_changes_what_is_there() -> None:
    """compose.demo.yaml overrides services that exist, with a command that the bot takes, and no retrainer."""
    assert set(DEMO["services"]) <= set(SERVICES)
    words = DEMO["services"]["bot"]["command"]
    load_command(words[0]).make_context("bot", list(words[1:]), resilient_parsing=False)
    assert DEMO["services"]["bot"]["image"] == SERVICES["retrainer"]["image"], "the first model is trained"
    environ = SERVICES["bot"]["environment"] | DEMO["services"]["bot"]["environment"]
    environ = {key: default_of(value) for key, value in environ.items() if key.startswith("BOT_")}
    assert load_settings([], {}, environ).retrain.enabled is False


def test_secrets_are_files_and_none_is_here() -> None:
    """No variable holds a password; what is mounted as a secret is a path that git and the context leave out."""
    for one in SERVICES.values():
        for name in one.get("environment", {}):
            assert not re.search(r"PASSWORD$|SECRET$|TOKEN$|API_KEY$|URLS$", name)
    assert COMPOSE["secrets"]["grafana_admin_password"]["file"] == "./secrets/grafana_admin_password"
    assert "./secrets/bot:/run/credentials:ro" in SERVICES["bot"]["volumes"]
    assert SERVICES["bot"]["environment"]["CREDENTIALS_DIRECTORY"] == "/run/credentials"
    assert "CREDENTIALS_DIRECTORY" not in SERVICES["retrainer"]["environment"]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {".env", "secrets/"} <= set(ignored)


def test_what_is_mounted_from_here_is_here_and_read_only() -> None:
    """Folders of this checkout exist and cannot be written; state is a named volume that compose knows."""
    for name, one in SERVICES.items():
        for mount in one["volumes"]:
            source, target, *mode = mount.split(":")
            if source.startswith("./"):
                assert mode == ["ro"], mount
                assert (ROOT / source).exists() or source == "./secrets/bot"
            else:
                assert source in COMPOSE["volumes"], mount
            if target == "/var/lib/bot":
                assert (mode == ["ro"]) is (name == "prometheus")


def test_compose_itself_reads_it(tmp_path: Path) -> None:
    """`docker compose config` resolves both files where it is installed; without the digest it says what to do."""
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not installed")
    for name in ("compose.yaml", "compose.demo.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    words = [docker, "compose", "--file", "compose.yaml", "--file", "compose.demo.yaml", "config", "--quiet"]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    refused = subprocess.run(
        words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode != 0
    assert "make image-pin" in refused.stderr
    environ["PYTHON_IMAGE"] = "python@sha256:" + "0" * 64
    done = subprocess.run(
        words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
