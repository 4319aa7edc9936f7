"""Tokens and addresses under any name; tests/bot/daemon/test_control_files.py has the rest."""

from __future__ import annotations

import stat
from pathlib import Path

from bot.web.files import Address, keep_token, read_address, read_token, remove_address, write_address


def test_two_servers_of_one_folder_keep_apart(tmp_path: Path) -> None:
    """Each has a token and an address of its own; to remove one leaves the other."""
    first, second = tmp_path / "one.token", tmp_path / "two.token"
    assert keep_token(first)[0] != keep_token(second)[0]
    assert read_token(first) != read_token(second)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (first, second)} == {0o600}
    write_address(tmp_path / "one.json", Address("127.0.0.1", 1, 1))
    write_address(tmp_path / "two.json", Address("0.0.0.0", 2, 2))
    remove_address(tmp_path / "one.json")
    assert read_address(tmp_path / "one.json") is None
    found = read_address(tmp_path / "two.json")
    assert found == Address("0.0.0.0", 2, 2)
    assert found is not None
    assert found.reached_at == "127.0.0.1"
    assert Address("::", 2, 2).reached_at == "::1"
    assert Address("10.0.0.7", 2, 2).reached_at == "10.0.0.7"
