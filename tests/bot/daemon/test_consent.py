"""Consent to live trading: asked once for a folder, an exchange and a key, and kept without the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.daemon.consent import FILE_NAME, LiveAccount, objection, require_consent
from bot.errors import ConfigError, StorageError

ACCOUNT = LiveAccount("binanceusdm", simulated=False, key="canary-key-of-an-account")


def ask(folder: Path, account: LiveAccount = ACCOUNT, *, understood: bool = False) -> bool:
    """Ask as a start does."""
    return require_consent(
        folder,
        account,
        understood=understood,
        at_ms=1_700_000_000_000,
        version="1.2.3",
        random_bytes=lambda count: bytes(range(count)),
    )


def test_it_is_asked_once(tmp_path):
    """Without consent a start is refused and told how; once given it holds, with time and version, for the owner alone."""
    with pytest.raises(ConfigError, match="--i-understand-live-trading"):
        ask(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert ask(tmp_path, understood=True)
    assert not ask(tmp_path)
    assert not ask(tmp_path, understood=True)
    file = tmp_path / FILE_NAME
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o600
    row = json.loads(file.read_text())
    assert (row["at_ms"], row["version"]) == (1_700_000_000_000, "1.2.3")
    assert "canary" not in file.read_text()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (LiveAccount("binanceusdm", simulated=False, key="another-key"), "the API key is another"),
        (LiveAccount("okx", simulated=False, key=ACCOUNT.key), "the real binanceusdm"),
        (LiveAccount("binanceusdm", simulated=True, key=ACCOUNT.key), "the real binanceusdm"),
    ],
)
def test_another_account_asks_again(tmp_path, other, said):
    """Another key, another exchange and the step from a simulation to the real one each want a new consent."""
    ask(tmp_path, understood=True)
    assert said in (objection(tmp_path, other) or "")
    with pytest.raises(ConfigError, match=said):
        ask(tmp_path, other)
    ask(tmp_path, other, understood=True)
    assert objection(tmp_path, other) is None
    assert objection(tmp_path, ACCOUNT) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"exchange": 1, "simulated": false, "salt": "00", "key_hash": "x"}',
        b'{"exchange": "binanceusdm", "simulated": false, "salt": "", "key_hash": "x"}',
        b'{"exchange": "binanceusdm", "simulated": false, "salt": "zz", "key_hash": "x"}',
        b"\xff\xfe",
    ],
)
def test_what_is_damaged_is_no_consent(tmp_path, content):
    """A file that is not what was written asks again, and is replaced by a new consent."""
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ConfigError, match="nobody has said"):
        ask(tmp_path)
    ask(tmp_path, understood=True)
    assert not ask(tmp_path)


def test_a_folder_that_takes_no_file_is_named(tmp_path):
    """Consent that can't be written down is no consent: the start fails."""
    with pytest.raises(StorageError, match="live-consent"):
        ask(tmp_path / "missing", understood=True)


def test_an_account_does_not_show_its_key():
    """The key is in no representation."""
    assert "canary" not in repr(ACCOUNT)
