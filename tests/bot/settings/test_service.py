"""Settings of the daemon as a service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from bot.daemon.service_rules import ServiceRules, notify_rules
from bot.errors import ConfigError
from bot.settings import load_settings
from bot.settings.service import DEFAULT_EVENTS
from tests.docs.test_docs import EVENTS_PAGE, events_of_page, text_of

URL = "tgram://123456:s3cr3t-t0ken/42"


def test_addresses_come_from_a_variable_a_file_or_a_list(tmp_path: Path) -> None:
    """One text, separated by blanks or lines; YAML may list them."""
    other = "json://127.0.0.1:1/"
    file = tmp_path / "urls"
    file.write_text(f"{URL}\n\n{other}\n")
    file.chmod(0o600)
    yaml = tmp_path / "mine.yaml"
    yaml.write_text(f"notify:\n  urls: ['{URL}', '{other}']\n")
    yaml.chmod(0o600)
    for settings in (
        load_settings(environ={"BOT__NOTIFY__URLS": f"{URL} {other}"}),
        load_settings(environ={"BOT__NOTIFY__URLS_FILE": str(file)}),
        load_settings([yaml], environ={}),
    ):
        assert settings.notify.addresses == (URL, other)
    assert load_settings(environ={}).notify.addresses == ()


def test_an_address_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in `bot config show`, not in the settings' own text, not in the error about a wrong one."""
    monkeypatch.setenv("BOT__NOTIFY__URLS", URL)
    assert main(["config", "show", "--json"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["notify.urls"]["source"] == "BOT__NOTIFY__URLS"
    assert "s3cr3t" not in shown
    assert "s3cr3t" not in repr(load_settings())
    with pytest.raises(ConfigError, match=r"address 2 must look like") as caught:
        load_settings(environ={"BOT__NOTIFY__URLS": f"{URL} s3cr3t-n0-url"})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("control.host", "localhost"),
        ("control.host", "example.org"),
        ("control.port", 65_536),
        ("control.stalled_seconds", 60),
        ("notify.events", "risk"),
        ("notify.events", "risk.halted,Not An Event"),
        ("notify.level", "loud"),
        ("notify.summary_hour", 24),
        ("notify.attempts", 0),
        ("metrics.pulse_seconds", 0),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    """One sentence that names the field."""
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        load_settings(overrides={name: value}, environ={})


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("0.0.0.0", False), ("::", False)],
)
def test_an_address_knows_whether_others_reach_it(host: str, loopback: bool) -> None:
    """Only then may anything be asked without the token."""
    assert load_settings(overrides={"control.host": host}, environ={}).control.is_loopback is loopback


def test_they_become_rules() -> None:
    """Minutes become seconds; without an address nobody is told, and without a control API there is none."""
    settings = load_settings(overrides={"notify.urls": URL, "notify.quiet_minutes": 2}, environ={})
    rules = ServiceRules.of(
        settings.control, settings.metrics, settings.notify, settings.watchdog, settings.telegram, None
    )
    assert rules.control is not None
    assert rules.control.loopback
    assert rules.notify == notify_rules(settings.notify)
    assert rules.notify.quiet_seconds == 120.0
    assert rules.stalled_seconds == 300.0
    assert (rules.blind_seconds, rules.blind_action) == (3600.0, "halt")
    bare = load_settings(overrides={"control.enabled": False, "watchdog.minutes": "null"}, environ={})
    rules = ServiceRules.of(bare.control, bare.metrics, bare.notify, bare.watchdog, bare.telegram, None)
    assert rules.telegram is None
    assert (rules.control, rules.notify, rules.blind_seconds) == (None, None, None)


def test_what_is_told_as_shipped_exists() -> None:
    """Every event of the default is one that the page of events has, and every group has members there."""
    known = events_of_page(text_of(EVENTS_PAGE))
    for name in DEFAULT_EVENTS:
        assert any(event == name or (name.endswith(".") and event.startswith(name)) for event in known), name
