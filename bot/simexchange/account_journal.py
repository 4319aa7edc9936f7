"""The simulated account on disk: what was answered or told survives ``kill -9``.

A file of lines, each a checksum and a JSON value: first what the file is, then one change after the other, each with
everything that belongs together. A change is on the disk before ``commit`` returns, and a caller answers only after that.
A last line that is torn was never answered for, and is cut off.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import orjson

from bot.errors import ConfigError, StorageError
from bot.simexchange.account import PriceAt, SimAccount
from bot.simexchange.config import Market
from bot.simexchange.orders import AccountTerms

FORMAT = 1
_SUM_LENGTH = 8


class AccountJournal:
    """The open file of one account; make it with ``open``.

    After a failed write it takes nothing more: what is on the disk then is only known by opening it again.
    """

    def __init__(self, path: Path, descriptor: int, rows: list[dict[str, Any]]) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._header = rows[0] if rows else None
        self._changes = rows[1:]

    @classmethod
    def open(cls, path: Path) -> AccountJournal:
        """Open or create a journal and read what is in it.

        Raises:
            StorageError: It can't be read or written, or is damaged elsewhere than at its end.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path}: cannot be opened: {error}") from error
        try:
            rows, sound = _read(path)
            os.ftruncate(descriptor, sound)
            os.fsync(descriptor)
            _sync_folder(path.parent)
        except OSError as error:
            os.close(descriptor)
            raise StorageError(f"{path}: cannot be read: {error}") from error
        except StorageError:
            os.close(descriptor)
            raise
        return cls(path, descriptor, rows)

    def restore(self, account: SimAccount) -> bool:
        """Bring a new account to where the journal ends; False when the journal is empty.

        Raises:
            ConfigError: It is of another market, of another version, or of symbols that are not listed.
        """
        if self._header is None:
            return False
        if self._header.get("format") != FORMAT or self._header.get("market") != account.market.value:
            raise ConfigError(f"{self.path}: is no account of {account.market.value}; start without --resume")
        changes, self._changes = self._changes, []
        for change in changes:
            _check_listed(self.path, change, account)
            account.apply(change)
        return bool(changes)

    def commit(self, account: SimAccount) -> bool:
        """Write what changed since the last commit, and wait until it is on the disk; False when nothing had changed.

        Raises:
            StorageError: It was not written, or nobody knows; the account must answer for nothing more.
        """
        change = account.unsaved()
        if not change:
            return False
        rows = [change]
        if self._header is None:
            self._header = {"format": FORMAT, "market": account.market.value}
            rows.insert(0, self._header)
        self._write(b"".join(_line(row) for row in rows))
        account.saved()
        return True

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, data: bytes) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            raise StorageError(f"{self.path}: is closed, or a write to it failed; restart to open it again")
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError as error:
            self.close()
            raise StorageError(f"{self.path}: cannot be written: {error}") from error


def open_account(
    path: Path, market: Market, terms: AccountTerms, price: PriceAt
) -> tuple[SimAccount, AccountJournal]:
    """The account that a journal holds, or a new one with the terms' balances, and the open journal.

    Raises:
        StorageError: The file can't be read or written.
        ConfigError: It is of another market.
    """
    journal = AccountJournal.open(path)
    account = SimAccount(market, terms, price)
    try:
        journal.restore(account)
    except ConfigError:
        journal.close()
        raise
    return account, journal


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The values of a file, and how many of its bytes are sound; what follows those is one torn write."""
    data = path.read_bytes()
    rows: list[dict[str, Any]] = []
    sound = 0
    for line in data.splitlines(keepends=True):
        row = _value(line)
        if row is None:
            break
        rows.append(row)
        sound += len(line)
    torn = data[sound:]
    if not rows and b"\n" in torn:
        raise StorageError(f"{path}: is not a journal of an account; move it away to start anew")
    if any(_value(line) is not None for line in torn.splitlines(keepends=True)[1:]):
        raise StorageError(
            f"{path}: is damaged at byte {sound}, before sound lines; move it away to start anew"
        )
    return rows, sound


def _line(row: dict[str, Any]) -> bytes:
    text = orjson.dumps(row)
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _value(line: bytes) -> dict[str, Any] | None:
    """What a line holds, None where it is not whole."""
    checksum, text = line[:_SUM_LENGTH], line[_SUM_LENGTH + 1 : -1]
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    value: dict[str, Any] = orjson.loads(text)
    return value


def _check_listed(path: Path, change: dict[str, Any], account: SimAccount) -> None:
    symbols = {row["request"]["symbol"] for row in change.get("orders", ())}
    symbols |= set(change["state"]["ledger"].get("held", ()))
    missing = sorted(symbols - set(account.symbols))
    if missing:
        raise ConfigError(
            f"{path}: has orders of {', '.join(missing)}, not listed now; start without --resume"
        )


def _sync_folder(folder: Path) -> None:
    """Make the file's name durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
