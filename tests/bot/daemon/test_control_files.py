"""Token and address in the state folder."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from bot.daemon.control_files import (
    ADDRESS_FILE,
    TOKEN_FILE,
    Address,
    keep_token,
    make_token,
    read_address,
    read_token,
    remove_address,
    write_address,
)
from bot.errors import StorageError


def test_a_token_is_made_once_and_kept(tmp_path: Path) -> None:
    """Readable by its owner alone, whatever the umask; the second time it is the same, and nothing was renewed."""
    before = os.umask(0)
    try:
        token, renewed = keep_token(tmp_path)
    finally:
        os.umask(before)
    assert renewed is None
    assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
    assert keep_token(tmp_path) == (token, None)
    assert read_token(tmp_path) == token
    assert make_token() != make_token()


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [(None, 0o644, "others could read it (mode 0644)"), ("", 0o600, "damaged"), ("short", 0o600, "damaged")],
)
def test_a_token_that_cannot_be_trusted_is_replaced(
    tmp_path: Path, text: str | None, mode: int, said: str
) -> None:
    """One that others could read, or half a one, is not used again, and why is said."""
    old, _ = keep_token(tmp_path)
    path = tmp_path / TOKEN_FILE
    if text is not None:
        path.write_text(text)
    path.chmod(mode)
    new, renewed = keep_token(tmp_path)
    assert new != old
    assert renewed is not None
    assert said in renewed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_behind_a_link_is_replaced(tmp_path: Path) -> None:
    """A link could lead to a file that somebody else keeps; what it led to stays as it was."""
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    state.mkdir()
    elsewhere.write_text("a" * 43)
    elsewhere.chmod(0o600)
    (state / TOKEN_FILE).symlink_to(elsewhere)
    token, renewed = keep_token(state)
    assert token != "a" * 43
    assert renewed is not None
    assert not (state / TOKEN_FILE).is_symlink()
    assert elsewhere.read_text() == "a" * 43


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """One sentence instead of a traceback."""
    with pytest.raises(StorageError, match=r"control\.token"):
        keep_token(tmp_path / "nowhere")


def test_the_address_is_written_whole_and_removed(tmp_path: Path) -> None:
    """What was written is read; after the end, or from a damaged file, nobody reads an address."""
    address = Address("127.0.0.1", 8123, 42)
    write_address(tmp_path, address)
    assert read_address(tmp_path) == address
    assert json.loads((tmp_path / ADDRESS_FILE).read_text()) == {"host": "127.0.0.1", "port": 8123, "pid": 42}
    assert sorted(path.name for path in tmp_path.iterdir()) == [ADDRESS_FILE]
    remove_address(tmp_path)
    remove_address(tmp_path)
    assert read_address(tmp_path) is None
    for damaged in (
        "",
        "{",
        "[]",
        '{"host": "x"}',
        '{"host": 1, "port": 2, "pid": 3}',
        '{"host":"x","port":0,"pid":1}',
    ):
        (tmp_path / ADDRESS_FILE).write_text(damaged)
        assert read_address(tmp_path) is None
    assert Address("::1", 80, 1).netloc == "[::1]:80"
