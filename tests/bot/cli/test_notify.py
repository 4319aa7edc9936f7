"""`bot notify test`: do messages arrive?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli import main
from bot.redaction import forget_secrets
from tests.notice_board import NoticeBoard


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Addresses of tests are no secrets of other tests."""
    yield
    forget_secrets()


def test_it_sends_to_every_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addresses come from a file, as keys do; each is answered for by its kind and number."""
    with NoticeBoard() as one, NoticeBoard() as other:
        file = tmp_path / "urls"
        file.write_text(f"{one.url}\n{other.url}\n")
        file.chmod(0o600)
        monkeypatch.setenv("BOT__NOTIFY__URLS_FILE", str(file))
        assert main(["notify", "test"]) == 0
        assert capsys.readouterr().out == "json-1: sent\njson-2: sent\n"
        assert main(["notify", "test", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
    assert told["sent"] is True
    assert len(one.notices) == len(other.notices) == 2
    assert one.notices[0]["title"] == "test (paper)"


def test_one_that_does_not_arrive_is_named_and_its_address_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; the others got it."""
    with NoticeBoard(refusals=1) as bad, NoticeBoard() as good:
        secret = bad.url.replace("json://", "json://user:hunter2hunter2@")
        monkeypatch.setenv("BOT__NOTIFY__URLS", f"{secret} {good.url}")
        assert main(["notify", "test", "--json"]) == 1
    said = capsys.readouterr()
    rows = json.loads(said.out)["addresses"]
    assert [(row["address"], row["sent"]) for row in rows] == [("json-1", False), ("json-2", True)]
    assert "500" in rows[0]["reason"]
    assert "hunter2" not in said.out + said.err
    assert len(good.notices) == 1


def test_without_addresses_it_says_which_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4 and the variable to set."""
    monkeypatch.delenv("BOT__NOTIFY__URLS", raising=False)
    assert main(["notify", "test"]) == 4
    assert "BOT__NOTIFY__URLS_FILE" in capsys.readouterr().err
